"""Seamless segmentation of rasters larger than memory."""

from .checking import Report, check
from .disagreement import Dispute
from .errors import (
    BudgetError,
    GeometryError,
    ModelError,
    OptionError,
    RasterError,
    SeamlessError,
    TileError,
)
from .forecast import Forecast
from .grid import Grid, shape_to_slices
from .job import Summary, segment
from .judging import Quality
from .options import Options
from .pipeline import Progress
from .plan import Load, Peak, Plan, Unload, Write, plan_run_grid
from .polygons import PolygonSummary, polygonize
from .reach import Probe, probe
from .run import run_plan, tiles_held
from .scattered import overlap_weights
from .settings import Settings
from .shares import ClassShare, ClassStats, ClassTable, class_stats
from .trust import PROFILES

__version__ = "0.1.0"

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
    "overlap_weights",
    "plan_run_grid",
    "polygonize",
    "probe",
    "run_plan",
    "segment",
    "shape_to_slices",
    "tiles_held",
]
