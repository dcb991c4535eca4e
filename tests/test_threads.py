import threading
import time

import pytest

from seamless_seg.threads import ParallelMap, ReadAhead, WriteBehind


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


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_mapping_keeps_the_order_of_the_items(workers):
    def slow_at_first(n):
        time.sleep(0.004 if n % 3 == 0 else 0)
        return n * n

    with ParallelMap(slow_at_first, range(30), workers) as squares:
        assert list(squares) == [n * n for n in range(30)]
        assert list(squares) == []


def test_mapping_is_done_by_all_workers_at_once():
    together = threading.Barrier(3)

    def meet(n):
        together.wait(timeout=5)
        return threading.current_thread().name

    with ParallelMap(meet, range(9), 3) as names:
        assert len(set(names)) == 3


def test_mapping_is_no_more_than_two_items_a_worker_ahead():
    begun = []
    with ParallelMap(lambda n: begun.append(n) or n, range(40), 2) as results:
        for n in results:
            time.sleep(0.002)
            assert len(begun) <= n + 1 + 4


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_while_mapping_comes_when_its_turn_has_come(workers):
    with ParallelMap(lambda n: 6 // (3 - n), range(9), workers) as results:
        assert [next(results), next(results), next(results)] == [2, 3, 6]
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                next(results)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_the_items_of_a_map_comes_after_the_results_before_it(workers):
    items = (1 // (3 - n) for n in range(9))
    with ParallelMap(str, items, workers) as results:
        assert [next(results), next(results), next(results)] == ["0", "0", "1"]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_leaving_early_stops_all_workers():
    begun = []
    with ParallelMap(begun.append, range(10**9), 3) as results:
        next(results)
    assert len(begun) <= 8


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_interruption_while_a_map_is_started_stops_it(monkeypatch, number):
    """As Ctrl-C does it: in the starting thread, after the new one runs."""
    start, started = threading.Thread.start, []

    def interrupted(thread):
        start(thread)
        started.append(thread)
        if len(started) == number + 1:
            time.sleep(0.01)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), ParallelMap(str, range(10**9), 3):
        pass
    assert len(started) == number + 1


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
            timer.start()
            raise KeyboardInterrupt

    timer = threading.Timer(0.05, go_on.set)
    with pytest.raises(KeyboardInterrupt):
        fail_with_a_full_queue()
    timer.join()
    assert written in ([], [0])


@pytest.mark.parametrize("depth", [1, 3])
def test_writing_is_no_more_than_depth_behind(depth):
    written, put = [], 0

    def write(item):
        time.sleep(0.002)
        written.append(item)

    with WriteBehind(write, depth) as behind:
        for n in range(20):
            behind.put(n)
            put += 1
            assert put - len(written) <= depth + 2  # one more in hand, one being counted


def test_a_second_interruption_waits_for_the_thread_and_is_raised(monkeypatch):
    slow = threading.Event()

    def numbers():
        yield 0
        slow.wait(5)

    def interrupt_twice():
        with ReadAhead(numbers()) as ahead:
            next(ahead)
            wait = ahead._ended.wait
            calls = []

            def interrupted():
                calls.append(1)
                if len(calls) == 1:
                    raise KeyboardInterrupt("second")
                slow.set()
                return wait()

            monkeypatch.setattr(ahead._ended, "wait", interrupted)
            raise KeyboardInterrupt("first")

    with pytest.raises(KeyboardInterrupt, match="second"):
        interrupt_twice()


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
    if started:
        worker._thread.join()
