"""What the graphs of a model say of its receptive field: a bound, or which node has none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..models.base import DEFAULT_CHANNELS, Model
from ..models.ensemble import Ensemble
from ..models.onnx_model import OnnxModel
from ..models.oriented import OrientedModel
from ..models.tta import Symmetry, symmetries_of

if TYPE_CHECKING:
    from ..graphs.bound import GraphBound
    from ..graphs.image_axis import ImageAxis
    from ..graphs.interpreter import LoadedGraph
    from ..graphs.tensors import Axis, Tensor
    from ..models.layout import LogitsLayout

Obstacle = Literal["position", "size", "global", "unknown"]

NO_GRAPH = "a function has no graph"
"""Why nothing is proven of functions and torch modules."""


@dataclass(frozen=True)
class GraphVerdict:
    """What is proven of a model's receptive field, or what stands in the way.

    Where ``obstacle`` is None, the numbers hold for tiles that start at multiples of the stride.
    """

    obstacle: Obstacle | None = None
    """``"position"``: the output depends on where pixels lie in the tile. ``"size"``: on the tile's
    size. ``"global"``: on the whole tile. ``"unknown"``: there is no rule for a node, or no
    graph."""
    reason: str = ""
    """The node and why, in half a sentence."""
    stride: tuple[int, int] = (1, 1)
    """Total stride down and across, px."""
    radius: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Upper bound of the receptive-field radius at top, bottom, left and right, px."""
    reductions: int = 0
    """Nodes that reduce the whole image; without them the numbers would hold."""
    levels: int = 0
    """Those of them that depend on one another, one after the other."""
    rounded: tuple[str, ...] = ()
    """Types of its nodes whose last bits depend on where values lie in memory."""
    mixes_batch: bool = False
    """Whether the output for a tile may depend on the other tiles of its batch."""

    @property
    def is_proof(self) -> bool:
        """Whether tiles with a margin of the radius are proven to be exact."""
        return self.obstacle is None

    def margin(self, axis: int) -> int:
        """Return the larger radius of both sides down (``axis`` 0) or across (1), px."""
        return max(self.radius[2 * axis : 2 * axis + 2])


NOT_READ = GraphVerdict("unknown", "it was not read")
"""The verdict on a graph that nobody looked at."""


def graph_verdict(model: Model, channels: int | None = None, multiple: int = 1) -> GraphVerdict:
    """Read the graphs of a model.

    Parameters
    ----------
    model : Model
        The model, resolved.
    channels : int, optional
        Bands of its input, where it takes any number.
    multiple : int
        A number that has to divide the sides of tiles, as far as known, px.
    """
    if isinstance(model, Ensemble):
        verdicts = [graph_verdict(member, channels, multiple) for member in model.models]
        turns = symmetries_of(model.tta)
        return _combined([_oriented(own, turn) for own in verdicts for turn in turns])
    if isinstance(model, OrientedModel):
        return _oriented(graph_verdict(model.model, channels, multiple), model.symmetry)
    if not isinstance(model, OnnxModel):
        return GraphVerdict("unknown", NO_GRAPH)
    rounded: tuple[str, ...] = ()
    try:
        from ..graphs.interpreter import LoadedGraph
        from ..graphs.rounded import rounded_kinds
        from ..graphs.tensors import BoundError

        graph = LoadedGraph(model.spec.name, model.output, model.other_graph)
        rounded = rounded_kinds(graph.nodes)
        found = _bound_of(model, channels or DEFAULT_CHANNELS, multiple, graph)
        mixed = None
        if model.other_graph is None:  # statistics that are given are repeated for each batch
            mixed = _mixed_batch(model, channels or DEFAULT_CHANNELS, graph, found)
    except ImportError:
        return GraphVerdict("unknown", "the package onnx is not installed, which reads graphs")
    except BoundError as error:
        return GraphVerdict(error.kind, str(error), rounded=rounded)
    except Exception as error:  # onnx and protobuf raise what they like of a damaged file
        reason = f"its graph cannot be read ({type(error).__name__})"
        return GraphVerdict("unknown", reason, rounded=rounded)
    if mixed is not None and model.spec.batch is not None:
        return GraphVerdict("global", f"{mixed}, among the tiles of a batch", rounded=rounded)
    return replace(_verdict_of(found), rounded=rounded, mixes_batch=mixed is not None)


def size_obstacle(model: OnnxModel, channels: int) -> str | None:
    """Say which node depends on the image's size in another way than by a number; None for none.

    The graph of the model's file is read, also if another has taken its place.

    Parameters
    ----------
    model, channels
        As for ``graph_verdict``.
    """
    from ..graphs.interpreter import LoadedGraph
    from ..graphs.tensors import BoundError

    try:
        graph = LoadedGraph(model.spec.name, model.output)
        _bound_of(model, channels, 1, graph, sizes_are_given=True)
    except BoundError as error:
        return str(error) if error.kind in ("position", "size") else None
    return None


