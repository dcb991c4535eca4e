"""Makes the reference of the command line from the program.

    python docs/make_cli.py > docs/cli.md

The page has each command with its usage, its arguments and its options, in the groups and with
the words of ``--help``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from seamless_seg_cli.command import Command
from seamless_seg_cli.program import COMMANDS, program

WIDTH = 100

HEAD = """\
# Command line

The same as `seamless-seg COMMAND --help` shows, made from the program by
`python docs/make_cli.py > docs/cli.md`.

- Results go to stdout, messages to stderr.
- The exit status is 0, 1 for a job that failed, 2 for wrong usage, and 130 when interrupted.
- Existing files are replaced only with `--overwrite`.
"""

EXAMPLES = {
    "run": "run input.tif model.onnx classes.tif --kind classes --sieve 50 --cog",
    "plan": "plan input.tif model.onnx --kind classes",
    "check": "check input.tif model.onnx --tile 256 --compare",
    "probe": "probe model.onnx",
    "info": "info model.onnx",
    "polygonize": "polygonize sample_data/labels.tif classes.gpkg --min-area 20",
    "stats": "stats sample_data/labels.tif",
}


def reference() -> Iterator[str]:
    """Yield the page, line by line."""
    yield HEAD
    for name, (_, line) in COMMANDS.items():
        yield f"- [`{name}`](#{name}): {line}"
    parent = click.Context(program, info_name="seamless-seg", **program.context_settings)
    for name in COMMANDS:
        command = program.get_command(parent, name)
        if not isinstance(command, Command):
            raise TypeError(f"the help of {name} has no sections")
        yield from describe(command, click.Context(command, parent, name))


def describe(command: Command, ctx: click.Context) -> Iterator[str]:
    """Yield the lines about one command."""
    yield f"\n## {ctx.info_name}\n"
    for paragraph in (command.help or "").split("\n\n"):
        yield textwrap.fill(" ".join(paragraph.split()), WIDTH) + "\n"
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    yield f"```text\n{usage}\n```\n\nFor example:\n"
    yield f"```sh\nseamless-seg {EXAMPLES[ctx.info_name or '']}\n```"
    for section, rows in command.sections(ctx).items():
        yield f"\n### {section}\n"
        for names, text in rows:
            item = f"- `{names}`: {' '.join(text.split())}"
            yield textwrap.fill(item, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    print("\n".join(reference()))
