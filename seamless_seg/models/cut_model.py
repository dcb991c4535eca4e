"""ONNX models whose reductions of the whole image are measured first and given afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..boundary import boundary
from ..errors import ModelError, OptionError
from .base import Model
from .ensemble import Ensemble
from .onnx_model import OnnxModel
from .oriented import OrientedModel
from .tta import NONE, Symmetry, symmetries_of

if TYPE_CHECKING:
    from ..graphs.call import Reduction, SizedInput
    from ..graphs.image_axis import ImageAxis
    from ..graphs.whole_image import Statistics

OTHER_AT_SIZES = "it computes with other things in an image of another size"
"""What is wrong with a node whose inputs depend on the image's size in another way than numbers."""

Counted = npt.NDArray[np.bool_]
"""Features that count, ``(rows, columns)`` of their own grid."""


class Features(NamedTuple):
    """A tensor that is reduced, as it lies on a tile."""

    reduction: Reduction
    axes: tuple[ImageAxis, ImageAxis]
    """Its axes down and across the tile."""


class Partial(NamedTuple):
    """What a tile adds to a statistic."""

    values: int
    """Values of the reduced tensor that were counted, for each of the statistic's numbers."""
    sums: Mapping[str, npt.NDArray[np.float64]]
    """Sums and extremes, by the names of ``partials_of``."""


@dataclass(frozen=True)
class TracedShape:
    """What is known of a cut model for tiles of one shape."""

    reductions: tuple[Reduction, ...]
    features: tuple[Features, ...]
    """The same, as they lie on a tile."""
    sizes: tuple[SizedInput, ...]
    """Inputs of nodes that follow from the height and width."""

    @property
    def levels(self) -> int:
        """Reductions that depend on one another, one after the other."""
        return max((own.level for own in self.reductions), default=0)

    def of_level(self, level: int) -> list[Features]:
        """Return the tensors that are reduced on a level."""
        return [own for own in self.features if own.reduction.level == level]


class CutModel:
    """An ONNX model in one orientation, cut at its reductions of the whole image.

    Parameters
    ----------
    model : OnnxModel
        The model, resolved.
    symmetry : Symmetry
        The orientation in which it sees images.

    Raises
    ------
    ModelError
        If its graph cannot be read.
    """

    def __init__(self, model: OnnxModel, symmetry: Symmetry) -> None:
        from ..graphs.cut import CutGraph

        self.model, self.symmetry = model, symmetry
        try:
            self._cut = CutGraph(model.spec.name, model.output)
        except Exception as error:  # protobuf raises what it likes
            raise ModelError(f"{model.spec.name}: its graph cannot be read: {error}") from error
        self._batch = model.spec.batch or 1

    def traced(self, channels: int, shape: tuple[int, int]) -> TracedShape:
        """Return the reductions for tiles of a shape, borders included, before orientation.

        Raises
        ------
        OptionError
            If the model depends on the whole image in another way, too.
        """
        from ..graphs.interpreter import images_of

        height, width = shape[::-1] if self.symmetry.transposed else shape
        last = self.model.image_layout.channels_last
        image = images_of(self._batch, channels, height, width, last)
        with self._refusing():
            reductions, sizes = self._cut.traced(image)
        found = tuple(Features(own, _oriented(own, self.symmetry)) for own in reductions)
        return TracedShape(reductions, found, sizes)

    def traced_whole(self, channels: int, shape: tuple[int, int], tile: TracedShape) -> TracedShape:
        """Return the reductions and sizes of the whole image, borders included.

        Parameters
        ----------
        channels, shape
            As for ``traced``.
        tile : TracedShape
            The same for a tile: no more than the sizes may differ.

        Raises
        ------
        OptionError
            If more than the sizes differs.
        """
        from ..graphs.tensors import BoundError

        if any(self.model.spec.tile):  # by a graph that takes no other image
            return tile
        whole = self.traced(channels, shape)
        inputs = [_named_inputs(own) for own in (whole, tile)]
        unlike = dict(inputs[0].items() ^ inputs[1].items())
        with self._refusing():
            for own in (*whole.sizes, *tile.sizes):
                if (own.node, own.tensor) in unlike:
                    raise BoundError("size", OTHER_AT_SIZES, own.label)
            if [own.node for own in whole.reductions] != [own.node for own in tile.reductions]:
                raise BoundError("size", "which nodes run depends on the size of the image")
        return whole

    def open_level(self, traced: TracedShape, level: int, statistics: Statistics) -> None:
        """Open the graph that takes the statistics of a level from tiles."""
        with self._refusing():
            graph = self._cut.of_level(
                level, traced.reductions, traced.sizes, statistics, self._batch
            )
        self.model.open_graph(graph, on_all_threads=True)

    def partials(
        self,
        level: Sequence[Features],
        tile: npt.NDArray[Any],
        counted: Sequence[Counted],
    ) -> list[Partial]:
        """Return what a tile adds to the statistics of the level that is open.

        Parameters
        ----------
        level : sequence of Features
            The tensors that are reduced.
        tile : array
            The model's input, ``(C, H, W)``.
        counted : sequence of bool arrays
            For each tensor, the features that count.
        """
        from ..graphs.cut import mask_name, partial_name, partials_of
        from ..graphs.whole_image import mask_for, values_of

        batch = np.array(self.symmetry.apply(tile[None]), order="C")
        masks = {
            mask_name(features.reduction): mask_for(features.reduction, self.symmetry.apply(own))
            for features, own in zip(level, counted, strict=True)
        }
        names = [
            partial_name(features.reduction, own)
            for features in level
            for own in partials_of(features.reduction)
        ]
        found = iter(self.model.run_outputs(batch.repeat(self._batch, 0), masks, names))
        return [
            Partial(
                values_of(features.reduction, masks[mask_name(features.reduction)]),
                {own: next(found) for own in partials_of(features.reduction)},
            )
            for features in level
        ]

    def give(self, traced: TracedShape, statistics: Statistics) -> None:
        """Run the model with given statistics from here on."""
        if not traced.reductions and not traced.sizes:
            return
        with self._refusing():
            graph = self._cut.with_given(traced.reductions, traced.sizes, statistics, self._batch)
        self.model.open_graph(graph)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        refusal = f'{self.model.spec.name} cannot be run with exact="global"'
        with boundary(OptionError, refusal, "; leave exact= out"):
            yield


