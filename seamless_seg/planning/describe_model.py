"""Describe a model: its tensors, its metadata, and the settings of a run with it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from ..errors import SeamlessError
from ..models.graph_analysis import tile_wide_nodes
from ..models.metadata import ModelMetadata
from ..models.onnx_model import OnnxModel
from ..models.onnx_session import OnnxFile
from ..models.signature import Tensor
from ..probes.receptive_field import Probe
from .bands import RasterBands
from .exactness import limitation, warned
from .forecast import model_choices
from .options import Options
from .pixels import decide_pixels
from .probing import probe_if_needed
from .settings import Settings
from .tile_geometry import decide_tiling


@dataclass(frozen=True)
class ModelDescription:
    """The inputs and outputs of an ONNX file, and the settings of a run with it."""

    path: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    properties: Mapping[str, str]
    """The file's own metadata, as text."""
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    """The metadata that a run uses, from the file and from a STAC MLM document beside it."""
    settings: Settings | None = None
    """Settings of a run over a uint8 raster without options; None if the model is refused."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str | None = None
    """Why a run refuses the model; None if it does not."""

    def figures(self) -> dict[str, Any]:
        """Return the description as JSON can represent it; free lengths are null."""
        metadata, settings = self.metadata, self.settings
        return {
            "path": self.path,
            "inputs": [_tensor(tensor) for tensor in self.inputs],
            "outputs": [_tensor(tensor) for tensor in self.outputs],
            "metadata": {key: _parsed(text) for key, text in sorted(self.properties.items())},
            "sidecar": None if metadata.sidecar is None else str(metadata.sidecar),
            "settings": None if settings is None else settings.figures(),
            "classes": _classes(metadata),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "refusal": self.refusal,
        }


def describe_model(path: str | os.PathLike[str]) -> ModelDescription:
    """Describe an ONNX file.

    Parameters
    ----------
    path : str or path-like
        The file. It is probed, unless the result of an earlier probe is cached.

    Returns
    -------
    ModelDescription

    Raises
    ------
    ModelError
        If the file cannot be opened as an ONNX model.
    """
    file = OnnxFile(path)
    described = ModelDescription(
        str(path), tuple(file.inputs), tuple(file.outputs), dict(file.properties)
    )
    try:
        model = OnnxModel(file).resolved()
        described = replace(
            described, metadata=model.spec.metadata, notes=model.spec.metadata.notes
        )
        options = Options()
        probe, notes = probe_if_needed(path, model, options)
        sentence = limitation(probe) if probe else None
        warning = warned(tile_wide_nodes(model), probe, sentence)
        described = replace(
            described,
            notes=(*described.notes, *notes),
            warnings=(warning,) if warning else (),
        )
        return replace(described, settings=_settings(model, options, probe))
    except SeamlessError as error:
        return replace(described, refusal=str(error))


def _settings(model: OnnxModel, options: Options, probe: Probe | None) -> Settings:
    """Return the settings of a run over a uint8 raster."""
    count = model.spec.channels or model.spec.metadata.channels or 1
    pixels = decide_pixels(options, model, RasterBands(count), np.dtype(np.uint8))
    tiling = decide_tiling(options, model, probe)
    return Settings(tiling, pixels, model=model_choices(options, model))


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _parsed(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def _classes(metadata: ModelMetadata) -> dict[str, Any] | None:
    if not metadata.class_names:
        return None
    values = metadata.class_values or range(len(metadata.class_names))
    each = zip_longest(values, metadata.class_names, metadata.class_colors)
    listed = [{"value": value, "name": name, "color": color} for value, name, color in each]
    return {"value": listed, "origin": metadata.origin("class_names")}
