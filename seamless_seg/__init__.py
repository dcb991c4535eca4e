"""Seamless segmentation of rasters larger than memory."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .errors import (
        BudgetError,
        GeometryError,
        ModelError,
        OptionError,
        RasterError,
        SeamlessError,
        TileError,
    )
    from .evaluation.check import Report, check
    from .evaluation.disagreement import Dispute
    from .evaluation.quality import Quality
    from .inference.dry_run import forecast
    from .inference.segment import Summary, segment
    from .planning.describe_model import ModelDescription, describe_model
    from .planning.forecast import Forecast
    from .planning.options import Options
    from .planning.probing import probe
    from .planning.settings import Settings
    from .polygons.polygonize import PolygonSummary, polygonize
    from .probes.receptive_field import Probe
    from .progress import Progress
    from .stats.class_stats import ClassShare, ClassStats, ClassTable, class_stats
    from .tiling.grid import Grid, shape_to_slices
    from .tiling.overlap_weights import overlap_weights
    from .tiling.plan import Load, Peak, Plan, Unload, Write, plan_run_grid
    from .tiling.run import run_plan, tiles_held
    from .tiling.trust import PROFILES

__all__ = [
    "PROFILES",
    "BudgetError",
    "ClassShare",
    "ClassStats",
    "ClassTable",
    "Dispute",
    "Forecast",
    "GeometryError",
    "Grid",
    "Load",
    "ModelDescription",
    "ModelError",
    "OptionError",
    "Options",
    "Peak",
    "Plan",
    "PolygonSummary",
    "Probe",
    "Progress",
    "Quality",
    "RasterError",
    "Report",
    "SeamlessError",
    "Settings",
    "Summary",
    "TileError",
    "Unload",
    "Write",
    "__version__",
    "check",
    "class_stats",
    "describe_model",
    "forecast",
    "overlap_weights",
    "plan_run_grid",
    "polygonize",
    "probe",
    "run_plan",
    "segment",
    "shape_to_slices",
    "tiles_held",
]

# A run needs nothing that makes polygons: a module is loaded when a name of it is first used.
_MODULES = {
    "errors": (
        "BudgetError",
        "GeometryError",
        "ModelError",
        "OptionError",
        "RasterError",
        "SeamlessError",
        "TileError",
    ),
    "evaluation.check": ("Report", "check"),
    "evaluation.disagreement": ("Dispute",),
    "evaluation.quality": ("Quality",),
    "inference.dry_run": ("forecast",),
    "inference.segment": ("Summary", "segment"),
    "probes.receptive_field": ("Probe",),
    "planning.describe_model": ("ModelDescription", "describe_model"),
    "planning.forecast": ("Forecast",),
    "planning.options": ("Options",),
    "planning.probing": ("probe",),
    "planning.settings": ("Settings",),
    "polygons.polygonize": ("PolygonSummary", "polygonize"),
    "progress": ("Progress",),
    "stats.class_stats": ("ClassShare", "ClassStats", "ClassTable", "class_stats"),
    "tiling.grid": ("Grid", "shape_to_slices"),
    "tiling.overlap_weights": ("overlap_weights",),
    "tiling.plan": ("Load", "Peak", "Plan", "Unload", "Write", "plan_run_grid"),
    "tiling.run": ("run_plan", "tiles_held"),
    "tiling.trust": ("PROFILES",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
