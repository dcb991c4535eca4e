"""Calls of the library and of the program with damaged files, and what may come of them."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from seamless_seg import OptionError, SeamlessError
from seamless_seg_cli.program import run_program
from seamless_seg_cli.stderr import own_stderr

from .children import DONE, REFUSED, FaultError

BAD_WORDS = ("internal error", "should not happen", "Traceback", "Error(", "object at 0x")
"""What is no clear error."""

BEYOND = ("rasterio._env.log_error", "Error: Key ")
"""Lines of rasterio and libgeotiff that only a program can keep from stderr, no library."""

MAX_LENGTH = 1500
"""Characters of a clear error."""

BEGINNINGS = ("note: ", "warning: ")
"""Beginnings of lines on stderr beside an error."""


class Call(NamedTuple):
    """A call with a damaged file."""

    name: str
    run: Callable[[], Any]
    check: Callable[[Any], None] = lambda result: None
    """Raises ``FaultError`` where the result is wrong."""
    outputs: tuple[str, ...] = ()
    """Names of the files in the folder ``out`` after the call; a GDAL sidecar may be with them."""


def attack(call: Call, path: Path) -> str:
    """Do a call; return how it ended, or raise ``FaultError``.

    Parameters
    ----------
    call : Call
        The call.
    path : Path
        The damaged file, which errors have to name.
    """
    before = _files()
    end = DONE
    with _captured() as printed:
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                result = call.run()
        except SeamlessError as error:
            end = REFUSED
            _check_message(str(error), path, isinstance(error, OptionError))
    if printed and not any(words in printed[0] for words in BEYOND):
        raise FaultError(f"it prints {printed[0][:300]!r}")
    if warned and end == DONE:
        raise FaultError(f"it warns: {warned[0].category.__name__}: {warned[0].message}")
    allowed = set(call.outputs) if end == DONE else set()
    left = {
        name
        for name in _files() - before
        if name not in allowed and name.removesuffix(".aux.xml") not in allowed
    }
    if left:
        raise FaultError(f"it leaves {', '.join(sorted(left))}")
    if end == DONE:
        call.check(result)
    return end


def _check_message(message: str, path: Path, is_option: bool) -> None:
    if any(word in message for word in BAD_WORDS) or len(message) > MAX_LENGTH:
        raise FaultError(f"it is no clear error: {message[:300]}")
    if "\n" in message:
        raise FaultError(f"the error has several lines: {message[:300]!r}")
    names = (path.name, path.name.removesuffix(".aux.xml"), "out.", "the model")
    if not is_option and not any(name in message for name in names):
        raise FaultError(f"the error does not name {path.name}: {message[:300]}")


def program(arguments: Sequence[str], outputs: tuple[str, ...] = ()) -> Call:
    """Return the call of a command."""
    return Call(f"seamless-seg {arguments[0]}", lambda: _run_program(arguments), outputs=outputs)


def _run_program(arguments: Sequence[str]) -> None:
    """Run the program as a user does; raise its error as the library would."""
    with _captured() as printed, own_stderr():
        status = run_program([*arguments])
    lines = printed[0].splitlines() if printed else []
    errors = [line for line in lines if line.startswith("seamless-seg: error: ")]
    others = [line for line in lines if line not in errors and not line.startswith(BEGINNINGS)]
    if others:
        raise FaultError(f"it prints {others[0][:300]!r}")
    if status not in (0, 1, 2) or len(errors) != (status != 0):
        raise FaultError(f"status {status} with {len(errors)} errors: {lines[:3]}")
    if errors and any(word in errors[0] for word in BAD_WORDS):
        raise FaultError(f"it is no clear error: {errors[0][:300]}")
    if errors:
        raise OptionError(errors[0])


@contextmanager
def _captured() -> Iterator[list[str]]:
    """Collect what is written to stderr, also by libraries; stdout goes to the null device."""
    printed: list[str] = []
    with tempfile.TemporaryFile() as file, Path(os.devnull).open("wb") as null:
        sys.stdout.flush()
        kept = os.dup(1), os.dup(2)
        os.dup2(null.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield printed
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, own in zip((1, 2), kept, strict=True):
                os.dup2(own, number)
                os.close(own)
            file.seek(0)
            text = file.read().decode(errors="replace")
            if text:
                printed.append(text)


def _files() -> set[str]:
    """Names of all files in the working folder, without ``out/``."""
    return {
        str(path).removeprefix("out" + os.sep) for path in Path().rglob("*") if not path.is_dir()
    }
