"""Damaged files beside others: MLM, names of classes, GDAL's, lists of classes, statistics."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

from seamless_seg import class_stats, describe_model, forecast, segment

from . import valid
from .calls import Call, program
from .damage import as_bytes, damaged_bytes, damaged_json, damaged_text

MLM = {
    "type": "Feature",
    "properties": {
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:batch_size_suggestion": 2,
        "mlm:input": [
            {
                "bands": ["red", {"name": "green"}, "blue"],
                "input": {
                    "shape": [-1, 3, 64, 64],
                    "dim_order": ["batch", "channel", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": [{"type": "z-score", "mean": 100, "stddev": 50.5}],
                "resize_type": "crop",
                "pre_processing_function": None,
            }
        ],
        "mlm:output": [
            {
                "name": "logits",
                "tasks": ["semantic-segmentation"],
                "classification:classes": [
                    {"value": 0, "name": "water", "color_hint": "0000FF"},
                    {"value": 1, "name": "land", "nodata": False},
                ],
            }
        ],
    },
}

CONFIG = {"id2label": {"0": "water", "1": "land"}, "architectures": ["Net"]}

CLASSES = "value,name,color\n0,water,#0000FF\n1,land,\n2,road,12\n"

LISTED = [{"value": 0, "name": "water", "color": "#0000FF"}, {"value": 1, "name": "land"}]

PAM = """<PAMDataset>
  <SRS>EPSG:32632</SRS><GeoTransform>500000, 0.5, 0, 5600000, 0, -0.5</GeoTransform>
  <Metadata><MDI key="AREA_OR_POINT">Point</MDI></Metadata>
  <PAMRasterBand band="1"><Description>red</Description><NoDataValue>3</NoDataValue>
    <Offset>1.5</Offset><Scale>2</Scale><ColorInterp>Red</ColorInterp>
    <CategoryNames><Category>water</Category><Category>land</Category></CategoryNames>
  </PAMRasterBand>
</PAMDataset>
"""

TEXTS = {"classes.csv": CLASSES, "classes.tif.aux.xml": PAM, "in.tif.aux.xml": PAM}

DOCUMENTS: dict[str, Any] = {
    "model.onnx.json": MLM,
    "model.json": MLM,
    "config.json": CONFIG,
    "classes.json": LISTED,
    "run.statistics.json": None,
}
"""Files of JSON; the last is what a run has written."""


def make(random: Random) -> tuple[Path, str]:
    """Write a damaged file beside others; return its path, and what it is."""
    _write_others()
    path = Path(random.choice([*TEXTS, *DOCUMENTS, "model.onnx.json", "run.statistics.json"]))
    if random.random() < 0.2:
        content, what = damaged_bytes(_content(path), random)
        path.write_bytes(content)
    elif path.name in TEXTS:
        text, what = damaged_text(TEXTS[path.name], random)
        path.write_bytes(as_bytes(text, random))
    else:
        text, what = damaged_json(json.loads(_content(path)), random)
        path.write_bytes(as_bytes(text, random))
    return path, f"{path.name}: {what}"


def from_corpus(source: Path) -> Path:
    """Copy a file of the corpus, which is named as it has to be beside the others."""
    _write_others()
    return Path(shutil.copy(source, source.name.partition("@")[2]))


def _write_others() -> None:
    valid.raster("in.tif")
    valid.raster("classes.tif", 1, 4)
    Path("model.onnx").write_bytes(valid.network("gated").SerializeToString())


def _content(path: Path) -> bytes:
    if path.name in TEXTS:
        return TEXTS[path.name].encode()
    if path.name == "run.statistics.json":
        segment("in.tif", "model.onnx", "run.tif", exact="global", tile=64, overwrite=True)
        return path.read_bytes()
    return json.dumps(DOCUMENTS[path.name]).encode()


def calls(path: Path, random: Random) -> list[Call]:
    """Return all calls that read such a file."""
    run = ["run", "in.tif", "model.onnx", "out/out.tif", "-q"]
    plain = {"tile": 64, "overlap": 16, "overwrite": True, "margin": 0, "align": 1}
    outputs = ("out.tif",)

    def segmented(**options: Any) -> Any:
        return segment("in.tif", "model.onnx", "out/out.tif", **plain, **options)

    if path.name.startswith(("classes.csv", "classes.json")):
        return [
            Call("segment", lambda: segmented(kind="classes", class_names=path), outputs=outputs),
            program([*run, "--kind", "classes", "--classes", str(path)], outputs),
        ]
    if path.name == "classes.tif.aux.xml":
        return [
            Call("class_stats", lambda: class_stats("classes.tif")),
            program(["stats", "classes.tif"]),
            program(["polygonize", "classes.tif", "out/out.gpkg", "-q"], ("out.gpkg",)),
        ]
    if path.name == "run.statistics.json":
        both = (*outputs, "out.statistics.json")
        return [
            Call("segment", lambda: segmented(statistics=path), outputs=both),
            program([*run, "--statistics", str(path), "--tile", "64"], both),
        ]
    return [
        Call("describe_model", lambda: describe_model("model.onnx").figures()),
        Call("segment", lambda: segmented(kind="classes"), outputs=outputs),
        Call("segment, unscaled", lambda: segmented(unscale=True), outputs=outputs),
        Call("forecast", lambda: forecast("in.tif", "model.onnx", bands="red,green,blue")),
        program(["info", "model.onnx"]),
        program(["info", "model.onnx", "--json"]),
        program(run, outputs),
    ]
