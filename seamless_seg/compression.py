"""Compressions of the output, by name."""

from __future__ import annotations

from typing import Any

from .errors import OptionError

COMPRESSION: dict[str, dict[str, Any]] = {
    # Level 1 is as small as level 9 to a few per cent here, and several times as fast.
    "zstd": {"compress": "zstd", "zstd_level": 1, "predictor": 3},
    "deflate": {"compress": "deflate", "predictor": 3},
    "lzw": {"compress": "lzw", "predictor": 3},
    "lerc": {"compress": "lerc_zstd", "max_z_error": 0},
    "none": {},
}
"""GDAL's creation options for floating-point pixels; all of them are without loss."""


def check_compression(name: str) -> None:
    """Raise ``OptionError`` where ``name`` is no compression."""
    if name not in COMPRESSION:
        raise OptionError(f"compress {name!r} is unknown: choose one of {', '.join(COMPRESSION)}")
