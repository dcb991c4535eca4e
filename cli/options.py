"""Options that several commands share, ready made."""

from __future__ import annotations

from collections.abc import Callable

import click

from seamless_seg.models.tta import AUGMENTATIONS
from seamless_seg.planning.options import WORDS
from seamless_seg.planning.outputs import BLENDS, KINDS, SMOOTHINGS
from seamless_seg.postprocess.products import ACTIVATIONS, CONFIDENCES
from seamless_seg.raster.creation_options import COMPRESSIONS, DTYPES

from .command import Decorated, Section, option
from .trust import Trust
from .types import Assignment, Bands, Bytes, Exact, Factor, Number, Numbers, Size, Threads

NUMBERS = Numbers(float, "F,F,...")

POLYGON_COORDINATES = (
    "Coordinates are WGS 84 unless the file names a CRS; pixels (column, row) if the raster is not "
    "georeferenced."
)


def several(*decorators: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Apply decorators in the order in which help shows their options."""

    def decorate(command: Decorated) -> Decorated:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


tiling = several(
    option(
        Section.TILING,
        "--tile",
        type=Size(),
        metavar="N|HxW|auto",
        show_default="the model's own, else 512 or more for small rasters and auto for large ones",
        help="Tile size in pixels. auto: time several sizes and take the fastest, if the size does "
        "not change the result.",
    ),
    option(
        Section.TILING,
        "--overlap",
        type=Size(),
        metavar="N|HxW|auto",
        show_default="enough for an exact result; otherwise the model's own overlap, or 25%",
        help="Minimum overlap between tiles, in pixels.",
    ),
    option(
        Section.TILING,
        "--margin",
        type=Size(WORDS["margin"]),
        metavar="N|auto|measured",
        show_default="auto, from the model's receptive field",
        help="Discard this many pixels at tile edges. auto: as many as the model's graph proves to "
        "be enough, else as many as measured. measured: as many as measured, also where the graph "
        "allows a larger receptive field.",
    ),
    option(
        Section.TILING,
        "--align",
        type=Size(),
        metavar="N|auto",
        show_default="auto, measured",
        help="Align tile origins to multiples of N, the model's total stride.",
    ),
    option(
        Section.TILING,
        "--trust",
        type=Trust(),
        metavar=Trust.name,
        show_default="bell",
        help="Blending weights: highest at the center of a tile, lower toward its edges; crop: no "
        "blending.",
    ),
    option(
        Section.TILING,
        "--tolerance",
        type=float,
        metavar="E",
        show_default="exact",
        help="Accept logit errors of up to E standard deviations, for a smaller margin and "
        "overlap.",
    ),
    option(
        Section.TILING,
        "--exact",
        type=Exact(),
        metavar=Exact.name,
        show_default="tiles of a model with global context are blended",
        help="First measure what the model pools or normalizes over the whole raster, in one or "
        "more passes over all tiles, so that all tiles agree. The statistics go into the tags and "
        "into NAME.statistics.json beside OUTPUT.",
    ),
    option(
        Section.TILING,
        "--statistics",
        metavar="FILE",
        show_default="measured",
        help="Use the statistics of an earlier run with --exact global, from its "
        "NAME.statistics.json or from its output; --exact global need not be given. A warning "
        "says where pixels are made in another way than there.",
    ),
    option(
        Section.TILING,
        "--statistics-sample",
        type=float,
        metavar="F",
        show_default="1, all tiles",
        help="With --exact global: measure statistics that depend on other statistics on this "
        "share of the tiles only, above 0 and at most 1. The result is then not exact.",
    ),
)

pixels = several(
    option(
        Section.INPUT,
        "--bands",
        type=Bands(),
        metavar=Bands.name,
        show_default="by name if the model names its bands, else all",
        help="Bands for the model: numbers, counted from 1, ranges, such as 1-3, or names, such as "
        "nir,red,green.",
    ),
    option(
        Section.NORMALIZATION,
        "--normalize",
        metavar="percentile:L,H|zscore",
        show_default="none",
        help="Compute --scale, --mean and --std from INPUT, band by band, the same for all tiles. "
        "percentile:2,98 maps the 2nd percentile to 0 and the 98th to 1, in place of 1/255; the "
        "model's mean and std follow. zscore uses mean and standard deviation in place of the "
        "model's.",
    ),
    option(
        Section.NORMALIZATION,
        "--scale",
        type=Factor(),
        metavar="F",
        show_default="the model's own, else 1/255 for uint8 and 1 for floats",
        help="Scale factor, such as 1/255: the model gets (pixel * scale - mean) / std. Replaces "
        "value_scaling of an MLM sidecar.",
    ),
    option(
        Section.NORMALIZATION,
        "--mean",
        type=NUMBERS,
        metavar=NUMBERS.name,
        show_default="the model's own, else 0",
        help="Mean to subtract: one value per band, or a single value for all.",
    ),
    option(
        Section.NORMALIZATION,
        "--std",
        type=NUMBERS,
        metavar=NUMBERS.name,
        show_default="the model's own, else 1",
        help="Standard deviation to divide by: one value per band, or a single value for all.",
    ),
    option(
        Section.NORMALIZATION,
        "--fill",
        type=float,
        metavar="V",
        show_default="the mean, 0 after normalization",
        help="Pixel value fed to the model in place of nodata.",
    ),
)

no_network = option(
    Section.INPUT,
    "--no-network",
    "network",
    flag_value=False,
    default=None,
    help="Read local files only: the raster, and what it names, may not lie on other machines.",
)

reading = several(
    option(
        Section.INPUT,
        "--nodata",
        type=Number(),
        metavar="V",
        show_default="from the file",
        help="Nodata value of INPUT, or nan.",
    ),
    option(
        Section.INPUT,
        "--level",
        type=click.IntRange(min=0),
        metavar="N",
        show_default="0, full resolution",
        help="Read overview N of INPUT; 1 is the first. Outputs get its size.",
    ),
    option(
        Section.INPUT,
        "--resolution",
        type=NUMBERS,
        metavar="R|R,R",
        show_default="as stored",
        help="Resample INPUT to this pixel size (height,width), in units of its CRS.",
    ),
    option(
        Section.INPUT,
        "--match-resolution",
        is_flag=True,
        default=None,
        help="Resample INPUT to the resolution in the model's metadata.",
    ),
    option(
        Section.INPUT,
        "--unscale",
        is_flag=True,
        default=None,
        help="First apply the scale and offset that the file states for its bands.",
    ),
    option(
        Section.INPUT,
        "--mask-band",
        type=click.IntRange(min=1),
        metavar="N",
        show_default="alpha bands and masks that the file declares",
        help="Band that is zero where pixels are not valid. The model does not get it.",
    ),
    no_network,
)

model = several(
    option(
        Section.MODEL,
        "--model-output",
        metavar="NAME|INDEX",
        show_default="the first",
        help="Output of the model to use, by name or counted from 0.",
    ),
    option(
        Section.MODEL,
        "--tta",
        type=click.Choice(list(AUGMENTATIONS)),
        show_default="none",
        help="Test-time augmentation: average the logits of each tile and its flips (flips: 4 "
        "model runs), also rotated by 90 degrees (d4: 8 runs).",
    ),
)

batch_size = option(
    Section.EXECUTION,
    "--batch-size",
    type=int,
    metavar="N",
    show_default="the model's own, else up to 8 small tiles",
    help="Tiles per call of the model.",
)

execution = several(
    option(
        Section.EXECUTION,
        "--provider",
        default="cpu",
        show_default=True,
        metavar="NAME",
        help="Execution provider of onnxruntime: cpu, cuda, tensorrt, ...",
    ),
    option(
        Section.EXECUTION,
        "--threads",
        type=Threads(min=1),
        metavar="N",
        show_default="chosen by onnxruntime",
        help="CPU threads for the model.",
    ),
)

max_memory = option(
    Section.EXECUTION,
    "--max-memory",
    type=Bytes(),
    metavar="SIZE",
    show_default="no limit",
    help="Memory limit of the process, such as 500MB or 2GB.",
)

region = several(
    option(
        Section.INPUT,
        "--area",
        metavar="FILE",
        show_default="the whole raster",
        help="Segment only inside the polygons of a GeoJSON file; tiles elsewhere are skipped. "
        + POLYGON_COORDINATES,
    ),
    option(
        Section.INPUT,
        "--bbox",
        type=NUMBERS,
        metavar="W,S,E,N",
        show_default="the whole raster",
        help="Segment only inside these bounds, in the CRS of the raster.",
    ),
)

kind = option(
    Section.OUTPUTS,
    "--kind",
    type=click.Choice(KINDS),
    default="logits",
    show_default=True,
    help="Output type. classes: the best class of each pixel; confidence: how sure the model is of "
    "it.",
)

also = option(
    Section.OUTPUTS,
    "--also",
    type=Assignment("KIND", "PATH"),
    metavar="KIND=PATH",
    multiple=True,
    help="Write another output type to PATH in the same run. Repeatable.",
)

classes = option(
    Section.OUTPUTS,
    "--classes",
    metavar="FILE",
    show_default="from the model's metadata",
    help="Numbers, names and colors of the classes: CSV with the columns value, name, color, or "
    "JSON {value: name}.",
)

overwrite = option(Section.OUTPUTS, "--overwrite", is_flag=True, help="Replace outputs that exist.")

probabilities = several(
    option(
        Section.OUTPUTS,
        "--activation",
        type=click.Choice(list(ACTIVATIONS)),
        show_default="none if the model ends with one, else softmax; sigmoid for one class",
        help="Activation applied to logits to get probabilities.",
    ),
    option(
        Section.OUTPUTS,
        "--threshold",
        type=float,
        metavar="P",
        show_default="the model's own, else 0.5",
        help="Probability threshold for single-class models.",
    ),
    option(
        Section.OUTPUTS,
        "--confidence",
        type=click.Choice(list(CONFIDENCES)),
        show_default="probability",
        help="Confidence measure: probability of the class, margin to the second-best class, or 1 "
        "- entropy / log(classes).",
    ),
    option(
        Section.TILING,
        "--blend",
        type=click.Choice(BLENDS),
        show_default="logits",
        help="Blend overlapping tiles as logits or as probabilities.",
    ),
)

clean_up = several(
    option(
        Section.CLEAN_UP,
        "--sieve",
        type=int,
        metavar="N",
        show_default="none",
        help="Remove class regions smaller than N pixels: merge each into its largest neighbor.",
    ),
    option(
        Section.CLEAN_UP,
        "--smooth",
        type=int,
        metavar="N",
        show_default="none",
        help="Filter classes within a radius of N pixels.",
    ),
    option(
        Section.CLEAN_UP,
        "--smooth-by",
        type=click.Choice(SMOOTHINGS),
        show_default="majority",
        help="Filter for --smooth.",
    ),
)

file_format = several(
    option(
        Section.FILE_FORMAT,
        "--cog",
        is_flag=True,
        help="Write Cloud Optimized GeoTIFFs, with overviews.",
    ),
    option(
        Section.FILE_FORMAT,
        "--compress",
        type=click.Choice(COMPRESSIONS),
        default="zstd",
        show_default=True,
        help="Compression. Only lerc with --max-error is lossy.",
    ),
    option(
        Section.FILE_FORMAT,
        "--dtype",
        type=click.Choice(DTYPES),
        default="float32",
        show_default=True,
        help="Data type of logits, probabilities and confidence.",
    ),
    option(
        Section.FILE_FORMAT,
        "--compress-level",
        type=int,
        metavar="N",
        show_default="6 for deflate, else 1",
        help="Compression level of zstd, deflate or lerc; higher is smaller and slower.",
    ),
    option(
        Section.FILE_FORMAT,
        "--max-error",
        type=float,
        metavar="E",
        show_default="0",
        help="Largest error of a pixel value with --compress lerc.",
    ),
    option(
        Section.FILE_FORMAT,
        "--creation-option",
        "-co",
        "creation_options",
        type=Assignment("KEY", "VALUE"),
        metavar="KEY=VALUE",
        multiple=True,
        callback=lambda context, option, pairs: dict(pairs),
        help="GDAL creation option of the GTiff driver, with --cog of the COG driver. Repeatable.",
    ),
)

as_json = option(Section.REPORT, "--json", "as_json", is_flag=True, help="Print JSON.")


def quiet(printed: str) -> Callable[[Decorated], Decorated]:
    """Declare ``--quiet``, with which a command prints only what is ``printed``."""
    return option(Section.MESSAGES, "--quiet", "-q", is_flag=True, help=f"Print only {printed}.")


# The program itself looks for it, before any command does.
debug = option(
    Section.MESSAGES,
    "--debug",
    is_flag=True,
    expose_value=False,
    help="Print the traceback of an error.",
)
