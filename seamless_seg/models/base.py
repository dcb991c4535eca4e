"""The interface of every model, and what is known of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..windows import Pair
from .metadata import ModelMetadata
from .runtime_errors import reason_of

DEFAULT_CHANNELS = 3
"""Bands of a trial image where neither the model nor the caller states a number."""

BATCH_PIXELS = 2**17
"""Pixels of a batch that keep a processor busy."""

DEVICE_BATCH_PIXELS = 2**21
"""Pixels of a batch that keep a GPU busy."""

FLOAT = np.dtype(np.float32)
"""Type of images, but for models that take integers or other floats."""

Batch = npt.NDArray[np.float32]
"""Images, ``(B, C, H, W)``."""


@runtime_checkable
class Model(Protocol):
    """A segmentation model: a spec that does not change, and a call from images to logits."""

    workers: int
    """Threads that may call the model at the same time, and should; ``tune`` sets it."""

    @property
    def spec(self) -> ModelSpec:
        """Properties of the model, complete once ``resolved`` has returned it."""
        ...

    def resolved(self, channels: int | None = None) -> Model:
        """Return the model with a complete spec, which may take a few runs on small images.

        ``channels`` are the bands of those images where the spec leaves them open. The model
        returned shares its weights with this one, and returns itself from here on.
        """
        ...

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Prepare for many tiles of a size, and for ``most_workers`` threads at most."""
        ...

    def take_over_normalization(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Let the model normalize pixels of a dtype itself, where it can; return whether it will.

        Where it will, batches of that dtype are pixels from here on.
        """
        ...

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Map ``(B, C, H, W)`` to logits ``(B, K, H - 2 * border, W - 2 * border)``."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model once it is opened; lengths that are None are free."""

    name: str = "the model"
    """Path of its file, or what messages call a function."""
    channels: int | None = None
    """Bands of its input."""
    classes: int | None = None
    """Classes of its logits, where the graph declares them."""
    tile: tuple[int | None, int | None] = (None, None)
    """Height and width of its logits in pixels of the input: the input's less both borders."""
    border: int = 0
    """Pixels at each side of an input that have no logits, as valid convolutions lose them."""
    remainder: Pair = (0, 0)
    """Height and width of logits, modulo 128 px, at which no pooling of the model drops pixels."""
    batch: int | None = None
    """Tiles of every batch, no more and no fewer."""
    batch_pixels: int = BATCH_PIXELS
    """Pixels of a batch above which more tiles at a time are no faster."""
    dtype: np.dtype[Any] = FLOAT
    """Type of its input; for integers, values are rounded and clipped."""
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    """Settings that came with it."""
    gives_classes: bool = False
    """Whether it gives the number of each pixel's class, ``(B, 1, H, W)``, in place of logits."""
    variant: str = ""
    """Suffix of cache keys, which tells uses of one file apart: output, provider, augmentation."""


@contextmanager
def naming_failure(name: str, batch: npt.NDArray[Any]) -> Iterator[None]:
    """Turn any exception of a model into a ``ModelError`` that names model and batch shape."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        shape = " x ".join(map(str, batch.shape))
        raise ModelError(f"{name} fails on a batch of {shape}: {reason_of(error)}") from error
