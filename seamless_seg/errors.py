"""Every error that this package raises on purpose."""

from __future__ import annotations


class SeamlessError(Exception):
    """Base class: catch it to catch whatever seamless_seg itself reports."""


class GeometryError(SeamlessError, ValueError):
    """Sizes, overlaps, margins or an area that no plan can be made of."""


class OptionError(SeamlessError, ValueError):
    """An option that contradicts the raster, the model or another option."""


class BudgetError(SeamlessError, MemoryError):
    """A plan that would hold more than it was allowed to."""


class TileError(SeamlessError, RuntimeError):
    """A tile that could not be had, or that is not what the plan asked for."""


class RasterError(SeamlessError, OSError):
    """A raster that cannot be opened, read or written."""


class ModelError(SeamlessError, ValueError):
    """A model that cannot be loaded, or does not do what a segmentation model does."""
