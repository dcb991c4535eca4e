"""The receptive field of a model, measured by running it.

The model is a black box. Pixels on one side of a cut are replaced: the farthest output on the
other side that changes gives the radius of the receptive field. The input is shifted: the first
shift by which the inner output is shifted, too, and otherwise the same, is the total stride. No
graph is read, so it works for any function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import difference
from ..errors import ModelError
from .base import DEFAULT_CHANNELS, Model
from .ensemble import Ensemble
from .layout import SIZE_PERIOD
from .load import open_models

Image: TypeAlias = npt.NDArray[np.float32]
"""An image, ``(channels, height, width)``."""

Source: TypeAlias = "Callable[[np.random.Generator, tuple[int, int, int]], Image]"
"""Makes an image of shape ``(channels, height, width)``, normalized as the model expects it."""

TOLERANCES = (1e-2, 1e-3, 1e-4)
"""Shares of the logits' standard deviation for which reports list the effective radius."""

LENGTHS = (384, 768, 1536)
"""Lengths in px of images along the axis that is measured: the first that holds the radius."""

BREADTHS = (192, 384, 768)
"""Lengths in px along the other axis: the first that the model takes.

Like the others they are multiples of 3 and of powers of 2, as the strides of most models are.
"""

CUT = 192
"""Pixels from the side of an image to the cut, which must be a multiple of the stride."""

SHIFTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Pixels by which inputs are shifted, in this order: strides that can be found."""

SEEDS = (0, 1, 2)
"""Seeds of random images: in a single one, a ReLU or a maximum can hide a dependence."""

SAME = 1e-3
"""Share of the logits' standard deviation below which shifted outputs count as the same."""


@dataclass(frozen=True)
class Curve:
    """How much logits change with the distance from a cut, up to the last that changes."""

    curve: npt.NDArray[np.float64]
    """Largest change at each distance in px, as a share of the logits' standard deviation."""

    @property
    def radius(self) -> int:
        """Pixels next to the cut whose logits change by any bit."""
        return len(self.curve)

    def change(self, distance: int) -> float:
        """Return the largest change at a distance from the cut and beyond."""
        return float(self.curve[distance:].max(initial=0.0))

    def effective(self, tolerance: float) -> int:
        """Return the pixels next to the cut beyond which all changes are below ``tolerance``."""
        changed = np.flatnonzero(self.curve >= tolerance)
        return int(changed[-1]) + 1 if changed.size else 0


@dataclass(frozen=True)
class Side(Curve):
    """The receptive field across a cut on one side of a tile.

    The cut lies at a multiple of the stride; across any other, the radius is less than a stride
    larger.
    """

    reaches_across: bool
    """Whether the far side of the image changes, too: the radius is then a lower bound."""


@dataclass(frozen=True)
class Reach(Curve):
    """The receptive field along one axis: the larger change of its two sides at every distance."""

    stride: int
    """Total stride, px."""
    across: bool
    """Whether logits depend on the whole length of a tile."""


@dataclass(frozen=True)
class Probe:
    """The receptive field of a model, and what else decides whether tiles of it are exact."""

    top: Side
    bottom: Side
    left: Side
    right: Side
    stride: tuple[int, int]
    """Total stride down and across, px."""
    size: tuple[int, int]
    """Height and width of the images that it was measured with, px."""
    depends_on_batch: bool
    """Whether a tile's logits depend on the other tiles of its batch."""
    deterministic: bool
    """Whether the same input gave the same bits twice."""

    @property
    def sides(self) -> tuple[Side, Side, Side, Side]:
        """Top, bottom, left and right."""
        return self.top, self.bottom, self.left, self.right

    @property
    def tile_wide(self) -> bool:
        """Whether logits depend on the whole tile, so that no margin makes tiles exact."""
        return any(side.reaches_across for side in self.sides)

    @property
    def radius(self) -> tuple[int, int]:
        """The larger radius of top and bottom, and of left and right, px."""
        return self.reach(0).radius, self.reach(1).radius

    def effective(self, tolerance: float) -> tuple[int, int]:
        """Return the effective radius down and across, px, for a share of changes to ignore."""
        return self.reach(0).effective(tolerance), self.reach(1).effective(tolerance)

    def reach(self, axis: int) -> Reach:
        """Return the receptive field down (``axis`` 0) or across (1)."""
        sides = self.sides[2 * axis : 2 * axis + 2]
        curve = np.zeros(max(side.radius for side in sides))
        for side in sides:
            curve[: side.radius] = np.maximum(curve[: side.radius], side.curve)
        return Reach(curve, self.stride[axis], any(side.reaches_across for side in sides))


