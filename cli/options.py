"""Options that several commands share, ready made, and the types that parse them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click

from seamless_seg import PROFILES
from seamless_seg.models.tta import AUGMENTATIONS
from seamless_seg.planning.outputs import BLENDS, KINDS, SMOOTHINGS
from seamless_seg.postprocess.products import ACTIVATIONS, CONFIDENCES
from seamless_seg.raster.creation_options import COMPRESSIONS, DTYPES

Command = TypeVar("Command", bound=Callable[..., Any])


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """``512`` or ``512x256``: pixels, height first; ``auto`` for what is left open."""

    name = "N|HxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int] | str:
        """Parse, or fail with what was expected."""
        if isinstance(value, tuple) or value == "auto":
            return value  # type: ignore[no-any-return]  # click knows no types here
        parts = value.lower().split("x")
        try:
            lengths = [int(part) for part in parts]
        except ValueError:
            lengths = []
        if len(lengths) not in (1, 2):
            self.fail(f"{value!r} is neither a number of pixels nor HEIGHTxWIDTH", param, ctx)
        return lengths[0], lengths[-1]


class Numbers(click.ParamType):  # type: ignore[type-arg]  # as above
    """``1,2,3``: numbers of one type, separated by commas."""

    def __init__(self, kind: type[int] | type[float], name: str) -> None:
        self.kind = kind
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse, or fail with what was expected."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            kind = "whole numbers" if self.kind is int else "numbers"
            self.fail(f"{value!r} is not a list of {kind} separated by commas", param, ctx)


class Bytes(click.ParamType):  # type: ignore[type-arg]  # as above
    """``500MB``, ``2 GB``, ``1.5GiB``: bytes, in units of 1000 or 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse, or fail with what was expected."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*(\d+\.?\d*)\s*(?:([kmgt])(i)?)?b?\s*", value.lower())
        if match is None:
            self.fail(f"{value!r} is no size in bytes, such as 500MB or 2GB", param, ctx)
        number, unit, binary = match.groups()
        steps = " kmgt".index(unit or " ")
        return int(float(number) * (1024 if binary else 1000) ** steps)


class Number(click.ParamType):  # type: ignore[type-arg]  # as above
    """``-9999``, ``nan``: a whole number stays one, as integers of 64 bits must."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """Parse, or fail with what was expected."""
        for kind in (int, float):
            with suppress(ValueError, TypeError):
                return kind(value)
        self.fail(f"{value!r} is neither a number nor nan", param, ctx)


class Assignment(click.ParamType):  # type: ignore[type-arg]  # as above
    """``KEY=VALUE``: what stands before the first sign of equality, and what after it."""

    def __init__(self, key: str, value: str) -> None:
        self.name = f"{key}={value}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Parse, or fail with what was expected."""
        if isinstance(value, tuple):
            return value
        key, _, text = value.partition("=")
        if not key or not text:
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return key, text


