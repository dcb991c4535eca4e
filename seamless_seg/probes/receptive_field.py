"""The receptive field of a model, measured by running it.

The model is a black box. Pixels on one side of a cut are replaced: the farthest output on the
other side that changes gives the radius of the receptive field. The input is shifted: the least
shift by which the inner output is shifted, too, and otherwise the same, is the total stride. The
same pixels are shown in images of two sizes: where the output differs, so do tiles and the whole
image. No graph is read, so it works for any function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.base import DEFAULT_CHANNELS, Model
from ..models.ensemble import Ensemble
from ..models.load import open_models
from .agreement import Agreement, agreement, largest_differences, same_bits, spread
from .equivariance import (
    FAR,
    Reproduced,
    agreement_far_away,
    agreement_in_a_small_tile,
    confirm_stride,
    measure_stride,
    nearest_stride,
)
from .graph_verdict import NOT_READ, GraphVerdict, graph_verdict
from .probe_images import Source, noise
from .probed_model import ProbedModel, rounded_up

TOLERANCES = (1e-2, 1e-3, 1e-4)
"""Shares of the logits' standard deviation for which reports list the effective radius."""

CUT = 192
"""Pixels from the side of an image to the cut: rounded up to a multiple of the stride."""

FIXED_CUT = 64
"""The same for images of fixed size, which are cut near their side to leave most of them."""

SEEDS = (0, 1, 2)
"""Seeds of random images: in a single one, a ReLU or a maximum can hide a dependence."""

