import threading
import time

import pytest

from seamless_seg.threads import ReadAhead, WriteBehind


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_reading_ahead_keeps_order_and_ends():
    with ReadAhead(range(5), depth=2) as ahead:
        assert list(ahead) == [0, 1, 2, 3, 4]
        assert list(ahead) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_reading_is_no_more_than_depth_ahead(depth):
    made = []
    with ReadAhead((made.append(n) or n for n in range(20)), depth) as ahead:
        for n in ahead:
            time.sleep(0.002)
            assert len(made) <= n + 1 + depth


def test_an_error_while_reading_comes_when_its_turn_has_come():
    with ReadAhead(1 // (3 - n) for n in range(9)) as ahead:
        assert [next(ahead), next(ahead), next(ahead)] == [0, 0, 1]
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                next(ahead)


def test_leaving_early_stops_the_reader():
    made = []
    with ReadAhead(made.append(n) for n in range(10**9)) as ahead:
        next(ahead)
    assert len(made) <= 3


def test_writing_behind_keeps_order_and_finishes():
    written = []
    with WriteBehind(written.append, depth=2) as behind:
        for n in range(20):
            behind.put(n)
    assert written == list(range(20))


def test_an_error_while_writing_is_raised_by_the_next_put_or_the_end():
    def write(item):
        raise OSError(f"no room for {item}")

    def put_many():
        with WriteBehind(write) as behind:
            for n in range(100):
                behind.put(n)

    with pytest.raises(OSError, match="no room for 0"):
        put_many()
    with pytest.raises(OSError, match="no room for 7"), WriteBehind(write) as behind:
        behind.put(7)


def test_an_error_in_the_block_drops_what_waits():
    written, go_on = [], threading.Event()

    def write(item):
        go_on.wait()
        written.append(item)

    def fail_with_a_full_queue():
        with WriteBehind(write, depth=5) as behind:
            for n in range(4):
                behind.put(n)
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_with_a_full_queue()
    assert written in ([], [0])


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("make", [lambda: ReadAhead(iter(int, 1)), lambda: WriteBehind(print)])
def test_an_interruption_of_the_start_leaves_no_thread(monkeypatch, make, started):
    start = threading.Thread.start

    def interrupted(thread):
        if started:
            start(thread)
        raise KeyboardInterrupt

    worker = make()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            worker.__enter__()
    time.sleep(0.05)
