"""The boundary to files of others: whatever reading one of them raises becomes a clear error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import SeamlessError

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
    except SeamlessError:
        raise
    except Exception as error:
        raise kind(f"{failure}: {in_words(error)}{advice}") from error


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
