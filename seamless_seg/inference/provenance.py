"""Provenance: how an output was made, as tags in its file."""

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
from ..planning.options import Options
from ..planning.settings import LINEAR, Settings
from ..tiling.trust import PROFILES, is_name, name_of
from ..version import __version__

MODEL, DIGEST, VERSION, COMMAND, KIND = "model", "model_sha256", "version", "command", "kind"

LOSSY = {"dtype": "as {}", "max_error": "with errors of up to {}"}
"""Tags of outputs of which the pixels are not quite what was blended."""

CREDENTIALS = re.compile(r"(://)[^/@\s]+@|\?\S+")
"""What of a command line's addresses is nobody else's business: user and password, signatures."""

GEOMETRY = ("tile", "overlap", "margin", "align")
"""Options that make sense together only."""

PIXEL_SIZE = ("level", "resolution", "match_resolution")
"""Options that exclude each other."""

ONE_ANSWER = (
    (GEOMETRY, ("tile", "overlap")),
    (PIXEL_SIZE, PIXEL_SIZE),
    (LINEAR, ("value_scaling",)),
    (("value_scaling",), LINEAR),
    ((*LINEAR, "value_scaling"), ("normalize",)),
)
"""Options that are no longer what an output says where one of the others is given."""


def to_tags(settings: Settings, model: Any, command: str | None = None) -> dict[str, str]:
    """Each setting that the pixels depend on, as JSON, and which file the model was, if any.

    With them this package's version and, where it is known, the command line.
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


def as_made(options: Options, tags: Mapping[str, str], path: Any) -> Options:
    """Options as an output says that it was made, but for those that are given.

    Raises
    ------
    RasterError
        Where its tags are damaged.
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    stated = _stated(tags, path)
    for group, answering in ONE_ANSWER:
        if set(answering) & set(given):
            stated = {name: value for name, value in stated.items() if name not in group}
    return Options(**(stated | given))


def doubts(options: Options, tags: Mapping[str, str], path: Any, model: Any) -> Iterator[str]:
    """Sentences on why an output may not be what it is taken for."""
    stated = _stated(tags, path)
    if not stated:
        yield f"{path} does not say how it was tiled: it is taken for a run with these options"
    for name, value in stated.items():
        given = getattr(options, name)
        if given not in (None, "auto") and not _is_same(value, given):
            was, now = _said(value), _said(given)
            yield f"{path} says that its {name} was {was}, and is checked for {now}"
    for name, how in LOSSY.items():
        if name in tags:
            yield f"{path} is stored {how.format(json.loads(tags[name]))}: that shows, too"
    if (
        DIGEST in tags
        and not has_functions(model)
        and tags[DIGEST] != json.dumps(fingerprint(model))
    ):
        yield f"{path} was made with another model: {tags.get(MODEL, 'without a name')}"


def _stated(tags: Mapping[str, str], path: Any) -> dict[str, Any]:
    known, stated = {field.name for field in fields(Options)}, {}
    for name in known & set(tags):
        try:
            value = json.loads(tags[name])
        except ValueError:
            raise RasterError(f"{path}: its tag {name} is damaged, {tags[name]!r}") from None
        if name != "trust" or is_name(value):  # a function of the user's own is not in the file
            stated[name] = tuple(value) if isinstance(value, list) else value
    return stated


def _is_same(stated: Any, given: Any) -> bool:
    """Whether both say the same; one number may stand for all."""
    one, other = (list(v) if isinstance(v, Sequence) else [v] for v in (stated, given))
    most = max(len(one), len(other))
    one, other = one * (most // len(one)), other * (most // len(other))
    return len(one) == len(other) and all(
        was == now or (was != was and now != now)  # NaN is NaN
        for was, now in zip(one, other, strict=True)
    )


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Scaling):
        return value.document()
    if isinstance(value, np.generic):
        return value.item()
    name = name_of(value)
    # The tag of a user's own function must not be read back as a profile of the same name.
    return f"{name}()" if is_name(name) and PROFILES.get(name) is not value else name
