"""Files that list classes: number, name and color of each, as CSV, JSON or a name in each line."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import OptionError
from ..inputs.regular import refusal_as_file
from ..models.sidecars import LIST_ENDINGS
from .class_scheme import class_number

COLUMNS = ("value", "name", "color")
"""Columns of a CSV file, and keys of a class in JSON."""

EXPECTED = (
    "give JSON {value: name} or [{value, name, color}, ...], or CSV with the columns value, name, "
    "color"
)


class ListedClasses(NamedTuple):
    """What a file says of classes."""

    names: dict[int, str]
    """Names by number."""
    colors: dict[int, str]
    """Colors by number, of the classes that have one."""


def read_classes(path: Any) -> ListedClasses:
    """Read a file that lists classes.

    Parameters
    ----------
    path : str or path-like
        JSON ``{value: name}``, ``[{"value": 1, "name": "a", "color": "#FF0000"}, ...]`` or a list
        of names; CSV with the columns value, name and color, of which the last may be missing; or
        text with a name in each line (``.txt``, ``.names``).

    Raises
    ------
    OptionError
        If the file cannot be read, or lists no classes.
    """
    if (refusal := refusal_as_file(path)) is not None:
        raise OptionError(f"classes: {path} {refusal}")
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"classes: {path} cannot be read: {reason}") from None
    rows = _rows(path, text)
    if not rows:
        raise OptionError(f"classes: {path} lists no classes: {EXPECTED}")
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    for row in rows:
        number = class_number(f"classes: {path}", row.get("value"))
        if number in names:
            raise OptionError(f"classes: {path} has the class {number} twice: list it once")
        name = row.get("name")
        if not isinstance(name, str) or not name.strip():
            raise OptionError(f"classes: {path} has no name for the class {number}: {EXPECTED}")
        names[number] = name.strip()
        if row.get("color"):
            colors[number] = row["color"]
    return ListedClasses(names, colors)


def _rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    if path.suffix.lower() in LIST_ENDINGS:
        lines = (line.strip() for line in text.splitlines())
        return _in_order([line for line in lines if line])
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _of_json(json.loads(text))
        except Exception:  # the file may hold anything
            raise OptionError(f"classes: {path} lists no classes in JSON: {EXPECTED}") from None
    return _of_csv(path, text)


def _in_order(names: Sequence[str]) -> list[Mapping[str, Any]]:
    return [{"value": number, "name": name} for number, name in enumerate(names)]


def _of_json(document: Any) -> list[Mapping[str, Any]]:
    if isinstance(document, Mapping):
        return [
            {**own, "value": key} if isinstance(own, Mapping) else {"value": key, "name": own}
            for key, own in document.items()
        ]
    if all(isinstance(own, str) for own in document):
        return _in_order(document)
    if not all(isinstance(own, Mapping) for own in document):
        raise TypeError(document)
    return [{"color": own.get("color_hint"), **own} for own in document]


def _of_csv(path: Path, text: str) -> list[Mapping[str, Any]]:
    first = text.lstrip().partition("\n")[0]
    delimiter = next((own for own in ("\t", ";") if own in first), ",")
    lines = [own for own in csv.reader(text.splitlines(), delimiter=delimiter) if any(own)]
    if not lines:
        return []
    header = [cell.strip().lower() for cell in lines[0]]
    if not {"value", "name"} <= set(header):
        if not header[0].isdigit():
            raise OptionError(f"classes: {path} has no columns value and name: {EXPECTED}")
        header, lines = list(COLUMNS), [[], *lines]
    return [dict(zip(header, (cell.strip() for cell in line), strict=False)) for line in lines[1:]]
