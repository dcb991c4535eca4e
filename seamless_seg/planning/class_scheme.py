"""Decide on the number, the name and the color of each class in rasters of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from ..errors import OptionError
from ..models.base import ModelSpec
from ..models.metadata import MAX_CLASS, ModelMetadata
from ..postprocess.products import ClassNumbers, label_dtype

OTHER_CLASS = "other"
"""Name for pixels that are not of the class of a single-class model."""

HEX_DIGITS = frozenset("0123456789ABCDEF")

Names: TypeAlias = "Mapping[int, str] | Sequence[str]"
"""Names of classes: in the order of the model's channels, or by their number."""

Colors: TypeAlias = "Mapping[int, Any] | Sequence[Any]"
"""Colors of classes, ``#RRGGBB`` or (red, green, blue): in the same order, or by number."""


@dataclass(frozen=True)
class ClassScheme:
    """The classes of a model as outputs have them."""

    values: tuple[int, ...]
    """Number that is written for each class, in the order of the model's channels; of a model of
    one class, that of other pixels comes first. All numbers of a model that gives them itself."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Names by number."""
    colors: Mapping[int, str] = field(default_factory=dict)
    """Colors ``RRGGBB`` by number; others are chosen."""
    nodata: frozenset[int] = frozenset()
    """Numbers of the classes that become nodata."""
    note: str | None = None
    """What of the model's metadata is ignored."""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Type that holds all numbers and nodata, which is its largest one."""
        return label_dtype(max(self.values) + 1)

    @property
    def lookup(self) -> ClassNumbers:
        """Number to write for each class; nodata is the largest of the dtype."""
        nodata = np.iinfo(self.dtype).max
        written = [nodata if value in self.nodata else value for value in self.values]
        return np.array(written, self.dtype)

    @property
    def categories(self) -> list[str]:
        """Names at the index of their numbers, empty for others; none without a name."""
        written = {value: name for value, name in self.names.items() if value not in self.nodata}
        return [written.get(value, "") for value in range(max(written, default=-1) + 1)]

    def band_names(self, classes: int) -> list[str]:
        """Return the name of each channel; none where some have no name."""
        names = [self.names.get(value, "") for value in self.values[-classes:]]
        return names if all(names) else []


@dataclass(frozen=True)
class _Stated:
    """What metadata or options state, by number."""

    names: dict[int, str]
    colors: dict[int, str]
    nodata: frozenset[int] = frozenset()

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(sorted(self.names))


def class_scheme(
    spec: ModelSpec, classes: int, names: Any = None, colors: Any = None
) -> ClassScheme:
    """Decide on the classes of outputs: options win over what the model states.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    classes : int
        Number of its channels.
    names, colors : mapping or sequence, optional
        The user's; see ``class_names`` and ``class_colors`` of ``OutputOptions``.

    Raises
    ------
    OptionError
        If they do not fit the model.
    """
    stated = _of_metadata(spec.metadata)
    given = stated if names is None else replace(stated, names=_names_by_number(names, stated))
    positions = None if spec.gives_classes else _values(given, classes)
    note = None
    if not spec.gives_classes and positions is None and given.names:
        if names is not None:
            raise OptionError(
                f"class_names= names {_classes(len(given.names))}, and the model has "
                f"{max(2, classes) if classes == 1 else classes}: name each of them"
            )
        note = (
            f"the model's metadata names {_classes(len(given.names))}, and its output has "
            f"{classes}: the names are ignored"
        )
        given = _Stated({}, {})
    scheme = _scheme(spec, classes, given, positions)
    if colors is not None:
        scheme = replace(scheme, colors={**scheme.colors, **_colors_by_number(colors, scheme)})
    return replace(scheme, note=note)


def _classes(count: int) -> str:
    return f"{count} class" if count == 1 else f"{count} classes"


def _scheme(
    spec: ModelSpec, classes: int, given: _Stated, positions: tuple[int, ...] | None
) -> ClassScheme:
    if spec.gives_classes:
        most = label_dtype(max(given.numbers, default=0) + 1)
        return ClassScheme(tuple(range(np.iinfo(most).max)), *vars(given).values())
    if classes > 1 or len(given.names) != 1:
        values = positions or tuple(range(max(2, classes)))
        return ClassScheme(values, given.names, given.colors, given.nodata)
    # Metadata never names what is not of the class of a single-class model.
    ((number, name),) = given.names.items()
    value = number or 1
    color = {value: given.colors[number]} if number in given.colors else {}
    return ClassScheme((0, value), {0: OTHER_CLASS, value: name}, color)


def _values(stated: _Stated, classes: int) -> tuple[int, ...] | None:
    """Return the number of each class; None where the stated ones do not fit the model."""
    numbers = stated.numbers
    if len(numbers) == max(2, classes):
        return numbers
    if classes == 1 and len(numbers) == 1:
        return 0, numbers[0] or 1
    # Fewer numbers with a gap are positions: 1 to 18 of 19, of which 0 is the background.
    has_gap = numbers != tuple(range(len(numbers)))
    if classes > 1 and has_gap and len(numbers) < classes and max(numbers) < classes:
        return tuple(range(classes))
    return None


def _of_metadata(metadata: ModelMetadata) -> _Stated:
    numbers = metadata.class_values or tuple(range(len(metadata.class_names)))
    names = dict(zip(numbers, metadata.class_names, strict=True))
    each = zip(numbers, metadata.class_colors, strict=False)
    colors = {number: color for number, color in each if color}
    return _Stated(names, colors, frozenset(metadata.class_nodata))


def _names_by_number(names: Names, stated: _Stated) -> dict[int, str]:
    """Return names by number: those of the metadata where as many are listed in order."""
    if isinstance(names, Mapping):
        return dict(names)
    numbers = stated.numbers if len(stated.names) == len(names) else range(len(names))
    return dict(zip(numbers, names, strict=True))


def _colors_by_number(colors: Colors, scheme: ClassScheme) -> dict[int, str]:
    numbers = sorted(scheme.names) or list(scheme.values)
    if isinstance(colors, Mapping):
        unknown = [number for number in colors if number not in scheme.values]
        if unknown:
            raise OptionError(
                f"class_colors has a color for {unknown[0]}, which is no class: the classes are "
                f"{_listed(numbers)}"
            )
        return {number: _rgb(color) for number, color in colors.items()}
    if len(colors) != len(numbers):
        raise OptionError(
            f"class_colors has {len(colors)} colors, and there are {len(numbers)} classes: give "
            f"one for each"
        )
    pairs = zip(numbers, colors, strict=True)
    return {number: _rgb(color) for number, color in pairs if color is not None}


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")


def check_names(names: Any) -> dict[int, str] | list[str]:
    """Return names of classes as a dict by number, or as a list; raise ``OptionError`` if bad."""
    if isinstance(names, str) or not isinstance(names, Mapping | Sequence) or not names:
        raise OptionError(
            f"class_names must be names in the order of the classes, or names by number, not "
            f"{names!r}"
        )
    each = names.values() if isinstance(names, Mapping) else names
    for name in each:
        if not isinstance(name, str) or not name.strip():
            raise OptionError(f"class_names must be texts that are not empty, not {name!r}")
    repeated = next((name for name in each if list(each).count(name) > 1), None)
    if repeated is not None:
        raise OptionError(f"class_names has the name {repeated!r} twice: give each class its own")
    return _numbered("class_names", names) if isinstance(names, Mapping) else list(names)


def check_colors(colors: Any) -> dict[int, Any] | list[Any]:
    """Return colors of classes as a dict by number, or as a list; raise ``OptionError`` if bad."""
    if isinstance(colors, str) or not isinstance(colors, Mapping | Sequence) or not colors:
        raise OptionError(
            f"class_colors must be colors in the order of the classes, or colors by number, not "
            f"{colors!r}"
        )
    for color in colors.values() if isinstance(colors, Mapping) else colors:
        if color is not None:
            _rgb(color)
    return _numbered("class_colors", colors) if isinstance(colors, Mapping) else list(colors)


def _numbered(name: str, by_number: Mapping[Any, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for key, value in by_number.items():
        number = class_number(name, key)
        if number in found:
            raise OptionError(f"{name} has the class {number} twice: give it once")
        found[number] = value
    return dict(sorted(found.items()))


def class_number(name: str, key: Any) -> int:
    """Return the number of a class, which may be a text; raise ``OptionError`` if it is none."""
    try:
        number = int(key)
        is_whole = not isinstance(key, bool) and number == float(key)
    except (TypeError, ValueError, OverflowError):
        number, is_whole = -1, False
    if not is_whole or not 0 <= number <= MAX_CLASS:
        raise OptionError(f"{name} must have class numbers from 0 to {MAX_CLASS}, not {key!r}")
    return number


def _rgb(color: Any) -> str:
    """Return a color as ``RRGGBB``; raise ``OptionError`` if it is none."""
    if isinstance(color, str):
        digits = color.strip().removeprefix("#").upper()
        if len(digits) == 6 and set(digits) <= HEX_DIGITS:
            return digits
    elif isinstance(color, Sequence) and len(color) == 3 and all(map(_is_byte, color)):
        return bytes(int(part) for part in color).hex().upper()
    raise OptionError(
        f"class_colors must be #RRGGBB or red, green and blue from 0 to 255, not {color!r}"
    )


def _is_byte(part: Any) -> bool:
    is_whole = isinstance(part, int | np.integer) and not isinstance(part, bool)
    return bool(is_whole and 0 <= part <= 255)


def notes_on(scheme: ClassScheme) -> Iterator[str]:
    """Yield notes for the user on what becomes of classes."""
    if scheme.note is not None:
        yield scheme.note
    for number in sorted(scheme.nodata & set(scheme.values)):
        yield f"class {number}, {scheme.names.get(number, 'unnamed')}, is nodata in class rasters"
