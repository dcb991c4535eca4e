"""Checks the verdict on a model's graph by running the model: tiles against the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from seamless_seg.probes.graph_verdict import GraphVerdict

ROUNDING = 1e-5
"""Standard deviations of the logits by which other kernels for other sizes may differ."""

HELD_ROUNDING = 1e-4
"""The same where statistics are given, which the whole image computes itself."""

BEYOND = (1.0, 1e3, 1e8)
"""Contrasts of the pixels beyond a tile: strong ones show what weak weights hide."""

LEAST = 96
"""Pixels that a tile keeps, at least, beside what its cuts change."""

GRID = 32
"""Pixels: the grid of tiles where the graph has none."""

Array = npt.NDArray[np.float32]


class Network:
    """A model that is run, perhaps with statistics that another run gave."""

    def __init__(self, path: Path, names: Sequence[str] = ()) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        self.names = list(names)
        self.image = self.session.get_inputs()[0]
        self.logits = self.session.get_outputs()[0].name

    def run(self, image: Array, axis: int, given: dict[str, Any] | None = None) -> Array:
        """Return logits of ``(3, height, width)`` pixels, with an axis of the image first."""
        feeds = {self.image.name: image[None], **(given or {})}
        logits = np.asarray(self.session.run([self.logits], feeds)[0][0], np.float32)
        return logits if axis == 0 else logits.swapaxes(1, 2)

    def statistics(self, image: Array) -> dict[str, Any]:
        """Return what the model computes of the whole image."""
        found = self.session.run(self.names, {self.image.name: image[None]})
        return dict(zip(self.names, found, strict=True))


def checked(path: Path, verdict: GraphVerdict) -> dict[str, Any]:
    """Return what tiles of a model of any size show.

    ``error`` is the largest difference to the whole image where the verdict has none, or in the
    middle third of a tile where it has no bound, in standard deviations of the logits. ``reach`` is
    how far from a cut logits differ: top, bottom, left, right. ``off_grid`` is the error of a tile
    that starts half a stride beside the grid.
    """
    model = Network(path)
    error, reach, off_grid = 0.0, [], 0.0
    for axis in (0, 1):
        whole, first, tile = _scene(verdict, axis)
        before, after = _left_out(verdict, axis, tile)
        if not verdict.is_proof:
            differs = _tile_differs(model, whole, axis, (first, first + tile), BEYOND[:1])
        else:
            differs = _tile_differs(model, whole, axis, (first, first + tile), BEYOND)
            beside = first + verdict.stride[axis] // 2
            shifted = _tile_differs(model, whole, axis, (beside, beside + tile), BEYOND[:1])
            off_grid = max(off_grid, float(shifted[before : tile - after].max()))
        error = max(error, float(differs[before : tile - after].max()))
        reach += _reached(differs)
    agrees = (error <= ROUNDING) == verdict.is_proof
    return {"agrees": agrees, "error": error, "reach": reach, "off_grid": off_grid}


def checked_with_statistics(
    giving: Path, taking: Path, names: list[str], verdict: GraphVerdict
) -> dict[str, Any]:
    """Return how far tiles differ that are given the statistics of the whole image.

    ``held_error`` is that beyond the radius, which the verdict has for this case.
    """
    source, model = Network(giving, names), Network(taking)
    error, reach = 0.0, []
    for axis in (0, 1):
        whole, first, tile = _scene(verdict, axis, held=True)
        before, after = verdict.radius[2 * axis : 2 * axis + 2]
        given = source.statistics(whole)
        ends = first, first + tile
        differs = _tile_differs(model, whole, axis, ends, BEYOND, given)
        error = max(error, float(differs[before : tile - after].max()))
        reach += _reached(differs, HELD_ROUNDING)
    return {"held_agrees": error <= HELD_ROUNDING, "held_error": error, "held_reach": reach}


def checked_at_fixed_size(path: Path, verdict: GraphVerdict) -> dict[str, Any]:
    """Return what two tiles of a model of one size show, shifted by strides against each other.

    ``agrees`` is None where a tile is not larger than what its cuts change.
    """
    model = Network(path)
    error, reach, seen = 0.0, [], True
    for axis in (0, 1):
        sides = [int(own) for own in model.image.shape[2:]]
        side = sides[axis]
        shift = _up(min(GRID, side // 4), verdict.stride[axis])
        sides[axis] += shift
        whole = _pixels(*sides, axis)
        one, other = (
            model.run(_cut(whole, axis, start, start + side), axis) for start in (0, shift)
        )
        differs = _differences(one[:, shift:], other[:, : side - shift])
        before, after = _left_out(verdict, axis, side - shift)
        kept = differs[before : side - shift - after]
        seen = seen and bool(kept.size)
        error = max(error, float(kept.max(initial=0)))
        reach += _reached(differs)
    agrees = (error <= ROUNDING) == verdict.is_proof if seen else None
    return {"agrees": agrees, "error": error, "reach": reach}


def _scene(verdict: GraphVerdict, axis: int, held: bool = False) -> tuple[Array, int, int]:
    """Return a long and narrow image, and where a tile of it starts and how long it is."""
    is_bounded = verdict.is_proof or held
    stride = verdict.stride[axis] if is_bounded else _up(verdict.stride[axis], GRID)
    first = _up(96, stride)
    needed = sum(verdict.radius[2 * axis : 2 * axis + 2]) + LEAST if is_bounded else 3 * LEAST
    tile = _up(needed, stride)
    sides = [_up(128, max(GRID, verdict.stride[1 - axis]))] * 2
    sides[axis] = 2 * first + tile + stride
    return _pixels(*sides, axis), first, tile


def _tile_differs(
    model: Network,
    whole: Array,
    axis: int,
    ends: tuple[int, int],
    contrasts: Sequence[float],
    given: dict[str, Any] | None = None,
) -> Array:
    """Return how far a tile differs from the whole image, at each place along an axis."""
    start, stop = ends
    part = model.run(_cut(whole, axis, start, stop), axis, given)
    differs = np.zeros(stop - start, np.float32)
    for contrast in contrasts:
        image = whole * np.float32(contrast)
        inner = (slice(None),) * (axis + 1) + (slice(start, stop),)
        image[inner] = whole[inner]
        logits = model.run(image, axis, given)[:, start:stop]
        differs = np.maximum(differs, _differences(part, logits))
    return differs


def _left_out(verdict: GraphVerdict, axis: int, length: int) -> tuple[int, int]:
    if not verdict.is_proof:
        return length // 3, length // 3
    before, after = verdict.radius[2 * axis : 2 * axis + 2]
    return before, after


def _differences(part: Array, whole: Array) -> Array:
    """Return the largest difference at each place along the first axis of the image."""
    with np.errstate(all="ignore"):
        apart = np.abs(part - whole).max(axis=(0, 2)) / max(float(part.std()), 1e-12)
    return np.nan_to_num(apart, nan=np.inf, posinf=np.inf)


def _reached(differs: Array, rounding: float = ROUNDING) -> list[int]:
    """Return how far from both ends more than rounding differs, within half of the length."""
    half = len(differs) // 2
    places = np.flatnonzero(differs > rounding)
    before, after = places[places < half], places[places >= half]
    return [
        int(before[-1]) + 1 if len(before) else 0,
        len(differs) - int(after[0]) if len(after) else 0,
    ]


def _pixels(height: int, width: int, seed: int) -> Array:
    random = np.random.default_rng(seed)
    return random.standard_normal((3, height, width)).astype(np.float32)


def _cut(image: Array, axis: int, start: int, stop: int) -> Array:
    return np.ascontiguousarray(np.take(image, range(start, stop), axis + 1))


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