def cut_models(model: Model) -> list[CutModel]:
    """Return the members of a model, cut, each in each of its orientations.

    Raises
    ------
    OptionError
        If a member is a function or gives class numbers.
    ModelError
        If a graph cannot be read.
    """
    if isinstance(model, Ensemble):
        return [own for member in model.models for own in cut_models(member)]
    if isinstance(model, OrientedModel):
        return [CutModel(model.model, model.symmetry)]
    if not isinstance(model, OnnxModel):
        raise OptionError(
            f'exact="global" cuts the graph of an ONNX file, and {model.spec.name} is a function: '
            f"export it, or leave exact= out"
        )
    if model.spec.gives_classes:
        raise OptionError(
            f'{model.spec.name} gives class numbers, and exact="global" needs logits: export the '
            f"model without its argmax"
        )
    return [CutModel(model, symmetries_of(NONE)[0])]


def in_orientations(model: Model, tta: str | None) -> Model:
    """Return a model each of whose members sees images in one orientation alone.

    Members of one file then have a session each, as each has statistics of its own.
    """
    if not isinstance(model, Ensemble):
        return model
    members: list[Model] = []
    for member in model.models:
        for n, symmetry in enumerate(symmetries_of(tta)):
            if isinstance(member, OnnxModel):
                members.append(OrientedModel(member if n == 0 else member.reopened(), symmetry))
            else:
                members.append(member)  # to be refused
    return Ensemble(members)


def _named_inputs(traced: TracedShape) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the shapes of inputs that follow from the size, by their nodes and names."""
    return {(own.node, own.tensor): own.value.shape for own in traced.sizes}


def _oriented(reduction: Reduction, symmetry: Symmetry) -> tuple[ImageAxis, ImageAxis]:
    """Return the axes of a reduced tensor as they lie on a tile before it is transformed."""
    from ..graphs.whole_image import image_axes

    down, across = image_axes(reduction)
    if symmetry.flipped_rows:
        down = _mirrored(down)
    if symmetry.flipped_columns:
        across = _mirrored(across)
    return (across, down) if symmetry.transposed else (down, across)


def _mirrored(axis: ImageAxis) -> ImageAxis:
    return replace(axis, start=axis.length - axis.stop, stop=axis.length - axis.start)
