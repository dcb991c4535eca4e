import io

import pytest

from seamless_seg import Progress
from seamless_seg_cli import progress as module
from seamless_seg_cli.progress import ProgressBar, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to go on."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def show(stream, clock, seconds_a_tile, tiles=40):
    with ProgressBar(stream) as bar:
        for done in range(1, tiles + 1):
            clock[0] += seconds_a_tile
            bar(Progress(done, tiles, done * 250_000))
    return stream.getvalue()


def test_on_a_terminal_a_bar_is_drawn_over_itself_up_to_the_end(clock):
    states = show(Terminal(), clock, 0.1).split("\r")
    assert states[1].startswith("[#...")
    assert "2/40 tiles, 2.50 Mpx/s, 0:04 left" in states[1]
    assert states[-1].startswith(f"[{'#' * 28}] 40/40 tiles, 2.50 Mpx/s, 0:00 left")
    assert states[-1].endswith("\n")
    assert len(states) <= 22, "no more often than five times a second"


def test_in_a_log_there_is_a_line_every_so_often(clock):
    lines = show(io.StringIO(), clock, 1.0).splitlines()
    assert lines == [
        "10/40 tiles, 0.25 Mpx/s, 0:30 left",
        "20/40 tiles, 0.25 Mpx/s, 0:20 left",
        "30/40 tiles, 0.25 Mpx/s, 0:10 left",
        "40/40 tiles, 0.25 Mpx/s, 0:00 left",
    ]


def test_a_short_run_leaves_no_line_in_a_log(clock):
    assert show(io.StringIO(), clock, 0.01) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (67, "1:07"), (3600, "1:00:00"), (45_296, "12:34:56")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_another_part_of_the_work_is_timed_from_the_end_of_the_part_before(clock):
    stream = Terminal()
    with ProgressBar(stream) as bar:
        for unit in ("tiles (statistics 1 of 1)", "tiles"):
            for done in (1, 2, 3, 4):
                clock[0] += 1.0
                bar(Progress(done, 4, done * 1_000_000, unit))
    states = stream.getvalue().split("\r")[1:]
    assert len(states) == 8
    assert all("1.00 Mpx/s" in state for state in states)
