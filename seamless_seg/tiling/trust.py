"""Trust: the blending weight of a tile's pixels along one axis, before it is normalized.

A profile is highest at the tile's center and falls towards a side only where a neighbor
overlaps that side, a *cut* side: at the image's border no pixels are missing, so the model's
output there is as good as at the center. Within the margin of a cut side trust is zero. All
profiles have one signature, ``Profile``; the built-in ones are in ``PROFILES``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import scipy_windows

Trust: TypeAlias = npt.NDArray[np.float64]
"""Trust of each pixel of a tile along one axis, shape ``(length,)``, 0 to 1."""

Profile: TypeAlias = Callable[[int, int, int, int], Trust]
"""``(length, before, after, margin) -> trust``, all in pixels.

``length`` is the tile's; ``before`` and ``after`` are the pixels that it shares with the previous
and the next tile, 0 where there is none; ``margin`` are the pixels next to a cut side that get no
trust.
"""


def depth(length: int, before: int, after: int, margin: int) -> Trust:
    """Return the depth of each pixel in its tile: 1 at the center, towards 0 at a cut side.

    depth(d) = (d + 1 - margin) / ((length + 1) / 2 - margin), clipped to [0, 1],

    where ``d`` is the distance in pixels from the nearer cut side. So it is exactly 0 inside
    the margin, positive outside, and 1 everywhere where no side is cut.

    Parameters
    ----------
    length : int
        Pixels of the tile.
    before, after : int
        Pixels shared with the previous and the next tile; 0 where there is none.
    margin : int
        Pixels next to a cut side that get no trust.
    """
    result = np.ones(length)
    if not (before or after):
        return result
    ramp = np.arange(1 - margin, length + 1 - margin) / ((length + 1) / 2 - margin)
    if before:
        result = np.minimum(result, ramp)
    if after:
        result = np.minimum(result, ramp[::-1])
    return np.maximum(result, 0.0)


def linear(length: int, before: int, after: int, margin: int) -> Trust:
    """Return trust in proportion to depth: a pyramid; parameters as for ``depth``."""
    return depth(length, before, after, margin)


def hann(length: int, before: int, after: int, margin: int) -> Trust:
    """Return trust as a Hann window, sin^2(pi / 2 * depth); parameters as for ``depth``."""
    return np.asarray(np.sin(np.pi / 2 * depth(length, before, after, margin)) ** 2)


def bell(length: int, before: int, after: int, margin: int) -> Trust:
    """Return trust as ``gaussian`` less its value at a cut side; parameters as for ``depth``.

    So trust begins at zero however small the overlap is, without a step where the tile begins.
    """
    inside = depth(length, before, after, margin)
    return _gauss(inside) - _gauss(np.zeros(1))


def gaussian(length: int, before: int, after: int, margin: int) -> Trust:
    """Return trust as a Gaussian about the center; parameters as for ``depth``.

    Its sigma is an eighth of the length between the margins.
    """
    inside = depth(length, before, after, margin)
    return np.where(inside > 0, _gauss(inside), 0.0)


def _gauss(inside: Trust) -> Trust:
    """Evaluate a Gaussian of depth; its sigma is a quarter of the way from a side to the center."""
    return np.asarray(np.exp(-0.5 * (4 * (1 - inside)) ** 2))


def flat(length: int, before: int, after: int, margin: int) -> Trust:
    """Return trust 1 outside the margin, for a plain mean; parameters as for ``depth``."""
    return (depth(length, before, after, margin) > 0).astype(np.float64)


def crop(length: int, before: int, after: int, margin: int) -> Trust:
    """Return trust 1 up to the middle of each overlap, else 0: no blending, for comparison.

    Parameters are those of ``depth``. ``margin`` changes nothing here, since half an overlap is at
    least a margin.
    """
    trust = np.zeros(length)
    trust[(before + 1) // 2 : length - after // 2] = 1.0
    return trust


PROFILES: dict[str, Profile] = {
    "linear": linear,
    "hann": hann,
    "bell": bell,
    "gaussian": gaussian,
    "flat": flat,
    "crop": crop,
}
"""Built-in profiles by name; windows of scipy come in addition, see ``profile``."""


def name_of(trust: str | Profile) -> str:
    """Return what a profile is called: the name by which it was chosen, or its function's."""
    return trust if isinstance(trust, str) else getattr(trust, "__name__", type(trust).__name__)


def profile(trust: Any) -> Profile:
    """Return the profile of a name, or a profile that is given as such.

    A name in ``PROFILES`` is that one; others are windows of scipy, see ``scipy_windows.parse``.

    Raises
    ------
    OptionError
        If there is none of that name, or its parameters are wrong.
    """
    if callable(trust):
        return trust  # type: ignore[no-any-return]  # its result is checked where it is used
    if not isinstance(trust, str):
        raise OptionError(f"trust must be a name or a function, not {trust!r}")
    if trust in PROFILES:
        return PROFILES[trust]
    name, _, parameters = trust.partition(":")
    if name in scipy_windows.PARAMETERS:
        return scipy_windows.parse(trust)
    if name in PROFILES:
        raise OptionError(f"trust {trust!r}: {name} takes no parameters, not {parameters!r}")
    windows = ", ".join(map(scipy_windows.usage, scipy_windows.PARAMETERS))
    raise OptionError(
        f"trust {trust!r} is unknown: choose one of {', '.join(PROFILES)}, or a window of "
        f"scipy.signal.windows: {windows}"
    )


def is_name(trust: Any) -> bool:
    """Whether ``trust`` names a profile of this package or a window of scipy."""
    try:
        return isinstance(trust, str) and profile(trust) is not None
    except OptionError:
        return False
