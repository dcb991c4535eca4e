"""How good the model is on scenes it was not trained on, and how far it sees."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import seamless_seg
from canvas import CLASS_NAMES
from landscape import Landscape
from standard import Standard

Model = Callable[[NDArray[np.float32]], NDArray[np.float32]]
DISTANCES = (8, 16, 24, 32, 48, 64)


class Way(NamedTuple):
    """One way to run the model over a scene: no tile is the whole scene at once."""

    name: str
    tile: int | None
    overlap: int = 0
    trust: str = "linear"


WAYS = (
    Way("whole scene at once", None),
    Way("256, no overlap, hard cut", 256, 0, "crop"),
    Way("256, overlap 64, hard cut at its middle", 256, 64, "crop"),
    Way("256, overlap 64, blended (linear)", 256, 64, "linear"),
    Way("512, overlap 128, hard cut at its middle", 512, 128, "crop"),
    Way("512, overlap 128, blended (linear)", 512, 128, "linear"),
)


def open_model(path: Path) -> tuple[Model, Standard]:
    """Return the model, (H, W, 3) to (H, W, K) float32, and its standardization."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    props = session.get_modelmeta().custom_metadata_map
    mean, std = (json.loads(props[f"standardization_{key}"]) for key in ("mean", "std"))

    def model(image: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        logits: NDArray[np.float32] = session.run(None, {"image": batch})[0][0]
        return logits.transpose(1, 2, 0)

    return model, Standard(mean, std)


def run_way(way: Way, model: Model, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (H, W, K) of a standardized image, run in the given way."""
    if way.tile is None:
        return model(image)
    logits = np.zeros((*image.shape[:2], len(CLASS_NAMES)), np.float32)
    plan, _ = seamless_seg.plan_run_grid(
        image.shape[:2], way.tile, way.overlap, align=8, trust=way.trust
    )

    def get_tile(index: object, geom: object) -> NDArray[np.float32]:
        return model(image[seamless_seg.shape_to_slices(geom)])

    def write_tile(index: object, geom: object, tile: NDArray[np.float32]) -> None:
        logits[seamless_seg.shape_to_slices(geom)] = tile

    seamless_seg.run_plan(plan, 1, 64, write_tile, get_tile=get_tile)
    return logits


def confusion(truth: NDArray[np.uint8], found: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the (K, K) counts of pixels, rows the truth."""
    classes = len(CLASS_NAMES)
    pairs = np.bincount(truth.ravel() * np.intp(classes) + found.ravel(), minlength=classes**2)
    return pairs.reshape(classes, classes)


def intersection_over_union(counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return hits / (truth + found - hits) per class."""
    hits = np.diag(counts)
    scores: NDArray[np.float64] = hits / (counts.sum(0) + counts.sum(1) - hits)
    return scores


def evaluate(path: Path, scenes: list[Landscape]) -> str:
    """Return a table in Markdown: per way of running, the IoU of all scenes together."""
    model, standard = open_model(path)
    classes = len(CLASS_NAMES)
    counts = np.zeros((len(WAYS), classes, classes), np.intp)
    changed = np.zeros(len(WAYS))
    for scene in scenes:
        image = standard.apply(scene.image)
        whole: NDArray[np.intp] | None = None
        for number, way in enumerate(WAYS):
            found = run_way(way, model, image).argmax(-1)
            whole = found if whole is None else whole
            counts[number] += confusion(scene.labels, found)
            changed[number] += (found != whole).mean() / len(scenes)
    return table(counts, changed)


def table(counts: NDArray[np.intp], changed: NDArray[np.float64]) -> str:
    """Return the Markdown of `evaluate`."""
    head = ["tiles", "mean IoU", *CLASS_NAMES, "unlike whole scene"]
    rows = [head, ["---"] * len(head)]
    for way, count, share in zip(WAYS, counts, changed, strict=True):
        scores = intersection_over_union(count)
        cells = [f"{score:.4f}" for score in (scores.mean(), *scores)]
        rows.append([way.name, *cells, f"{100 * share:.2f} %"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def reach(path: Path, scenes: list[Landscape], tile: int = 512) -> tuple[dict[int, float], int]:
    """Return how far the output to the right of a cut changes when all left of it does.

    The left half of a tile is replaced by that of another scene.

    Returns
    -------
    curve : dict of int to float
        Distance from the cut, px, to the root-mean-square change of the logits there, as a
        fraction of their standard deviation.
    radius : int
        The farthest column that changes at all, px.
    """
    model, standard = open_model(path)
    half, squared, deviation = tile // 2, np.zeros(tile // 2), []
    for row in range(0, scenes[0].labels.shape[0] - tile + 1, tile):
        window = slice(row, row + tile), slice(row, row + tile)
        plain, other = (standard.apply(scene.image[window]) for scene in scenes[:2])
        before = model(plain)
        after = model(np.concatenate([other[:, :half], plain[:, half:]], axis=1))
        squared += ((after - before)[:, half:] ** 2).mean(axis=(0, 2))
        deviation.append(before.var(axis=(0, 1)).mean())
    change = np.sqrt(squared / np.sum(deviation))
    return {d: float(change[d]) for d in DISTANCES}, int(np.flatnonzero(change).max()) + 1
