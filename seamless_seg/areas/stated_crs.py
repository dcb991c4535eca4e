"""The CRS that a GeoJSON file states, as text that is safe to give to GDAL.

GDAL takes any text for a CRS: it would fetch a URL, open a path, or a grid that the text names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..errors import OptionError

GEOJSON_CRS = "OGC:CRS84"
"""CRS of GeoJSON in a file that names no other: WGS 84, as longitude and latitude."""

MAX_SHOWN = 80
"""Characters of a text that a message shows."""

MAX_TEXT = 100_000
"""Characters of a CRS, at most."""

_CODE = re.compile(r"(?i)(EPSG|ESRI|OGC|IAU|IAU_2015|IGNF|NKG):[A-Z0-9]+(\+[0-9]+)?")
_URN = re.compile(r"(?i)urn:(x-)?ogc:def:crs:[A-Z0-9_]+:[0-9.]*:[A-Z0-9]+")
_URL = re.compile(r"(?i)https?://www\.opengis\.net/def/crs/([A-Z0-9_]+)/([0-9.]+)/([A-Z0-9]+)")
_WKT = re.compile(
    r"(?i)(PROJCS|GEOGCS|GEOCCS|COMPD_CS|VERT_CS|LOCAL_CS|(PROJ|PROJECTED|GEOG|GEOGRAPHIC|GEOD"
    r"|GEODETIC|COMPOUND|BOUND|ENG|ENGINEERING|DERIVEDPROJ)CRS)\s*[\[(].*",
    re.DOTALL,
)
_PROJ = re.compile(r"(\+[A-Za-z0-9_]+(=[A-Za-z0-9_.,:@-]+)?\s*)+")
_INIT = re.compile(r"(?i)\+init=(epsg:[0-9]+)(\s+\+(no_defs|type=crs|wktext))*")
_GRID = re.compile(r"(?i)grids|\binit\b|\bfile\b|parameter_?file|\bcatalog\b|\bpipeline\b")
"""What makes PROJ open a file, in text of any form."""

_NO_GRID = re.compile(r"(?i)\+?nadgrids=@null")
"""What looks like that, and stands for none: in the CRS of web maps."""


def stated_crs(document: Any, name: str) -> str:
    """Return the CRS that a document states as text that makes GDAL open nothing.

    Parameters
    ----------
    document : dict
        GeoJSON; its member ``crs`` is as before RFC 7946, a text, or PROJJSON.
    name : str
        What the file is called in an error.

    Raises
    ------
    OptionError
        Where the CRS is stated in another way.
    """
    stated = document.get("crs") if isinstance(document, Mapping) else None
    if not stated:
        return GEOJSON_CRS
    text = _text_of(stated, name)
    if (url := _URL.fullmatch(text)) is not None:
        return f"urn:ogc:def:crs:{url[1]}:{url[2]}:{url[3]}"
    if (code := _INIT.fullmatch(text)) is not None:
        return code[1].upper()
    if _CODE.fullmatch(text) or _URN.fullmatch(text):
        return text
    is_long_form = _WKT.fullmatch(text) or _PROJ.fullmatch(text) or text.startswith("{")
    if is_long_form and len(text) < MAX_TEXT and not _GRID.search(_NO_GRID.sub("", text)):
        return text
    raise _refusal(text, name)


def _text_of(stated: Any, name: str) -> str:
    """The text of a CRS: as it is, in the form of GeoJSON 2008, or of PROJJSON."""
    if isinstance(stated, Mapping):
        properties = stated.get("properties")
        if not isinstance(properties, Mapping):
            return json.dumps(stated)
        code = properties.get("code")
        stated = properties.get("name") or (f"EPSG:{code}" if code else properties)
    if not isinstance(stated, str):
        raise _refusal(json.dumps(stated), name)
    return stated.strip()


def _refusal(text: str, name: str) -> OptionError:
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    return OptionError(
        f"{name} states the CRS {shown}, which is no code, WKT, PROJJSON or PROJ text, or names a "
        f"file: state it as EPSG:CODE"
    )
