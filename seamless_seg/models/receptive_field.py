"""Probe: how far a model sees, asked of the model itself.

The model is a black box. Everything beyond a cut is replaced; the outputs on this side of it that
change tell how far across a cut the model sees, its receptive radius. Its input is shifted; the
first shift after which the inner output is the same, shifted, is its total stride. No graph is
read, so it works for any function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import difference
from ..errors import ModelError
from .base import Model
from .ensemble import Ensemble
from .load import open_models

Image: TypeAlias = npt.NDArray[np.float32]

Source: TypeAlias = "Callable[[np.random.Generator, tuple[int, int, int]], Image]"
"""Makes an image of shape ``(channels, height, width)`` as the model is used to see."""

TOLERANCES = (1e-2, 1e-3, 1e-4)
"""Shares of the output's standard deviation for which an effective radius is told."""

USUAL_CHANNELS = 3
"""Where neither the model nor anybody else says how many."""

LENGTHS = (384, 768, 1536)
"""Lengths at which a model of free size is asked, until one is large enough."""

BREADTHS = (192, 384, 768)
"""Its other length, the first that it takes. Like the rest, a multiple of 3 and of powers of 2."""

CUT = 192
"""Pixels beyond the cut: it must lie at a multiple of the stride, whatever that is."""

SHIFTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)

SEEDS = (0, 1, 2)
"""One image could fall on a dead ReLU, or on maxima that happen not to care."""

SAME = 1e-3
"""Shares of the standard deviation up to which shifted outputs count as the same."""


@dataclass(frozen=True)
class Curve:
    """How much outputs change with the distance from a cut, until they change no more."""

    curve: npt.NDArray[np.float64]
    """Largest change at each distance, over the output's standard deviation."""

    @property
    def radius(self) -> int:
        """Pixels next to the cut whose output depends on what lies beyond it, to the last bit."""
        return len(self.curve)

    def change(self, distance: int) -> float:
        """Largest change at a distance from the cut and beyond."""
        return float(self.curve[distance:].max(initial=0.0))

    def effective(self, tolerance: float) -> int:
        """Pixels next to the cut beyond which no output changes by ``tolerance`` or more."""
        changed = np.flatnonzero(self.curve >= tolerance)
        return int(changed[-1]) + 1 if changed.size else 0


@dataclass(frozen=True)
class Side(Curve):
    """How far the model sees across a cut on one side of a tile.

    The cut lies at a multiple of the stride; across any other it is less than a stride more.
    """

    reaches_across: bool
    """Whether the far side of the tile changes, too: the true radius is not less than this."""


@dataclass(frozen=True)
class Reach(Curve):
    """How far a model sees along one axis: the farther of its two sides at every distance."""

    stride: int
    across: bool
    """Whether it sees across the whole tile."""


@dataclass(frozen=True)
class Probe:
    """What a probe found out about a model."""

    top: Side
    bottom: Side
    left: Side
    right: Side
    stride: tuple[int, int]
    """Down and across, in pixels: the shifts after which the inner output is the same."""
    size: tuple[int, int]
    """The smallest height and width, of those tried, that showed it."""
    depends_on_batch: bool
    """Whether a tile's output depends on the other tiles of its batch."""
    deterministic: bool
    """Whether the same input gave the same bits twice."""

    @property
    def sides(self) -> tuple[Side, Side, Side, Side]:
        """Top, bottom, left and right."""
        return self.top, self.bottom, self.left, self.right

    @property
    def tile_wide(self) -> bool:
        """Whether a pixel's output depends on the whole tile, so that no margin makes it exact."""
        return any(side.reaches_across for side in self.sides)

    @property
    def radius(self) -> tuple[int, int]:
        """The larger radius of top and bottom, and of left and right."""
        return self.reach(0).radius, self.reach(1).radius

    def effective(self, tolerance: float) -> tuple[int, int]:
        """The same for the effective radius at a tolerance."""
        return self.reach(0).effective(tolerance), self.reach(1).effective(tolerance)

    def reach(self, axis: int) -> Reach:
        """How far the model sees down (0) or across (1)."""
        sides = self.sides[2 * axis : 2 * axis + 2]
        curve = np.zeros(max(side.radius for side in sides))
        for side in sides:
            curve[: side.radius] = np.maximum(curve[: side.radius], side.curve)
        return Reach(curve, self.stride[axis], any(side.reaches_across for side in sides))


