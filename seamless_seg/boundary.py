"""The boundary to files of others: whatever reading one of them raises becomes a clear error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .errors import SeamlessError

MAX_SHOWN = 100
"""Characters of a value of a file that a message shows."""

MAX_LENGTH = 300
"""Characters of a reason that another library gives."""


@contextmanager
def boundary(
    kind: Callable[[str], SeamlessError], failure: str, advice: str = ""
) -> Iterator[None]:
    """Turn whatever a block raises into an error of this package; its own ones pass.

    Libraries raise what they like of a damaged file, so that no list of exceptions is complete.
    The block must not call functions of the user's.

    Parameters
    ----------
    kind : callable
        Class of the error.
    failure : str
        What has failed then; it names the file.
    advice : str
        What to do, after the reason.
    """
    try:
        yield
    except (SeamlessError, ModuleNotFoundError):  # what is not installed is not the file's fault
        raise
    except Exception as error:
        raise kind(f"{failure}: {in_words(error)}{advice}") from error


def is_text(value: Any) -> bool:
    """Whether a value is text that can be encoded: JSON may hold halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= own <= "\udfff" for own in value)


def shown(value: Any) -> str:
    """Return a value of JSON as a message shows it, whatever it is."""
    try:
        return json.dumps(value)[:MAX_SHOWN]
    except (ValueError, TypeError, RecursionError):
        return f"a {type(value).__name__}"


def in_words(error: BaseException) -> str:
    """Return the reason of an exception in one line."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, KeyError) or not text:
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]} ..."
