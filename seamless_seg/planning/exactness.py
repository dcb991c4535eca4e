"""Whether tiles give exactly the result of running the model on the whole image at once."""

from __future__ import annotations

from typing import NamedTuple

from ..models.base import Model
from ..models.receptive_field import Probe, Reach
from ..tiling.axis import Axis
from ..tiling.plan import Plan
from ..tiling.trust import Profile
from ..validation import format_size

EXACT = "tiling exact: identical to running the model on the whole image at once"
"""The sentence for tiles that are exact."""

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

GLOBAL_CONTEXT = "not exact: the model has global context, so its output depends on the tile's size"
"""The sentence for a model whose receptive field covers the whole tile."""


BEYOND_STATISTICS = ("Attention", "MatMul", "GlobalLpPool", "GroupNorm ", "ReduceL2", "training")
"""Words in the names of nodes of which no statistic of the whole image can be given."""

WITHIN_ROUNDING = (
    "within rounding: equal to running the model on the whole image at once, but for the last "
    "bits, which the runtime rounds differently in images of other sizes"
)
"""The sentence for tiles that would be exact if floats were."""


class Exactness(NamedTuple):
    """How exact tiles are."""

    exact: bool
    """Whether the output is the model's output for the whole image, bit for bit."""
    sentence: str
    """The same in a sentence: ``tiling exact: ...`` or ``not exact: ...``; ``within rounding:
    ...`` and ``within the tolerance: ...`` are not exact."""


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
    if obstacle := _obstacle(probe, axes, batch_size):
        return Exactness(False, obstacle)
    if not axes:
        whole = "tiling exact: one tile holds the whole image"
        return Exactness(True, f"{whole}{_padding(plan, model)}")
    change = max(_change(axis, field, plan.trust) for axis, field in axes)
    if change == 0 and not probe.bitwise:
        return Exactness(False, WITHIN_ROUNDING)
    return _compared(change, plan, tolerance)


def _obstacle(probe: Probe, axes: list[tuple[Axis, Reach]], batch_size: int) -> str | None:
    """Say why no margin makes tiles exact that are cut along these axes; None if one does."""
    if probe.depends_on_batch and batch_size > 1:
        return (
            "not exact: the model's output for a tile depends on the other tiles of its batch; "
            "use batch_size=1"
        )
    if not probe.deterministic:
        return "not exact: the model is not deterministic"
    if any(field.across for _, field in axes):
        return GLOBAL_CONTEXT
    if not all(field.equivariant for _, field in axes):
        return NOT_EQUIVARIANT
    if axes and probe.depends_on_size:
        return DEPENDS_ON_SIZE
    stride = max((field.stride for _, field in axes), default=1)
    if any(axis.align % field.stride for axis, field in axes):
        return (
            f"not exact: tiles do not start at multiples of the model's stride of {stride} px; use "
            f"align={stride}"
        )
    if any(axis.tile % field.stride for axis, field in axes):
        return (
            f"not exact: the tile size is not a multiple of the model's stride of {stride} px; "
            f"choose such a tile="
        )
    return None


class Verdict(NamedTuple):
    """What the user should know about a model whose tiles may differ."""

    warning: str | None = None
    """Why tiles differ whatever their overlap; None if they do not, as far as known."""
    notes: tuple[str, ...] = ()


def limitation(probe: Probe) -> str | None:
    """Say why no margin makes tiles of any size exact; None if one does."""
    if probe.tile_wide:
        return GLOBAL_CONTEXT
    if not all(probe.equivariant):
        return NOT_EQUIVARIANT
    return DEPENDS_ON_SIZE if probe.depends_on_size else None


def next_step(nodes: str | None) -> str:
    """Say what helps a model whose graph has these nodes with global context."""
    if nodes is None or any(word in nodes for word in BEYOND_STATISTICS):
        return "fewer, larger tiles help"
    return 'fewer, larger tiles help, and exact="global" makes all tiles agree'


def weigh_graph(nodes: str | None, probe: Probe | None, sentence: str | None) -> Verdict:
    """Weigh a model's graph against its probe: what was measured outweighs the graph.

    Parameters
    ----------
    nodes : str or None
        Nodes of the graph that can have global context; None if there are none.
    probe : Probe or None
        The model's receptive field, if it was measured.
    sentence : str or None
        How exact its tiles are, as far as that was measured.
    """
    if sentence == GLOBAL_CONTEXT:
        listed = f" (the graph has {nodes})" if nodes else ""
        return Verdict(f"{GLOBAL_CONTEXT}{listed}; {next_step(nodes)}")
    if sentence in (NOT_EQUIVARIANT, DEPENDS_ON_SIZE):
        return Verdict(sentence)
    # A probe that found global context matters only along axes with more than one tile.
    if nodes is None or (probe and probe.tile_wide):
        return Verdict()
    if probe is None or not probe.deterministic:
        return Verdict(
            f"the graph has {nodes}: each output pixel may depend on the whole tile, so tiles "
            f"may differ whatever their overlap; {next_step(nodes)}"
        )
    note = (
        f"the graph has {nodes}, which may have global context, but the measured "
        f"receptive-field radius is {max(probe.radius)} px"
    )
    return Verdict(notes=(note,))


def _compared(change: float, plan: Plan, tolerance: float | None) -> Exactness:
    """The verdict on logits that change by up to so many of their standard deviations."""
    if change == 0:
        return Exactness(True, EXACT)
    if tolerance is not None and change < tolerance:
        return Exactness(
            False,
            f"within the tolerance: logits near tile edges change by less than {tolerance:g} of "
            f"their standard deviation",
        )
    discarded = "half of the overlap" if plan.trust == "crop" else "the margin"
    return Exactness(
        False,
        f"not exact: {discarded} is smaller than the receptive-field radius; logits near tile "
        f"edges may change by up to {change:.2g} of their standard deviation",
    )


def _padding(plan: Plan, model: Model | None) -> str:
    """Say how an image is padded that is smaller than the model's fixed size."""
    tile = plan.grid.tile_shape
    fixed = model.spec.tile if model else tile
    shape = tuple(length or own for length, own in zip(fixed, tile, strict=True))
    return "" if shape == tile else f", padded by reflection to the model's {format_size(shape)}"


def _change(axis: Axis, field: Reach, trust: str | Profile) -> float:
    """Largest change by pixels beyond a tile's edge, where the tile has a weight above 0."""
    distance = max(axis.margin, axis.overlap // 2 if trust == "crop" else 0)
    return field.change(distance)
