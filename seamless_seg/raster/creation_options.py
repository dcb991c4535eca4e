"""Encoding: compression and types of outputs, as creation options of GDAL's drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from ..errors import OptionError
from ..validation import check_among, number_of

COMPRESSIONS = ("zstd", "deflate", "lzw", "lerc", "none")
"""Names of compressions; all are lossless, lerc unless an error is allowed."""

LEVELS = {"zstd": range(1, 23), "deflate": range(1, 13), "lerc": range(1, 23)}
"""Levels of the compressions that have levels: a higher one is slower and makes smaller files."""

DTYPES = ("float32", "float16")
"""Types of outputs other than classes."""

MAX_FLOAT16 = float(np.finfo(np.float16).max)
"""Largest finite value of 16 bits."""

BLOCK_SIZES = ("BLOCKYSIZE", "BLOCKXSIZE")
"""Creation options of the GTiff driver: height and width of its blocks."""

RASTERIO_ARGUMENTS = (
    "DRIVER",
    "DTYPE",
    "CRS",
    "COUNT",
    "WIDTH",
    "HEIGHT",
    "NODATA",
    "TRANSFORM",
    "MODE",
    "PATH",
    "FP",
    "GCPS",
    "RPCS",
    "OPENER",
    "SHARING",
)
"""Arguments of rasterio's functions, which take creation options beside them."""

RESERVED = {
    "COMPRESS": "compress= sets it",
    "ZSTD_LEVEL": "compress_level= sets it",
    "ZLEVEL": "compress_level= sets it",
    "LEVEL": "compress_level= sets it",
    "MAX_Z_ERROR": "max_error= sets it",
    "NBITS": "dtype= sets it",
    "TILED": "outputs are always tiled",
    "SPARSE_OK": "the area determines which blocks are left out",
    "COPY_SRC_OVERVIEWS": "cog=True makes overviews",
    "APPEND_SUBDATASET": "every output is a file of its own",
    "STREAMABLE_OUTPUT": "blocks are written in any order",
    "TFW": "an output is one file",
    "WORLDFILE": "an output is one file",
    "STATISTICS": "GDAL's COG driver drops other metadata where it computes them",
    "DISCARD_LSB": "dtype= and max_error= set the precision",
    "TILING_SCHEME": "outputs are in the raster's own grid",
    "TARGET_SRS": "outputs are in the raster's own grid",
    "RES": "outputs are in the raster's own grid",
    "EXTENT": "outputs are in the raster's own grid",
    "ZOOM_LEVEL": "outputs are in the raster's own grid",
    "ADD_ALPHA": "outputs have a nodata value instead",
    "ALPHA": "outputs have a nodata value instead",
    "PHOTOMETRIC": "the kind of output sets it",
    "PIXELTYPE": "the kind of output sets it",
    **dict.fromkeys(RASTERIO_ARGUMENTS, "it is not an option of GDAL's driver"),
}
"""Creation options that a user cannot give, and why."""


