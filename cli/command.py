"""Commands whose help describes arguments and shows options in named groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import click

from .mistakes import too_many_arguments, unknown_option

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

LEFT = 26
"""Columns for the names of options; the help of a longer name begins on the next line."""


class Section(StrEnum):
    """Sections of a command's help, in the order in which help shows them."""

    ARGUMENTS = "Arguments"
    INPUT = "Input"
    TILING = "Tiling"
    NORMALIZATION = "Normalization"
    MODEL = "Model"
    OUTPUTS = "Outputs"
    CLEAN_UP = "Clean-up"
    FILE_FORMAT = "File format"
    POLYGONS = "Polygons"
    ZONES = "Zones"
    CHECK = "Check"
    REPORT = "Report"
    EXECUTION = "Execution"
    MESSAGES = "Messages"


class Argument(click.Argument):
    """An argument with help, which click itself has since version 8.5 only."""

    def __init__(self, names: Sequence[str], *, help: str, **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.about = help


class Option(click.Option):
    """An option that belongs to a section of the help.

    ``show_default`` may be a phrase for what happens without the option.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        section: Section,
        help: str,
        show_default: bool | str | None = None,
        **attributes: Any,
    ) -> None:
        if isinstance(show_default, str):  # click would put it into parentheses
            help, show_default = f"{help}  [default: {show_default}]", None
        super().__init__(names, help=help, show_default=show_default, **attributes)
        self.section = section


class Command(click.Command):
    """A command whose help has sections: arguments first, then groups of options.

    What is wrong on its command line is answered by what was probably meant.
    """

    allow_extra_args = True  # they are refused below, with better words than click's

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; raise ``UsageError`` if it has unknown options or arguments."""
        arguments = [each for each in self.params if isinstance(each, click.Argument)]
        names = [(each.metavar or each.human_readable_name).strip("[]") for each in arguments]
        try:
            extra = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [name for each in self.params for name in each.opts]
            if (meant := unknown_option(error.option_name, known, names)) is None:
                raise
            raise click.UsageError(meant, ctx) from None
        except click.BadOptionUsage as error:
            if (form := self._form_of(error.option_name)) is None:
                raise
            raise click.UsageError(f"{error.option_name} needs a value: {form}", ctx) from None
        if extra:
            given = [str(ctx.params[each.name]) for each in arguments if each.name]
            raise click.UsageError(too_many_arguments([*given, *extra], names), ctx)
        return extra

    def _form_of(self, name: str) -> str | None:
        """How an option with a value is written; None for a flag."""
        for option in self.params:
            if isinstance(option, click.Option) and name in option.opts and not option.is_flag:
                kind = option.type
                words = "|".join(kind.choices) if isinstance(kind, click.Choice) else kind.name
                return f"{name} {option.metavar or words}"
        return None

    def sections(self, ctx: click.Context) -> dict[Section, list[tuple[str, str]]]:
        """Return the names and the help of all parameters, by section; no section is empty."""
        rows: dict[Section, list[tuple[str, str]]] = {section: [] for section in Section}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, Argument):
                name = parameter.metavar or parameter.human_readable_name
                rows[Section.ARGUMENTS].append((name, parameter.about))
            elif record := parameter.get_help_record(ctx):
                # Click adds --help, which knows no section.
                rows[getattr(parameter, "section", Section.MESSAGES)].append(record)
        return {section: listed for section, listed in rows.items() if listed}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, with all help texts in one column."""
        for section, rows in self.sections(ctx).items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(LEFT), text) for name, text in rows], col_max=LEFT)


def argument(
    name: str, metavar: str, help: str, **attributes: Any
) -> Callable[[Decorated], Decorated]:
    """Declare an argument of a command."""
    return click.argument(name, cls=Argument, metavar=metavar, help=help, **attributes)


def option(
    section: Section, *names: str, help: str, **attributes: Any
) -> Callable[[Decorated], Decorated]:
    """Declare an option of a command in a section of its help."""
    return click.option(*names, cls=Option, section=section, help=help, **attributes)
