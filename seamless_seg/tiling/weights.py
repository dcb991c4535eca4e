"""Weights: each tile's share of every pixel, from the trust of all tiles that cover it.

On a grid the weight of tile ``k`` is its trust over the sum of all trusts at that pixel. It
is applied as a running mean, which needs only the share of the newest tile:

    alpha_k = trust_k / (trust_1 + ... + trust_k),    mean += alpha_k * (tile_k - mean)

so a value on which all tiles agree is kept to the last bit, and no division is needed at the end.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .axis import Axis
from .trust import Profile, name_of, profile


class Alpha(NamedTuple):
    """One tile's share in the running mean along one axis, in pixels from the tile's start.

    The mean stays as it was in ``[0, first)``, moves by ``values`` towards the tile in
    ``[first, middle)``, becomes the tile in ``[middle, stop)`` and does not exist from
    ``stop`` on, where this tile has no trust.
    """

    first: int
    middle: int
    stop: int
    values: npt.NDArray[np.float64]

    def alone(self) -> Alpha:
        """Return the share of the same tile where no tile came before it: 1 up to ``stop``."""
        return Alpha(0, 0, self.stop, self.values[:0])


def alpha(axis: Axis, k: int, trust: str | Profile) -> Alpha:
    """Return the share of tile ``k`` in the running mean of the tiles ``0 .. k``.

    Parameters
    ----------
    axis : Axis
        The axis along which the tiles lie.
    k : int
        Number of the tile.
    trust : str or callable
        As for ``plan_run_grid``.

    Raises
    ------
    OptionError
        If a function's trust has another shape than the tile, or is not above 0 outside of the
        margin and 0 within it.
    """
    start = axis.start(k)
    earliest = k
    while earliest > 0 and axis.stop(earliest - 1) > start:
        earliest -= 1
    chain = tuple(
        (start - axis.start(j), axis.overlap_before(j), axis.overlap_after(j))
        for j in range(earliest, k + 1)
    )
    share = _alpha(trust, axis.length, axis.margin, chain)
    # An aligned last tile may stick out of the image, where there is nothing to finish.
    return share._replace(stop=min(share.stop, axis.size - start))


@lru_cache(maxsize=1024)
def _alpha(
    trust: str | Profile, length: int, margin: int, chain: tuple[tuple[int, int, int], ...]
) -> Alpha:
    # Even spacing repeats a handful of chains along the whole axis, hence the cache.
    shape = profile(trust)
    *earlier, (_, before, after) = chain
    own = _checked(trust, length, before, after, margin)
    total = np.zeros(length)
    for shift, left, right in earlier:
        total[: length - shift] += shape(length, left, right, margin)[shift:]
    total += own
    values = np.divide(own, total, out=np.zeros(length), where=own > 0)
    trusted = np.flatnonzero(values)
    first, stop = int(trusted[0]), int(trusted[-1]) + 1
    shared = np.flatnonzero(values[:stop] < 1)
    middle = max(first, int(shared[-1]) + 1 if shared.size else 0)
    return Alpha(first, middle, stop, values[first:middle])


def trusted(axis: Axis, k: int, trust: str | Profile) -> tuple[int, int]:
    """Return the half-open interval of the pixels at which tile ``k`` has trust above 0.

    Parameters
    ----------
    axis : Axis
        The axis along which the tiles lie.
    k : int
        Number of the tile.
    trust : str or callable
        As for ``plan_run_grid``.
    """
    before, after = axis.overlap_before(k), axis.overlap_after(k)
    own = np.flatnonzero(profile(trust)(axis.length, before, after, axis.margin))
    start = axis.start(k)
    return start + int(own[0]), min(start + int(own[-1]) + 1, axis.size)


def _checked(
    trust: str | Profile, length: int, before: int, after: int, margin: int
) -> npt.NDArray[np.float64]:
    """Evaluate trust; a user's own must be above 0 outside of the margin and 0 within it."""
    own = np.asarray(profile(trust)(length, before, after, margin), np.float64)
    if isinstance(trust, str):
        return own
    name = f"trust {name_of(trust)} of a tile of {length} px, {before} and {after} of them shared,"
    if own.shape != (length,):
        raise OptionError(f"{name} has shape {own.shape}, not {(length,)}")
    outside = np.ones(length, np.bool_)
    outside[: margin if before else 0] = False
    outside[length - (margin if after else 0) :] = False
    wrong = np.flatnonzero(~np.isfinite(own) | (own < 0) | ((own > 0) != outside))
    if wrong.size:
        at = int(wrong[0])
        where = "outside of" if outside[at] else "within"
        wanted = "above 0" if outside[at] else "0"
        raise OptionError(
            f"{name} is {own[at]:g} at pixel {at}: {where} the margin of {margin} it must be "
            f"{wanted}"
        )
    return own


def weights(axis: Axis, trust: str | Profile) -> list[npt.NDArray[np.float64]]:
    """Return the final weight of every tile along ``axis``, each of shape ``(length,)``.

    sum over k of weights[k][p - start(k)] = 1 at every pixel p of the axis

    It takes O(size) memory: for inspection, not for blending. Pixels of an aligned last tile
    beyond the image's border have no weight.
    """
    result: list[npt.NDArray[np.float64]] = []
    for k in range(axis.count):
        a = alpha(axis, k, trust)
        own = np.zeros(axis.length)
        own[a.first : a.middle] = a.values
        own[a.middle : a.stop] = 1.0
        for j in reversed(range(k)):
            shift = axis.start(k) - axis.start(j)
            if shift >= axis.length:
                break
            result[j][shift:] *= 1.0 - own[: axis.length - shift]
        result.append(own)
    return result