@dataclass(frozen=True)
class Encoding:
    """How the pixels of outputs are stored.

    Raises
    ------
    OptionError
        Where a choice is unknown, or choices contradict each other.
    """

    compress: str = "zstd"
    """Name in ``COMPRESSIONS``."""
    compress_level: int | None = None
    """One of the compression's ``LEVELS``; None for a fast one."""
    max_error: float | None = None
    """Largest error of a value that lerc may make; None for lossless."""
    dtype: str = "float32"
    """Type of outputs other than classes: a name in ``DTYPES``."""
    cog: bool = False
    """Whether files are Cloud Optimized GeoTIFFs, with overviews."""
    creation_options: Mapping[str, str] = field(default_factory=dict)
    """Further creation options of GDAL's GTiff driver, or of its COG driver."""

    def __post_init__(self) -> None:
        if not isinstance(self.creation_options, Mapping):
            raise OptionError(f"creation_options must be a mapping, not {self.creation_options!r}")
        check_among("compress", self.compress, COMPRESSIONS)
        check_among("dtype", self.dtype, DTYPES)
        self._check_level()
        self._check_error()
        if self.compress == "lerc" and self.dtype == "float16":
            raise OptionError("lerc does not store float16: choose another compression, or float32")
        options = {key.upper(): str(value) for key, value in self.creation_options.items()}
        for key in options:
            if key in RESERVED:
                raise OptionError(f"leave out the creation option {key}: {RESERVED[key]}")
        object.__setattr__(self, "creation_options", options)

    def _check_level(self) -> None:
        level, levels = self.compress_level, LEVELS.get(self.compress)
        if level is None:
            return
        if levels is None:
            raise OptionError(f"{self.compress} has no levels: leave out compress_level=")
        if level not in levels:
            raise OptionError(
                f"compress_level= of {self.compress} must be {levels[0]} to {levels[-1]}, "
                f"not {level}"
            )

    def _check_error(self) -> None:
        error = number_of("max_error=", self.max_error)
        if error is None:
            return
        if self.compress != "lerc":
            raise OptionError('max_error= is for lerc: choose compress="lerc"')
        if error < 0:
            raise OptionError(f"max_error= must be a number from 0 on, not {error}")

    def to_tags(self) -> dict[str, Any]:
        """Return the lossy choices, as tags of the output's file."""
        lossy = {"dtype": self.dtype, "max_error": self.max_error}
        return {name: value for name, value in lossy.items() if value not in (None, "float32")}

    @property
    def is_half(self) -> bool:
        """Whether floats are stored in 16 bits."""
        return self.dtype == "float16"

    def block(self, default: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of blocks: those of the creation options, or the default."""
        height, width = (
            self._block_length(name, own) for name, own in zip(BLOCK_SIZES, default, strict=True)
        )
        return height, width

    def _block_length(self, name: str, default: int) -> int:
        text = "" if self.cog else self.creation_options.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or not int(text) or int(text) % 16:
            raise OptionError(f"creation option {name} must be a multiple of 16, not {text}")
        return int(text)

    def as_geotiff(self, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Return creation options of GDAL's GTiff driver for pixels of a type."""
        own = {"interleave": "band", "bigtiff": "IF_SAFER"}
        if self.cog:  # the file is only copied to a COG, and then removed
            return own | {"compress": "zstd", "zstd_level": 1}
        level = "zlevel" if self.compress == "deflate" else "zstd_level"
        return own | self._options(dtype, level, "3") | self._passed(but=BLOCK_SIZES)

    def as_cog(self, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Return creation options of GDAL's COG driver for pixels of a type."""
        own = {
            "bigtiff": "IF_SAFER",
            "copy_src_mdd": True,  # this package's tags
            # The average of two classes is a third one.
            "overview_resampling": "AVERAGE" if dtype.kind == "f" else "MODE",
        }
        return own | self._options(dtype, "level", "FLOATING_POINT") | self._passed()

    def _options(self, dtype: np.dtype[Any], level: str, predictor: str) -> dict[str, Any]:
        """Options of both drivers, which differ in the names of level and predictor of floats."""
        options: dict[str, Any] = {"compress": self._name}
        if self.compress in LEVELS:
            options[level] = self._level
        if self.compress == "lerc":
            options["max_z_error"] = (self.max_error or 0.0) if dtype.kind == "f" else 0.0
        elif self.compress != "none" and dtype.kind == "f":  # differences of classes mean nothing
            options["predictor"] = predictor
        if self.is_half and dtype.kind == "f":
            options["nbits"] = 16
        return options

    def _passed(self, but: tuple[str, ...] = ()) -> dict[str, str]:
        """The user's creation options, in lower case like those of this class."""
        given = self.creation_options.items()
        return {key.lower(): value for key, value in given if key not in but}

    @property
    def _name(self) -> str:
        return "lerc_zstd" if self.compress == "lerc" else self.compress

    @property
    def _level(self) -> int:
        if self.compress_level is not None:
            return self.compress_level
        # Level 1 makes files a few per cent larger than level 9 does, and is several times faster.
        return 6 if self.compress == "deflate" else 1


class EncodingChoices(TypedDict, total=False):
    """The fields of ``Encoding`` as keywords."""

    compress: str
    compress_level: int | None
    max_error: float | None
    dtype: str
    cog: bool
    creation_options: Mapping[str, str]
