"""Exactness: how far tiles give the result of one run over the whole image."""

from __future__ import annotations

from typing import NamedTuple

from ..models.base import Model
from ..models.receptive_field import Probe, Reach
from ..tiling.axis import Axis
from ..tiling.plan import Plan
from ..tiling.trust import Profile
from ..validation import format_size

TILE_WIDE = "not exact: the model sees its whole tile, and the result depends on the tile's size"
"""What is said of a model that no overlap makes exact."""


class Said(NamedTuple):
    """What the user should know of a model's tile-wide nodes."""

    warning: str | None = None
    notes: tuple[str, ...] = ()


def judge(nodes: str | None, found: Probe | None, is_tile_wide: bool) -> Said:
    """Weigh nodes and a probe: what was measured outweighs what stands in the graph."""
    if is_tile_wide:
        of_them = f": the graph has {nodes}" if nodes else ""
        return Said(f"{TILE_WIDE}{of_them}; fewer, larger tiles help")
    if nodes is None or (found and found.tile_wide):  # wide only where tiles are not cut
        return Said()
    if found is None or found.depends_on_batch or not found.deterministic:
        return Said(
            f"the graph has {nodes}: each pixel can depend on its whole tile, so that tiles "
            f"differ whatever their overlap; fewer, larger tiles help"
        )
    note = (
        f"the graph has {nodes}, which can see a whole tile, but the model was measured to see "
        f"no farther than {max(found.radius)} px"
    )
    return Said(notes=(note,))


def exactness(found: Probe, plan: Plan, tolerance: float | None, model: Model | None = None) -> str:
    """How far tiles of a plan give the model's answer to the whole image."""
    if found.depends_on_batch:
        return "not exact: the model's answer to a tile depends on the others of its batch"
    if not found.deterministic:
        return "not exact: the model does not answer the same twice"
    axes = [
        (axis, found.reach(n))
        for n, axis in enumerate((plan.grid.rows, plan.grid.cols))
        if axis.count > 1
    ]
    if not axes:
        return f"exact: one tile holds the whole image{_extended(plan, model)}"
    if any(reach.across for _, reach in axes):
        return TILE_WIDE
    grid = max(reach.stride for _, reach in axes)
    if any(axis.align % reach.stride for axis, reach in axes):
        return f"not exact: tiles start off the model's grid of {grid}, which --align {grid} mends"
    if any(axis.tile % reach.stride for axis, reach in axes):
        return f"not exact: the tile is no multiple of the model's grid of {grid}"
    change = max(_cut_off(axis, reach, plan.trust) for axis, reach in axes)
    if change == 0:
        return "exact: equals one run over the whole image"
    if tolerance is not None and change < tolerance:
        return (
            f"within the tolerance: what is cut off changes no logit by as much as "
            f"{tolerance:g} of their standard deviation"
        )
    return (
        f"not exact: what is cut off changes logits by up to {change:.2g} of their standard "
        f"deviation where it is nearest"
    )


def _extended(plan: Plan, model: Model | None) -> str:
    """What a model of fixed lengths is given of an image that is smaller."""
    own = plan.grid.tile_shape
    lengths = [
        fixed or length
        for fixed, length in zip(model.spec.tile if model else own, own, strict=True)
    ]
    return (
        ""
        if tuple(lengths) == own
        else f", extended by reflection to the model's {format_size(lengths)}"
    )


def _cut_off(axis: Axis, reach: Reach, trust: str | Profile) -> float:
    """Largest change that pixels beyond a cut make where a tile is trusted."""
    return reach.change(max(axis.margin, axis.overlap // 2 if trust == "crop" else 0))
