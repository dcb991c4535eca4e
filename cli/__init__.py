"""The command line of seamless_seg: a thin skin over ``seamless_seg.segment``."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext
from types import FrameType


def main() -> None:
    """Run the program; the console script and ``python -m seamless_seg`` both end here."""
    # While modules are being imported there is nothing to tidy up, and much that would be said.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has not all of them
        ending = getattr(signal, name, None)
        if ending is not None and signal.getsignal(ending) != signal.SIG_IGN:
            signal.signal(ending, _leave)
    try:
        import click  # noqa: F401  # only to see whether it is there
    except ModuleNotFoundError:
        sys.exit(
            "seamless-seg: the command line needs click, rasterio and onnxruntime: "
            "pip install 'seamless-seg[cpu]' (or [gpu])"
        )
    from .interruption import end_tidily_on_signals
    from .program import load_command, run_program
    from .stderr import own_stderr

    arguments = sys.argv[1:]
    load_command(arguments)
    end_tidily_on_signals()
    with nullcontext() if "--debug" in arguments else own_stderr():
        status = run_program(arguments)
    sys.exit(status)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(130)