def noise(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """White noise on the scale of normalized pixels."""
    return random.standard_normal(shape, np.float32)


def probe(
    model: Any, channels: int | None = None, source: Source = noise, *, tta: str | None = None
) -> Probe:
    """Ask a model how far it sees.

    It is run a few dozen times, on long and narrow images where its size is free: seconds on a
    CPU.

    Parameters
    ----------
    model : str, path-like, callable or list of these
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits; a
        ``Model`` is taken as it is. Of several, logits are averaged.
    channels : int, optional
        Bands that it takes, where the model does not say; else 3.
    source : callable, optional
        Makes images; white noise by default.
    tta : str, optional
        ``"flips"`` or ``"d4"``: ask the mean of turned tiles.

    Returns
    -------
    Probe

    Raises
    ------
    ModelError
        Where the model fails at every size that it was tried at.
    """
    opened = open_models(model, tta=tta)
    asked = _Asked(opened, opened.channels or channels or USUAL_CHANNELS, source)
    top, bottom, height = _sides(asked, 0)
    left, right, width = _sides(asked, 1)
    return Probe(
        top,
        bottom,
        left,
        right,
        stride=(_stride(asked, 0, height, top, bottom), _stride(asked, 1, width, left, right)),
        size=(height, width),
        depends_on_batch=_depends_on_batch(asked),
        deterministic=_deterministic(asked),
    )


class _Asked:
    """A model that is asked about one axis at a time, which is the last of the images here."""

    def __init__(self, model: Model, channels: int, source: Source) -> None:
        self.model = model
        self.channels = channels
        self.source = source
        show_border(model, channels)
        self.breadths = (self._breadth(0), self._breadth(1))

    def lengths(self, axis: int) -> tuple[int, ...]:
        """Lengths along an axis at which the model can be asked."""
        fixed = self.model.tile[axis]
        remainder = self.model.remainder[axis]
        return tuple(length + remainder for length in LENGTHS) if fixed is None else (fixed,)

    def image(self, axis: int, length: int, seed: int) -> Image:
        """A new image, the axis in question last."""
        random = np.random.default_rng([seed, axis, length])
        return self.source(random, (self.channels, self.breadths[1 - axis], length))

    def logits(self, axis: int, image: Image) -> npt.NDArray[Any]:
        """The model's answer to an image, shape ``(classes, breadth, length)``."""
        turned = image if axis == 1 else image.transpose(0, 2, 1)
        answer: npt.NDArray[Any] = self.batch([turned])[0]
        if answer.shape[1:] != turned.shape[1:]:
            raise ModelError(f"{self.model.name} gave {answer.shape} for {turned.shape}")
        return answer if axis == 1 else answer.transpose(0, 2, 1)

    def batch(self, images: list[Image]) -> npt.NDArray[Any]:
        """The model's answer to a batch, filled up with its last image where it is fixed."""
        size = self.model.batch or len(images)
        filled = np.stack(images + [images[-1]] * (size - len(images))).astype(np.float32)
        border = self.model.border
        around = np.pad(filled, [(0, 0), (0, 0), (border, border), (border, border)], "reflect")
        return self.model(np.ascontiguousarray(around))

    def _breadth(self, axis: int) -> int:
        fixed = self.model.tile[axis]
        if fixed is not None:
            return fixed
        other = self.model.tile[1 - axis] or LENGTHS[0] + self.model.remainder[1 - axis]
        failure: ModelError | None = None
        for breadth in BREADTHS:
            breadth += self.model.remainder[axis]
            shape = (breadth, other) if axis == 0 else (other, breadth)
            try:
                self.batch([np.zeros((self.channels, *shape), np.float32)])
            except ModelError as error:
                failure = failure or error
            else:
                return breadth
        raise failure or ModelError(f"{self.model.name} cannot be asked")


def show_border(model: Model, channels: int) -> None:
    """Call a model of free size once: nobody knows of a border before."""
    for length in LENGTHS if model.tile == (None, None) else ():
        with suppress(ModelError):
            model(np.zeros((model.batch or 1, channels, length, length), np.float32))
            return


def _sides(asked: _Asked, axis: int) -> tuple[Side, Side, int]:
    """The sides before and after along an axis, and the length that showed them."""
    for length in asked.lengths(axis):
        before, after = _side(asked, axis, length, False), _side(asked, axis, length, True)
        if not (before.reaches_across or after.reaches_across):
            break
    return before, after, length


def _side(asked: _Asked, axis: int, length: int, after: bool) -> Side:
    """Replace the first pixels along an axis, or the last, and see how far outputs change."""
    # A fixed size is cut near its side, at a multiple of whatever powers of 2 it is one of, so that
    # as much of it as can be is left to see the change.
    fixed = asked.model.tile[axis] is not None
    cut = min(length & -length, length // 2, 64) if fixed else CUT
    beyond = slice(length - cut, length) if after else slice(0, cut)
    changes, spread = [], []
    for seed in SEEDS:
        image = asked.image(axis, length, seed)
        replaced = image.copy()
        replaced[..., beyond] = asked.image(axis, length, seed + len(SEEDS))[..., beyond]
        told = asked.logits(axis, image)
        change = _difference(asked.logits(axis, replaced), told).max(axis=(0, 1))
        changes.append(change[::-1][cut:] if after else change[cut:])
        spread.append(_spread(told))
        if changes[-1][-1]:
            break  # it reaches across, and other images would not take that back
    # What a tile is read with around it does not need to be in it.
    curve = np.max(changes, axis=0)[_least_border(asked.model) :] / np.mean(spread)
    changed = np.flatnonzero(curve)
    radius = int(changed[-1]) + 1 if changed.size else 0
    # A curve without length is one of a model that is read with more around it than it sees.
    return Side(curve[:radius], reaches_across=0 < radius == len(curve))


def _least_border(model: Model) -> int:
    """Pixels around a tile that all members of a model get."""
    members = model.models if isinstance(model, Ensemble) else [model]
    return min(member.border for member in members)


def _difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How far two answers are apart, in finite numbers."""
    return np.nan_to_num(difference(one, other), posinf=float(np.finfo(np.float32).max))


def _spread(logits: npt.NDArray[Any]) -> float:
    """Standard deviation of the finite logits, above 0."""
    finite = logits[np.isfinite(logits)].astype(np.float64)
    return max(float(finite.std()) if finite.size else 0.0, float(np.finfo(np.float32).tiny))


def _stride(asked: _Asked, axis: int, length: int, before: Side, after: Side) -> int:
    """The first shift of the input after which the inner output is the same, shifted."""
    differences = dict(_shifts(asked, axis, length, before.radius, after.radius))
    for shift, share in differences.items():
        if share < SAME:
            return shift
    # Tile-wide models never say quite the same: take the first that is clearly nearer than 1 is.
    nearest, first = min(differences.values(), default=0.0), differences.get(1, 0.0)
    near = math.sqrt(nearest * first) if first > 3 * nearest else first
    return next((shift for shift, share in differences.items() if share <= near), 1)


def _shifts(
    asked: _Asked, axis: int, length: int, before: int, after: int
) -> Iterator[tuple[int, float]]:
    fixed = asked.model.tile[axis] is not None
    if not fixed:
        length = max(length, min(LENGTHS[-1], 2 * length))
        length -= (length - asked.model.remainder[axis]) % 128
    border = asked.model.border
    long = asked.source(
        np.random.default_rng([7, axis]),
        (asked.channels, asked.breadths[1 - axis], length + SHIFTS[-1]),
    )
    told = asked.logits(axis, long[..., :length])
    for shift in SHIFTS:
        low = min(before + border, length // 3)
        high = length - shift - min(after + border, length // 3)
        if high - low < 1:
            return
        shifted = asked.logits(axis, long[..., shift : shift + length])
        apart = _difference(shifted[..., low:high], told[..., low + shift : high + shift])
        share = float(apart.max()) / _spread(told)
        yield shift, share
        if share < SAME:
            return


def _depends_on_batch(asked: _Asked) -> bool:
    if asked.model.batch == 1:
        return False
    length = asked.lengths(1)[0]
    first, second, third = (asked.image(1, length, seed) for seed in (0, 1, 2))
    return not np.array_equal(asked.batch([first, second])[0], asked.batch([first, third])[0])


def _deterministic(asked: _Asked) -> bool:
    image = asked.image(1, asked.lengths(1)[0], 0)
    return np.array_equal(asked.logits(1, image), asked.logits(1, image), equal_nan=True)
