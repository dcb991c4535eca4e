"""Functions as models: what they return, and which sizes and batches they take, found by trial."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..windows import Pair
from .base import DEFAULT_CHANNELS, Batch, ModelSpec, naming_failure
from .layout import (
    ODD_TRIAL_SIDES,
    SIZE_PERIOD,
    TRIAL_SIDES,
    InferredLayout,
    LogitsLayout,
    Trials,
    infer_layout,
    possible_layouts,
)
from .signature import refused_shape

LOGITS_KEYS = ("out", "logits")
"""Names of the logits in a result of several values: torchvision's, and that of transformers."""

FIXED_SIDES = (224, 256, 512, 1024, 128, 320, 448, 480, 518, 640, 672, 736, 800, 896, 64, 96, 1008)
"""Sides in px that are tried last, for functions that take images of one size only."""

MAX_REFUSED = 3
"""Sizes at which a function returns what is no logits, after which no more are tried."""


@dataclass
class CallableModel:
    """A function of a batch as a model.

    ``resolved`` finds out by trial runs how the function lays out its logits, and whether it takes
    images of one size only, or one at a time.
    """

    function: Callable[[Batch], Any]
    spec: ModelSpec = field(default_factory=ModelSpec)
    workers: int = 1
    trial_size: Pair | None = None
    """Height and width of images that the function may take where it takes few sizes, px."""
    layout: LogitsLayout | None = None
    """How it lays out its logits; None where that is not known."""
    is_resolved: bool = False

    def resolved(self, channels: int | None = None) -> CallableModel:
        """Return the model with what trial runs on images of so many bands find out."""
        if self.is_resolved:
            return self
        resolved = replace(self, is_resolved=True)
        trials = Trials(self._try, 1, channels or DEFAULT_CHANNELS, channels_last=False)
        found = _find_layout(trials, self._trial_sizes())
        if found is not None:
            (layout, _, remainder), tile, batch = found
            resolved.layout = layout
            resolved.spec = replace(
                self.spec, tile=tile, border=layout.border, remainder=remainder, batch=batch
            )
        return resolved

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Do nothing: a function has no threads or buffers that are known of."""

    def take_over_normalization(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Return False: a function takes normalized values."""
        return False

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Call the function; whatever it raises becomes a ``ModelError``."""
        with naming_failure(self.spec.name, batch):
            array = self._array(batch)
            layout = self._layout_of(array.shape, batch.shape)
            output = layout.to_nchw(array)
            are_class_numbers = array.dtype.kind in "iub" and output.shape[1] == 1
            return output.astype(array.dtype) if are_class_numbers else output

    def _try(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        try:
            return self._array(batch)
        except ModelError:  # a result without logits, which no other size cures
            return np.empty(())

    def _array(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the logits as the function lays them out.

        They are copied, since a function may return the same buffer every time.
        """
        logits = logits_of(self.function(batch))
        if hasattr(logits, "detach"):  # a tensor of torch
            logits = logits.detach().cpu()
            logits = (logits.float() if logits.is_floating_point() else logits).numpy()
        return np.array(logits)

    def _layout_of(self, shape: tuple[int, ...], batch: tuple[int, ...]) -> LogitsLayout:
        """Return the layout of an output: the model's, or where that is unknown the likeliest."""
        possible = list(possible_layouts(shape, batch[0], (batch[2], batch[3])))
        if self.layout is not None and self.layout in possible:
            return self.layout
        if self.layout is not None or not possible:
            who = "" if self.spec.name == ModelSpec().name else f"{self.spec.name}: "
            raise ModelError(who + refused_shape(shape, batch, is_function=True))
        return possible[0]

    def _trial_sizes(self) -> Iterator[Pair]:
        yield from ((side, side) for side in (*TRIAL_SIDES, *ODD_TRIAL_SIDES))
        if self.trial_size is not None:
            yield self.trial_size
        yield from ((side, side) for side in FIXED_SIDES)


def logits_of(result: Any) -> Any:
    """Return the logits of a function's result.

    They are the first value of a tuple or list, and ``out`` or ``logits`` of a mapping or of an
    object. Anything else is returned as it is.

    Raises
    ------
    ModelError
        Where a mapping has neither, or a tuple or list is empty.
    """
    if isinstance(result, Mapping):
        for key in LOGITS_KEYS:
            if key in result:
                return logits_of(result[key])
        listed = ", ".join(map(str, result))
        raise ModelError(
            f"the model's result has {listed}, and neither 'out' nor 'logits': wrap the model in a "
            f"function that returns the logits"
        )
    if isinstance(result, list | tuple):
        if not result:
            raise ModelError("the model's result is empty: return logits, [N, K, H, W]")
        return logits_of(result[0])
    if not hasattr(result, "shape"):  # neither an array nor a tensor
        for key in LOGITS_KEYS:
            if hasattr(result, key):
                return logits_of(getattr(result, key))
    return result


class _Found(NamedTuple):
    """What trial runs found out about a function."""

    inferred: InferredLayout
    tile: tuple[int | None, int | None]
    """Height and width of its logits, px, where it takes images of one size only."""
    batch: int | None
    """1 where it takes one image at a time."""


def _find_layout(trials: Trials, sizes: Iterable[Pair]) -> _Found | None:
    """Find the layout of a function's logits; None where it gives none at any of the sizes."""
    waiting, tried, refused = deque(sizes), set(), 0
    while waiting and refused < MAX_REFUSED:
        size = waiting.popleft()
        shape = None if size in tried else trials.output_shape(size)
        tried.add(size)
        if shape is None:
            continue
        layouts = trials.layouts(shape, size)
        if layouts and _takes_other_sizes(trials, size, layouts):
            inferred = infer_layout(trials, [size], is_free=True)
            if inferred is not None:
                batch = None if trials.takes_two(size, inferred.layout) else 1
                return _Found(inferred, (None, None), batch)
        own = _possible_sizes(shape)
        if own and size not in own and trials.output_shape(_other_sizes(size)[0]) == shape:
            waiting.extendleft(reversed(own))  # as it always gives that size, it may take it only
        elif layouts:
            border = layouts[0].border
            tile = size[0] - 2 * border, size[1] - 2 * border
            batch = None if trials.takes_two(size, layouts[0]) else 1
            return _Found(InferredLayout(layouts[0], size), tile, batch)
        else:
            refused += 1
    return None


def _takes_other_sizes(trials: Trials, size: Pair, layouts: Sequence[LogitsLayout]) -> bool:
    return any(
        shape is not None and any(way.fits(shape, trials.batch, other) for way in layouts)
        for other in _other_sizes(size)
        for shape in [trials.output_shape(other)]
    )


def _other_sizes(size: Pair) -> list[Pair]:
    """Return sizes that a function takes, too, unless it takes that size only.

    Three periods of poolings more, and twice as much for whatever must divide the sides.
    """
    height, width = size
    return [(height, width + 3 * SIZE_PERIOD), (height, 2 * width), (2 * height, 2 * width)]


def _possible_sizes(shape: Sequence[int]) -> list[Pair]:
    """Return what may be height and width in the shape of logits."""
    starts = {4: (2, 1), 3: (1,)}.get(len(shape), ())
    return [(shape[start], shape[start + 1]) for start in starts]
