"""What each kind of output costs beside plain logits: time, memory and disk.

    python benchmarks/kinds.py

Whole processes in turn, start-up included, each the sample model over the sample scene mirrored:
medians of several rounds, ratios to logits round by round. Memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from end_to_end import SAMPLE, cli, make_image, output_of
from memory import peak_of

OUTPUTS = {
    "logits": "",
    "logits, float16": "--dtype float16",
    "logits, lerc to 0.01": "--compress lerc --max-error 0.01",
    "probabilities": "--kind probabilities",
    "confidence": "--kind confidence",
    "classes": "--kind classes",
    "classes, smooth 3": "--kind classes --smooth 3",
    "classes, sieve 50": "--kind classes --sieve 50",
    "classes, all, COG": "--kind classes --smooth 3 --sieve 50 --cog",
    "logits, COG": "--cog",
    "logits and classes": "--also classes={folder}/classes.tif",
    "all four kinds": "--also classes={folder}/c.tif --also confidence={folder}/f.tif "
    "--also probabilities={folder}/p.tif",
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="pixels of the image's sides")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = make_image(folder / "image.tif", options.size)
        seconds: dict[str, list[float]] = {kind: [] for kind in OUTPUTS}
        peaks: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for number in range(options.rounds + 1):
            for kind, said in OUTPUTS.items():
                out = folder / "out"
                out.mkdir(exist_ok=True)
                arguments = said.format(folder=out).split()
                command = cli("run", image, SAMPLE / "model.onnx", out / "out.tif", *arguments)
                command += ["--tile", "512", "--overwrite", "-q"]
                started = time.perf_counter()
                if number:
                    output_of(command)
                    seconds[kind].append(time.perf_counter() - started)
                else:  # the first round warms up caches and remembers probes
                    peaks[kind] = peak_of(command)
                    sizes[kind] = sum(path.stat().st_size for path in out.iterdir())
                for path in out.iterdir():
                    path.unlink()
        print("| output | seconds | ratio | peak, MB | on disk, MB |")
        print("|---|---|---|---|---|")
        for kind, own in seconds.items():
            ratio = statistics.median(s / f for s, f in zip(own, seconds["logits"], strict=True))
            figures = f"{statistics.median(own):.2f} | {ratio:.2f} | {peaks[kind] / 1e6:.0f}"
            print(f"| {kind} | {figures} | {sizes[kind] / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
