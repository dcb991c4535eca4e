"""Tile-wide nodes: what in a model's graph makes each pixel depend on all of its tile."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from .forecast import TILE_WIDE, Forecast
from .models.base import Model
from .models.graph_analysis import tile_wide_nodes
from .models.receptive_field import Probe


def warned(forecast: Forecast, model: Model, found: Probe | None) -> Forecast:
    """The forecast with a warning, where the model's graph or a probe of it gives reason to."""
    if forecast.plan.grid.shape == (1, 1):
        return replace(forecast, warning=None)
    said = judge(tile_wide_nodes(model), found, forecast.exactness == TILE_WIDE)
    forecast.settings.notes.extend(said.notes)
    return replace(forecast, warning=said.warning)


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