FEW_SEEDS = SEEDS[:2]
"""The same where the graph says how far a dependence can reach, and measuring confirms it."""


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
    equivariant: bool = True
    """Whether an input that is shifted by the stride gives the shifted output."""
    proven: int | None = None
    """Radius that the graph allows at most, px; None where it allows any."""

    @property
    def exact_margin(self) -> int:
        """Pixels to discard at a tile's edges: what is proven to be enough, or else measured."""
        return self.radius if self.proven is None else self.proven

    @property
    def is_tileable(self) -> bool:
        """Whether tiles agree that start at multiples of the stride and discard that margin."""
        return self.equivariant and not self.across


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
    equivariant: tuple[bool, bool]
    """Whether an input that is shifted down, or across, by the stride gives the shifted output.

    Where no shift does, the stride is 1, and the output depends on where pixels lie in a tile.
    """
    depends_on_size: bool
    """Whether the same pixels give other logits in an image of another size."""
    rounding: float
    """By how much outputs that shifts and sizes should not change did differ, by rounding: a share
    of the logits' standard deviation; 0 where their bits are the same."""
    depends_on_batch: bool
    """Whether a tile's logits depend on the other tiles of its batch, or a batch of 2 fails."""
    batch_rounding: float
    """By how much the number of tiles of a batch changes a tile's logits, by rounding: a share as
    ``rounding`` is one."""
    deterministic: bool
    """Whether the same input gave the same bits twice."""
    graph: GraphVerdict = NOT_READ
    """What the graph proves, or which of its nodes stands in the way."""
    far_rounding: float = 0.0
    """The same as ``rounding`` in images 16,384 px long, where coordinates have fewer digits."""

    @property
    def bitwise(self) -> bool:
        """Whether shifts and sizes gave the same bits, and no node is known to round otherwise."""
        return self.rounding == 0 and not self.graph.rounded

    def rounding_in(self, size: tuple[int, int]) -> float:
        """Return by how much rounding may change logits of an image of a size, ``rounding``'s unit.

        Parameters
        ----------
        size : (height, width)
            Pixels of the image.
        """
        # A coordinate has half the digits' precision from each power of 2 on.
        doublings = math.ceil(math.log2(max(size) / FAR))
        return max(self.rounding, 2 * self.far_rounding * 2.0**doublings)

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
        equivariant = self.equivariant[axis] and self.graph.obstacle != "position"
        across = any(side.reaches_across for side in sides) and not self.graph.is_proof
        across = across or self.graph.obstacle == "global"
        if not self.graph.is_proof:
            return Reach(curve, self.stride[axis], across, equivariant)
        proven = self.graph.margin(axis)
        return Reach(curve, self.graph.stride[axis], across, equivariant, proven)


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
        Makes images; white noise by default, and positive or smooth images for a model that
        gives NaN, or the same everywhere, for white noise.
    tta : str, optional
        Test-time augmentation, ``"flips"`` or ``"d4"``: measure the mean of augmented tiles.

    Raises
    ------
    ModelError
        Where the model fails at every size that is tried, or gives NaN or the same class nearly
        everywhere, so that nothing can be measured.
    """
    opened = open_models(model, tta=tta).resolved(channels)
    probed = ProbedModel(opened, opened.spec.channels or channels or DEFAULT_CHANNELS, source)
    probed.choose_source()
    verdict = graph_verdict(opened, probed.channels, probed.multiple)
    down, across = (_measure_axis(probed, axis, verdict) for axis in (0, 1))
    strides = down.reproduced, across.reproduced
    sizes = _agreement_at_sizes(probed, (down, across), verdict)
    batch = _agreement_in_batches(probed)
    return Probe(
        down.before,
        down.after,
        across.before,
        across.after,
        stride=(strides[0].stride, strides[1].stride),
        size=(down.length, across.length),
        equivariant=(strides[0].by_shifts, strides[1].by_shifts),
        depends_on_size=not sizes.same,
        rounding=sizes.rounding,
        far_rounding=sizes.far_rounding,
        depends_on_batch=verdict.mixes_batch or not batch.same,
        batch_rounding=batch.rounding if batch.same else 0.0,
        deterministic=_is_deterministic(probed),
        graph=_within_bound(verdict, (down, across), probed),
    )


class _SizeAgreement(NamedTuple):
    """How far outputs for the same pixels agree, shifted and in images of other sizes."""

    same: bool
    rounding: float
    far_rounding: float


def _agreement_at_sizes(
    probed: ProbedModel, axes: tuple[_MeasuredAxis, _MeasuredAxis], verdict: GraphVerdict
) -> _SizeAgreement:
    """Say whether the size of an image is no matter, but for rounding; if so, measure that."""
    found = [axis.reproduced for axis in axes]
    same, rounding = all(own.at_sizes for own in found), max(own.rounding for own in found)
    if not (same and all(own.by_shifts for own in found)):
        return _SizeAgreement(same, rounding, rounding)
    stride = math.lcm(found[0].stride, found[1].stride)
    radius = max(side.radius for axis in axes for side in (axis.before, axis.after))
    # Across a cut off the stride, the radius is less than a stride larger.
    allowed = max(verdict.radius) if verdict.is_proof else 0
    radius = max(radius + stride - 1, allowed)
    small = agreement_in_a_small_tile(probed, radius, stride)
    if not small.same:
        return _SizeAgreement(False, rounding, rounding)
    rounding = max(rounding, small.rounding)
    if not rounding:
        return _SizeAgreement(True, 0.0, 0.0)
    far = [agreement_far_away(probed, n, radius, stride) for n in (0, 1)]
    farthest = max(rounding, *(own.rounding for own in far))
    return _SizeAgreement(all(own.same for own in far), rounding, farthest)


def _within_bound(
    verdict: GraphVerdict, axes: tuple[_MeasuredAxis, _MeasuredAxis], probed: ProbedModel
) -> GraphVerdict:
    """Return the verdict, or another where more was measured than it allows."""
    if not verdict.is_proof:
        return verdict
    # Members of an ensemble with narrower borders are measured as if all had the narrowest.
    border = probed.spec.border - _common_border(probed.model)
    measured = [side.radius for axis in axes for side in (axis.before, axis.after)]
    strides = [stride for stride in verdict.stride for _ in range(2)]
    # Cuts may lie off the graph's stride, across which the radius is less than a stride larger.
    for found, allowed, stride in zip(measured, verdict.radius, strides, strict=True):
        if found > allowed + stride - 1 + border:
            return GraphVerdict(
                "unknown",
                f"the measured radius of {found} px is beyond the {allowed} px that the graph "
                f"allows: an error of this program, please report it",
                rounded=verdict.rounded,
            )
    return verdict


class _MeasuredAxis(NamedTuple):
    """What was measured along one axis, on images of a length in px."""

    before: Side
    after: Side
    length: int
    reproduced: Reproduced


def _measure_axis(probed: ProbedModel, axis: int, verdict: GraphVerdict) -> _MeasuredAxis:
    """Measure both sides and the stride; the sides again if the cut was not on the stride.

    A stride that the graph proves is confirmed only; so is global context.
    """
    if verdict.is_proof:
        stride = verdict.stride[axis]
        before, after, length = _sides(probed, axis, stride, FEW_SEEDS)
        found = Reproduced(stride, True)
        if not (before.reaches_across or after.reaches_across):
            top_or_left, other = verdict.radius[2 * axis : 2 * axis + 2]
            found = confirm_stride(probed, axis, (top_or_left, other), stride)
        return _MeasuredAxis(before, after, length, found)
    if verdict.reductions:  # of the whole image: a longer one would show nothing else
        stride = verdict.stride[axis]
        before, after, length = _sides(probed, axis, stride, FEW_SEEDS, most=1)
        return _MeasuredAxis(before, after, length, Reproduced(stride, by_shifts=False))
    before, after, length = _sides(probed, axis, 1)
    found = _reproduced(probed, axis, length, before, after)
    if found.by_shifts and _cut(probed, axis, length, 1) % found.stride:
        before, after, length = _sides(probed, axis, found.stride)
    return _MeasuredAxis(before, after, length, found)


def _reproduced(
    probed: ProbedModel, axis: int, length: int, before: Side, after: Side
) -> Reproduced:
    """Find the total stride along an axis, and whether the output is on its grid."""
    radii = before.radius, after.radius
    if before.reaches_across or after.reaches_across:
        return Reproduced(nearest_stride(probed, axis, length, radii), by_shifts=False)
    return measure_stride(probed, axis, radii)


def _sides(
    probed: ProbedModel,
    axis: int,
    stride: int,
    seeds: tuple[int, ...] = SEEDS,
    most: int | None = None,
) -> tuple[Side, Side, int]:
    """Measure the sides before and after along an axis; return the length of the images, too."""
    measured = None
    for length in probed.lengths(axis, stride)[:most]:
        first = _cut(probed, axis, length, stride)
        last = (length - first) // stride * stride
        try:
            before, after = _sides_at(probed, axis, length, (first, last), seeds)
        except ModelError:
            if measured is None:
                raise
            break  # the model takes no image of that length, though it takes a shorter one
        measured = before, after, length
        if not (before.reaches_across or after.reaches_across):
            break
    assert measured is not None
    return measured


def _cut(probed: ProbedModel, axis: int, length: int, stride: int) -> int:
    """Return where the first cut lies along an axis, a multiple of the stride."""
    if probed.spec.tile[axis] is None:
        return rounded_up(CUT, stride)
    if stride > 1:
        return max(1, min(FIXED_CUT, length // 2) // stride) * stride
    # Near the side, at a multiple of the power of 2 in the length.
    return min(length & -length, length // 2, FIXED_CUT)


def _sides_at(
    probed: ProbedModel,
    axis: int,
    length: int,
    cuts: tuple[int, int],
    seeds: tuple[int, ...],
) -> tuple[Side, Side]:
    """Replace the pixels before the first cut or after the last; measure the others' change."""
    changes: tuple[_Changes, _Changes] = [], []
    for seed in seeds:
        image, other = (probed.image(axis, length, n) for n in (seed, seed + len(SEEDS)))
        logits = probed.first_logits(axis, image, seed)
        scale = spread(logits)
        for after, own in enumerate(changes):
            if own and own[-1][0][-1]:
                continue  # the whole length changes, which no other image can revoke
            beyond = slice(cuts[1], length) if after else slice(0, cuts[0])
            replaced = image.copy()
            replaced[..., beyond] = other[..., beyond]
            change = largest_differences(probed.logits(axis, replaced), logits)
            own.append((change[: cuts[1]][::-1] if after else change[cuts[0] :], scale))
    border = _common_border(probed.model)
    return _side(changes[0], border), _side(changes[1], border)


