"""Types of arguments and options: what a user writes becomes a value, or a clear error."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import click

from seamless_seg.errors import OptionError
from seamless_seg.planning.options import AUTO, LEAST_BYTES
from seamless_seg.planning.outputs import KINDS
from seamless_seg.validation import bands_of


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """``512`` or ``512x256``: pixels, height first; words such as ``auto`` let the program choose.

    Parameters
    ----------
    words : collection of str
        The words that are taken.
    """

    name = "N|HxW"

    def __init__(self, words: Collection[str] = (AUTO,)) -> None:
        self.words = words

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int] | str:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, tuple) or value in self.words:
            return value  # type: ignore[no-any-return]  # click knows no types here
        if re.fullmatch(r"\d+(\.\d+)?%", value.strip()):
            self.fail(f"{value!r} is a share of the tile: give pixels, such as 64", param, ctx)
        parts = value.lower().split("x")
        try:
            lengths = [int(part) for part in parts]
        except ValueError:
            lengths = []
        if len(lengths) not in (1, 2):
            self.fail(
                f"{value!r} is neither a number of pixels nor HEIGHTxWIDTH, such as 512 or 512x256",
                param,
                ctx,
            )
        return lengths[0], lengths[-1]


class Exact(click.ParamType):  # type: ignore[type-arg]  # as above
    """``global``, and no other word."""

    name = "global"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word, or fail and say which it takes."""
        if value != self.name:
            self.fail(f"it takes {self.name}, not {value!r}: write --exact {self.name}", param, ctx)
        return self.name


class Numbers(click.ParamType):  # type: ignore[type-arg]  # as above
    """``1,2,3``: numbers of one Python type, separated by commas."""

    def __init__(self, kind: type[int] | type[float], name: str) -> None:
        self.kind = kind
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            kind = "whole numbers" if self.kind is int else "numbers"
            self.fail(f"{value!r} is not a list of {kind} separated by commas", param, ctx)


class Bands(click.ParamType):  # type: ignore[type-arg]  # as above
    """``4,3,2``, ``1-3`` or ``nir,red,green``: numbers or names of bands, separated by commas."""

    name = "B,B,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | str, ...]:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, tuple):
            return value
        try:
            return bands_of(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)


class Bytes(click.ParamType):  # type: ignore[type-arg]  # as above
    """``500MB``, ``2 GB``, ``1.5GiB``: bytes, in units of 1000 or 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*(\d+\.?\d*)\s*(?:([kmgt])(i)?)?b?\s*", value.lower())
        if match is None:
            advice = "; leave the option out for no limit" if value.isalpha() else ""
            expected = "is not a size in bytes, such as 500MB or 2GB"
            self.fail(f"{value!r} {expected}{advice}", param, ctx)
        number, unit, binary = match.groups()
        if unit is None and float(number) < LEAST_BYTES and not value.lower().endswith("b"):
            self.fail(f"{value} would be {value} bytes: add a unit, as in {value}GB", param, ctx)
        steps = " kmgt".index(unit or " ")
        return int(float(number) * (1024 if binary else 1000) ** steps)


class Threads(click.IntRange):
    """``4``: a number of threads, which is automatic without the option."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the number, or fail and say how it is automatic."""
        if isinstance(value, str) and value.isalpha():
            self.fail(f"{value!r} is no number: leave the option out to use all cores", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.ParamType):  # type: ignore[type-arg]  # as above
    """``-9999``, ``nan``: whole numbers stay integers, since a float cannot hold all 64 bits."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """Parse the text, or fail and say what is expected."""
        for kind in (int, float):
            with suppress(ValueError, TypeError):
                return kind(value)
        self.fail(f"{value!r} is neither a number nor nan", param, ctx)


class Factor(click.ParamType):  # type: ignore[type-arg]  # as above
    """``0.0001`` or ``1/255``: a number or a fraction."""

    name = "factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, int | float):
            return float(value)
        above, slash, below = value.partition("/")
        try:
            return float(above) / (float(below) if slash else 1)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor a fraction, such as 1/255", param, ctx)
        except ZeroDivisionError:
            self.fail(f"{value!r} divides by 0", param, ctx)


class Assignment(click.ParamType):  # type: ignore[type-arg]  # as above
    """``KEY=VALUE``: the texts before and after the first equals sign."""

    def __init__(self, key: str, value: str) -> None:
        self.name = f"{key}={value}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, tuple):
            return value
        key, _, text = value.partition("=")
        if not key or not text:
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return key, text


class Kind(click.ParamType):  # type: ignore[type-arg]  # as above
    """``classes`` or ``classes=PATH``: an output type; the path is ignored."""

    name = "KIND"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse the text, or fail and say what is expected."""
        kind, _, _ = str(value).partition("=")
        if kind not in KINDS:
            self.fail(f"{kind!r} is not one of {', '.join(KINDS)}", param, ctx)
        return kind


class Bound(click.ParamType):  # type: ignore[type-arg]  # as above
    """``1.05`` or ``largest=0.01``: a measure, the first one unless named, and its limit."""

    name = "[MEASURE=]F"

    def __init__(self, measures: Collection[str]) -> None:
        self.measures = measures

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Parse the text, or fail and say what is expected."""
        if isinstance(value, tuple):
            return value
        measure, _, number = value.rpartition("=")
        measure = measure or next(iter(self.measures))
        if measure not in self.measures:
            self.fail(f"{measure!r} is not one of {', '.join(self.measures)}", param, ctx)
        try:
            bound = float(number)
        except ValueError:
            bound = math.nan
        if math.isnan(bound):
            self.fail(f"{number!r} is not a number", param, ctx)
        return measure, bound
