import subprocess
import sys
from pathlib import Path

import click
import pytest

from seamless_seg_cli.command import Argument, Command, Option, Section
from seamless_seg_cli.program import COMMANDS, program

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "cli.md").read_text()


def command_of(name):
    parent = click.Context(program, info_name="seamless-seg", **program.context_settings)
    command = program.get_command(parent, name)
    return command, click.Context(command, parent, name)


OPTIONS = [
    pytest.param(option, id=f"{name} {option.opts[0]}")
    for name in COMMANDS
    for option in command_of(name)[0].params
    if isinstance(option, click.Option)
]


def test_the_page_is_current():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_cli.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == PAGE, "make it again: python docs/make_cli.py > docs/cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_parameter_of_every_command(name):
    command, _ = command_of(name)
    assert f"\nseamless-seg {name} " in PAGE
    part = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    for parameter in command.params:
        names = [parameter.metavar] if isinstance(parameter, Argument) else parameter.opts
        listed = [line.split("`")[1] for line in part.splitlines() if line.startswith("- `")]
        assert any(all(name in item for name in names) for item in listed), parameter.name


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_belongs_to_a_group(option):
    assert isinstance(option, Option)
    assert isinstance(option.section, Section)
    assert option.section is not Section.ARGUMENTS


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_is_empty(name):
    command, ctx = command_of(name)
    assert isinstance(command, Command)
    assert all(type(parameter) in (Argument, Option) for parameter in command.params)
    assert command.help
    for section, rows in command.sections(ctx).items():
        assert rows, section
        for names, text in rows:
            assert text.strip(), names
            sentence = text.split("  [")[0]
            assert sentence.endswith((".", "...")), names
            assert sentence[0].isupper(), names


@pytest.mark.parametrize("option", OPTIONS)
def test_what_happens_without_a_value_is_said(option):
    has_value = not option.is_flag and not option.multiple
    if has_value and option.metavar not in ("FILE", "PATH"):
        assert option.show_default is True or "  [default: " in option.help


@pytest.mark.parametrize("name", COMMANDS)
def test_the_one_line_of_a_command_begins_its_help(name):
    command, _ = command_of(name)
    assert COMMANDS[name][1] == command.help.split("\n\n")[0]


def test_groups_come_in_one_order(cli):
    status, out, err = cli("run", "--help")
    assert (status, err) == (0, "")
    heads = [line[:-1] for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    assert heads == [
        "Arguments",
        "Input",
        "Tiling",
        "Normalization",
        "Model",
        "Outputs",
        "Clean-up",
        "File format",
        "Execution",
        "Messages",
    ]
