"""Messages on stderr. The program needs no more than this before it knows its command."""

from __future__ import annotations

from contextlib import suppress

import click

from .keywords import in_options


def say(sentence: str) -> None:
    """Print to stderr, if there is one: a log that cannot be written must not end a job."""
    with suppress(OSError, ValueError):
        click.echo(sentence, err=True)


def warn(sentence: str) -> None:
    """Print a warning of the library; keywords in it become options."""
    say(f"warning: {in_options(sentence)}")


def note(sentence: str) -> None:
    """Print a note of the library; keywords in it become options."""
    say(f"note: {in_options(sentence)}")
