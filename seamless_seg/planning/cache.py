"""What has been found out about a model, kept among the user's caches for the next time."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..models.files import fingerprint


def recall(kind: str, model: Any, variant: str = "") -> Any:
    """What has been remembered of a model's files, as JSON has it; None for nothing."""
    with suppress(OSError, ValueError):
        return json.loads(_place(kind, model, variant).read_text())
    return None


def remember(kind: str, model: Any, document: Any, variant: str = "") -> None:
    """Remember something of a model's files, if that is possible: it is a convenience."""
    place = _place(kind, model, variant)
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(document))
        partial.replace(place)


def _place(kind: str, model: Any, variant: str) -> Path:
    return _caches() / "seamless_seg" / kind / f"{fingerprint(model)}{variant}.json"


def _caches() -> Path:
    """The folder of the user's caches; that of temporary files for a user without a home."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(tempfile.gettempdir())
