"""Threads that read, compute or write while the caller goes on, with bounded queues."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Generic, Self, TypeVar

T = TypeVar("T")
"""Type of items."""

R = TypeVar("R")
"""Type of results."""

INTERRUPT_SECONDS = 0.05
"""Seconds between two attempts to end what threads are doing."""


class _Worker(ABC):
    """A thread that works inside a ``with`` block and has ended after it.

    It is not a daemon: the interpreter may end a daemon inside native code, which crashes the
    process. Nor may it go on after the block, whose end closes the files that it reads. So
    it is stopped on every exit, also if Ctrl-C comes while it is being started.
    """

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._begin, name=name)
        self._begun = False
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:
            self._stop()
            if self._begun:  # otherwise it stops before it has used anything
                self._wait()
            raise
        return self

    def _begin(self) -> None:
        self._begun = True
        try:
            self._work()
        finally:
            self._ended.set()

    def has_ended(self, seconds: float) -> bool:
        """Return whether the thread has ended, after waiting for that at most so long."""
        return self._ended.wait(seconds)

    def _wait(self) -> None:
        """Wait until the thread has ended; Ctrl-C meanwhile is raised afterwards."""
        interruption: KeyboardInterrupt | None = None
        while not self._ended.is_set():
            try:
                self._ended.wait()
            except KeyboardInterrupt as error:
                interruption = error
        self._thread.join()
        if interruption is not None:
            raise interruption

    @abstractmethod
    def _work(self) -> None:
        """Do the thread's work, until ``_stop`` has been called."""

    @abstractmethod
    def _stop(self) -> None:
        """Make the thread stop, without waiting for it."""


class ReadAhead(_Worker, Generic[T]):
    """Iterate over ``items`` in a separate thread, at most ``depth`` items ahead.

    An error in the thread is raised by ``next``. Leaving the ``with`` block stops the thread
    after the item that it is making, and waits for it.

    Parameters
    ----------
    items : iterable
        Used by the thread alone.
    depth : int
        Items made or being made ahead of ``next``, at most.
    """

    def __init__(self, items: Iterable[T], depth: int = 1) -> None:
        super().__init__("seamless-read")
        self._items = items
        self._ready: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        self._room = threading.Semaphore(depth)
        self._stopped = False

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stop()
        self._wait()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item, error = self._ready.get()
        if error is not None:
            self._ready.put((None, error))  # every further call raises it, too
            raise error
        self._room.release()
        return item  # type: ignore[return-value]  # without an error it is an item

    def _work(self) -> None:
        items = iter(self._items)
        try:
            while self._room.acquire() and not self._stopped:
                self._ready.put((next(items), None))
        except BaseException as error:  # StopIteration too: it ends the caller's loop
            self._ready.put((None, error))

    def _stop(self) -> None:
        self._stopped = True
        self._room.release()


class ParallelMap(Generic[T, R]):
    """Call ``function`` on items in several threads and yield results in the order of the items.

    An error in ``function`` or in the iteration over ``items`` is raised by ``next`` at its place.
    Leaving the ``with`` block stops the threads after the items that they are working on.

    Parameters
    ----------
    function : callable
        Called with one item at a time, in any thread.
    items : iterable
        Used by one thread at a time.
    workers : int
        Number of threads.
    interrupt : callable, optional
        Called after Ctrl-C, to end what ``function`` is doing.
    """

    def __init__(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        workers: int,
        interrupt: Callable[[], object] | None = None,
    ) -> None:
        self._interrupt = interrupt
        self._function = function
        self._items = iter(items)
        self._next_item = threading.Lock()
        self._taken = 0
        self._results: queue.SimpleQueue[tuple[int, R | None, BaseException | None]]
        self._results = queue.SimpleQueue()
        self._waiting: dict[int, tuple[R | None, BaseException | None]] = {}
        self._returned = 0
        # Each thread may be one result ahead of ``next``.
        self._room = threading.Semaphore(2 * workers)
        self._stopped = False
        self._workers = [_Mapper(self._work, self._stop, n) for n in range(workers)]
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        try:
            for worker in self._workers:
                self._entered.enter_context(worker)
        except BaseException:
            self._entered.close()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if isinstance(error, KeyboardInterrupt) and self._interrupt is not None:
                self._stop()
                # Again and again, as a thread may just begin with an item.
                while not all(worker.has_ended(INTERRUPT_SECONDS) for worker in self._workers):
                    self._interrupt()
        finally:
            self._entered.close()

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        while self._returned not in self._waiting:
            number, result, error = self._results.get()
            self._waiting[number] = result, error
        result, error = self._waiting[self._returned]
        if error is not None:
            raise error  # it stays in _waiting: every further call raises it, too
        del self._waiting[self._returned]
        self._returned += 1
        self._room.release()
        return result  # type: ignore[return-value]  # without an error it is a result

    def _work(self) -> None:
        while self._room.acquire() and not self._stopped:
            with self._next_item:
                number = self._taken
                self._taken += 1
                try:
                    item = next(self._items)
                except BaseException as error:  # StopIteration too: it ends the caller's loop
                    self._results.put((number, None, error))
                    return
            try:
                self._results.put((number, self._function(item), None))
            except BaseException as error:
                self._results.put((number, None, error))
                return

    def _stop(self) -> None:
        self._stopped = True
        for _ in self._workers:
            self._room.release()


class _Mapper(_Worker):
    """One of the threads of a ``ParallelMap``; stopping one stops all."""

    def __init__(
        self, work: Callable[[], object], stop_all: Callable[[], object], number: int
    ) -> None:
        super().__init__(f"seamless-model-{number}")
        self._work_of_map = work
        self._stop_all = stop_all

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stop()
        self._wait()

    def _work(self) -> None:
        self._work_of_map()

    def _stop(self) -> None:
        self._stop_all()


class WriteBehind(_Worker, Generic[T]):
    """Pass items to ``write`` in a separate thread, at most ``depth`` items behind.

    An error in ``write`` is raised by the next ``put``, or on leaving the ``with`` block; items
    that have not been written by then are dropped, as they are when an error leaves the block.

    Parameters
    ----------
    write : callable
        Called with one item at a time, in order.
    depth : int
        Items that wait to be written, at most; ``put`` waits while there are as many.
    """

    _END = object()
    """Marks the end of the queue."""

    def __init__(self, write: Callable[[T], object], depth: int = 1) -> None:
        super().__init__("seamless-write")
        self._write = write
        self._waiting: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._room = threading.Semaphore(depth)
        self._error: BaseException | None = None
        self._dropping = False

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._dropping = self._dropping or error is not None
        self._stop()
        self._wait()
        if error is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Queue an item, or raise the error of an earlier one."""
        if self._error is not None:
            raise self._error
        self._room.acquire()
        self._waiting.put(item)

    def _work(self) -> None:
        # After an error the queue is still emptied; otherwise ``put`` would wait forever.
        while (item := self._waiting.get()) is not self._END:
            self._room.release()
            if self._dropping:
                continue
            try:
                self._write(item)  # type: ignore[arg-type]  # all but _END are items
            except BaseException as error:
                self._error, self._dropping = error, True

    def _stop(self) -> None:
        self._waiting.put(self._END)
