"""What the program prints: all of it leaves here, and nothing in it controls a terminal.

Names of classes, bands and zones, a CRS, metadata and file names are text of strangers.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress

import click

from .keywords import in_options

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\xac\xae-\u02ff]")
"""Characters whose category is looked up: most text has none of them."""

_JOINERS = "\u200c\u200d"
"""Characters without a shape that some scripts need, which move nothing."""


def printable(text: str, keep: str = "") -> str:
    r"""Return text in which what controls a terminal is written out, as ``\x1b`` for ESC.

    These are control characters, those that reorder or hide other ones, line separators, and bytes
    of a file name that are no text.

    Parameters
    ----------
    text : str
        Any text.
    keep : str
        Control characters that stay, such as ``"\n"``.
    """

    def written_out(found: re.Match[str]) -> str:
        character = found[0]
        if character in keep or character in _JOINERS:
            return character
        is_harmless = unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        return character if is_harmless else character.encode("unicode_escape").decode()

    return _UNPRINTABLE.sub(written_out, text)


def show(*lines: str) -> None:
    """Print the lines of a result to stdout."""
    for line in lines:
        click.echo(printable(line))


def show_table(text: str) -> None:
    """Print a table to stdout whose line ends stay what they are, as those of CSV."""
    parts = re.split(r"(\r\n)", text)
    shown = "".join(part if part == "\r\n" else printable(part, keep="\n\t") for part in parts)
    click.echo(shown.encode(), nl=False)


def say(sentence: str) -> None:
    """Print a line to stderr, if there is one: a log that cannot be written must not end a job."""
    with suppress(OSError, ValueError):
        click.echo(printable(sentence), err=True)


def warn(sentence: str) -> None:
    """Print a warning of the library; keywords in it become options."""
    say(f"warning: {in_options(sentence)}")


def note(sentence: str) -> None:
    """Print a note of the library; keywords in it become options."""
    say(f"note: {in_options(sentence)}")