def noise(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return white noise on the scale of normalized pixels."""
    return random.standard_normal(shape, np.float32)


def probe(
    model: Any, channels: int | None = None, source: Source = noise, *, tta: str | None = None
) -> Probe:
    """Measure the receptive field and the total stride of a model.

    It is run a few dozen times, on long and narrow images where its size is free.

    Parameters
    ----------
    model : str, path-like, callable, Model or list of these
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits. Of
        several, logits are averaged.
    channels : int, optional
        Bands of the images, where the model takes any number; 3 where None.
    source : callable, optional
        Makes images; white noise by default.
    tta : str, optional
        Test-time augmentation, ``"flips"`` or ``"d4"``: measure the mean of augmented tiles.

    Raises
    ------
    ModelError
        Where the model fails at every size that is tried.
    """
    opened = open_models(model, tta=tta).resolved(channels)
    probed = _ProbedModel(opened, opened.spec.channels or channels or DEFAULT_CHANNELS, source)
    top, bottom, height = _sides(probed, 0)
    left, right, width = _sides(probed, 1)
    return Probe(
        top,
        bottom,
        left,
        right,
        stride=(_stride(probed, 0, height, top, bottom), _stride(probed, 1, width, left, right)),
        size=(height, width),
        depends_on_batch=_depends_on_batch(probed),
        deterministic=_is_deterministic(probed),
    )


class _ProbedModel:
    """A model that is run along one axis at a time, which is the last of the images here."""

    def __init__(self, model: Model, channels: int, source: Source) -> None:
        self.model, self.spec = model, model.spec
        self.channels = channels
        self.source = source
        self.breadths = (self._breadth(0), self._breadth(1))

    def lengths(self, axis: int) -> tuple[int, ...]:
        """Return the lengths along an axis at which the model can be measured."""
        fixed = self.spec.tile[axis]
        remainder = self.spec.remainder[axis]
        return tuple(length + remainder for length in LENGTHS) if fixed is None else (fixed,)

    def image(self, axis: int, length: int, seed: int) -> Image:
        """Return a new image, the axis in question last."""
        random = np.random.default_rng([seed, axis, length])
        return self.source(random, (self.channels, self.breadths[1 - axis], length))

    def logits(self, axis: int, image: Image) -> npt.NDArray[Any]:
        """Return the logits of an image, shape ``(classes, breadth, length)``."""
        oriented = image if axis == 1 else image.transpose(0, 2, 1)
        logits: npt.NDArray[Any] = self.batch([oriented])[0]
        if logits.shape[1:] != oriented.shape[1:]:
            raise ModelError(
                f"{self.spec.name} maps a tile of {list(oriented.shape)} to {list(logits.shape)}: "
                f"logits must have its height and width"
            )
        return logits if axis == 1 else logits.transpose(0, 2, 1)

    def batch(self, images: list[Image]) -> npt.NDArray[Any]:
        """Return the logits of a batch, filled up with its last image where its size is fixed."""
        size = self.spec.batch or len(images)
        filled = np.stack(images + [images[-1]] * (size - len(images))).astype(np.float32)
        border = self.spec.border
        around = np.pad(filled, [(0, 0), (0, 0), (border, border), (border, border)], "reflect")
        return self.model(np.ascontiguousarray(around))

    def _breadth(self, axis: int) -> int:
        fixed = self.spec.tile[axis]
        if fixed is not None:
            return fixed
        other = self.spec.tile[1 - axis] or LENGTHS[0] + self.spec.remainder[1 - axis]
        failure: ModelError | None = None
        for breadth in BREADTHS:
            breadth += self.spec.remainder[axis]
            shape = (breadth, other) if axis == 0 else (other, breadth)
            try:
                self.batch([np.zeros((self.channels, *shape), np.float32)])
            except ModelError as error:
                failure = failure or error
            else:
                return breadth
        raise failure or ModelError(f"{self.spec.name} takes no tile of any size that was tried")


def _sides(probed: _ProbedModel, axis: int) -> tuple[Side, Side, int]:
    """Measure the sides before and after along an axis; return the length of the images, too."""
    for length in probed.lengths(axis):
        before, after = _side(probed, axis, length, False), _side(probed, axis, length, True)
        if not (before.reaches_across or after.reaches_across):
            break
    return before, after, length


def _side(probed: _ProbedModel, axis: int, length: int, after: bool) -> Side:
    """Replace the first pixels along an axis, or the last, and measure the change of the rest."""
    # An image of fixed size is cut near its side, at a multiple of the power of 2 in its length,
    # so that most of it is left to show the change.
    fixed = probed.spec.tile[axis] is not None
    cut = min(length & -length, length // 2, 64) if fixed else CUT
    beyond = slice(length - cut, length) if after else slice(0, cut)
    changes, spread = [], []
    for seed in SEEDS:
        image = probed.image(axis, length, seed)
        replaced = image.copy()
        replaced[..., beyond] = probed.image(axis, length, seed + len(SEEDS))[..., beyond]
        logits = probed.logits(axis, image)
        change = _difference(probed.logits(axis, replaced), logits).max(axis=(0, 1))
        changes.append(change[::-1][cut:] if after else change[cut:])
        spread.append(_spread(logits))
        if changes[-1][-1]:
            break  # the whole length changes, which no other image can revoke
    # Pixels of the border are read around a tile, and so need no margin within it.
    curve = np.max(changes, axis=0)[_common_border(probed.model) :] / np.mean(spread)
    changed = np.flatnonzero(curve)
    radius = int(changed[-1]) + 1 if changed.size else 0
    # A curve without length is one of a model whose border is wider than its receptive field.
    return Side(curve[:radius], reaches_across=0 < radius == len(curve))


def _common_border(model: Model) -> int:
    """Return the border that all members of a model get, px."""
    members = model.models if isinstance(model, Ensemble) else [model]
    return min(member.spec.border for member in members)


def _difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the absolute difference of logits, in finite numbers."""
    return np.nan_to_num(difference(one, other), posinf=float(np.finfo(np.float32).max))


def _spread(logits: npt.NDArray[Any]) -> float:
    """Return the standard deviation of the finite logits, above 0."""
    finite = logits[np.isfinite(logits)].astype(np.float64)
    return max(float(finite.std()) if finite.size else 0.0, float(np.finfo(np.float32).tiny))


def _stride(probed: _ProbedModel, axis: int, length: int, before: Side, after: Side) -> int:
    """Return the first shift of the input that shifts the inner output and changes nothing else."""
    differences = dict(_shifted_differences(probed, axis, length, before.radius, after.radius))
    for shift, share in differences.items():
        if share < SAME:
            return shift
    # With global context no shift gives quite the same: take the first that is clearly nearer to
    # the least difference than to that of a shift by 1.
    least, first = min(differences.values(), default=0.0), differences.get(1, 0.0)
    near = math.sqrt(least * first) if first > 3 * least else first
    return next((shift for shift, share in differences.items() if share <= near), 1)


def _shifted_differences(
    probed: _ProbedModel, axis: int, length: int, before: int, after: int
) -> Iterator[tuple[int, float]]:
    """Yield each shift, and the share by which the inner output then differs."""
    fixed = probed.spec.tile[axis] is not None
    if not fixed:
        length = max(length, min(LENGTHS[-1], 2 * length))
        length -= (length - probed.spec.remainder[axis]) % SIZE_PERIOD
    border = probed.spec.border
    long = probed.source(
        np.random.default_rng([7, axis]),
        (probed.channels, probed.breadths[1 - axis], length + SHIFTS[-1]),
    )
    logits = probed.logits(axis, long[..., :length])
    for shift in SHIFTS:
        low = min(before + border, length // 3)
        high = length - shift - min(after + border, length // 3)
        if high - low < 1:
            return
        shifted = probed.logits(axis, long[..., shift : shift + length])
        apart = _difference(shifted[..., low:high], logits[..., low + shift : high + shift])
        share = float(apart.max()) / _spread(logits)
        yield shift, share
        if share < SAME:
            return


def _depends_on_batch(probed: _ProbedModel) -> bool:
    if probed.spec.batch == 1:
        return False
    length = probed.lengths(1)[0]
    first, second, third = (probed.image(1, length, seed) for seed in (0, 1, 2))
    return not np.array_equal(probed.batch([first, second])[0], probed.batch([first, third])[0])


def _is_deterministic(probed: _ProbedModel) -> bool:
    image = probed.image(1, probed.lengths(1)[0], 0)
    return np.array_equal(probed.logits(1, image), probed.logits(1, image), equal_nan=True)