def _bound_of(
    model: OnnxModel,
    channels: int,
    multiple: int,
    graph: LoadedGraph,
    sizes_are_given: bool = False,
) -> GraphBound:
    from ..graphs.bound import bound

    spec, layout = model.spec, model.logits_layout

    def image(lengths: tuple[int, int]) -> Tensor:
        return _images(model, channels, spec.batch or 1, lengths)

    def finish(output: Tensor) -> tuple[ImageAxis, ImageAxis]:
        return _logits_axes(output, layout, spec.gives_classes)

    return bound(graph, image, finish, multiple, spec.remainder, spec.tile, sizes_are_given)


def _mixed_batch(
    model: OnnxModel, channels: int, graph: LoadedGraph, found: GraphBound
) -> str | None:
    """Say which node mixes the images of a batch, and how; None for none."""
    from ..graphs.batch import mixed_by

    spec = model.spec

    def images(batch: int, lengths: tuple[int, int]) -> Tensor:
        return _images(model, channels, batch, lengths)

    return mixed_by(graph, images, found, spec.batch, spec.remainder, spec.tile)


def _images(model: OnnxModel, channels: int, batch: int, lengths: tuple[int, int]) -> Tensor:
    """Return a batch of the model's input for logits of a height and width."""
    from ..graphs.interpreter import images_of

    spec, last = model.spec, model.image_layout.channels_last
    height, width = (length + 2 * spec.border for length in lengths)
    return images_of(batch, spec.channels or channels, height, width, last)


def _logits_axes(
    output: Tensor, layout: LogitsLayout, gives_classes: bool
) -> tuple[ImageAxis, ImageAxis]:
    """Return the axes of logits at full resolution, which are those of an output, enlarged."""
    from ..graphs.tensors import BoundError

    numbers = (1, 2) if layout.channels_last or not layout.has_class_axis else (2, 3)
    if output.rank <= numbers[1]:
        raise BoundError("unknown", "its output is no image")
    down, across = (
        _enlarged(output.axes[number], layout.output_stride, gives_classes) for number in numbers
    )
    if (down.axis, across.axis) != (0, 1):
        raise BoundError("unknown", "its output has rows and columns in another order")
    return down, across


def _enlarged(axis: Axis, stride: int, nearest: bool) -> ImageAxis:
    from ..graphs.image_axis import ImageAxis, Taps
    from ..graphs.tensors import BoundError

    own = axis[0] if len(axis) == 1 else None
    if not isinstance(own, ImageAxis):
        raise BoundError("unknown", "its output is no image")
    if stride == 1:
        return own
    centers = (2 * phase + 1 - stride for phase in range(stride))
    bilinear = ((-1, 0) if center < 0 else (0, int(center > 0)) for center in centers)
    ranges = ((0, 0),) * stride if nearest else tuple(bilinear)
    enlarged = own.taken(Taps(1, ranges), own.length * stride)
    if enlarged is None:
        raise BoundError("position", "its grid is coarser than any tile")
    return enlarged


def _verdict_of(bound: GraphBound) -> GraphVerdict:
    radius = (bound.before[0], bound.after[0], bound.before[1], bound.after[1])
    verdict = GraphVerdict(None, "", bound.stride, radius, len(bound.reductions), bound.levels)
    if not bound.reductions:
        return verdict
    kinds = {own.kind: 0 for own in bound.reductions}
    for own in bound.reductions:
        kinds[own.kind] += 1
    listed = " and ".join(f"{count} {kind}" for kind, count in kinds.items())
    nodes = f"node{'s' * (len(bound.reductions) > 1)}"
    return replace(verdict, obstacle="global", reason=f"the graph has {listed} {nodes}")


def _combined(verdicts: list[GraphVerdict]) -> GraphVerdict:
    """Return the verdict on the mean of several models."""
    if len(verdicts) == 1:
        return verdicts[0]
    strides = [own.stride for own in verdicts]
    combined = GraphVerdict(
        stride=(math.lcm(*(down for down, _ in strides)), math.lcm(*(own for _, own in strides))),
        radius=tuple(map(max, zip(*(own.radius for own in verdicts), strict=True))),
        reductions=_reductions(verdicts),
        levels=max(own.levels for own in verdicts),
        rounded=tuple(sorted({kind for own in verdicts for kind in own.rounded})),
        mixes_batch=any(own.mixes_batch for own in verdicts),
    )
    for kind in ("position", "global", "size", "unknown"):
        reasons = dict.fromkeys(own.reason for own in verdicts if own.obstacle == kind)
        if reasons:
            return replace(combined, obstacle=kind, reason=" and ".join(reasons))
    return combined


def _reductions(verdicts: list[GraphVerdict]) -> int:
    """Most reductions of a model; 0 where a model has an obstacle that no statistic removes."""
    if any(own.obstacle is not None and not own.reductions for own in verdicts):
        return 0
    return max(own.reductions for own in verdicts)


def _oriented(verdict: GraphVerdict, symmetry: Symmetry) -> GraphVerdict:
    """Return the verdict on a model that sees images in an orientation, undone on its logits."""
    top, bottom, left, right = verdict.radius
    if symmetry.flipped_rows:
        top, bottom = bottom, top
    if symmetry.flipped_columns:
        left, right = right, left
    if not symmetry.transposed:
        return replace(verdict, radius=(top, bottom, left, right))
    return replace(verdict, radius=(left, right, top, bottom), stride=verdict.stride[::-1])
