"""Whether tiles give exactly the result of running the model on the whole image at once."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

from ..models.base import Model
from ..probes.receptive_field import Probe, Reach
from ..tiling.axis import Axis
from ..tiling.plan import Plan
from ..tiling.trust import Profile
from ..validation import format_size
from .exact_tiling import overlap_for

MAX_ROUNDING = 0.1
"""Standard deviations: what differs by more are single pixels of an output with steps."""

ON_WHOLE_IMAGE = "running the model on the whole image at once"
"""What tiles are compared with."""

PROVEN = f"tiling exact, proven from the graph: identical to {ON_WHOLE_IMAGE}"
"""The sentence for tiles that are exact whatever their pixels."""

MEASURED = f"tiling exact as far as measured: identical to {ON_WHOLE_IMAGE}"
"""The sentence for tiles that are exact if the model does nothing that a probe does not see."""

NOT_EQUIVARIANT = (
    "not exact: a shifted input does not give a shifted answer, so the model's output depends on "
    "where pixels lie in a tile"
)
"""The sentence for a model that adds positions, or whose grid was not found."""

DEPENDS_ON_SIZE = (
    "not exact: the model's output depends on the size of its input; tiles agree with each other, "
    "but not with one run over the whole image"
)
"""The sentence for a model to which the same pixels are another thing in a larger image."""

OF_PLACE_OR_SIZE = ("position", "size")
"""Obstacles in a graph on account of which the same pixels give something else elsewhere, or in
another tile."""

GLOBAL_CONTEXT = "not exact: the model has global context, so its output depends on the tile's size"
"""The sentence for a model whose receptive field covers the whole tile."""

ROUNDED = (
    f"tiling exact within rounding, {{basis}}: equal to {ON_WHOLE_IMAGE}, but for the last bits"
    f"{{figure}}, which the runtime rounds differently {{where}}"
)
"""The sentence for tiles that would be exact if floats were."""

AT_SIZES = "in images of other sizes"
"""Where a runtime rounds differently, as was measured."""

AT_PLACES = "by where a value lies in memory"
"""Where onnxruntime rounds the values of some types of nodes differently."""

FLIPPED = "and a step at few pixels"
"""What rounding changes in an output with few values, such as class numbers."""

BASES = {"graph": "proven from the graph", "measurement": "as far as measured"}
"""What exactness rests on, in words."""

NOT_DETERMINISTIC = "not exact: the model is not deterministic"
"""The sentence for a model that gives other logits for the same pixels."""


Basis: TypeAlias = Literal["graph", "measurement"]
"""What exactness rests on: the graph's arithmetic, or no more than what a probe saw."""


class Exactness(NamedTuple):
    """How exact tiles are."""

    exact: bool
    """Whether the output is the model's output for the whole image, bit for bit."""
    sentence: str
    """The same in a sentence: ``tiling exact...`` or ``not exact...``. Bits differ where it is
    ``tiling exact within rounding...`` or ``within the tolerance...``."""
    basis: Basis | None = None
    """What it rests on if tiles are exact, or exact within rounding."""


def exactness(
    probe: Probe,
    plan: Plan,
    tolerance: float | None,
    model: Model | None = None,
    batch_size: int = 1,
) -> Exactness:
    """Say how exact the tiles of a plan are.

    Parameters
    ----------
    probe : Probe
        The model's receptive field.
    plan : Plan
        The tiles.
    tolerance : float or None
        Accepted change of logits, in standard deviations of the logits.
    model : Model, optional
        The model; its fixed size is named if the image is smaller.
    batch_size : int
        Tiles of a batch.
    """
    axes = [
        (axis, probe.reach(n))
        for n, axis in enumerate((plan.grid.rows, plan.grid.cols))
        if axis.count > 1
    ]
    if obstacle := _obstacle(probe, axes, batch_size, model):
        return Exactness(False, obstacle)
    if not axes:
        whole = "tiling exact: one tile holds the whole image"
        return Exactness(True, f"{whole}{_padding(plan, model)}", "graph")
    change = max(_change(axis, field, plan.trust) for axis, field in axes)
    if change == 0:
        in_image = probe.rounding_in(plan.image_size)
        rounding = max(in_image, probe.batch_rounding if batch_size > 1 else 0.0)
        return _exact(probe, plan, axes, rounding)
    if tolerance is not None and change < tolerance:
        return Exactness(
            False,
            f"within the tolerance: logits near tile edges change by less than {tolerance:g} of "
            f"their standard deviation",
        )
    return Exactness(False, _too_little_context(change, plan, axes, model))


