"""Two ways to let a thread work beside the caller's, both bounded, neither able to hang."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Iterates over ``items`` in a thread of its own, at most ``depth`` items ahead.

    What the thread raises is raised by ``next``. Leaving the ``with`` block stops the thread
    after the item that it is making and waits for it.

    Parameters
    ----------
    items : iterable
        Used by the thread alone.
    depth : int
        Items made or being made, but not yet asked for, at most.
    """

    def __init__(self, items: Iterable[T], depth: int = 1) -> None:
        self._items = items
        self._ready: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        self._room = threading.Semaphore(depth)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="seamless-read", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item, error = self._ready.get()
        if error is not None:
            self._ready.put((None, error))  # it stays the answer, however often one asks
            raise error
        self._room.release()
        return item  # type: ignore[return-value]  # there is an item where there is no error

    def _work(self) -> None:
        items = iter(self._items)
        try:
            while self._room.acquire() and not self._stopped:
                self._ready.put((next(items), None))
        except BaseException as error:  # StopIteration too: it ends the caller's loop
            self._ready.put((None, error))


class WriteBehind(Generic[T]):
    """Hands items to ``write`` in a thread of its own, at most ``depth`` items behind.

    What ``write`` raises is raised by the next ``put``, or on leaving the ``with`` block; what
    has not been written by then is dropped. A block left by an error drops what is waiting.

    Parameters
    ----------
    write : callable
        Called with one item at a time, in order.
    depth : int
        Items waiting at most; ``put`` waits where there are more.
    """

    _END = object()

    def __init__(self, write: Callable[[T], object], depth: int = 1) -> None:
        self._write = write
        self._waiting: queue.Queue[object] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._dropping = False
        self._thread = threading.Thread(target=self._work, name="seamless-write", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dropping = self._dropping or error is not None
        self._waiting.put(self._END)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Queue an item; raises what an earlier one failed with."""
        if self._error is not None:
            raise self._error
        self._waiting.put(item)

    def _work(self) -> None:
        # After a failure it goes on emptying the queue, so that no put ever waits for nothing.
        while (item := self._waiting.get()) is not self._END:
            if self._dropping:
                continue
            try:
                self._write(item)  # type: ignore[arg-type]  # END is the only other thing put
            except BaseException as error:
                self._error, self._dropping = error, True
