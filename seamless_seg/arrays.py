"""Arrays: their types, and computations on logits that several packages share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""Array of any dtype."""

Pixels: TypeAlias = npt.NDArray[Any]
"""Pixels of a raster in its own dtype."""

Logits: TypeAlias = npt.NDArray[Any]
"""Logits in any float dtype, classes in the last axis."""

Values: TypeAlias = npt.NDArray[np.float32]
"""Pixels or logits in float32, as models take and give them."""

Floats: TypeAlias = npt.NDArray[np.float64]
"""Numbers in float64, such as trust or coordinates."""

Mask: TypeAlias = npt.NDArray[np.bool_]
"""True where a pixel is valid, wanted, or otherwise selected."""

Integers: TypeAlias = npt.NDArray[np.int64]
"""Counts, indices or offsets."""

Geometries: TypeAlias = npt.NDArray[np.object_]
"""Geometries of shapely, shape ``(n,)``."""


def difference(one: Logits, other: Logits) -> Floats:
    """Return absolute differences; infinity where one value is finite or NaN and the other not."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one.astype(np.float64) - other)
    return np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf, posinf=np.inf))


def classes(logits: Logits) -> npt.NDArray[np.int64]:
    """Return the class of each pixel, for logits of shape ``(..., classes)``.

    It is the one with the largest logit; with a single class, 1 where the logit is above 0, else 0.
    """
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.int64)
    return np.asarray(logits.argmax(axis=-1))
