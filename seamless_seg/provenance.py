"""Provenance: how an output was made, as tags in its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .options import Options
from .settings import Settings

NAMESPACE = "seamless_seg"
"""Domain of the tags in the file's metadata."""


def to_tags(settings: Settings) -> dict[str, str]:
    """Each setting that the pixels depend on, as JSON."""
    return {
        name: json.dumps(decision.value)
        for name, decision in settings.decisions()
        if name != "batch_size"
    }


def from_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    """Options by name that give the same settings again; none for a file without tags."""
    known = {field.name for field in fields(Options)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in ((name, json.loads(text)) for name, text in tags.items())
        if name in known
    }
