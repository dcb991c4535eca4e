"""The canvas that the layers of the landscape are painted on, and smooth noise to paint with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]

CLASS_NAMES = ("field", "forest", "water", "road", "building")
FIELD, FOREST, WATER, ROAD, BUILDING = range(len(CLASS_NAMES))


@dataclass
class Canvas:
    """What is known of the landscape so far; each layer paints over the ones before it.

    Attributes
    ----------
    rgb : (size, size, 3) float32
        Albedo, 0 to 1, before light and shadow.
    labels : (size, size) uint8
        Index into `CLASS_NAMES`.
    height : (size, size) float32
        Height above the ground, px.
    taken : (size, size) bool
        Where nothing more may be built.
    rng : numpy.random.Generator
        The only source of chance.
    """

    rgb: FloatImage
    labels: NDArray[np.uint8]
    height: FloatImage
    taken: Mask
    rng: np.random.Generator

    @classmethod
    def blank(cls, size: int, rng: np.random.Generator) -> "Canvas":
        """Return an empty canvas of size x size px."""
        return cls(
            rgb=np.zeros((size, size, 3), np.float32),
            labels=np.full((size, size), FIELD, np.uint8),
            height=np.zeros((size, size), np.float32),
            taken=np.zeros((size, size), bool),
            rng=rng,
        )

    @property
    def size(self) -> int:
        """Side of the canvas, px."""
        return self.labels.shape[0]

    def grid(self) -> tuple[FloatImage, FloatImage]:
        """Return the (size, 1) rows and (1, size) columns, px."""
        line = np.arange(self.size, dtype=np.float32)
        return line[:, None], line[None, :]

    def noise(self, cell: float) -> FloatImage:
        """Return smooth noise for the whole canvas; see `smooth_noise`."""
        return smooth_noise(self.rng, self.size, cell)

    def paint(self, mask: Mask, color: NDArray[np.float32], label: int) -> None:
        """Set albedo and class where `mask` holds; `color` is (3,) or (mask.sum(), 3)."""
        self.rgb[mask] = color
        self.labels[mask] = label

    def blend(self, alpha: FloatImage, color: NDArray[np.float32]) -> None:
        """Mix `color`, (3,) or an image, into the albedo by `alpha`, 0 to 1 per pixel."""
        self.rgb += alpha[..., None] * (color - self.rgb)


def smooth_noise(rng: np.random.Generator, size: int, cell: float) -> FloatImage:
    """Return (size, size) noise of mean 0 and deviation about 1, smooth over `cell` px.

    A cubic B-spline through random knots: separable, so it is two matrix products.
    """
    basis = _spline_basis(size, cell)
    knots = rng.standard_normal((basis.shape[1], basis.shape[1])).astype(np.float32)
    image = basis @ knots @ basis.T
    # The spline averages about four knots per axis; 0.48 is the deviation that leaves.
    return (image / 0.48).astype(np.float32)


def _spline_basis(size: int, cell: float) -> FloatImage:
    position = np.arange(size, dtype=np.float32) / np.float32(cell)
    knots = np.arange(-1, int(position[-1]) + 4, dtype=np.float32)
    distance = np.abs(position[:, None] - knots[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def ramp(value: FloatImage, start: float, stop: float) -> FloatImage:
    """Return 0 at `start`, 1 at `stop`, linear between and constant beyond."""
    return np.clip((value - start) / (stop - start), 0, 1).astype(np.float32)


def color(*rgb: int) -> NDArray[np.float32]:
    """Return a color given as 0 to 255 per band as albedo, 0 to 1."""
    return (np.array(rgb) / 255).astype(np.float32)
