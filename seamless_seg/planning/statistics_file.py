"""Statistics of a raster in a file: written by a run, and read again by another."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError
from ..inputs.regular import refusal_as_file
from ..models.cut_model import TracedShape
from ..models.files import fingerprint
from ..models.tta import NONE
from .options import Options
from .statistics_origin import StatisticsOrigin

if TYPE_CHECKING:
    from ..graphs.whole_image import Statistic, Statistics

TAG = "global_statistics"
"""Name of the tag of an output that holds its statistics."""

ENDING = ".statistics.json"
"""End of the name of the file beside an output that holds its statistics."""

VERSION = 2
"""Version of the document."""


@dataclass(frozen=True)
class StoredStatistics:
    """Statistics of the whole raster, and the model that they are for."""

    model_sha256: str
    model_outputs: tuple[str, ...]
    """Outputs of its graphs, one for each of the members."""
    tta: str
    sample: float
    """Share of the tiles on which levels after the first were measured."""
    origin: StatisticsOrigin
    """The raster that they were measured on."""
    members: tuple[Statistics, ...]
    """Statistics of each of the model's files in each orientation."""

    def document(self, as_text: bool = False) -> dict[str, Any]:
        """Return a document that JSON can represent; with ``as_text`` numbers are base64."""
        return {
            "version": VERSION,
            "model_sha256": self.model_sha256,
            "model_outputs": list(self.model_outputs),
            "tta": self.tta,
            "sample": self.sample,
            "raster": self.origin.document(),
            "members": [
                {
                    node: {name: _document(own, as_text) for name, own in statistic.items()}
                    for node, statistic in member.items()
                }
                for member in self.members
            ],
        }

    def to_tag(self) -> str:
        """Return the tag of an output."""
        return json.dumps(self.document(as_text=True), separators=(",", ":"))

    def require_model(
        self,
        source: Any,
        options: Options,
        outputs: Sequence[str],
        traced: Sequence[TracedShape],
    ) -> None:
        """Raise ``OptionError`` unless the statistics are of this model in this use."""
        from ..graphs.whole_image import shapes_of

        other = None
        if self.model_sha256 != fingerprint(source):
            other = "of another model"
        elif self.tta != (options.tta or NONE):
            other = f'made with tta="{self.tta}"'
        elif self.model_outputs != tuple(outputs):
            other = "of another output of the model"
        if other:
            raise OptionError(
                f"statistics= holds statistics {other}: give those of a run with the same model "
                f"and options, or leave statistics= out"
            )
        expected = [shapes_of(own.reductions, own.sizes) for own in traced]
        found = [
            {
                node: {name: own.shape for name, own in moments.items()}
                for node, moments in m.items()
            }
            for m in self.members
        ]
        if found != expected:
            raise OptionError(
                "statistics= holds other statistics than the model needs: leave statistics= out"
            )


def statistics_path(output: Path) -> Path:
    """Return the path of the file of statistics beside an output."""
    return output.with_name(output.stem + ENDING)


def read_statistics(path: str | PathLike[str]) -> StoredStatistics:
    """Read the statistics that a run wrote into a file of JSON, or into an output's tags.

    Raises
    ------
    OptionError
        If the file is neither, or cannot be read.
    """
    refusal = (
        f'{path} holds no statistics: give the file {ENDING} of a run with exact="global", or its '
        f"output"
    )
    if (special := refusal_as_file(path)) is not None:
        raise OptionError(f"statistics= {path} {special}")
    try:
        document = json.loads(_text_of(Path(path)))
        is_current = document["version"] == VERSION
        if is_current:
            return _from_document(document)
    except FileNotFoundError:
        raise OptionError(f"{path}: there is no such file of statistics") from None
    except Exception as error:  # the file may hold anything
        raise OptionError(refusal) from error
    raise OptionError(
        f"{path} holds statistics in the form of another version of this program: measure them "
        f"once more, without statistics="
    )


def holds_statistics(path: Path) -> bool:
    """Whether a file of JSON holds statistics that a run has written, of whatever version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(document, dict) and {"model_sha256", "members"} <= document.keys()
    except Exception:  # the file may hold anything
        return False


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(1)
    if start == b"{":
        return path.read_text(encoding="utf-8")
    from ..raster.reader import RasterReader

    with RasterReader(path) as reader:
        return reader.tags[TAG]


def _document(moment: Any, as_text: bool) -> dict[str, Any]:
    values = np.asarray(moment, "<f8")
    text = base64.b64encode(values.tobytes()).decode()
    return {"shape": list(values.shape), "values": text if as_text else values.ravel().tolist()}


def _from_document(document: Any) -> StoredStatistics:
    members: list[Statistics] = []
    for member in document["members"]:
        statistics: dict[str, Statistic] = {
            node: {name: _moment(own) for name, own in moments.items()}
            for node, moments in member.items()
        }
        members.append(statistics)
    return StoredStatistics(
        document["model_sha256"],
        tuple(document["model_outputs"]),
        document["tta"],
        float(document["sample"]),
        StatisticsOrigin.from_document(document["raster"]),
        tuple(members),
    )


def _moment(document: Any) -> Any:
    values = document["values"]
    if isinstance(values, str):
        array = np.frombuffer(base64.b64decode(values), "<f8")
    else:
        array = np.array(values, np.float64)
    array = array.reshape(document["shape"]).astype(np.float64)
    if not (abs(array) <= np.finfo(np.float32).max).all():
        raise ValueError("a number is not finite in float32")
    return array
