"""Cases run one after another in a forked child, which may hang or crash: then comes the next."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

SECONDS = 20
"""Time for a case."""

BYTES = 6 * 2**30
"""Address space of a child."""

BATCH = 100
"""Cases of a child: what one of them leaves in memory must not end the others."""

MAX_LENGTH = 400
"""Characters of a fault."""

REFUSED, DONE = "refused", "done"
"""Good ends of a case: with a clear error, or with a result that is right."""


class FaultError(Exception):
    """What a case must not do."""


class Verdict(NamedTuple):
    """How a case ended."""

    number: int
    end: str
    """``REFUSED``, ``DONE``, or the fault."""
    trace: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether it is a fault."""
        return self.end not in (REFUSED, DONE)


def run_cases(numbers: Sequence[int], case: Callable[[int], str]) -> Iterator[Verdict]:
    """Run a case for each number in forked children; yield how each ended, in order.

    Parameters
    ----------
    numbers : sequence of int
        Numbers of the cases.
    case : callable
        Runs a case; returns ``REFUSED`` or ``DONE``. Whatever it raises is a fault.
    """
    left = list(numbers)
    while left:
        for verdict in _child(left[:BATCH], case):
            left.remove(verdict.number)
            yield verdict


def _child(numbers: Sequence[int], case: Callable[[int], str]) -> Iterator[Verdict]:
    """Run cases in a child until one hangs or crashes."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _serve(numbers, case, writing)
    os.close(writing)
    lines = _Lines(reading)
    try:
        for number in numbers:
            line = lines.next()
            if line is None:
                os.kill(child, signal.SIGKILL)
                yield Verdict(number, f"it hangs: more than {SECONDS} s")
                return
            if not line:
                status, child = os.waitpid(child, 0)[1], 0
                yield Verdict(number, _crash(status))
                return
            yield Verdict(*json.loads(line))
    finally:
        os.close(reading)
        if child:
            os.waitpid(child, 0)


def _crash(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"it crashes: {signal.Signals(os.WTERMSIG(status)).name}"
    return f"it ends the process with status {os.waitstatus_to_exitcode(status)}"


class _Lines:
    """Lines that a child writes."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._ahead = b""

    def next(self) -> bytes | None:
        """Return a line; None if it takes too long, nothing if the child has ended."""
        while b"\n" not in self._ahead:
            if not select.select([self._pipe], [], [], SECONDS)[0]:
                return None
            part = os.read(self._pipe, 2**16)
            if not part:
                return b""
            self._ahead += part
        line, _, self._ahead = self._ahead.partition(b"\n")
        return line


def _serve(numbers: Sequence[int], case: Callable[[int], str], writing: int) -> None:
    """Run cases in a child and report each, then end the child."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in numbers:
        trace = ""
        try:
            end = case(number)
        except FaultError as fault:
            end = str(fault)
        except BaseException as error:
            end = f"{type(error).__name__}: {error}"
            trace = traceback.format_exc()
        message = json.dumps([number, " ".join(end.split())[:MAX_LENGTH], trace])
        os.write(writing, message.encode() + b"\n")
    os._exit(0)
