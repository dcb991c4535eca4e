"""What `run` costs beside the model, and beside a plain loop where the model costs nothing.

    python benchmarks/end_to_end.py

Whole processes, start-up included, in turn; medians of several rounds, ratios round by round:

- a bare onnxruntime session that runs as many tiles of noise, one by one, as `run` needs;
- `seamless-seg run` with the sample model, logits uncompressed and with zstd;
- a plain loop that reads, scales and writes the same bytes, without tiles or model;
- `seamless-seg run` with a 1 x 1 convolution.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

COMPILED = Path(tempfile.gettempdir()) / "seamless_seg_benchmarks"

SAMPLE = Path(__file__).parent.parent / "sample_data"
COMPRESSION = {
    "none": {},
    "zstd": {"compress": "zstd", "zstd_level": 1, "predictor": 3},
}


def main() -> None:
    """Measure, and print two tables."""
    if len(sys.argv) > 1 and sys.argv[1] in ("bare", "plain"):
        {"bare": bare, "plain": plain}[sys.argv[1]](*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="pixels of the image's sides")
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = make_image(folder / "image.tif", options.size)
        pointwise = make_pointwise(folder / "pointwise.onnx")
        out = folder / "out.tif"
        tiling = ["--tile", options.tile, "--overlap", options.overlap]
        model = SAMPLE / "model.onnx"
        plan = json.loads(output_of(cli("plan", image, model, *tiling, "--json")))
        session = this("bare", model, plan["tiles"], options.tile)
        print(f"{plan['tiles']} tiles of {options.tile}, {os.cpu_count()} processors")
        compare(
            options.rounds,
            {"bare session": session}
            | {f"run, {c}": run(image, model, out, c, tiling) for c in COMPRESSION},
        )
        for compress in COMPRESSION:
            compare(
                options.rounds,
                {
                    f"plain loop, {compress}": this("plain", image, out, compress),
                    "run, 1 x 1 convolution": run(image, pointwise, out, compress, tiling),
                },
            )


def cli(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "seamless_seg", *map(str, arguments)]


def this(*arguments: object) -> list[str]:
    return [sys.executable, __file__, *map(str, arguments)]


def run(image: Path, model: Path, out: Path, compress: str, tiling: list) -> list[str]:
    return cli("run", image, model, out, *tiling, "--compress", compress, "--overwrite", "-q")


def compare(rounds: int, commands: dict[str, list[str]]) -> None:
    """Run the commands in turn; print each one's median and its ratio to the first."""
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            output_of(command)
            if number:  # the first round warms up caches and remembers probes
                samples[name].append(time.perf_counter() - started)
    (first, *_) = samples.values()
    print()
    print("| | seconds | ratio |")
    print("|---|---|---|")
    for name, seconds in samples.items():
        ratio = statistics.median(s / f for s, f in zip(seconds, first, strict=True))
        print(f"| {name} | {statistics.median(seconds):.2f} | {ratio:.2f} |", flush=True)


def output_of(command: list[str]) -> str:
    """What a command prints, run as by a user whose Python keeps what it has compiled."""
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(COMPILED)}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | kept
    ).stdout


def bare(model: str, tiles: str, tile: str) -> None:
    """Nothing but the model."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shape = (1, 3, int(tile), int(tile))
    pixels = np.random.default_rng(0).standard_normal(shape, np.float32)
    for _ in range(int(tiles)):
        session.run(None, {"image": pixels})


def plain(image: str, out: str, compress: str) -> None:
    """Nothing but reading, scaling and writing, in rows of blocks."""
    with rasterio.open(image) as source:
        profile = {"driver": "GTiff", "height": source.height, "width": source.width}
        profile |= {"count": 1, "dtype": "float32", "tiled": True, "transform": source.transform}
        profile |= {"blockxsize": 256, "blockysize": 256, "crs": source.crs}
        with rasterio.open(out, "w", **profile, **COMPRESSION[compress]) as written:
            for top in range(0, source.height, 256):
                window = Window(0, top, source.width, min(256, source.height - top))
                pixels = source.read(window=window).astype(np.float32)
                pixels *= np.float32(1 / 255)
                written.write(pixels[:1], window=window)


def make_image(path: Path, size: int) -> Path:
    """The sample scene, mirrored until it is large enough."""
    with rasterio.open(SAMPLE / "scene.tif") as scene:
        pixels, profile = scene.read(), {"crs": scene.crs, "transform": scene.transform}
    beyond = [(0, 0)] + [(0, max(0, size - length)) for length in pixels.shape[1:]]
    pixels = np.pad(pixels, beyond, mode="symmetric")[:, :size, :size]
    profile |= {"driver": "GTiff", "height": size, "width": size, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, tiled=True, compress="deflate") as written:
        written.write(pixels)
    return path


def make_pointwise(path: Path, classes: int = 1) -> Path:
    """A model that costs nothing."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"image": 3, "logits": classes}
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "H", "W"])
        for name, channels in shapes.items()
    )
    weight = numpy_helper.from_array(np.full((classes, 3, 1, 1), 1 / 3, np.float32), "weight")
    node = helper.make_node("Conv", ["image", "weight"], ["logits"])
    graph = helper.make_graph([node], "pointwise", [image], [logits], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


if __name__ == "__main__":
    main()
