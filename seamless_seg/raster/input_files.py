"""The local files of a raster: none that blocks, none that is cut off, none that changes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RasterError
from ..inputs.network import is_remote
from ..inputs.raw_images import MAX_HEADER, check_ilwis, check_lines, check_mff2, check_same_size
from ..inputs.regular import refusal_of_special
from ..inputs.truncated import check_not_truncated
from ..inputs.unchanged import Unchanged
from ..inputs.vrt import check_raw_bands, named_files, read_vrt
from .tiff_directory import MAGICS, check_blocks

SIDECARS = (".aux.xml", ".msk")
"""Endings of files beside a raster that GDAL ignores where it cannot read them."""

TEXT_DRIVERS = ("AAIGrid", "GRASSASCIIGrid", "GSAG", "XYZ", "ZMap")
"""Drivers of formats whose pixels are written as text."""

RAW_HEADERS = {"EHdr": ".hdr", "PAux": ".aux", "SAGA": ".sgrd"}
"""Drivers of raw formats, and endings of their headers: lines of text."""

_OFFSETS = re.compile(
    r"(?im)^[ \t]*(?:(?:skipbytes|bandgapbytes|datafile_offset)[ \t]*=?[ \t]*[1-9]"
    r"|chandefinition-1:[ \t]*\S+[ \t]+[1-9])"
)
"""Fields of such headers with which a file is longer than its pixels."""


class InputFiles:
    """The local files that a raster is read from, as far as they can be known.

    Parameters
    ----------
    path : str or path-like
        The raster's name, before it is opened.
    network : bool
        Whether it may lead to other machines.

    Raises
    ------
    RasterError
        Where reading one of the files would block, or a name leads to another machine that must
        not.
    """

    def __init__(self, path: Any, network: bool = True) -> None:
        self._paths: dict[Path, str | None] = {}
        """Files, with the text of those that are VRTs."""
        if not network and is_remote(path):
            raise RasterError(
                f"{path} is not a local file, and network=False allows no other: copy it first"
            )
        _refuse_special(path)
        local = _local(path)
        if local is not None:
            self._add([local], network)
            for sibling in _siblings(local):
                _refuse_special(sibling)
        self._unchanged = Unchanged(self._paths)

    def check_complete(self, dataset: Any) -> None:
        """Raise ``RasterError`` if a file of an open dataset ends too early."""
        found = [own for own in map(_local, dataset.files) if own is not None]
        self._add([*found, *(_beside(own, end) for own in found for end in SIDECARS)])
        self._unchanged.add(self._paths)
        for path, vrt in self._paths.items():
            check_not_truncated(path)
            _check_tiff(path)
            if vrt is not None:
                check_raw_bands(vrt, path.parent)
        _check_size(dataset)

    def check_unchanged(self) -> None:
        """Raise ``RasterError`` if one of the files has changed since it was opened."""
        self._unchanged.check()

    def watch(self, paths: Iterable[Any]) -> None:
        """Expect of more files that they do not change."""
        self._unchanged.add(paths)

    def _add(self, paths: list[Path], network: bool = True) -> None:
        """Add files, and those that VRTs among them name."""
        while paths:
            path = paths.pop()
            if path in self._paths or not path.is_file():
                _refuse_special(path)
                continue
            text = self._paths[path] = read_vrt(path)
            for named in () if text is None else named_files(text, path.parent):
                if not network and is_remote(named):
                    raise RasterError(
                        f"{path} names {named}, which is not a local file, and network=False "
                        f"allows no other: copy it first"
                    )
                paths.append(named)


def _refuse_special(path: Any) -> None:
    if (refusal := refusal_of_special(path)) is not None:
        raise RasterError(f"{path} {refusal}")


def _local(path: Any) -> Path | None:
    """The path of a local file; None for other names that GDAL knows."""
    try:
        name = os.fsdecode(path)
        return Path(name) if Path(name).is_file() else None
    except (TypeError, ValueError, OSError):
        return None


def _siblings(path: Path) -> list[Path]:
    """Files whose names begin as that of a raster does: GDAL may open them, too."""
    try:
        names = os.listdir(path.parent)  # noqa: PTH208  # a path for each would be slow
    except OSError:
        return []
    return [path.parent / name for name in names if name.startswith(f"{path.stem}.")]


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _check_tiff(path: Path) -> None:
    """Raise ``RasterError`` if blocks of a TIFF lie beyond its end, or a mask is no TIFF."""
    try:
        with path.open("rb") as file:
            is_tiff = file.read(4) in MAGICS
        if is_tiff or path.suffix == ".msk":
            check_blocks(path)
    except OSError as error:
        raise RasterError(
            f"{path} is incomplete or damaged: {error}: copy or download it again"
        ) from error


def _check_size(dataset: Any) -> None:
    """Raise ``RasterError`` if text is cut off, or raw pixels are not as many as stated."""
    path = Path(dataset.name)
    expected = (
        dataset.width * dataset.height * sum(np.dtype(own).itemsize for own in dataset.dtypes)
    )
    if dataset.driver == "MFF2":
        check_mff2(path, expected)
    elif dataset.driver == "ILWIS":
        check_ilwis(path)
    elif dataset.driver in TEXT_DRIVERS and path.is_file():
        check_lines(path)
    elif dataset.driver in RAW_HEADERS and path.is_file():
        _check_raw(dataset, path, expected)


def _check_raw(dataset: Any, path: Path, expected: int) -> None:
    header = path.with_suffix(RAW_HEADERS[dataset.driver])
    if not header.is_file():
        return
    check_lines(header)
    with header.open(encoding="latin-1") as file:
        text = file.read(MAX_HEADER)
    if dataset.driver == "EHdr" and "uint32" in dataset.dtypes and "PIXELTYPE" not in text.upper():
        raise RasterError(
            f"{header} states no PIXELTYPE: state FLOAT, SIGNEDINT or UNSIGNEDINT, or copy or "
            f"download it again if it is incomplete"
        )
    is_packed = any("NBITS" in dataset.tags(n, ns="IMAGE_STRUCTURE") for n in dataset.indexes)
    if not is_packed and not _OFFSETS.search(text):
        check_same_size(path, header, expected)
