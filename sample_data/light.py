"""Sunlight: shading of slopes, cast shadows, and the camera."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from canvas import Canvas, FloatImage, Mask

SUN_RISE = 0.8  # tangent of the sun's elevation, about 39 degrees
AMBIENT = np.array([0.36, 0.40, 0.46], np.float32)
MAX_SHADOW = 44
HAZE = 0.74


def photograph(canvas: Canvas) -> NDArray[np.uint8]:
    """Return the (size, size, 3) uint8 picture that a camera above takes, sun in the north-west."""
    direct = _slope_light(canvas.height) * (1 - _soften(_shadow(canvas.height)))
    light = AMBIENT + (1 - AMBIENT) * direct[..., None]
    picture = _hazy(canvas.rgb * light)
    picture = np.stack([ndimage.gaussian_filter(picture[..., b], 0.55) for b in range(3)], axis=-1)
    picture *= (1 + 0.03 * canvas.noise(500))[..., None]
    picture += 0.008 * canvas.rng.standard_normal(picture.shape, dtype=np.float32)
    return (np.clip(1.08 * picture + 0.02, 0, 1) * 255).round().astype(np.uint8)


def _hazy(picture: FloatImage) -> FloatImage:
    """Return the picture less colorful, as the air between camera and ground leaves it."""
    gray = picture.mean(axis=-1, keepdims=True)
    return gray + HAZE * (picture - gray)


def _slope_light(height: FloatImage) -> FloatImage:
    """Return the sunlight on each slope as a multiple of that on flat ground."""
    down, right = np.gradient(height)
    # Walls are steeper than any roof; unlimited they would glare.
    down, right = np.clip(down, -1.5, 1.5), np.clip(right, -1.5, 1.5)
    towards_sun = (down + right) / np.sqrt(2)
    light = (SUN_RISE + towards_sun) / SUN_RISE / np.sqrt(1 + down**2 + right**2)
    return np.clip(light, 0, 1.5).astype(np.float32)


def _shadow(height: FloatImage) -> Mask:
    """Return where the sun is hidden: something north-west stands higher than the ray."""
    shadow = np.zeros(height.shape, bool)
    for step in range(1, MAX_SHADOW):
        ray = height[step:, step:] + np.float32(SUN_RISE * step * np.sqrt(2))
        shadow[step:, step:] |= height[:-step, :-step] > ray + 0.3
    return shadow


def _soften(shadow: Mask) -> FloatImage:
    return ndimage.gaussian_filter(shadow.astype(np.float32), 0.7)
