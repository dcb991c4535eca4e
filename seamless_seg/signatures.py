"""Signatures: functions whose ``**choices`` are fields of dataclasses show these as keywords."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def showing_fields(*kinds: type, only: Collection[str] | None = None) -> Callable[[F], F]:
    """Let ``help`` and editors show the fields of dataclasses in place of ``**choices``.

    What the function does is not changed.

    Parameters
    ----------
    *kinds : type
        Dataclasses whose fields all have defaults.
    only : collection of str, optional
        Fields to show; all of them if None.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind != each.VAR_KEYWORD]
        shown = [_parameter(field) for kind in kinds for field in fields(kind)]
        shown = [each for each in shown if only is None or each.name in only]
        vars(function)["__signature__"] = signature.replace(parameters=[*own, *shown])
        return function

    return decorate


def _parameter(field: Field[Any]) -> inspect.Parameter:
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, keyword, default=default, annotation=field.type)
