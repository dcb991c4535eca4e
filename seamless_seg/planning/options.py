"""Options: what a user asked for, and what was left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from ..errors import OptionError
from ..models.load import LazyModel
from ..system import cores
from ..tiling.trust import Profile
from ..windows import Size


@dataclass(frozen=True)
class Options:
    """What the user asked for; None, or "auto" in the first four, where they left it open."""

    tile: Size | Literal["auto"] | None = None
    overlap: Size | Literal["auto"] | None = None
    margin: Size | Literal["auto"] | None = None
    align: Size | Literal["auto"] | None = None
    trust: str | Profile | None = None
    batch_size: int | None = None
    bands: Sequence[int] | None = None
    tolerance: float | None = None
    scale: float | None = None
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None
    value_scaling: Sequence[Any] | None = None
    """What STAC MLM has under this name, in place of the three above."""
    normalize: str | None = None
    tta: str | None = None
    model_output: str | int | None = None
    fill: float | None = None
    nodata: float | None = None
    level: int | None = None
    resolution: Sequence[float] | float | None = None
    match_resolution: bool | None = None
    unscale: bool | None = None


def lazy_model(source: Any, options: Options, provider: str, threads: int | None) -> LazyModel:
    """The model that options and onnxruntime's settings describe, not yet opened."""
    return LazyModel(source, provider, threads, options.tta, options.model_output)


def merged(options: Options | None, choices: dict[str, Any]) -> Options:
    """Options given as such, or one by one."""
    if options is not None and choices:
        raise TypeError("give either options or their fields as keywords, not both")
    return options or Options(**choices)


@dataclass(frozen=True)
class Execution:
    """What a model runs on."""

    provider: str = "cpu"
    threads: int | None = None
    max_memory: int | None = None
    """Bytes that the process may have."""

    def __post_init__(self) -> None:
        limit = self.max_memory
        if limit is not None and (not isinstance(limit, Integral) or limit < 1):
            raise OptionError(f"max_memory must be a whole number of bytes, not {limit!r}")

    @property
    def variant(self) -> str:
        """What timings depend on, beside the model and its bands."""
        return f"-{self.provider.lower()}-{self.threads or cores()}"
