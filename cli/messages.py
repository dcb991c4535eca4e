"""Messages on stderr. The program needs no more than this before it knows its command."""

from __future__ import annotations

from contextlib import suppress

import click


def say(sentence: str) -> None:
    """Print to stderr, if there is one: a log that cannot be written must not end a job."""
    with suppress(OSError, ValueError):
        click.echo(sentence, err=True)
