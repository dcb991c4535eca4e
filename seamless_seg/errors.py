"""The errors that this package raises."""

from __future__ import annotations


class SeamlessError(Exception):
    """Base class of all errors that seamless_seg raises itself."""


class GeometryError(SeamlessError, ValueError):
    """Sizes, overlaps, margins or an area that do not fit each other."""


class OptionError(SeamlessError, ValueError):
    """An option that contradicts the raster, the model or another option."""


class BudgetError(SeamlessError, MemoryError):
    """A plan that needs more memory than the limit.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    least : int, optional
        Bytes of the smallest limit that is enough, if it is known.
    """

    def __init__(self, message: str, least: int | None = None) -> None:
        super().__init__(message)
        self.least = least


class TileError(SeamlessError, RuntimeError):
    """A tile that could not be read or computed, or has another shape than the plan's."""


class RasterError(SeamlessError, OSError):
    """A raster that cannot be opened, read or written."""


class ModelError(SeamlessError, ValueError):
    """A model that cannot be loaded, or is no segmentation model.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    example : str, optional
        Python that does it, which a traceback shows below the message.
    """

    def __init__(self, message: str, example: str | None = None) -> None:
        super().__init__(message)
        self.example = example
        if example is not None:
            self.add_note(example)
