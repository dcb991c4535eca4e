"""Training of the network on freshly made landscapes."""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from landscape import Landscape
from standard import Standard
from unet import UNet

CROP = 384
BATCH = 4
LEARNING_RATE = 3e-3
# Roads and buildings are few and thin; without a little weight they come last.
CLASS_WEIGHTS = (1.0, 1.0, 1.2, 1.5, 1.5)


def batches(
    scenes: list[Landscape], standard: Standard, steps: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `steps` batches: images (BATCH, 3, CROP, CROP) float32 and labels (BATCH, CROP, CROP).

    Crops are turned and flipped, so that the model learns shadows of every direction.
    """
    for _ in range(steps):
        crops = [_crop(scenes[rng.integers(len(scenes))], rng) for _ in range(BATCH)]
        images = standard.apply(np.stack([crop.image for crop in crops]))
        gain = 1 + 0.08 * rng.standard_normal((BATCH, 1, 1, 1)).astype(np.float32)
        shift = 0.08 * rng.standard_normal((BATCH, 1, 1, 3)).astype(np.float32)
        labels = np.stack([crop.labels for crop in crops]).astype(np.int64)
        yield torch.from_numpy(images * gain + shift).permute(0, 3, 1, 2), torch.from_numpy(labels)


def _crop(scene: Landscape, rng: np.random.Generator) -> Landscape:
    row, col = rng.integers(0, scene.labels.shape[0] - CROP + 1, 2)
    window = slice(row, row + CROP), slice(col, col + CROP)
    turns, flip = int(rng.integers(4)), rng.integers(2)
    image, labels = (np.rot90(part[window], turns) for part in scene)
    return Landscape(np.fliplr(image), np.fliplr(labels)) if flip else Landscape(image, labels)


def train(
    net: UNet,
    data: Iterable[tuple[Tensor, Tensor]],
    steps: int,
    report: Callable[[str], None],
    keep: Callable[[], None],
) -> None:
    """Train `net` on `steps` batches and leave it in evaluation mode.

    Progress goes to `report`; `keep` is called now and then, so that a stop loses little.
    """
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1
    )
    loss_of = nn.CrossEntropyLoss(torch.tensor(CLASS_WEIGHTS))
    mean, start = 0.0, time.monotonic()
    for step, (images, labels) in enumerate(data, 1):
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(images.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean += (loss.item() - mean) * max(0.03, 1 / step)
        if step % 200 == 0:
            keep()
        if step % 25 == 0 or step == steps:
            report(f"step {step}/{steps}  loss {mean:.3f}  {time.monotonic() - start:.0f} s")
    net.eval()