class Kind(click.ParamType):  # type: ignore[type-arg]  # as above
    """``classes``, or ``classes=PATH``, of which the path does not matter."""

    name = "KIND"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse, or fail with what was expected."""
        kind, _, _ = str(value).partition("=")
        if kind not in KINDS:
            self.fail(f"{kind!r} is not one of {', '.join(KINDS)}", param, ctx)
        return kind


INDICES = Numbers(int, "N,N,...")
NUMBERS = Numbers(float, "F,F,...")


def several(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Apply decorators in the order in which help shows their options."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


tiling = several(
    click.option(
        "--tile",
        type=Size(),
        metavar="N|HxW|auto",
        help="Pixels of a tile.  [default: the model's own, else 512, or what its margin needs]",
    ),
    click.option(
        "--overlap",
        type=Size(),
        metavar="N|HxW|auto",
        help="Least overlap of tiles, in pixels.  [default: what the margin needs; where none is "
        "exact, the model's own or a quarter]",
    ),
    click.option(
        "--margin",
        type=Size(),
        metavar="N|auto",
        help="Pixels next to a cut side that are not trusted.  [default: auto, measured]",
    ),
    click.option(
        "--align",
        type=Size(),
        metavar="N|auto",
        help="Start tiles at multiples of this, the model's stride.  [default: auto, measured]",
    ),
    click.option(
        "--tolerance",
        type=float,
        metavar="E",
        help="Be content with a margin beyond which no logit changes by this share of their "
        "standard deviation.",
    ),
    click.option(
        "--trust",
        type=click.Choice(list(PROFILES)),
        help="How trust falls towards a cut side; crop cuts hard.  [default: bell]",
    ),
    click.option("--batch-size", type=int, metavar="N", help="Tiles for the model at a time."),
)

pixels = several(
    click.option(
        "--bands",
        type=INDICES,
        metavar=INDICES.name,
        help="Bands for the model, counted from 1.  [default: all]",
    ),
    click.option(
        "--scale",
        type=float,
        metavar="F",
        help="Value = (pixel * scale - mean) / std, in place of an MLM sidecar's value_scaling.  "
        "[default: the model's own, else 1/255 for uint8 and 1 for floats]",
    ),
    click.option("--mean", type=NUMBERS, metavar=NUMBERS.name, help="One number a band, or one."),
    click.option("--std", type=NUMBERS, metavar=NUMBERS.name, help="One number a band, or one."),
    click.option(
        "--normalize",
        metavar="percentile:L,H|zscore",
        help="Take scale, mean and std from INPUT itself, read once, for all tiles alike: "
        "percentile:2,98 brings these two to 0 and 1, band by band. A note says the numbers.",
    ),
    click.option(
        "--fill",
        type=float,
        metavar="V",
        help="Pixel value for the model where pixels are not valid.  [default: the mean, 0 after "
        "normalization]",
    ),
)

model_output = click.option(
    "--model-output",
    metavar="NAME|INDEX",
    help="Output of the model, by name or counted from 0.  [default: the first]",
)

reading = several(
    click.option(
        "--nodata",
        type=Number(),
        metavar="V",
        help="Value of pixels that are not there, or nan.  [default: the file's]",
    ),
    click.option(
        "--level",
        type=click.IntRange(min=0),
        metavar="N",
        help="Read this overview of INPUT, 1 being the first; OUTPUT gets its size.  [default: 0, "
        "the full resolution]",
    ),
    click.option(
        "--resolution",
        type=NUMBERS,
        metavar="R|R,R",
        help="Resample INPUT to pixels of this height and width, in units of its CRS.",
    ),
    click.option(
        "--match-resolution",
        is_flag=True,
        default=None,
        help="Resample INPUT to the resolution in the model's metadata.",
    ),
    click.option(
        "--unscale",
        is_flag=True,
        default=None,
        help="Apply the scale and offset of INPUT's bands before anything else.",
    ),
)

tta = click.option(
    "--tta",
    type=click.Choice(list(AUGMENTATIONS)),
    help="Average the logits of each tile and of its mirror images (flips: 4 runs), turned by 90 "
    "degrees, too (d4: 8 runs).  [default: none]",
)

execution = several(
    model_output,
    click.option(
        "--provider",
        default="cpu",
        show_default=True,
        metavar="NAME",
        help="Execution provider of onnxruntime: cpu, cuda, ...",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        help="Threads that the model may use.  [default: onnxruntime's choice]",
    ),
)

memory = click.option(
    "--max-memory",
    type=Bytes(),
    metavar="SIZE",
    help="Memory that the process may take: 500MB, 2GB.  [default: what is fastest]",
)

region = several(
    click.option(
        "--area",
        metavar="FILE",
        help="GeoJSON polygons: only tiles that they touch are run. WGS 84 unless the file names a "
        "CRS; pixels (column, row) where the raster has no place.",
    ),
    click.option(
        "--bbox",
        type=NUMBERS,
        metavar="W,S,E,N",
        help="The same for bounds in the raster's CRS.",
    ),
)

kind = click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="logits",
    show_default=True,
    help="What OUTPUT holds.",
)

products = several(
    kind,
    click.option(
        "--also",
        type=Assignment("KIND", "PATH"),
        metavar="KIND=PATH",
        multiple=True,
        help="Write another output in the same run; may be given again.",
    ),
    click.option(
        "--activation",
        type=click.Choice(list(ACTIVATIONS)),
        help="What makes probabilities of logits.  [default: none where the model ends in one, "
        "else softmax, sigmoid for one class]",
    ),
    click.option(
        "--threshold",
        type=float,
        metavar="P",
        help="Of a model of one class: the probability above which a pixel is of it.  [default: "
        "the model's own, else 0.5]",
    ),
    click.option(
        "--confidence",
        type=click.Choice(list(CONFIDENCES)),
        help="Of the class: its probability, the margin to the next, or 1 - entropy / log(classes)."
        "  [default: probability]",
    ),
    click.option(
        "--blend",
        type=click.Choice(BLENDS),
        help="What overlapping tiles are blended as.  [default: logits]",
    ),
    click.option(
        "--smooth", type=int, metavar="N", help="Filter classes in windows of radius N pixels."
    ),
    click.option(
        "--smooth-by",
        type=click.Choice(SMOOTHINGS),
        help="Which class a window's pixels elect.  [default: majority]",
    ),
    click.option(
        "--sieve",
        type=int,
        metavar="N",
        help="Give regions of a class of fewer than N pixels to the largest next to them.",
    ),
)

writing = several(
    click.option(
        "--compress",
        type=click.Choice(COMPRESSIONS),
        default="zstd",
        show_default=True,
        help="Compression of the output, without loss unless --max-error is given.",
    ),
    click.option(
        "--compress-level",
        type=int,
        metavar="N",
        help="How hard zstd, deflate and lerc try.  [default: the fastest that is worth it]",
    ),
    click.option(
        "--max-error", type=float, metavar="E", help="How far lerc may be off.  [default: 0]"
    ),
    click.option(
        "--dtype",
        type=click.Choice(DTYPES),
        default="float32",
        show_default=True,
        help="Type of pixels that are no classes.",
    ),
    click.option("--cog", is_flag=True, help="Write Cloud Optimized GeoTIFFs, with overviews."),
    click.option(
        "--creation-option",
        "-co",
        "creation_options",
        type=Assignment("KEY", "VALUE"),
        metavar="KEY=VALUE",
        multiple=True,
        callback=lambda context, option, pairs: dict(pairs),
        help="Of GDAL's GTiff driver, with --cog of its COG driver.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace OUTPUT where it exists."),
)

# The program itself looks for it, before any command does.
debug = click.option(
    "--debug", is_flag=True, expose_value=False, help="Show where an error came from."
)
