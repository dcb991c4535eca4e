"""`run` beside others that run a model over a raster in tiles: the same image, model and overlap.

    python benchmarks/peers.py --venvs ~/.cache/seamless_seg/peers

Each peer lives in a virtual environment of its own, which is made where it is missing. Whole
processes in turn, start-up included; medians of several rounds, and ratios to `run` with tiles of
the same size. What they write is not the same: `run`, MONAI and tiler write logits of all classes
as float32, GeoDeep makes a mask of classes for which tiles are cut hard, habitat-mapper a map of
classes; and it always overlaps by half of the tile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
import rasterio

PEERS = {
    "geodeep": ["geodeep"],
    "habitat-mapper": ["habitat-mapper", "onnxruntime"],
    "monai": ["monai", "torch", "onnxruntime", "rasterio"],
    "tiler": ["tiler", "onnxruntime", "rasterio"],
}
MEAN, STD = (0.433, 0.459, 0.355), (0.212, 0.192, 0.161)


def main() -> None:
    """Measure, and print one table."""
    # Not at the top: the environments of the peers know nothing of this package.
    from end_to_end import SAMPLE, cli, make_image

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venvs", type=Path, required=True, help="folder of their environments")
    parser.add_argument("--size", type=int, default=4096, help="pixels of the image's sides")
    parser.add_argument("--tiles", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pythons = {name: environment(options.venvs / name, PEERS[name]) for name in PEERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, model = make_image(folder / "image.tif", options.size), SAMPLE / "model.onnx"
        commands = {}
        for tile in options.tiles:
            tiling = ["--tile", tile, "--overlap", options.overlap, "--overwrite", "-q"]
            run = cli("run", image, model, folder / "out.tif", *tiling, "--compress", "none")
            commands["seamless-seg", tile] = run
            fixed = with_metadata(model, folder / f"{tile}.onnx", tile, options.overlap)
            for peer, python in pythons.items():
                given = fixed if peer == "geodeep" else model
                arguments = [image, given, folder / f"{peer}.tif", tile, options.overlap]
                commands[peer, tile] = list(map(str, [python, __file__, "drive", peer, *arguments]))
        measure(commands, options.rounds)


def measure(commands: dict[tuple[str, int], list[str]], rounds: int) -> None:
    from memory import peak_of

    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in commands}
    for number in range(rounds + 1):
        for key, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if number:  # the first round warms up caches
                seconds[key].append(time.perf_counter() - started)
    print("| | tile | seconds | to `run` with that tile | to `run` with its best | peak, MB |")
    print("|---|---|---|---|---|---|")
    best = min(statistics.median(v) for key, v in seconds.items() if key[0] == "seamless-seg")
    for (name, tile), values in seconds.items():
        median, own = statistics.median(values), seconds["seamless-seg", tile]
        ratio = statistics.median(a / b for a, b in zip(values, own, strict=True))
        peak = peak_of(commands[name, tile]) / 1e6
        print(
            f"| {name} | {tile} | {median:.1f} | {ratio:.2f} | {median / best:.2f} | {peak:.0f} |"
        )


def environment(folder: Path, packages: list[str]) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def with_metadata(model: Path, path: Path, tile: int, overlap: int) -> Path:
    """The model with tiles of one size, and what GeoDeep wants to know of it."""
    import onnx

    loaded = onnx.load(model)
    for tensor in (*loaded.graph.input, *loaded.graph.output):
        lengths = tensor.type.tensor_type.shape.dim
        lengths[0].dim_value, lengths[2].dim_value, lengths[3].dim_value = 1, tile, tile
    told = {"model_type": '"Segmentor"', "tiles_overlap": str(100 * overlap / tile)}
    told |= {"resolution": "1", "seg_thresh": "0", "class_names": "{}"}
    onnx.helper.set_model_props(loaded, told)
    onnx.save(loaded, path)
    return path


def geodeep(image: str, model: str, out: str, tile: int, overlap: int) -> None:
    from geodeep import segment

    np.save(out + ".npy", segment(image, model))


def habitat_mapper(image: str, model: str, out: str, tile: int, overlap: int) -> None:
    from habitat_mapper.model import ONNXModel
    from habitat_mapper.processing import ImageProcessor

    told = {"name": "sample", "revision": "20260101", "dependencies": [model]}
    told |= {"model_filename": Path(model).name, "mean": MEAN, "std": STD, "activation": "softmax"}
    config = Path(out).with_suffix(".json")
    config.write_text(json.dumps(told))
    loaded = ONNXModel.from_json_config(str(config))
    processor = ImageProcessor.from_model(loaded, crop_size=tile, blur_kernel_size=0, quiet=True)
    processor.run(image, out)


def monai(image: str, model: str, out: str, tile: int, overlap: int) -> None:
    import torch
    from monai.inferers import sliding_window_inference

    session = session_of(model)

    def predict(batch: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(None, {"image": batch.numpy()})[0])

    whole = torch.from_numpy(read(image)[None])
    share = overlap / tile
    logits = sliding_window_inference(whole, (tile, tile), 1, predict, share, mode="gaussian")
    write(out, image, logits[0].numpy())


def tiler(image: str, model: str, out: str, tile: int, overlap: int) -> None:
    from tiler import Merger, Tiler

    session, whole = session_of(model), read(image)
    cut = Tiler(whole.shape, (3, tile, tile), overlap=(0, overlap, overlap), channel_dimension=0)
    answers = Tiler(
        (5, *whole.shape[1:]), (5, tile, tile), overlap=(0, overlap, overlap), channel_dimension=0
    )
    merger = Merger(answers, window="hann", save_visits=False)
    for number, pixels in cut(whole):
        merger.add(number, session.run(None, {"image": pixels[None]})[0][0])
    write(out, image, merger.merge().astype(np.float32))


def session_of(model: str):
    import onnxruntime

    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def read(image: str) -> np.ndarray:
    """The whole image, normalized."""
    with rasterio.open(image) as source:
        pixels = source.read().astype(np.float32)
    pixels /= 255
    pixels -= np.array(MEAN, np.float32)[:, None, None]
    pixels /= np.array(STD, np.float32)[:, None, None]
    return pixels


def write(out: str, image: str, logits: np.ndarray) -> None:
    with rasterio.open(image) as source:
        profile = {"driver": "GTiff", "crs": source.crs, "transform": source.transform}
    count, height, width = logits.shape
    profile |= {"count": count, "height": height, "width": width, "dtype": "float32"}
    with rasterio.open(out, "w", **profile, tiled=True, bigtiff="IF_SAFER") as written:
        written.write(logits)


DRIVERS = {"geodeep": geodeep, "habitat-mapper": habitat_mapper, "monai": monai, "tiler": tiler}

if __name__ == "__main__" and sys.argv[1:2] == ["drive"]:
    peer, image, model, out, tile, overlap = sys.argv[2:]
    DRIVERS[peer](image, model, out, int(tile), int(overlap))
elif __name__ == "__main__":
    main()
