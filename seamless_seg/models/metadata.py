"""Metadata of a model's file: the ``metadata_props`` that Deepness and GeoDeep write.

Every value is JSON. One that cannot be parsed is left out with a note, never guessed at. An MLM
document beside the file overrides it: see ``mlm``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..boundary import boundary, is_text
from ..decisions import METADATA, SIDECAR
from ..errors import ModelError
from ..normalization import Scaling

RASTER_MODEL_TYPES = ("segmentor", "regressor", "superresolution")
"""Model types whose output is a raster, in lower case."""

NAMES_KEYS = ("class_names", "names", "id2label")
"""Keys of the names of classes: of Deepness, of ultralytics and of transformers."""

MAX_CLASS = 2**16 - 2
"""Largest number of a class that rasters of classes can hold beside nodata."""


@dataclass(frozen=True)
class ModelMetadata:
    """Settings that came with a model; None or empty where it states none."""

    model_type: str | None = None
    class_names: tuple[str, ...] = ()
    class_values: tuple[int, ...] = ()
    """Number of each named class in rasters of classes; empty where they count from 0."""
    class_nodata: tuple[int, ...] = ()
    """Numbers of the classes that are nodata."""
    resolution: float | None = None
    """Ground size of a pixel in centimeters."""
    tile: int | tuple[int, int] | None = None
    """Pixels; height and width where they differ."""
    overlap_percent: float | None = None
    """Share of the tile, 0 to 100."""
    mean: tuple[float, ...] | None = None
    """Per band, of pixels divided by 255."""
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()
    """What could not be parsed, and what else a user should know of the model."""
    class_colors: tuple[str | None, ...] = ()
    """``RRGGBB`` of each class, or None."""
    channels: int | None = None
    """Bands of its input."""
    bands: tuple[str, ...] = ()
    """Names of those bands."""
    layout: str | None = None
    """Order of the input's dimensions: ``NCHW`` or ``NHWC``."""
    value_scaling: Scaling | None = None
    """Operations on pixels as they are, in place of mean and std."""
    batch: int | None = None
    """Suggested number of tiles of a batch."""
    output: str | None = None
    """Name of the output that holds the logits."""
    threshold: float | None = None
    """Probability above which a pixel is of the class, for a model of one class."""
    sidecar: Path | None = None
    """MLM document beside the model that was read."""
    from_sidecar: frozenset[str] = frozenset()
    """Names of the fields above that the document states."""

    @property
    def is_for_bytes(self) -> bool:
        """Whether it states a mean or a std, which are of pixels divided by 255."""
        return self.mean is not None or self.std is not None

    def origin(self, name: str) -> str:
        """Return where the value of a field came from."""
        return SIDECAR if name in self.from_sidecar else METADATA

    def with_output_among(self, names: Sequence[str], wanted: str | int | None) -> ModelMetadata:
        """Return the metadata with its ``output`` only if that chooses among several ``names``.

        An output that is ``wanted`` by the caller overrides it.
        """
        if wanted is None and len(names) > 1 and self.output in names:
            return self
        return replace(self, output=None)

    def with_note(self, sentence: str) -> ModelMetadata:
        """Return the metadata with one more note."""
        return replace(self, notes=(*self.notes, sentence))


def parse(properties: Mapping[str, str]) -> ModelMetadata:
    """Parse a model's ``metadata_props``.

    Raises
    ------
    ModelError
        Where they state a type of model whose output is no raster.
    """
    found = _Properties(properties)
    model_type = found.get("model_type", text_of)
    if model_type is not None and model_type.lower() not in RASTER_MODEL_TYPES:
        raise ModelError(
            f"the model's metadata states model_type {model_type}, whose output is not a raster of "
            f"classes: give a segmentation model"
        )
    stated = (found.get(key, classes_of) for key in NAMES_KEYS)
    names, values = next((own for own in stated if own and own[0]), ((), ()))
    return ModelMetadata(
        model_type=model_type,
        class_names=names,
        class_values=values,
        resolution=found.get("resolution", _positive),
        tile=found.get("tile_size", _pixels) or found.get("tiles_size", _pixels),
        overlap_percent=found.get("tiles_overlap", _percent),
        mean=found.get("standardization_mean", _numbers),
        std=found.get("standardization_std", _numbers),
        threshold=found.get("seg_thresh", _probability),
        notes=tuple(found.notes),
    )


class _Properties:
    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = properties
        self.notes: list[str] = []

    def get(self, key: str, parser: Any) -> Any:
        text = self._properties.get(key)
        if text is None:
            return None
        try:
            with boundary(ModelError, key):
                return parser(_value_of(text))
        except ModelError:
            self.notes.append(f"the model's metadata has {key} {text:.60}, which is ignored")
            return None


def text_of(value: Any) -> str:
    """Return a value that is text; raise ``TypeError`` for any other."""
    if not is_text(value):
        raise TypeError(value)
    return str(value)


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(value)
    return number


def _pixels(value: Any) -> int:
    number = _positive(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)


def _percent(value: Any) -> float:
    number = float(value)
    if not 0 <= number < 100:
        raise ValueError(value)
    return number


def _probability(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(value)
    return number


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(number) for number in value)


def _value_of(text: str) -> Any:
    """Return the value of JSON, or of a Python literal, as some exporters write; else the text."""
    for parse in (json.loads, ast.literal_eval):
        with suppress(ModelError), boundary(ModelError, "metadata"):
            return parse(text)
    return text


def classes_of(value: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names of classes and, where they do not count from 0, the numbers of the classes.

    Parameters
    ----------
    value : list or mapping
        Names in order, or by their number; or a list of mappings, one for each output, of which
        the first is used.

    Raises
    ------
    TypeError, ValueError
        Where it is nothing of that.
    """
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        value = value[0]
    if isinstance(value, Mapping):
        by_number = {int(key): text_of(str(name)) for key, name in value.items()}
        numbers = tuple(sorted(by_number))
        if len(by_number) < len(value) or any(not 0 <= n <= MAX_CLASS for n in numbers):
            raise ValueError(value)
        counted = numbers == tuple(range(len(numbers)))
        return tuple(by_number[n] for n in numbers), () if counted else numbers
    if isinstance(value, list | tuple):
        return tuple(text_of(name) for name in value), ()
    raise TypeError(value)