def _exact(probe: Probe, plan: Plan, axes: list[tuple[Axis, Reach]], rounding: float) -> Exactness:
    """Say what it rests on that tiles are exact, and whether their bits are the same."""
    is_proven = all(
        field.proven is not None and _discarded(axis, plan.trust) >= field.proven
        for axis, field in axes
    )
    basis: Basis = "graph" if is_proven else "measurement"
    is_same = not rounding and not probe.graph.rounded
    same_bits = PROVEN if is_proven else MEASURED
    sentence = same_bits if is_same else _rounded(probe, basis, rounding)
    if not is_proven:
        sentence += f" ({probe.graph.reason or _proof_instead(axes)})"
    where = ON_WHOLE_IMAGE + _extension(plan, probe)
    return Exactness(is_same, sentence.replace(ON_WHOLE_IMAGE, where), basis)


def _rounded(probe: Probe, basis: Basis, rounding: float) -> str:
    """Say that last bits differ, why, and by how much as far as that was measured."""
    where = AT_SIZES
    if probe.graph.rounded:
        where = f"{AT_PLACES} ({', '.join(probe.graph.rounded)})"
    figure = ""
    if max(probe.rounding, probe.batch_rounding) >= MAX_ROUNDING:
        figure = f" {FLIPPED}"
    elif rounding:
        figure = f" (by up to {_rounded_up(rounding)} of the logits' standard deviation)"
    return ROUNDED.format(basis=BASES[basis], figure=figure, where=where)


def _rounded_up(share: float) -> str:
    """Return a number above 0 with one digit, which is no less."""
    unit = 10.0 ** math.floor(math.log10(share))
    return f"{math.ceil(share / unit * (1 - 1e-9)) * unit:.1g}"


def _proof_instead(axes: list[tuple[Axis, Reach]]) -> str:
    """Name the margin that makes a proof of a measurement."""
    margin = max(field.exact_margin for _, field in axes)
    return f"the graph allows a radius of up to {margin} px: margin={margin} is proven to be enough"


def _obstacle(
    probe: Probe, axes: list[tuple[Axis, Reach]], batch_size: int, model: Model | None
) -> str | None:
    """Say why no margin makes tiles exact that are cut along these axes; None if one does."""
    if probe.depends_on_batch and batch_size > 1:
        return (
            "not exact: the model's output for a tile depends on the other tiles of its batch; "
            "use batch_size=1"
        )
    if not probe.deterministic:
        return NOT_DETERMINISTIC
    if any(field.across for _, field in axes):
        return GLOBAL_CONTEXT
    if axes and probe.graph.obstacle in OF_PLACE_OR_SIZE:
        return _named(probe)
    if not all(field.equivariant for _, field in axes):
        return NOT_EQUIVARIANT
    if axes and probe.depends_on_size:
        return DEPENDS_ON_SIZE
    return _off_the_stride(axes, is_fixed=model is not None and any(model.spec.tile))


