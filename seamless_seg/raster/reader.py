"""Reading: a window at a time of anything that rasterio opens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from ..arrays import Mask, Pixels
from ..errors import OptionError, RasterError
from ..inputs.network import without_network
from ..validation import format_length
from .band_names import BandNames, names_of, number_of_band
from .block_layout import layout_of
from .blocks import BlockLayout
from .decode import CHANNELS, COLORS, Palette, Unscaling, has_palette
from .gdal import NAMESPACE, ignoring_missing_georeference, reading_file
from .georeference import Georeference, check_place
from .guarded import GuardedDataset, check_rows
from .input_files import InputFiles
from .masks import Validity, check_nodata
from .source import Reading


class RasterReader:
    """Bands of a raster, read by windows.

    It may be used by one thread at a time.

    Parameters
    ----------
    path : str or path-like
        Anything that rasterio opens.
    reading : Reading, optional
        Level or resolution, unscaling and nodata value; by default the file is read as it is.
    network : bool
        Whether the file, or what it names, may lie on another machine. If not, nothing in this
        process connects to one until the reader is closed.

    Raises
    ------
    RasterError
        Where it does not exist, cannot be opened or has complex pixels.
    OptionError
        Where the options do not fit the raster.
    """

    def __init__(self, path: Any, reading: Reading | None = None, network: bool = True) -> None:
        self.path = path
        self.reading = reading or Reading()
        self.notes: list[str] = []
        """Sentences about the reading that a user should see."""
        self._palette: Palette | None = None
        self._channels = 0
        with ExitStack() as stack:
            # Datasets are not used as context managers: these keep an environment of rasterio's
            # open, and with it the size of a block cache that has to be reset.
            if not network:
                stack.enter_context(without_network())
            self._inputs = InputFiles(path, network)
            self._file = self._open()
            stack.callback(self._file.close)
            self._inputs.check_complete(self._file)
            self._inputs.watch(self.archives)
            if not self._file.count:
                raise RasterError(
                    f"{path} has no bands of its own, only subdatasets: name one of them"
                )
            if any(dtype.startswith("complex") for dtype in self._file.dtypes):
                raise RasterError(f"{path} has complex pixels, which no model takes")
            with reading_file(f"cannot read the georeference of {path}"):
                check_place(self._file)
            nodata = self.reading.nodata.value if self.reading.nodata else None
            check_nodata(self._file, nodata)
            mask_band = self._checked_mask_band()
            self._dataset = self._resampled(nodata, mask_band)
            stack.callback(self._dataset.close)
            if self._dataset is not self._file:
                # The VRT's own nodata value, which GDAL drops for integers of 64 bits.
                nodata = self._dataset.nodata
            self._validity = Validity(self._dataset, nodata, mask_band)
            self._unscaling = self._unscaled()
            self._closing = stack.pop_all()
        self.bands: tuple[int, ...] = tuple(n for n in self._file.indexes if n != mask_band)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._dataset.height, self._dataset.width

    @property
    def count(self) -> int:
        """Number of bands in the file, or of those that its color table is expanded to."""
        return self._channels or int(self._file.count)

    @property
    def names(self) -> tuple[BandNames, ...]:
        """Names of each band, of those to which a color table is expanded, too."""
        if self._palette:
            return tuple(BandNames(color=name) for name in COLORS[: self._channels])
        return names_of(self._file)

    @property
    def mask_band(self) -> int | None:
        """The band that is a mask, counted from 1, by the user's choice; None if there is none."""
        return self.reading.mask_band.value if self.reading.mask_band else None

    def numbers_of(self, bands: Sequence[int | str]) -> tuple[int, ...]:
        """Return the numbers of bands that are given by number or by name.

        Raises
        ------
        OptionError
            If a name is that of no band, or of several; it lists the names.
        """
        names = self.names
        return tuple(number_of_band(band, names, self.path) for band in bands)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels of the selected bands."""
        if self._palette:
            return np.dtype(np.uint8)
        if self._unscaling:
            return self._unscaling.dtype(self._stored_dtype)
        return self._stored_dtype

    @property
    def has_trailing_alpha(self) -> bool:
        """Whether the last of several bands is an alpha band."""
        return self.count > 1 and bool(self._file.colorinterp[-1] == ColorInterp.alpha)

    @property
    def has_palette(self) -> bool:
        """Whether its one band has indices into a table of colors."""
        return has_palette(self._file)

    @property
    def nodata(self) -> float | None:
        """The nodata value, the user's or the file's; None where there is none."""
        given = self.reading.nodata
        value: float | None = given.value if given else self._dataset.nodata
        return value

    @property
    def may_have_nodata(self) -> bool:
        """Whether a pixel can be invalid."""
        return self._validity.may_have_nodata(self._stored_bands)

    @property
    def files(self) -> list[str]:
        """The files with the pixels, also those of a mosaic or of a subdataset."""
        return [str(name) for name in self._file.files]

    @property
    def archives(self) -> list[str]:
        """The archives, such as ZIP files, that contain the files."""
        inside = (re.sub("^(/vsi[a-z]+/)+", "", name) for name in self.files if "/vsi" in name)
        parents = {parent for name in inside for parent in Path(name).parents}
        return [str(parent) for parent in parents if parent.is_file()]

    @property
    def tags(self) -> dict[str, str]:
        """The tags that this package wrote into the file."""
        tags: dict[str, str] = self._file.tags(ns=NAMESPACE)
        return tags

    @property
    def georeference(self) -> Georeference:
        """Where the raster lies."""
        gcps, gcps_crs = self._dataset.gcps
        transform, is_own = self._dataset.transform, self._dataset is self._file
        return Georeference(
            crs=gcps_crs if gcps else self._file.crs,
            transform=None if transform.is_identity else transform,
            gcps=gcps,
            rpcs=self._file.rpcs if is_own else None,  # they are for the file's rows and columns
            is_point=self._file.tags().get("AREA_OR_POINT") == "Point",
        )

    @property
    def blocks(self) -> BlockLayout:
        """How the file stores its pixels."""
        bands = self._stored_bands
        if self.mask_band is not None:
            bands = (*bands, self.mask_band)
        return layout_of(self._file, self._dataset, bands)

    def select(self, bands: Sequence[int | str]) -> None:
        """Select the bands to read from now on, by number from 1 or by name, in this order."""
        bands = self.numbers_of(bands)
        if not all(isinstance(band, int | np.integer) for band in bands):
            raise OptionError(f"bands must be whole numbers, not {','.join(map(str, bands))}")
        if not bands:
            raise OptionError("bands must name at least one band")
        missing = [band for band in bands if not 1 <= band <= self.count]
        if missing:
            raise OptionError(
                f"bands {','.join(map(str, bands))}: {self.path} has bands 1 to {self.count}, "
                f"no {', '.join(map(str, missing))}"
            )
        if self.mask_band in bands:
            raise OptionError(
                f"bands {','.join(map(str, bands))}: band {self.mask_band} is the mask band, which "
                f"the model does not get: leave it out of one of them"
            )
        self.bands = tuple(int(band) for band in bands)

    def expand(self, channels: int) -> None:
        """Read the colors of a raster that ``has_palette`` as 3 channels, RGB, or 4, RGBA.

        For another number of channels, its indices are read.
        """
        if channels not in CHANNELS:
            self.notes.append(f"{self.path} has a color table: the model gets the indices into it")
            return
        self.notes.append(f"{self.path} has a color table: it is expanded to {CHANNELS[channels]}")
        self._palette, self._channels = Palette(self._file), channels
        self.bands = tuple(range(1, channels + 1))

    def times_pixel_size(self, centimeters: float) -> tuple[float, float] | None:
        """How many times higher and wider its pixels are than such a length; None if unknown."""
        from .resample import times_pixel_size

        return times_pixel_size(self._dataset, centimeters)

    def resolution_for_pixel_size(self, centimeters: float) -> tuple[float, float]:
        """Height and width, in units of the CRS, of a pixel whose sides are so long."""
        from .resample import resolution_for_pixel_size

        return resolution_for_pixel_size(self._file, centimeters)

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Read the pixels of a window inside the raster, shape ``(bands, height, width)``."""
        pixels = self._stored(Window.from_slices(rows, cols))
        if self._palette:
            return self._palette.colors(pixels[0], self.bands)
        if self._unscaling:
            return self._unscaling.apply(pixels, self.bands)
        return pixels

    def valid(self, rows: slice, cols: slice) -> Mask | None:
        """Read which pixels of a window are valid, ``(height, width)``; None where all of them are.

        They are valid by a mask or an alpha band, or else by the nodata value: a pixel is valid if
        at least one of the selected bands is.
        """
        if not self.may_have_nodata:
            return None
        return self._validity.valid(rows, cols, self._stored_bands)

    @property
    def may_have_gaps(self) -> bool:
        """Whether a value of a band can be invalid."""
        return self._validity.may_have_gaps(self._stored_bands)

    def valid_values(self, rows: slice, cols: slice) -> Mask | None:
        """Read which values are valid, ``(bands or 1, height, width)``; None where all are."""
        if not self.may_have_gaps:
            return None
        return self._validity.valid_values(rows, cols, self._stored_bands)

    def check_unchanged(self) -> None:
        """Raise ``RasterError`` if one of the raster's files has changed since it was opened."""
        self._inputs.check_unchanged()

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def _stored(self, window: Window) -> Pixels:
        bands = list(self._stored_bands)
        if self._of_one_type:
            pixels: Pixels = self._dataset.read(bands, window=window)
            return pixels
        # rasterio cannot read bands of different types together.
        parts = [self._dataset.read(band, window=window) for band in bands]
        return np.stack(parts).astype(self._stored_dtype, copy=False)

    def _open(self) -> Any:
        with reading_file(f"cannot open {self.path}"), ignoring_missing_georeference():
            dataset, level = rasterio.open(self.path), self.reading.level
            if level:
                dataset = overview(dataset, self.path, level.value)
            check_rows(dataset)
        return GuardedDataset(dataset, self.path)

    def _checked_mask_band(self) -> int | None:
        """The mask band; raise ``OptionError`` where the file has no such band, or no other."""
        band, count = self.mask_band, self._file.count
        if band is None:
            return None
        if not 1 <= band <= count:
            raise OptionError(f"mask_band={band}: {self.path} has bands 1 to {count}")
        if count == 1:
            raise OptionError(f"mask_band={band}: {self.path} has no other band")
        return band

    def _resampled(self, nodata: float | None, mask_band: int | None) -> Any:
        wanted = self.reading.resolution
        if wanted is None:
            return self._file
        from .resample import resampled

        with reading_file(f"cannot resample {self.path}"):
            dataset = resampled(self._file.unguarded, wanted.value, nodata, mask_band)
        if dataset is self._file.unguarded:
            return self._file
        length = " x ".join(format_length(length) for length in wanted.value)
        self.notes.append(f"pixels are resampled to {length} units of the CRS ({wanted.origin})")
        return GuardedDataset(dataset, self.path)

    def _unscaled(self) -> Unscaling | None:
        if self.reading.unscale is None:
            return None
        unscaling = Unscaling(self._file.scales, self._file.offsets)
        if unscaling.changes_nothing:
            self.notes.append(f"{self.path} states no scale or offset: unscale changes nothing")
            return None
        return unscaling

    @property
    def _stored_bands(self) -> tuple[int, ...]:
        return (1,) if self._palette else self.bands

    @property
    def _stored_dtype(self) -> np.dtype[Any]:
        return np.result_type(*(self._dataset.dtypes[band - 1] for band in self._stored_bands))

    @property
    def _of_one_type(self) -> bool:
        return len({self._dataset.dtypes[band - 1] for band in self._stored_bands}) == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()


def overview(dataset: Any, path: Any, level: int) -> Any:
    """Open an overview of a dataset, which is closed; for level 0, return the dataset.

    Parameters
    ----------
    dataset : rasterio dataset
        Open for reading.
    path : str or path-like
        Its file.
    level : int
        Number of the overview, from 1.

    Raises
    ------
    OptionError
        Where there is no such overview; it lists the existing ones.
    """
    if level == 0:
        return dataset
    factors = dataset.overviews(1)
    dataset.close()
    if not factors:
        raise OptionError(f"level {level}: {path} has no overviews: gdaladdo makes them")
    if level > len(factors):
        listed = ", ".join(f"1/{factor}" for factor in factors)
        numbers = "overview 1" if len(factors) == 1 else f"overviews 1 to {len(factors)}"
        raise OptionError(f"level {level}: {path} has {numbers} ({listed})")
    return rasterio.open(path, overview_level=level - 1)
