"""Mistakes on the command line that are common: what was meant, and how to write it."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_SHOWN = 6
"""Arguments that a message lists at most."""

OTHER_TOOLS = {
    "--device": "--provider (such as --provider cuda)",
    "--gpu": "--provider cuda",
    "--cuda": "--provider cuda",
    "--backend": "--provider",
    "--cpu": "--provider cpu",
    "--batch": "--batch-size",
    "--workers": "--threads",
    "--num-workers": "--threads",
    "--num-threads": "--threads",
    "--jobs": "--threads",
    "--memory": "--max-memory",
    "--mem": "--max-memory",
    "--ram": "--max-memory",
    "--tile-size": "--tile",
    "--tilesize": "--tile",
    "--patch-size": "--tile",
    "--window-size": "--tile",
    "--crop-size": "--tile",
    "--chip-size": "--tile",
    "--stride": "--overlap (the tile size less the stride)",
    "--padding": "--margin",
    "--window": "--trust",
    "--weights": "--trust (the weights for blending)",
    "--blend-weights": "--trust",
    "--force": "--overwrite",
    "--yes": "--overwrite",
    "--clobber": "--overwrite",
    "--aoi": "--area",
    "--mask": "--area",
    "--cutline": "--area",
    "--geojson": "--area",
    "--bounds": "--bbox",
    "--extent": "--bbox",
    "--projwin": "--bbox",
    "--te": "--bbox",
    "--channels": "--bands",
    "--band": "--bands",
    "--argmax": "--kind classes",
    "--classes-only": "--kind classes",
    "--softmax": "--kind probabilities",
    "--probabilities": "--kind probabilities",
    "--no-data": "--nodata",
    "--normalise": "--normalize",
    "--compression": "--compress",
    "--co": "--creation-option",
    "--output-type": "--kind",
    "--type": "--dtype",
    "--augment": "--tta",
    "--res": "--resolution",
    "--tr": "--resolution",
    "--silent": "--quiet",
}
"""Options of other tools, and what stands for them here."""

ARGUMENTS = {
    "--input": "INPUT",
    "--raster": "INPUT",
    "--image": "INPUT",
    "--model": "MODEL",
    "--checkpoint": "MODEL",
    "--output": "OUTPUT",
    "--out": "OUTPUT",
    "-i": "INPUT",
    "-m": "MODEL",
    "-o": "OUTPUT",
}
"""Options of other tools that are arguments here, without a name."""


def unknown_option(given: str, known: Sequence[str], arguments: Sequence[str]) -> str | None:
    """Say what to write in place of an option that does not exist; None where that is unknown.

    Parameters
    ----------
    given : str
        The option, as the user wrote it.
    known : sequence of str
        The options of the command.
    arguments : sequence of str
        The names of its arguments.
    """
    option = given.lower()
    if option.startswith("--"):
        option = option.replace("_", "-")
    if option != given and option in known:
        return f"there is no {given}: it is written {option}"
    meant = OTHER_TOOLS.get(option)
    if meant is not None and meant.split()[0] in known:
        return f"there is no {given}: use {meant}"
    name = ARGUMENTS.get(option)
    if name is not None and name in arguments:
        return f"there is no {given}: give {name} without it, in the order {' '.join(arguments)}"
    return None


def too_many_arguments(given: Sequence[str], expected: Sequence[str]) -> str:
    """Say what may have been meant by more arguments than a command takes.

    Parameters
    ----------
    given : sequence of str
        All arguments, without the options.
    expected : sequence of str
        The names of the arguments that the command takes.
    """
    extra, shown = given[len(expected) :], ", ".join(map(repr, given[:MAX_SHOWN]))
    more = ", ..." if len(given) > MAX_SHOWN else ""
    message = f"{len(given)} arguments in place of {' '.join(expected)}: {shown}{more}"
    if all(re.fullmatch(r"-?[\d.]+", each) for each in extra):
        return f"{message}; join the numbers of an option with commas, as in --bbox W,S,E,N"
    models = [each for each in given if each.lower().endswith(".onnx")]
    if len(models) > 1 and len(expected) > 1:
        return f"{message}; join models with commas: {','.join(models[:3])}"
    endings = [each.rpartition(".")[2].lower() for each in given[:-1]]
    if any(endings.count(ending) > 1 for ending in ("tif", "tiff", "png", "jpg", "jp2", "vrt")):
        return (
            f"{message}; a pattern such as *.tif becomes the names of all files that match: join "
            f"these into one raster (gdalbuildvrt all.vrt *.tif), or run once for each"
        )
    return f"{message}; put names with spaces in quotes"
