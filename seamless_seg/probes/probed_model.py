"""A model that is run on made-up images, along one axis at a time, to see what its output does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.base import Model
from ..models.layout import JOINT_MULTIPLES, SIZE_MULTIPLES
from .probe_images import Image, Source, telling_source

LENGTHS = (384, 768, 1536)
"""Lengths in px of images along the axis that is measured: the first that holds the radius."""

BREADTHS = (192, 384, 768)
"""Lengths in px along the other axis: the first that the model takes.

Like the others they are multiples of 3 and of powers of 2, as the strides of most models are.
"""


NARROW_BREADTHS = (96, 48)
"""The same for models of many classes, whose outputs would take too much memory."""

MAX_OUTPUT_BYTES = 50_000_000
"""Bytes of the output for the shortest image, above which a narrower one is tried."""


class ProbedModel:
    """A model that is run along one axis at a time, which is the last of the images here.

    Parameters
    ----------
    model : Model
        The model, resolved.
    channels : int
        Bands of the images.
    source : callable
        Makes the images.

    Attributes
    ----------
    multiple : int
        Smallest number found that divides the sides of images which the model takes, px.

    Raises
    ------
    ModelError
        Where the model fails at every size that is tried.
    """

    def __init__(self, model: Model, channels: int, source: Source) -> None:
        self.model, self.spec = model, model.spec
        self.channels = channels
        self.source = source
        self.multiple, self._breadths = self._first_that_works()
        self._first: npt.NDArray[Any] | None = None

    def lengths(self, axis: int, stride: int = 1) -> tuple[int, ...]:
        """Return the lengths along an axis at which the model can be measured, on a stride."""
        fixed, remainder = self.spec.tile[axis], self.spec.remainder[axis]
        if fixed is not None:
            return (fixed,)
        multiple = math.lcm(self.multiple, stride)
        # Twice the stride, so that a cut at a multiple of it leaves pixels on both of its sides.
        needed = (max(length, 2 * stride) for length in LENGTHS)
        return tuple(rounded_up(length, multiple) + remainder for length in needed)

    def breadth(self, axis: int) -> int:
        """Return the length of images along the other axis, px."""
        return self._breadths[1 - axis]

    def image(self, axis: int, length: int, seed: int) -> Image:
        """Return a new image, the axis in question last."""
        random = np.random.default_rng([seed, axis, length])
        return self.source(random, (self.channels, self.breadth(axis), length))

    def choose_source(self) -> None:
        """Measure with other images than white noise if the output for that shows nothing.

        Raises
        ------
        ModelError
            If the output for no images shows what it depends on.
        """
        length, asked = self.lengths(0)[0], self.source

        def output_of(source: Source) -> npt.NDArray[Any]:
            self.source = source
            return self.logits(0, self.image(0, length, 0))

        first = output_of(asked)
        chosen = telling_source(
            asked,
            lambda source: first if source is asked else output_of(source),
            self.spec.name,
            self.spec.gives_classes,
        )
        self.source = chosen
        self._first = first if chosen is asked else None

    def first_logits(self, axis: int, image: Image, seed: int) -> npt.NDArray[Any]:
        """Return the logits of ``self.image(axis, length, seed)``, which may be known."""
        first, self._first = self._first, None
        if first is not None and (axis, seed, image.shape[-1]) == (0, 0, self.lengths(0)[0]):
            return first
        return self.logits(axis, image)

    def logits(self, axis: int, image: Image) -> npt.NDArray[Any]:
        """Return the logits of an image, shape ``(classes, breadth, length)``."""
        oriented = image if axis == 1 else image.transpose(0, 2, 1)
        logits: npt.NDArray[Any] = self.batch([oriented])[0]
        if logits.shape[1:] != oriented.shape[1:]:
            raise ModelError(
                f"{self.spec.name} maps a tile of {list(oriented.shape)} to {list(logits.shape)}: "
                f"logits must have its height and width"
            )
        return logits if axis == 1 else logits.transpose(0, 2, 1)

    def batch(self, images: list[Image]) -> npt.NDArray[Any]:
        """Return the logits of a batch, filled up with its last image where its size is fixed."""
        size = self.spec.batch or len(images)
        filled = np.stack(images + [images[-1]] * (size - len(images))).astype(np.float32)
        border = self.spec.border
        around = np.pad(filled, [(0, 0), (0, 0), (border, border), (border, border)], "reflect")
        return self.model(np.ascontiguousarray(around))

    def _first_that_works(self) -> tuple[int, tuple[int, int]]:
        """Return the multiple of the first shape that the model takes, and its two breadths.

        A breadth is the length along an axis of images that are longer along the other.
        """
        failure: ModelError | None = None
        for multiple, breadth in self._candidates():
            try:
                breadths, output_bytes = self._try(multiple, breadth)
            except ModelError as error:
                failure = failure or error
            else:
                return multiple, self._narrower(multiple, breadths, output_bytes)
        raise failure or ModelError(f"{self.spec.name} takes no tile of any size that was tried")

    def _narrower(
        self, multiple: int, breadths: tuple[int, int], output_bytes: int
    ) -> tuple[int, int]:
        """Return breadths for which the model's outputs take little memory, if it takes them."""
        for breadth in NARROW_BREADTHS:
            if output_bytes <= MAX_OUTPUT_BYTES:
                break
            try:
                breadths, output_bytes = self._try(multiple, breadth)
            except ModelError:
                break
        return breadths

    def _try(self, multiple: int, breadth: int) -> tuple[tuple[int, int], int]:
        """Run the model on images of a breadth; return both breadths and the output's bytes."""
        shapes = [self._shape_across(axis, breadth, multiple) for axis in (0, 1)]
        outputs = (self.batch([np.zeros((self.channels, *own), np.float32)]) for own in shapes)
        output_bytes = max(output.nbytes // max(1, len(output)) for output in outputs)
        return (shapes[0][0], shapes[1][1]), output_bytes

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Yield multiples and breadths to try."""
        yield from ((1, breadth) for breadth in BREADTHS)
        if None in self.spec.tile:
            yield from (
                (multiple, BREADTHS[0]) for multiple in (*SIZE_MULTIPLES[1:], *JOINT_MULTIPLES)
            )

    def _shape_across(self, axis: int, breadth: int, multiple: int) -> tuple[int, int]:
        """Height and width of an image that is narrow along an axis."""
        lengths = [rounded_up(LENGTHS[0], multiple)] * 2
        lengths[axis] = rounded_up(breadth, multiple)
        height, width = (
            fixed or length + remainder
            for fixed, length, remainder in zip(
                self.spec.tile, lengths, self.spec.remainder, strict=True
            )
        )
        return height, width


def rounded_up(length: int, multiple: int) -> int:
    """Return the least multiple of a number that is no less than a length."""
    return math.ceil(length / multiple) * multiple
