"""A cache of what was measured of a model, in a private folder of the user's."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from ..models.files import fingerprint
from ..system import instruction_sets
from ..version import __version__

T = TypeVar("T")
"""Type of what a document describes."""

FOLDER = "seamless_seg"
"""Name of the folder in the user's cache folder."""

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
"""Permissions of files that others may have written."""

RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
"""Packages whose version a measurement depends on."""


def load_cached(kind: str, model: Any, parse: Callable[[Any], T], variant: str = "") -> T | None:
    """Load what ``save_cached`` wrote for a model; None if there is none.

    A document counts only if it is whole, if it was measured with the versions and on the kind of
    processor of now, and if nobody but the user can have written it.

    Parameters
    ----------
    kind : str
        Subfolder of the cache, such as ``"probes"``.
    model : str, path-like or list of these
        The model's files. Their content identifies the document, not their names.
    parse : callable
        Makes the result from the document; whatever it raises, the document does not count.
    variant : str
        What the document depends on beside the files.
    """
    name = _name(model, variant)
    try:
        folder = _private_folder(kind)
        if folder is None:
            return None
        entry = json.loads(_read(folder / name))
        document = entry["document"]
        if entry == _entry(document):
            return parse(document)
    except Exception:  # a file of the cache may hold anything
        return None
    return None


def save_cached(kind: str, model: Any, document: Any, variant: str = "") -> None:
    """Save a JSON document about a model's files; do nothing if the cache cannot be written.

    Parameters
    ----------
    kind, model, variant
        As for ``load_cached``.
    document : object
        Anything that JSON can represent.
    """
    with suppress(OSError):
        folder = _private_folder(kind, make=True)
        if folder is None:
            return
        partial = folder / f"{secrets.token_hex(8)}.partial"
        try:
            with _new_file(partial) as file:
                os.write(file, json.dumps(_entry(document)).encode())
            partial.replace(folder / _name(model, variant))
        finally:
            partial.unlink(missing_ok=True)


def _entry(document: Any) -> dict[str, Any]:
    """Return a file of the cache: a document, what it was measured with, and its digest."""
    text = json.dumps(document, sort_keys=True)
    return {
        "measured_with": _measured_with(),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "document": document,
    }


def _name(model: Any, variant: str) -> str:
    return f"{fingerprint(model)}{variant}.json"


@cache
def _measured_with() -> dict[str, str]:
    """Return what a measurement depends on beside the model and the options."""
    found = {"seamless_seg": __version__, "processor": instruction_sets()}
    for name in RUNTIMES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _private_folder(kind: str, make: bool = False) -> Path | None:
    """Return a folder of the cache that no other user can write to; None if there is none."""
    base = _cache_folder()
    if base is None:
        return None
    if make:
        base.mkdir(parents=True, exist_ok=True)
    for folder in (base / FOLDER, base / FOLDER / kind):
        if make:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not _is_own(status):
            return None
    return folder


def _is_own(status: os.stat_result) -> bool:
    """Whether a file or folder is the user's, and no other user can write to it."""
    if not hasattr(os, "geteuid"):  # Windows: the user's folders are private by their place
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & WRITABLE_BY_OTHERS


def _read(path: Path) -> bytes:
    """Read a file of the user's that is no link."""
    opened = os.open(
        path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    )
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _is_own(status):
            raise PermissionError(f"{path} is not the user's own file")
        return file.read()


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield opened
    finally:
        os.close(opened)


def _cache_folder() -> Path | None:
    """Return the user's cache folder; None for a user without a home."""
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if stated.is_absolute():  # others are to be ignored, as the specification says
        return stated
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return None