_Changes: TypeAlias = list[tuple[npt.NDArray[np.float64], float]]
"""Changes of the logits by their distance from a cut, and the spread of these, for each image."""


def _side(changes: _Changes, border: int) -> Side:
    """Return the side of which these changes were measured."""
    # Pixels of the border are read around a tile, and so need no margin within it.
    largest = np.max([change for change, _ in changes], axis=0)[border:]
    curve = largest / np.mean([scale for _, scale in changes])
    changed = np.flatnonzero(curve)
    radius = int(changed[-1]) + 1 if changed.size else 0
    # A curve without length is one of a model whose border is wider than its receptive field.
    return Side(curve[:radius], reaches_across=0 < radius == len(curve))


def _common_border(model: Model) -> int:
    """Return the border that all members of a model get, px."""
    members = model.models if isinstance(model, Ensemble) else [model]
    return min(member.spec.border for member in members)


def _agreement_in_batches(probed: ProbedModel) -> Agreement:
    """Compare the logits of an image alone and in batches with others."""
    if probed.spec.batch == 1:
        return Agreement(True, 0.0)
    length = probed.lengths(1)[0]
    first, second, third = (probed.image(1, length, seed) for seed in (0, 1, 2))
    try:
        one = probed.batch([first, second])[0].copy()
        if not same_bits(one, probed.batch([first, third])[0]):
            return Agreement(False, np.inf)
    except ModelError:  # a batch of 1 is built into the graph
        return Agreement(False, np.inf)
    return agreement(probed.batch([first])[0], one)


def _is_deterministic(probed: ProbedModel) -> bool:
    image = probed.image(1, probed.lengths(1)[0], 0)
    return same_bits(probed.logits(1, image), probed.logits(1, image))
