"""Arrays: their types, and what is computed of logits in more than one place."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Logits: TypeAlias = npt.NDArray[Any]

Pixels: TypeAlias = npt.NDArray[Any]

Values: TypeAlias = npt.NDArray[np.float32]

Mask: TypeAlias = npt.NDArray[np.bool_]

Floats: TypeAlias = npt.NDArray[np.float64]

Integers: TypeAlias = npt.NDArray[np.int64]

Geometries: TypeAlias = npt.NDArray[np.object_]
"""Of shapely, shape ``(n,)``."""

Array: TypeAlias = npt.NDArray[Any]


def difference(one: Logits, other: Logits) -> npt.NDArray[np.float64]:
    """How far values are apart: infinitely where one of them is finite or NaN and the other not."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one.astype(np.float64) - other)
    return np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf, posinf=np.inf))


def classes(logits: Logits) -> npt.NDArray[np.int64]:
    """The class of each pixel, for logits of shape ``(..., classes)``.

    The one with the largest logit; of a single class, whether the logit is above 0.
    """
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.int64)
    return np.asarray(logits.argmax(axis=-1))
