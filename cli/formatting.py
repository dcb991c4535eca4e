"""Values as people read them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from seamless_seg.planning.autotune import TileCosts
from seamless_seg.planning.memory import Schedule
from seamless_seg.planning.settings import Settings
from seamless_seg.tiling.trust import name_of

from .keywords import in_options

SENTENCES = ("exactness", "warning", "warnings", "notes", "refusal")
"""Keys of figures that hold sentences of the library."""


def decisions(settings: Settings) -> Iterator[str]:
    """One line a setting: its name, its value and where it came from."""
    for name, decision in settings.decisions():
        label = name.replace("_", " ")
        yield f"{label:<11} {plain(decision.value)}  ({decision.origin})"


def prices(pricing: TileCosts | None) -> Iterator[str]:
    """The tiles that were timed, a line each, and the one that was taken."""
    if pricing is None:
        return
    for price in sorted({*pricing.timed, pricing.chosen}):
        mark = "taken" if price == pricing.chosen else "timed"
        costs = f"{price.speed / 1e6:.3g} Mpx/s, {price.redundancy:.2f} x the pixels"
        seconds = f"{price.seconds:.3g} s, {size(price.working)}"
        yield f"{mark:<12}{price.tile} px by {price.batch}: {costs}, {seconds}"


def schedule(chosen: Schedule | None) -> Iterator[str]:
    """How a run is walked and what it holds, a line each; nothing where that is not known."""
    if chosen is None:
        return
    panels, footprint = chosen.plan.panels, chosen.footprint
    widest = max(map(len, panels), default=0)
    yield f"{'panels':<12}{len(panels)}, of {widest} columns of tiles at most"
    workers = max(1, min(chosen.workers, -(-chosen.plan.tiles // chosen.batch_size)))
    batches = f"{workers} of {counted(chosen.batch_size, 'tile')} at a time"
    yield f"{'batches':<12}{batches}"
    parts = ", ".join(f"{size(count)} {part}" for part, count in footprint.parts() if count)
    yield f"{'memory':<12}{size(footprint.total)}: {parts}"


def plain(value: Any) -> str:
    """``256 x 512`` for two whole numbers, ``0.1, 0.2`` for others, ``0.00392157`` for one."""
    if isinstance(value, tuple):
        whole = len(value) == 2 and all(isinstance(number, int) for number in value)
        return (" x " if whole else ", ").join(plain(number) for number in value)
    if callable(value):
        return name_of(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def to_json(document: Any, indent: int | None = None) -> str:
    """JSON, which knows no infinity and no NaN: they become null.

    In sentences of the library, keywords become options.
    """

    def known(value: Any, is_sentence: bool = False) -> Any:
        if isinstance(value, dict):
            return {key: known(item, key in SENTENCES) for key, item in value.items()}
        if isinstance(value, list):
            return [known(item, is_sentence) for item in value]
        if is_sentence and isinstance(value, str):
            return in_options(value)
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(document), indent=indent)


def counted(count: int, noun: str) -> str:
    """``1 tile``, ``2 tiles``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Bytes as ``512 B``, ``1.5 MB``, ``32 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
