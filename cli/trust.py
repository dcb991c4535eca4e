"""The type of ``--trust``: a profile's name, or a window of scipy with its parameters."""

from __future__ import annotations

from typing import Any

import click

from seamless_seg import PROFILES, OptionError
from seamless_seg.tiling.trust import profile


class Trust(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """``bell``, ``tukey:0.5``: a name in ``PROFILES``, or a window of ``scipy.signal.windows``."""

    name = "|".join([*PROFILES, "WINDOW[:F,...]"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with what can be chosen."""
        try:
            profile(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)
        return str(value)
