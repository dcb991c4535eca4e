"""The interface that every model has, and a function behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..windows import Pair
from .metadata import ModelMetadata
from .onnx_session import first_line

BATCH_PIXELS, DEVICE_BATCH_PIXELS = 2**17, 2**21
"""Pixels that keep a processor busy, and those that keep a GPU busy."""

Batch = npt.NDArray[np.float32]

FLOAT = np.dtype(np.float32)


@runtime_checkable
class Model(Protocol):
    """What the job needs of a model; lengths that are None are free."""

    name: str
    batch: int | None
    """Tiles that it takes at once, no more and no fewer."""
    channels: int | None
    """Bands that it takes."""
    tile: tuple[int | None, int | None]
    """Height and width of the tiles that it gives logits for."""
    classes: int | None
    """Classes that it tells apart, where that is known without running it."""
    dtype: np.dtype[Any]
    """What it computes its input from: for integers, values are rounded."""
    metadata: ModelMetadata
    variant: str
    """What tells it from others of the same file: which output it gives, and where it runs."""
    workers: int
    """Threads that may call it at the same time, and should."""
    batch_pixels: int
    """Pixels of a batch from which on more tiles at a time are of no use."""

    @property
    def border(self) -> int:
        """Pixels at each side of an image that it needs and gives no logits for, as far as seen."""
        ...

    @property
    def remainder(self) -> Pair:
        """Heights and widths of logits that it has been seen to give, but for multiples of 128."""
        ...

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Get ready for many tiles of that size; it may change ``workers``."""
        ...

    def normalizes(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Whether batches may come as pixels from here on, to be normalized where it runs."""
        ...

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Map ``(B, C, H, W)`` to logits ``(B, K, H, W)``, or as much less as its border is."""
        ...


@dataclass
class CallableModel:
    """Any function of a batch as a model that takes every shape."""

    function: Callable[[Batch], npt.NDArray[Any]]
    name: str = "the model"
    batch: int | None = None
    channels: int | None = None
    tile: tuple[int | None, int | None] = (None, None)
    classes: int | None = None
    border: int = 0
    remainder: Pair = (0, 0)
    dtype: np.dtype[Any] = FLOAT
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    variant: str = ""
    workers: int = 1
    batch_pixels: int = BATCH_PIXELS

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Nothing to get ready: nobody knows how it works."""

    def normalizes(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """It takes values."""
        return False

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Call the function; what it raises becomes a ``ModelError``.

        The result is copied: a function may use one buffer again and again.
        """
        with naming_failure(self.name, batch):
            return np.array(self.function(batch))


@contextmanager
def naming_failure(name: str, batch: npt.NDArray[Any]) -> Iterator[None]:
    """Turn whatever a model raises into a ``ModelError`` that names model and batch."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        shape = " x ".join(map(str, batch.shape))
        raise ModelError(f"{name} fails on a batch of {shape}: {first_line(error)}") from error
