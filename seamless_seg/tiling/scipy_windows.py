"""Windows of ``scipy.signal.windows`` as trust profiles: ``tukey:0.5``, ``kaiser:8``, ``cosine``.

scipy is imported when a window is first evaluated: a run with another profile does not load it.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..arrays import Floats
from ..errors import OptionError

PARAMETERS: dict[str, tuple[str, ...]] = {
    "barthann": (),
    "bartlett": (),
    "blackman": (),
    "blackmanharris": (),
    "bohman": (),
    "boxcar": (),
    "chebwin": ("at",),
    "cosine": (),
    "dpss": ("NW",),
    "exponential": ("tau",),
    "flattop": (),
    "gaussian": ("std",),
    "general_cosine": ("a",),
    "general_gaussian": ("p", "sig"),
    "general_hamming": ("alpha",),
    "hamming": (),
    "hann": (),
    "kaiser": ("beta",),
    "kaiser_bessel_derived": ("beta",),
    "lanczos": (),
    "nuttall": (),
    "parzen": (),
    "taylor": ("nbar", "sll"),
    "triang": (),
    "tukey": ("alpha",),
}
"""Windows by scipy's name, each with scipy's names of its numeric parameters."""

WITH_DEFAULTS = ("exponential", "taylor", "tukey")
"""Windows whose parameters scipy has defaults for."""

ANY_COUNT = "general_cosine"
"""The window whose one parameter is a list of numbers."""

WHOLE = "nbar"
"""The parameter that must be a whole number."""

WEIGHT_ROUNDING = 1e-9
"""Relative excess of a value over that at the center which still counts as rounding."""


@dataclass(frozen=True)
class ScipyWindow:
    """A symmetric window of ``scipy.signal.windows``, read as a function of depth.

    Called with ``(length, before, after, margin)`` as every profile, it returns for a pixel ``d``
    pixels from the nearest cut side

        trust(d) = w[d - margin + 1] / max(w)   from the margin to the center of the tile,

    where ``w`` are the ``length - 2 * margin + 2`` samples of the symmetric window; 0 within the
    margin, and 1 from the center on towards the image's border. The first and the last sample,
    which are 0 in many windows, so fall just outside of the trusted pixels: ``bartlett`` is
    ``linear``.

    Parameters of scipy that are lengths (``std``, ``sig``, ``tau``) are in pixels.
    """

    name: str
    parameters: tuple[float, ...] = ()

    def __str__(self) -> str:
        """``kaiser:8``."""
        numbers = ",".join(f"{number:g}" for number in self.parameters)
        return f"{self.name}:{numbers}" if numbers else self.name

    def __call__(self, length: int, before: int, after: int, margin: int) -> Floats:
        """Return the trust, shape ``(length,)``.

        Raises
        ------
        OptionError
            If the window is not above 0 and largest at the center for tiles of this length.
        """
        trust = np.ones(length)
        if not (before or after):
            return trust
        rise = _rise(self, length - 2 * margin)
        side = np.ones(length)
        side[:margin] = 0.0
        side[margin : margin + len(rise)] = rise
        if before:
            trust = np.minimum(trust, side)
        if after:
            trust = np.minimum(trust, side[::-1])
        return trust


@lru_cache(maxsize=64)
def _rise(window: ScipyWindow, length: int) -> Floats:
    """Return a window of ``length`` pixels from its first to its center, where it is 1."""
    rise = _samples(window, length + 2)[1 : 1 + (length + 1) // 2]
    wrong = np.flatnonzero(~((rise > 0) & np.isfinite(rise)))
    if wrong.size:
        raise OptionError(
            f"trust {window} is {rise[wrong[0]]:.3g} at pixel {wrong[0]} of {length} px between "
            f"margins, and must be finite and above 0: choose a wider window, or one "
            f"without negative values"
        )
    if rise.max() > rise[-1] * (1 + WEIGHT_ROUNDING):
        raise OptionError(
            f"trust {window} is not largest at the center of a tile: choose a window that falls "
            f"towards its ends"
        )
    rise = np.asarray(np.minimum(rise / rise[-1], 1.0))
    rise.flags.writeable = False  # shared by all callers, through the cache
    return rise


def _samples(window: ScipyWindow, count: int) -> Floats:
    """Evaluate a window with scipy at ``count`` points."""
    from scipy.signal import windows

    arguments: dict[str, Any]
    if window.name == ANY_COUNT:
        arguments = {PARAMETERS[ANY_COUNT][0]: list(window.parameters)}
    else:
        # Parameters that are left out get scipy's defaults.
        arguments = dict(zip(PARAMETERS[window.name], window.parameters, strict=False))
    if WHOLE in arguments:
        arguments[WHOLE] = int(arguments[WHOLE])
    try:
        # scipy warns of windows unfit for spectral analysis, which says nothing about blending.
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            samples = getattr(windows, window.name)(count, sym=True, **arguments)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise OptionError(
            f"trust {window} cannot be evaluated at {count} points: {error}"
        ) from error
    return np.asarray(samples, np.float64)


def usage(name: str) -> str:
    """Show how a window is written: ``kaiser:beta``, ``tukey[:alpha]``, ``cosine``."""
    names = ",".join(PARAMETERS[name])
    if name == ANY_COUNT:
        names = "a0,a1,..."
    if not names:
        return name
    return f"{name}[:{names}]" if name in WITH_DEFAULTS else f"{name}:{names}"


def parse(text: str) -> ScipyWindow:
    """Read a name in ``PARAMETERS`` and its parameters, such as ``general_gaussian:1.5,20``.

    Raises
    ------
    OptionError
        If parameters are missing, too many or no finite numbers.
    """
    name, colon, listed = text.partition(":")
    how = f"write it as {usage(name)}"
    numbers = [_number(part) for part in listed.split(",")] if colon else []
    for number, part in zip(numbers, listed.split(","), strict=False):
        if not math.isfinite(number):
            raise OptionError(f"trust {text!r}: {part!r} is not a finite number: {how}")
    names = PARAMETERS[name]
    most = math.inf if name == ANY_COUNT else len(names)
    fewest = 0 if name in WITH_DEFAULTS else len(names)
    if not fewest <= len(numbers) <= most:
        given = f"{len(numbers)} parameter{'' if len(numbers) == 1 else 's'}"
        raise OptionError(f"trust {text!r} has {given}: {how}")
    whole = dict(zip(names, numbers, strict=False)).get(WHOLE, 0.0)
    if not whole.is_integer():
        raise OptionError(f"trust {text!r}: {WHOLE} must be a whole number, not {whole:g}: {how}")
    return ScipyWindow(name, tuple(numbers))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
