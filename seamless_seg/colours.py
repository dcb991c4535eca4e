"""Colours of classes: those that a model brings, else some that the colour-blind can tell apart."""

from __future__ import annotations

from collections.abc import Sequence

RGB = tuple[int, int, int]

# Grey, then Okabe and Ito (https://jfly.uni-koeln.de/color/), then Tol's muted scheme
# (https://personal.sron.nl/~pault/).
PALETTE = (
    "BBBBBB",
    "E69F00",
    "56B4E9",
    "009E73",
    "F0E442",
    "0072B2",
    "D55E00",
    "CC79A7",
    "000000",
    "882255",
    "332288",
    "117733",
    "DDCC77",
    "CC6677",
    "44AA99",
    "AA4499",
    "999933",
    "88CCEE",
)
"""``RRGGBB`` of the first classes."""

SHADES = (1.0, 0.7, 0.45, 0.85, 0.55)
"""How bright the palette is in its first round, and in later ones."""


def colours_of(count: int, stated: Sequence[str | None] = ()) -> list[RGB]:
    """A colour for each class, the stated ones where there are some."""
    given = [*stated, *[None] * count][:count]
    return [_rgb(own) if own else _usual(number) for number, own in enumerate(given)]


def _usual(number: int) -> RGB:
    turn, place = divmod(number, len(PALETTE))
    shade = SHADES[turn % len(SHADES)]
    red, green, blue = (round(shade * part) for part in _rgb(PALETTE[place]))
    return red, green, blue


def _rgb(text: str) -> RGB:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue
