"""What `run` makes of a GPU: tiles a second beside a bare session whose data never leaves it.

    python benchmarks/device.py --provider cuda
    python benchmarks/device.py --provider tensorrt --tile 512 --batch 4

Both in one process, in turn, after a first run of each that is not counted. With `--provider cpu`
the same path is taken through buffers in main memory: a test of the path, not of its speed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from end_to_end import SAMPLE, make_image

from seamless_seg import segment
from seamless_seg.models.io_binding import DEVICES
from seamless_seg.models.onnx_model import OnnxModel
from seamless_seg.models.onnx_session import OnnxFile


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--provider", default="cuda")
    parser.add_argument("--model", type=Path, default=SAMPLE / "model.onnx")
    parser.add_argument("--size", type=int, default=8192, help="pixels of the image's sides")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = DEVICES.get(options.provider, "cpu")
    with tempfile.TemporaryDirectory() as name:
        image = make_image(Path(name) / "image.tif", options.size)
        model = OnnxModel(OnnxFile(options.model, options.provider), device=device)
        seconds: dict[str, list[float]] = {"bare, resident": [], "run": []}
        for _ in range(options.rounds + 1):
            started = time.perf_counter()
            tiles = run(image, model, Path(name) / "out.tif", options)
            seconds["run"].append((time.perf_counter() - started) / tiles)
            seconds["bare, resident"].append(bare(options, device))
    print(f"{options.provider}, tiles of {options.tile}, {options.batch} at a time")
    print("\n| | tiles/s | ratio |\n|---|---|---|")
    resident = seconds["bare, resident"][1:]
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values[1:], resident, strict=True))
        print(f"| {name} | {1 / statistics.median(values[1:]):.0f} | {ratio:.2f} |")


def run(image: Path, model: OnnxModel, out: Path, options: argparse.Namespace) -> int:
    tiling = {"tile": options.tile, "overlap": options.overlap, "batch_size": options.batch}
    summary = segment(
        image, model, out, compress="none", overwrite=True, margin=0, align=1, **tiling
    )
    return summary.tiles


def bare(options: argparse.Namespace, device: str, batches: int = 30) -> float:
    """Seconds a tile of a session whose input and output stay on the device."""
    file = OnnxFile(options.model, options.provider)
    shape = (options.batch, file.inputs[0].shape[1], options.tile, options.tile)
    pixels = np.random.default_rng(0).standard_normal(shape, np.float32)
    binding = file.session.io_binding()
    image = onnxruntime.OrtValue.ortvalue_from_numpy(pixels, device, 0)
    binding.bind_ortvalue_input(file.inputs[0].name, image)
    binding.bind_output(file.outputs[0].name, device)
    file.session.run_with_iobinding(binding)
    started = time.perf_counter()
    for _ in range(batches):
        file.session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return (time.perf_counter() - started) / (batches * options.batch)


if __name__ == "__main__":
    main()
