"""Record in an output's tags how it was made, and read options back from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import RasterError
from ..models.files import files_of, fingerprint, has_functions
from ..normalization import Scaling
from ..planning.options import AUTO, SMALLEST_LENGTHS, Options
from ..planning.settings import LINEAR, Settings
from ..planning.statistics_file import TAG
from ..tiling.trust import PROFILES, is_name, name_of
from ..version import __version__

MODEL, DIGEST, VERSION, COMMAND, KIND = "model", "model_sha256", "version", "command", "kind"
EXACTNESS = "exactness"
"""Names of tags beside those of settings."""

LOSSY_TAGS = {"dtype": "as {}", "max_error": "with errors of up to {}"}
"""Tags of outputs whose pixels are not exactly the blended values."""

CREDENTIALS = re.compile(r"(://)[^/@\s]+@|\?\S+")
"""Parts of a command line's URLs that may be secret: user and password, signatures."""

GEOMETRY = ("tile", "overlap", "margin", "align")
"""Options that depend on each other."""

PIXEL_SIZE = ("level", "resolution", "match_resolution")
"""Options that exclude each other."""

SUPERSEDED = (
    (GEOMETRY, ("tile", "overlap")),
    (PIXEL_SIZE, PIXEL_SIZE),
    (LINEAR, ("value_scaling",)),
    (("value_scaling",), LINEAR),
    ((*LINEAR, "value_scaling"), ("normalize",)),
)
"""Pairs of names: the first are not taken from an output if one of the second is given."""


def to_tags(settings: Settings, model: Any, command: str | None = None) -> dict[str, str]:
    """Return the tags of an output: settings, model, version and command line, as JSON.

    Parameters
    ----------
    settings : Settings
        All decisions; those that the pixels do not depend on are left out.
    model : str, path-like, callable or list of these
        The model; files are recorded by name and digest, functions are not.
    command : str, optional
        The command line; credentials in its URLs are removed.
    """
    tags = {
        name: json.dumps(decision.value, default=_plain)
        for name, decision in settings.decisions()
        if name != "batch_size"
    }
    if not has_functions(model):
        names = ",".join(path.name for path in files_of(model))
        tags |= {MODEL: json.dumps(names), DIGEST: json.dumps(fingerprint(model))}
    tags[VERSION] = json.dumps(__version__)
    if command is not None:
        tags[COMMAND] = json.dumps(CREDENTIALS.sub(r"\1", command))
    return tags


def options_from_tags(options: Options, tags: Mapping[str, str], path: Any) -> Options:
    """Complete options by those that an output's tags record.

    Parameters
    ----------
    options : Options
        The user's options, which win.
    tags : mapping
        The output's tags.
    path : str or path-like
        The output, for messages.

    Raises
    ------
    RasterError
        If a tag is not valid JSON.
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    stated = _stated(tags, path)
    for superseded, options_given in SUPERSEDED:
        if set(options_given) & set(given):
            stated = {name: value for name, value in stated.items() if name not in superseded}
    if stated.get("exact") and TAG in tags and "statistics_sample" not in given:
        stated["statistics"] = path
    return Options(**(stated | given))


def describes_tiling(options: Options, tags: Mapping[str, str], path: Any) -> bool:
    """Whether options leave the geometry of an output's tiles as its tags state it."""
    stated = _stated(tags, path)
    return all(
        getattr(options, name) in (None, AUTO)
        or name not in stated
        or _is_equal(stated[name], getattr(options, name))
        for name in SMALLEST_LENGTHS
    )


def mismatches(options: Options, tags: Mapping[str, str], path: Any, model: Any) -> Iterator[str]:
    """Yield sentences on why an output may not be one of these options and this model.

    Parameters
    ----------
    options : Options
        The user's options.
    tags : mapping
        The output's tags.
    path : str or path-like
        The output, for messages.
    model : str, path-like, callable or list of these
        The model.
    """
    stated = _stated(tags, path)
    if not stated:
        yield f"{path} has no tags about its tiles: they are taken to be those of these options"
    for name, value in stated.items():
        given = getattr(options, name)
        if given not in (None, "auto") and not _is_equal(value, given):
            was, now = _text(value), _text(given)
            yield f"{path} was made with {name} {was}, and is checked with {name} {now}"
    for name, how in LOSSY_TAGS.items():
        if name in tags:
            yield f"{path} is stored {how.format(json.loads(tags[name]))}: this adds to differences"
    if (
        DIGEST in tags
        and not has_functions(model)
        and tags[DIGEST] != json.dumps(fingerprint(model))
    ):
        yield f"{path} was made with another model: {tags.get(MODEL, 'without a name')}"


def _stated(tags: Mapping[str, str], path: Any) -> dict[str, Any]:
    """The options that tags record."""
    known, stated = {field.name for field in fields(Options)}, {}
    for name in known & set(tags):
        try:
            value = json.loads(tags[name])
        except ValueError:
            raise RasterError(
                f"{path}: its tag {name} must be JSON, not {tags[name]!r}: give an undamaged output"
            ) from None
        if name != "trust" or is_name(value):  # a function of the user is not in the file
            stated[name] = tuple(value) if isinstance(value, list) else value
    return stated


def _is_equal(stated: Any, given: Any) -> bool:
    """Whether two values of an option are equal; one number may stand for all."""
    one, other = (list(v) if isinstance(v, Sequence) else [v] for v in (stated, given))
    most = max(len(one), len(other))
    one, other = one * (most // len(one)), other * (most // len(other))
    return len(one) == len(other) and all(
        was == now or (was != was and now != now)  # NaN is NaN
        for was, now in zip(one, other, strict=True)
    )


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Scaling):
        return value.document()
    if isinstance(value, np.generic):
        return value.item()
    name = name_of(value)
    # The tag of a user's own function must not be read back as a profile of the same name.
    return f"{name}()" if is_name(name) and PROFILES.get(name) is not value else name
