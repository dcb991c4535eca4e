"""Encoding: how pixels are stored in the outputs, and what GDAL is told about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from ..errors import OptionError
from ..validation import check_among, number_of

COMPRESSIONS = ("zstd", "deflate", "lzw", "lerc", "none")
"""By name; without loss unless a larger error is allowed."""

LEVELS = {"zstd": range(1, 23), "deflate": range(1, 13), "lerc": range(1, 23)}
"""Levels of those that have some: the higher, the smaller and slower."""

DTYPES = ("float32", "float16")
"""Types of outputs that are no classes."""

LARGEST_HALF = float(np.finfo(np.float16).max)

BLOCK_SIZES = ("BLOCKYSIZE", "BLOCKXSIZE")
"""Creation options of the GTiff driver: height and width of its blocks."""

RASTERIO = (
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
"""What rasterio's functions are given beside creation options."""

SETTLED = {
    "COMPRESS": "--compress settles it",
    "ZSTD_LEVEL": "--compress-level settles it",
    "ZLEVEL": "--compress-level settles it",
    "LEVEL": "--compress-level settles it",
    "MAX_Z_ERROR": "--max-error settles it",
    "NBITS": "--dtype settles it",
    "TILED": "outputs are tiled",
    "SPARSE_OK": "what is left out follows from the area",
    "COPY_SRC_OVERVIEWS": "--cog makes overviews",
    "APPEND_SUBDATASET": "every output is a file of its own",
    "STREAMABLE_OUTPUT": "blocks come in any order",
    "TFW": "an output is one file",
    "WORLDFILE": "an output is one file",
    "STATISTICS": "its driver forgets what else is known of a raster where it makes them",
    "DISCARD_LSB": "--dtype and --max-error say what may be lost",
    "TILING_SCHEME": "outputs are in the raster's own grid",
    "TARGET_SRS": "outputs are in the raster's own grid",
    "RES": "outputs are in the raster's own grid",
    "EXTENT": "outputs are in the raster's own grid",
    "ZOOM_LEVEL": "outputs are in the raster's own grid",
    "ADD_ALPHA": "outputs have nodata",
    "ALPHA": "outputs have nodata",
    "PHOTOMETRIC": "bands are classes, or one of them with colors of its own",
    "PIXELTYPE": "the kind of output settles it",
    **dict.fromkeys(RASTERIO, "it is none of GDAL's"),
}
"""Creation options that are not the user's to give, and why."""


@dataclass(frozen=True)
class Encoding:
    """How outputs are stored.

    Raises
    ------
    OptionError
        Where the choices are unknown or contradict each other.
    """

    compress: str = "zstd"
    """Name in ``COMPRESSIONS``."""
    compress_level: int | None = None
    """How hard it tries; None for the fastest."""
    max_error: float | None = None
    """How far lerc may be off; it is without loss where None."""
    dtype: str = "float32"
    """Type of outputs that are no classes: a name in ``DTYPES``."""
    cog: bool = False
    """Whether files are Cloud Optimized GeoTIFFs, with overviews."""
    creation_options: Mapping[str, str] = field(default_factory=dict)
    """GDAL's, of the GTiff driver or of its COG driver."""

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
            if key in SETTLED:
                raise OptionError(f"leave out the creation option {key}: {SETTLED[key]}")
        object.__setattr__(self, "creation_options", options)

    def _check_level(self) -> None:
        level, levels = self.compress_level, LEVELS.get(self.compress)
        if level is None:
            return
        if levels is None:
            raise OptionError(f"{self.compress} has no levels: leave out compress-level")
        if level not in levels:
            raise OptionError(
                f"compress-level of {self.compress} must be {levels[0]} to {levels[-1]}, "
                f"not {level}"
            )

    def _check_error(self) -> None:
        error = number_of("max-error", self.max_error)
        if error is None:
            return
        if self.compress != "lerc":
            raise OptionError("max-error is for lerc: choose --compress lerc")
        if error < 0:
            raise OptionError(f"max-error must be a number from 0 on, not {error}")

    def to_tags(self) -> dict[str, Any]:
        """What may make pixels others than they were."""
        lossy = {"dtype": self.dtype, "max_error": self.max_error}
        return {name: value for name, value in lossy.items() if value not in (None, "float32")}

    @property
    def is_half(self) -> bool:
        """Whether floats are stored as those of 16 bits."""
        return self.dtype == "float16"

    def block(self, usual: tuple[int, int]) -> tuple[int, int]:
        """Height and width of blocks, unless options ask for others."""
        height, width = (
            self._pixels(name, own) for name, own in zip(BLOCK_SIZES, usual, strict=True)
        )
        return height, width

    def _pixels(self, name: str, usual: int) -> int:
        text = "" if self.cog else self.creation_options.get(name, "")
        if not text:
            return usual
        if not text.isdecimal() or not int(text) or int(text) % 16:
            raise OptionError(f"creation option {name} must be a multiple of 16, not {text}")
        return int(text)

    def as_geotiff(self, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Creation options of GDAL's GTiff driver for pixels of a type."""
        own = {"interleave": "band", "bigtiff": "IF_SAFER"}
        if self.cog:  # it is copied, and gone then
            return own | {"compress": "zstd", "zstd_level": 1}
        level = "zlevel" if self.compress == "deflate" else "zstd_level"
        return own | self._options(dtype, level, "3") | self._passed(but=BLOCK_SIZES)

    def as_cog(self, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Creation options of GDAL's COG driver."""
        own = {
            "bigtiff": "IF_SAFER",
            "copy_src_mdd": True,  # our tags
            # Classes have no averages.
            "overview_resampling": "AVERAGE" if dtype.kind == "f" else "MODE",
        }
        return own | self._options(dtype, "level", "FLOATING_POINT") | self._passed()

    def _options(self, dtype: np.dtype[Any], level: str, predictor: str) -> dict[str, Any]:
        """What both drivers know, but for what they call the level and the predictor of floats."""
        options: dict[str, Any] = {"compress": self._name}
        if self.compress in LEVELS:
            options[level] = self._level
        if self.compress == "lerc":
            options["max_z_error"] = (self.max_error or 0.0) if dtype.kind == "f" else 0.0
        elif self.compress != "none" and dtype.kind == "f":  # classes do not differ by little
            options["predictor"] = predictor
        if self.is_half and dtype.kind == "f":
            options["nbits"] = 16
        return options

    def _passed(self, but: tuple[str, ...] = ()) -> dict[str, str]:
        """Creation options as they are, in lower case like ours."""
        given = self.creation_options.items()
        return {key.lower(): value for key, value in given if key not in but}

    @property
    def _name(self) -> str:
        return "lerc_zstd" if self.compress == "lerc" else self.compress

    @property
    def _level(self) -> int:
        if self.compress_level is not None:
            return self.compress_level
        # Level 1 is as small as level 9 to a few per cent here, and several times as fast.
        return 6 if self.compress == "deflate" else 1


class EncodingChoices(TypedDict, total=False):
    """The fields of ``Encoding`` as keywords."""

    compress: str
    compress_level: int | None
    max_error: float | None
    dtype: str
    cog: bool
    creation_options: Mapping[str, str]