def _off_the_stride(axes: list[tuple[Axis, Reach]], is_fixed: bool) -> str | None:
    """Say that tiles are too small, or do not lie on the model's stride; None if they do.

    Parameters
    ----------
    axes : list
        Axes that have several tiles, and the model's receptive field along each.
    is_fixed : bool
        Whether the model takes tiles of one size alone, so that no other is proposed.
    """
    if too_small := _too_small(axes, is_fixed):
        return too_small
    stride = max((field.stride for _, field in axes), default=1)
    if any(axis.align % field.stride for axis, field in axes):
        advice = f"; use align={stride}"
        if any(axis.tile - axis.overlap < field.stride for axis, field in axes):
            advice = "" if is_fixed else f"; give tile={_smallest_tile(axes)} and align={stride}"
        return (
            f"not exact: tiles do not start at multiples of the model's stride of {stride} px"
            f"{advice}"
        )
    if any(axis.tile % field.stride for axis, field in axes):
        return (
            f"not exact: the tile size is not a multiple of the model's stride of {stride} px"
            + "; choose such a tile=" * (not is_fixed)
        )
    return None


def _too_small(axes: list[tuple[Axis, Reach]], is_fixed: bool) -> str | None:
    """Say which tile is exact if one is too small for the overlap that makes it so."""
    for axis, field in axes:
        # An overlap that is left open is less than half of the tile.
        is_capped = axis.overlap == (axis.tile - 1) // 2 <= 2 * field.radius
        if is_capped or axis.tile < field.stride:
            stride = math.lcm(*(own.stride for _, own in axes))
            # In smaller tiles the alignment was left out for want of room, and comes by itself.
            aligned = any(own.align % stride for own, _ in axes if axis.tile >= 2 * stride)
            advice = f"; give tile={_smallest_tile(axes)}, the smallest that is exact"
            advice += f", and align={stride}" * aligned
            return (
                f"not exact: tiles of {axis.tile} px are too small for the receptive-field radius "
                f"of {field.radius} px and the stride of {field.stride} px{advice * (not is_fixed)}"
            )
    return None


def _smallest_tile(axes: list[tuple[Axis, Reach]]) -> int:
    """Side of the smallest exact tile of which less than half overlaps.

    In tiles of less than two overlaps, each pixel runs through the model four times and more.
    Tiles on the stride share no more than what it leaves of them.
    """
    overlap = overlap_for(max(field.exact_margin for _, field in axes))
    stride = math.lcm(*(field.stride for _, field in axes))
    return math.ceil(max(2 * overlap + 1, overlap + stride) / stride) * stride


DYNAMIC_QUANTIZATION = "DynamicQuantize"
"""Start of the types of nodes that take their scale from all values of a tile."""

FLOAT_INSTEAD = (
    "; dynamic quantization takes its scale from the whole tile: a float model, or a statically "
    "quantized one, does not"
)
"""Advice on a model that is dynamically quantized."""


def limitation(probe: Probe) -> str | None:
    """Say why no margin makes tiles of any size exact; None if one does."""
    if probe.tile_wide or probe.graph.obstacle == "global":
        return GLOBAL_CONTEXT
    if probe.graph.obstacle in OF_PLACE_OR_SIZE:
        return _named(probe)
    if not all(probe.equivariant):
        return NOT_EQUIVARIANT
    return DEPENDS_ON_SIZE if probe.depends_on_size else None


def _next_step(probe: Probe | None, takes_statistics: bool) -> str:
    """Say what helps a model with global context, as far as its graph is known."""
    larger = "fewer, larger tiles help"
    if not takes_statistics:
        return larger
    if probe is None:
        return (
            f'{larger}, and exact="global" makes all tiles agree if statistics of the image can '
            f"replace these nodes"
        )
    return larger + ', and exact="global" makes all tiles agree' * (probe.graph.reductions > 0)


def _named(probe: Probe) -> str:
    """Say which node of the graph depends on the position, or on the size alone."""
    by_size = probe.graph.obstacle == "size" or (probe.depends_on_size and all(probe.equivariant))
    return f"{DEPENDS_ON_SIZE if by_size else NOT_EQUIVARIANT} ({probe.graph.reason})"


