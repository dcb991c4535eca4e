"""Rasters in: a window at a time from anything that rasterio opens."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.env import getenv, hasenv
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from .blocks import SMALLEST_CACHE, BlockLayout
from .errors import OptionError, RasterError
from .provenance import NAMESPACE


@dataclass(frozen=True)
class Georeference:
    """Where a raster lies: an affine transform or ground control points, and their CRS."""

    crs: Any
    transform: Any
    gcps: Sequence[Any]
    rpcs: Any


class RasterReader:
    """Bands of a raster, read by windows.

    It may be used by one thread at a time.

    Parameters
    ----------
    path : str or path-like
        Anything that rasterio opens.

    Raises
    ------
    RasterError
        Where it does not exist, cannot be opened or has pixels that are no real numbers.
    """

    def __init__(self, path: Any) -> None:
        self.path = path
        with reporting(f"cannot open {path}"), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self._dataset = rasterio.open(path)
        if not self._dataset.count:
            self._dataset.close()
            raise RasterError(f"{path} has no bands of its own, only subdatasets: name one of them")
        if any(dtype.startswith("complex") for dtype in self._dataset.dtypes):
            self._dataset.close()
            raise RasterError(f"{path} has complex pixels, which no model takes")
        self.bands: tuple[int, ...] = tuple(self._dataset.indexes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._dataset.height, self._dataset.width

    @property
    def count(self) -> int:
        """Number of bands in the file."""
        return int(self._dataset.count)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds the selected bands."""
        return np.result_type(*(self._dataset.dtypes[band - 1] for band in self.bands))

    @property
    def has_trailing_alpha(self) -> bool:
        """Whether the last band says how opaque the others are."""
        return self.count > 1 and bool(self._dataset.colorinterp[-1] == ColorInterp.alpha)

    @property
    def files(self) -> list[str]:
        """The files that the pixels come from, those behind a mosaic or a subdataset included."""
        return [str(name) for name in self._dataset.files]

    @property
    def tags(self) -> dict[str, str]:
        """What this package wrote into the file about how it was made."""
        tags: dict[str, str] = self._dataset.tags(ns=NAMESPACE)
        return tags

    @property
    def georeference(self) -> Georeference:
        """Where the raster lies."""
        gcps, gcps_crs = self._dataset.gcps
        return Georeference(
            crs=gcps_crs if gcps else self._dataset.crs,
            transform=None if self._dataset.transform.is_identity else self._dataset.transform,
            gcps=gcps,
            rpcs=self._dataset.rpcs,
        )

    @property
    def blocks(self) -> BlockLayout:
        """How the file stores its pixels."""
        height, width = self._dataset.block_shapes[0]
        together = self._dataset.dtypes
        if self._dataset.interleaving and self._dataset.interleaving.value != "PIXEL":
            together = [self._dataset.dtypes[band - 1] for band in self.bands]
        return BlockLayout(height, width, sum(np.dtype(dtype).itemsize for dtype in together))

    def select(self, bands: Sequence[int]) -> None:
        """Read these bands from now on, counted from 1, in this order."""
        if not all(isinstance(band, int | np.integer) for band in bands):
            raise OptionError(f"bands must be whole numbers, not {','.join(map(str, bands))}")
        if not bands:
            raise OptionError("bands must name one band at least")
        missing = [band for band in bands if not 1 <= band <= self.count]
        if missing:
            raise OptionError(
                f"bands {','.join(map(str, bands))}: {self.path} has bands 1 to {self.count}, "
                f"no {', '.join(map(str, missing))}"
            )
        self.bands = tuple(int(band) for band in bands)

    def read(self, rows: slice, cols: slice) -> npt.NDArray[Any]:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        window = Window.from_slices(rows, cols)
        where = f"rows {rows.start} to {rows.stop}, columns {cols.start} to {cols.stop}"
        with reporting(f"cannot read {where} of {self.path}, which may be damaged"):
            if self._of_one_type:
                pixels: npt.NDArray[Any] = self._dataset.read(list(self.bands), window=window)
                return pixels
            # rasterio reads bands of different types one by one only.
            parts = [self._dataset.read(band, window=window) for band in self.bands]
        return np.stack(parts).astype(self.dtype, copy=False)

    def valid(self, rows: slice, cols: slice) -> npt.NDArray[np.bool_] | None:
        """Which pixels of a window are not nodata, shape ``(height, width)``; None for all."""
        if all(MaskFlags.all_valid in flags for flags in self._dataset.mask_flag_enums):
            return None
        mask = self._dataset.dataset_mask(window=Window.from_slices(rows, cols))
        return np.asarray(mask != 0)

    @property
    def _of_one_type(self) -> bool:
        return len({self._dataset.dtypes[band - 1] for band in self.bands}) == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._dataset.close()


def block_cache(count: int) -> AbstractContextManager[object]:
    """GDAL's block cache with ``count`` bytes, unless the user has set one."""
    if user_cache() is not None:
        return nullcontext()
    env: AbstractContextManager[object] = rasterio.Env(GDAL_CACHEMAX=count)
    return env


def user_cache() -> int | None:
    """Bytes of GDAL's block cache where the user has set them, roughly; None where not."""
    setting = os.environ.get("GDAL_CACHEMAX")
    if hasenv():
        setting = getenv().get("GDAL_CACHEMAX", setting)
    if setting is None:
        return None
    text = str(setting).lower().removesuffix("b")
    try:
        number = float(text.rstrip("%kmg"))
        if text.endswith("%"):
            return int(number / 100 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, AttributeError):  # no number; a system that does not tell
        return SMALLEST_CACHE
    # As GDAL has it, a small number without a unit is one of megabytes.
    unit = {"k": 2**10, "m": 2**20, "g": 2**30}.get(text[-1:], 1 if number >= 100_000 else 2**20)
    return int(number * unit)


@contextmanager
def reporting(what: str, more: Callable[[], str] = str) -> Iterator[None]:
    """Turn rasterio's errors into one that says what was being done, and ``more()`` about it."""
    try:
        yield
    except (RasterioError, OSError, UnicodeError) as error:
        # rasterio's own text may only point to the error that GDAL gave.
        reason = error.__cause__ if "See previous" in str(error) and error.__cause__ else error
        raise RasterError(f"{what}{more()}: {reason}") from error
