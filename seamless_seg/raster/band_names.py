"""Names of a raster's bands: what it calls them, and which band a name means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import OptionError

TAGS = ("BANDNAME", "COMMON_NAME", "common_name", "eo:common_name")
"""Tags of a band in which drivers and tools write its name."""

UNNAMED = ("undefined", "gray", "palette")
"""Color interpretations that GDAL gives to bands of any meaning."""

ALIASES = {
    "grey": "gray",
    "nearinfrared": "nir",
    "nearir": "nir",
    "coastalaerosol": "coastal",
    "coastalblue": "coastal",
    "swir1": "swir16",
    "swir2": "swir22",
    "panchromatic": "pan",
}
"""Other spellings of common names (STAC eo), without spaces."""


class BandNames(NamedTuple):
    """The names of one band."""

    stated: tuple[str, ...] = ()
    """By its description and its tags."""
    color: str | None = None
    """By its color interpretation, which counts where no band's own names match."""

    @property
    def common(self) -> str | None:
        """Its first name, as names are compared; None if it has none."""
        names = (*self.stated, *((self.color,) if self.color else ()))
        return _comparable(names[0]) if names else None


def names_of(dataset: Any) -> tuple[BandNames, ...]:
    """Return the names of each band of an open dataset."""
    return tuple(
        BandNames(_stated(description, dataset.tags(band)), _color(interpretation.name))
        for band, description, interpretation in zip(
            dataset.indexes, dataset.descriptions, dataset.colorinterp, strict=True
        )
    )


def find(name: str, bands: Sequence[BandNames]) -> list[int]:
    """Return the numbers, from 1, of the bands that have a name.

    Spaces, case and leading zeros of numbers do not matter. A band's description and tags win over
    color interpretations.
    """
    wanted = _comparable(name)
    for names_of_band in (lambda band: band.stated, lambda band: (band.color,)):
        found = [
            number
            for number, band in enumerate(bands, 1)
            if wanted in {_comparable(own) for own in names_of_band(band) if own}
        ]
        if found:
            return found
    return []


def number_of_band(band: Any, bands: Sequence[BandNames], path: Any) -> Any:
    """Return the number of the band that a name means; numbers are returned as they are.

    Raises
    ------
    OptionError
        If no band has the name, or several have.
    """
    if not isinstance(band, str):
        return band
    found = find(band, bands)
    if len(found) == 1:
        return found[0]
    trouble = f"has no band {band!r}"
    if found:
        trouble = f"has {len(found)} bands {band!r} ({', '.join(map(str, found))})"
    raise OptionError(f"bands: {path} {trouble}: {_listed(bands)}")


def _listed(bands: Sequence[BandNames]) -> str:
    if not any(band.common for band in bands):
        return f"its bands have no names; give their numbers, 1 to {len(bands)}"
    shown = (
        f"{number} {' or '.join(dict.fromkeys((*band.stated, *_known(band.color)))) or '(no name)'}"
        for number, band in enumerate(bands, 1)
    )
    return f"its bands are {', '.join(shown)}"


def _known(color: str | None) -> tuple[str, ...]:
    return () if color is None else (color,)


def _stated(description: str | None, tags: dict[str, str]) -> tuple[str, ...]:
    """Names in a description, also those before a comma or in parentheses, and in tags."""
    names = [description or ""]
    names += re.split(r"[,()]", description or "")
    names += [tags.get(tag, "") for tag in TAGS]
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _color(interpretation: str) -> str | None:
    return None if interpretation in UNNAMED else interpretation


def _comparable(name: str) -> str:
    """A name without what does not matter: ``Red Edge`` is ``rededge``, ``B02`` is ``b2``."""
    short = re.sub(r"[\s_-]+", "", name).casefold()
    short = re.sub(r"^(b|band)0*(\d+\w?)$", r"b\2", short)
    return ALIASES.get(short, short)