def warned(
    nodes: str | None, probe: Probe | None, sentence: str | None, takes_statistics: bool = True
) -> str | None:
    """Return the warning for a model whose tiles differ whatever their overlap; None for others.

    Parameters
    ----------
    nodes : str or None
        Nodes of the graph that can have global context; None if there are none.
    probe : Probe or None
        The model's receptive field, if it was measured.
    sentence : str or None
        How exact its tiles are.
    takes_statistics : bool
        Whether the model may be run with ``exact="global"``; not if it gives class numbers.
    """
    step = _next_step(probe, takes_statistics)
    if sentence == GLOBAL_CONTEXT:
        found = f"the graph has {nodes}" if nodes else probe.graph.reason if probe else ""
        listed = f" ({found})" if found else ""
        is_quantized = DYNAMIC_QUANTIZATION in found
        return f"{GLOBAL_CONTEXT}{listed}{FLOAT_INSTEAD * is_quantized}; {step}"
    if sentence == NOT_DETERMINISTIC:
        return (
            f"{NOT_DETERMINISTIC}, so the same pixels give another result in each tile and each "
            f"run; export the model without dropout and random numbers (in torch, call "
            f"model.eval() before the export)"
        )
    if sentence is not None and sentence.startswith((NOT_EQUIVARIANT, DEPENDS_ON_SIZE)):
        return sentence
    if nodes is not None and probe is None:
        return (
            f"the graph has {nodes}: each output pixel may depend on the whole tile, so tiles "
            f"may differ whatever their overlap; {step}"
        )
    return None


def _too_little_context(
    change: float, plan: Plan, axes: list[tuple[Axis, Reach]], model: Model | None
) -> str:
    """Say that the margin is too small, by how much logits change, and which would be exact."""
    discarded = "half of the overlap" if plan.trust == "crop" else "the margin"
    return (
        f"not exact: {discarded} is smaller than the receptive-field radius; logits near tile "
        f"edges may change by up to {change:.2g} of their standard deviation"
        f"{_exact_instead(plan, axes, model)}"
    )


def _exact_instead(plan: Plan, axes: list[tuple[Axis, Reach]], model: Model | None) -> str:
    """Name a margin, an overlap and a tile that are exact; nothing if the fixed tile is small."""
    radius = max(field.exact_margin for _, field in axes)
    overlap = overlap_for(radius)
    tile = _smallest_tile(axes)
    shortest = min(axis.tile for axis, _ in axes)
    if model is not None and any(model.spec.tile):
        if shortest - overlap < max(field.stride for _, field in axes):
            return ""
        tile = shortest
    margin = "" if plan.trust == "crop" else f"margin={radius}, "
    larger = f" and tile={tile} or more" if tile > shortest else ""
    return f"; for an exact result use {margin}overlap={overlap}{larger}"


def _extension(plan: Plan, probe: Probe) -> str:
    """Say how far an image is extended whose last tiles end beyond it.

    An axis that a single tile covers is extended to a multiple of the stride, too.
    """
    ends = tuple(
        math.ceil(axis.stop(axis.count - 1) / probe.reach(n).stride) * probe.reach(n).stride
        for n, axis in enumerate((plan.grid.rows, plan.grid.cols))
    )
    if ends == plan.image_size:
        return ""
    return f", extended by reflection to {format_size(ends)} px"


def _padding(plan: Plan, model: Model | None) -> str:
    """Say how an image is padded that is smaller than the model's fixed size."""
    tile = plan.grid.tile_shape
    fixed = model.spec.tile if model else tile
    shape = tuple(length or own for length, own in zip(fixed, tile, strict=True))
    return "" if shape == tile else f", padded by reflection to the model's {format_size(shape)}"


def _change(axis: Axis, field: Reach, trust: str | Profile) -> float:
    """Largest change by pixels beyond a tile's edge, where the tile has a weight above 0."""
    discarded = _discarded(axis, trust)
    if field.proven is not None and discarded >= field.proven:
        return 0.0
    return field.change(discarded)


def _discarded(axis: Axis, trust: str | Profile) -> int:
    """Pixels at a tile's edges that have no weight."""
    return max(axis.margin, axis.overlap // 2 if trust == "crop" else 0)
