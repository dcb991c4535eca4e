"""A cache of what was measured of a model, in the user's cache folder."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..models.files import fingerprint


def load_cached(kind: str, model: Any, variant: str = "") -> Any:
    """Load the JSON document that ``save_cached`` wrote for a model; None if there is none.

    Parameters
    ----------
    kind : str
        Subfolder of the cache, such as ``"probes"``.
    model : str, path-like or list of these
        The model's files. Their content identifies the document, not their names.
    variant : str
        What the document depends on beside the files.
    """
    with suppress(OSError, ValueError):
        return json.loads(_path(kind, model, variant).read_text())
    return None


def save_cached(kind: str, model: Any, document: Any, variant: str = "") -> None:
    """Save a JSON document about a model's files; do nothing if the cache cannot be written.

    Parameters
    ----------
    kind, model, variant
        As for ``load_cached``.
    document : object
        Anything that JSON can represent.
    """
    path = _path(kind, model, variant)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(document))
        partial.replace(path)


def _path(kind: str, model: Any, variant: str) -> Path:
    return _cache_folder() / "seamless_seg" / kind / f"{fingerprint(model)}{variant}.json"


def _cache_folder() -> Path:
    """Return the user's cache folder, or that of temporary files for a user without a home."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(tempfile.gettempdir())
