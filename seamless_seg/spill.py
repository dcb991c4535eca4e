"""Spill: arrays stored on disk, so that they take no memory until they are needed."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import RasterError

Key = TypeVar("Key", bound=Hashable)


class Spill(Generic[Key]):
    """Arrays of one shape and dtype by key, in an anonymous temporary file.

    It works like a dict that copies arrays when they are stored and removes them when they are
    read. The file is made with the first array; space of arrays that were removed is reused.

    Parameters
    ----------
    folder : path-like
        Folder for the file. The system's folder for temporary files will not do if it is in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._slots: dict[Key, int] = {}
        self._free: list[int] = []
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.float32)

    def __setitem__(self, key: Key, array: npt.NDArray[Any]) -> None:
        """Store a copy of an array; raise ``RasterError`` if the disk is full."""
        self._shape, self._dtype = array.shape, array.dtype
        slot = self._slots.get(key)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._slots)
        self._slots[key] = slot
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # see __exit__
            self._file.seek(slot * array.nbytes)
            self._file.write(array.tobytes())
            self._file.flush()
        except OSError as error:
            raise RasterError(
                f"cannot write {array.nbytes} bytes to a temporary file in {self._folder}: "
                f"{error.strerror}"
            ) from error

    def pop(self, key: Key) -> npt.NDArray[Any]:
        """Remove the array of a key and return it; raise ``KeyError`` if there is none."""
        slot = self._slots.pop(key)
        self._free.append(slot)
        array = np.empty(self._shape, self._dtype)
        assert self._file is not None
        try:
            self._file.seek(slot * array.nbytes)
            count = self._file.readinto(array.data)  # type: ignore[attr-defined]
        except OSError as error:
            raise RasterError(
                f"cannot read a temporary file in {self._folder}: {error.strerror}"
            ) from error
        if count != array.nbytes:
            raise RasterError(
                f"a temporary file in {self._folder} is shorter than what was written"
            )
        return array

    def __contains__(self, key: Key) -> bool:
        return key in self._slots

    def __len__(self) -> int:
        return len(self._slots)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # its content is no longer needed
                self._file.close()
