"""Images on which a model is measured, and which of them show what its output depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .agreement import has_steps, variation

Image: TypeAlias = npt.NDArray[np.float32]
"""An image, ``(channels, height, width)``."""

Source: TypeAlias = "Callable[[np.random.Generator, tuple[int, int, int]], Image]"
"""Makes an image of shape ``(channels, height, width)``, normalized as the model expects it."""

SMOOTHING = 3
"""Standard deviation of the smoothing of smooth images, px."""

MAX_NAN = 0.01
"""Share of NaN in an output from which on it shows no receptive field."""

TELLING = 0.01
"""Share of pixels that differ from the pixel beside them, for which no other image is tried."""

LEAST_TELLING = 1e-3
"""The same, below which an output shows no receptive field."""


def noise(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return white noise on the scale of normalized pixels."""
    return random.standard_normal(shape, np.float32)


def unit(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return white noise above 0 and up to 1, as pixels that are divided by 255."""
    return np.float32(1) - random.random(shape, np.float32)


def eight_bit(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return white noise from 1 to 255."""
    return random.integers(1, 256, shape).astype(np.float32)


def twelve_bit(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return white noise from 1 to 4095."""
    return random.integers(1, 4096, shape).astype(np.float32)


def smooth(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return noise on the scale of normalized pixels, of which near ones are much alike."""
    from scipy.ndimage import gaussian_filter  # which few models need

    # Smoothing divides the standard deviation by 2 sqrt(pi) times that of its Gaussian.
    scale = np.float32(2 * np.sqrt(np.pi) * SMOOTHING)
    smoothed: Image = gaussian_filter(noise(random, shape), (0, SMOOTHING, SMOOTHING)) * scale
    return smoothed + np.float32(0.1) * noise(random, shape)


def smooth_unit(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
    """Return the same, from 0 to 1."""
    within: Image = np.clip(smooth(random, shape) * np.float32(0.25) + np.float32(0.5), 1e-3, 1)
    return within


OTHERS = (unit, eight_bit, twelve_bit, smooth, smooth_unit)
"""Images in the place of white noise, for models whose output shows nothing on that."""


def telling_source(
    source: Source,
    output_of: Callable[[Source], npt.NDArray[Any]],
    name: str,
    gives_classes: bool,
) -> Source:
    """Return the images to measure a model with: others than white noise if that shows nothing.

    The logarithm of noise is mostly NaN, and NaN stays NaN when pixels change. A class that is
    the same nearly everywhere stays the same, too.

    Parameters
    ----------
    source : callable
        The images that are asked for. Only for ``noise``, others are tried.
    output_of : callable
        Returns the model's output for an image of a source, ``(classes, height, width)``.
    name : str
        The model's name, for messages.
    gives_classes : bool
        Whether the output is known to be class numbers.

    Raises
    ------
    ModelError
        If no images show what the output depends on.
    """
    others = OTHERS if source is noise else ()
    output = output_of(source)
    if _is_finite(output) and variation(output) >= TELLING:
        return source
    outputs = [(source, output), *((other, output_of(other)) for other in others)]
    finite = [each for each in outputs if _is_finite(each[1])]
    finite = finite or [each for each in outputs if np.isnan(each[1]).mean() <= MAX_NAN]
    if not finite:
        raise ModelError(
            f"{name} gives NaN for the images that it is measured with: give margin= and align= "
            f"if you know its receptive-field radius and stride"
        )
    return _most_varied(finite, name, gives_classes)


def _most_varied(
    outputs: list[tuple[Source, npt.NDArray[Any]]], name: str, gives_classes: bool
) -> Source:
    """Return the first source whose output varies enough, or else the one that varies most."""
    shares = [variation(output) for _, output in outputs]
    enough = [n for n, share in enumerate(shares) if share >= TELLING]
    best = enough[0] if enough else int(np.argmax(shares))
    source, output = outputs[best]
    # The same value at all pixels of an image may be that of a constant, or of global pooling.
    is_class = gives_classes or (shares[best] > 0 and has_steps(output))
    if shares[best] < LEAST_TELLING and is_class:
        raise ModelError(
            f"{name} gives the same class nearly everywhere in the images that it is measured "
            f"with, which does not show what a class depends on"
        )
    return source


def _is_finite(output: npt.NDArray[Any]) -> bool:
    """Tell whether every channel is finite, or else NaN or infinite at all pixels alike."""
    finite = np.isfinite(output).reshape(len(output), -1)
    wholly = finite.all(axis=1)
    return bool(wholly.any() and not finite[~wholly].any())
