"""The program: its commands, and how it reports errors."""

from __future__ import annotations

import importlib
import logging
import traceback
from contextlib import suppress

import click

from seamless_seg import GeometryError, OptionError, SeamlessError, __version__
from seamless_seg.system import memory_exhausted

from .interruption import is_interrupted, report_interruption
from .keywords import in_options
from .messages import say

WRONG_USAGE, FAILED = 2, 1

COMMANDS = {
    "run": ("run", "Segment a raster with an ONNX model, without tile seams."),
    "plan": ("plan", "Show the tiles and the memory of a run beforehand."),
    "check": ("check_command", "Compare tiled with untiled results and report visible seams."),
    "probe": ("probe", "Measure the receptive field and the stride of a model."),
    "info": ("info", "Show a model's inputs, outputs, metadata and settings."),
    "polygonize": ("polygonize_command", "Convert a class raster to polygons."),
    "stats": ("stats", "Report pixels, area and share of each class."),
}
"""Per command, which is also the name of its module: its function there and its one-line help.

The help stands here once more, so that ``--help`` imports none of the modules.
"""


class Commands(click.Group):
    """Loads the module of a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        if cmd_name not in COMMANDS:
            if "." in cmd_name:  # a file
                ctx.fail(f"{cmd_name!r} is no command: begin with one, such as run {cmd_name}")
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        command: click.Command = getattr(module, COMMANDS[cmd_name][0])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and the one-line help of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="seamless-seg COMMAND --help shows the options of a command.",
)
@click.version_option(__version__, "-V", "--version", prog_name="seamless-seg")
def program() -> None:
    """Run a segmentation model over a raster larger than memory, without tile seams."""


def run_program(arguments: list[str]) -> int:
    """Run the program and return its exit status: 0, 1 for a failed job, 2 for wrong usage."""
    debug = "--debug" in arguments
    if not debug:
        # rasterio logs what it also raises; the program reports each error once.
        logging.getLogger("rasterio").setLevel(logging.CRITICAL + 1)
    try:
        program.main(
            arguments or ["--help"],
            prog_name="seamless-seg",
            standalone_mode=False,
            obj=arguments,
        )
    except (KeyboardInterrupt, click.exceptions.Abort):
        if debug:
            traceback.print_exc()
        return report_interruption()
    except click.ClickException as error:
        return _complain(f"{error.format_message()}{_hint(error)}", WRONG_USAGE, debug)
    except SeamlessError as error:
        is_usage = isinstance(error, OptionError | GeometryError)
        message = in_options(str(error), _command_of(arguments))
        status = _complain(message, WRONG_USAGE if is_usage else FAILED, debug)
        for line in (getattr(error, "example", None) or "").splitlines():
            say(f"    {line}")
        return status
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: pip install 'seamless-seg[cpu]' (or [gpu])"
        return _complain(message, FAILED, debug)
    except MemoryError:
        message = in_options(memory_exhausted(), _command_of(arguments))
        return _complain(message, FAILED, debug)
    except OSError as error:
        return _complain(f"{type(error).__name__}: {error}", FAILED, debug)
    except Exception as error:
        if is_interrupted():  # a module that was being imported
            return report_interruption()
        message = f"internal error, {type(error).__name__}: {error}"
        return _complain(f"{message}; --debug prints the traceback", FAILED, debug)
    return 0


def load_command(arguments: list[str]) -> None:
    """Import what the command needs first, while an interruption may still end the process at once.

    Numpy and others print a traceback when they are interrupted.
    """
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    with suppress(ModuleNotFoundError):  # it is reported when the command runs
        if name in COMMANDS:
            importlib.import_module(f".{name}", __package__)


def _command_of(arguments: list[str]) -> click.Command | None:
    name = next((argument for argument in arguments if argument in COMMANDS), None)
    return None if name is None else program.get_command(click.Context(program), name)


def _hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" (see {context.command_path} --help)" if context else ""


def _complain(message: str, status: int, debug: bool) -> int:
    if debug:
        for line in traceback.format_exc().splitlines():
            say(line)
    one_line = " ".join(message.split())
    say(f"seamless-seg: error: {one_line}")
    return status
