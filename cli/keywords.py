"""Keywords of the Python interface in messages of the library, as options of the command line."""

from __future__ import annotations

import re
from functools import cache

import click

from seamless_seg.foreign_files import ORDER

_KEYWORD = re.compile(
    r"""(?<![\w./\\-])(?P<name>[a-z]\w*)=
    (?:(?P<flag>(?:True|False)\b)
    |"(?P<text>[^"]*)"
    |(?P<number>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?\b|nan\b)
    |[(\[](?P<list>[^)\]]*)[)\]]
    |\{"(?P<key>\w+)":\ (?P<item>\w+)\})?
    (?:(?<=[^=]),(?=\ [a-z]\w*=))?""",
    re.VERBOSE,
)
"""``name=value`` as messages write it: ``crop=True``, ``kind="classes"``, ``also={"a": PATH}``.

A comma between two of them ends with the first."""


def in_options(sentence: str, command: click.Command | None = None) -> str:
    """Return a sentence in which keywords are options: ``--crop`` for ``crop=True``.

    Parameters
    ----------
    sentence : str
        A message, a note or a warning of the library.
    command : click.Command, optional
        The command that it is about; the one that is running if None.
    """
    context = click.get_current_context(silent=True)
    command = command or (context.command if context else None)
    own = {} if command is None else _options(command)

    def replaced(found: re.Match[str]) -> str:
        option = own.get(found["name"]) or _options_of_run().get(found["name"])
        return found[0] if option is None else f"{option}{_value(found)}"

    if command is not None:
        sentence = sentence.replace(ORDER, _order(command))
    return _KEYWORD.sub(replaced, sentence)


def _order(command: click.Command) -> str:
    """Say in which order a command takes its arguments."""
    names = [each.metavar for each in command.params if isinstance(each, click.Argument)]
    listed = " ".join(filter(None, names))
    return (
        f"{ORDER}: give {listed}, in this order"
        if len(names) > 1
        else f"{command.name} takes {listed} only"
    )


def _value(found: re.Match[str]) -> str:
    """The value of an option, with the space before it; nothing for a flag."""
    if found["key"] is not None:
        return f" {found['key']}={found['item']}"
    if found["list"] is not None:
        return f" {found['list'].replace(' ', '')}"
    value = found["text"] if found["text"] is not None else found["number"]
    return "" if value is None else f" {value}"


def _options(command: click.Command) -> dict[str, str]:
    """Options of a command by the names of their keywords."""
    options: dict[str, str] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name:
            option = max(parameter.opts, key=len)
            if parameter.name == "classes":
                options |= dict.fromkeys(("class_names", "class_colors"), option)
            options[parameter.name] = options[option.lstrip("-").replace("-", "_")] = option
    return options


@cache
def _options_of_run() -> dict[str, str]:
    """Options of ``run``, which messages of other commands name, too."""
    from .run import run

    return _options(run)
