"""What blending costs a tile, beside a plain copy of the same tiles.

    python benchmarks/blend.py

Both see the same float32 tiles, 256 x 256 with an overlap of 64, in the same order; they are
more than fit into a processor's cache, as a model's are. Medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from seamless_seg import Plan, plan_run_grid, run_plan

TILE, OVERLAP, BATCH = 256, 64, 8


def main() -> None:
    """Print one row a number of channels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 3, 8])
    parser.add_argument("--size", type=int, default=4096, help="pixels of the image's sides")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    plan, _ = plan_run_grid(arguments.size, TILE, OVERLAP)
    print(f"{plan.tiles} tiles of {TILE}, overlap {OVERLAP}, float32; milliseconds a tile")
    print(f"{'channels':>8} {'layout':>8} {'blend':>8} {'copy':>8} {'ratio':>8}")
    for channels in arguments.channels:
        for layout in ("HWC", "CHW"):
            blend, copy = measure(plan, tiles_of(channels, layout), arguments.rounds)
            ratio = blend / copy
            print(f"{channels:>8} {layout:>8} {blend:>8.3f} {copy:>8.3f} {ratio:>8.1f}")


def tiles_of(channels: int, layout: str) -> list[np.ndarray]:
    """Enough tiles to fill 64 MB, shape (TILE, TILE, channels) whatever lies behind."""
    random = np.random.default_rng(0)
    count = max(8, 64_000_000 // (TILE * TILE * channels * 4))
    if layout == "HWC":
        return [random.random((TILE, TILE, channels), np.float32) for _ in range(count)]
    return [
        random.random((channels, TILE, TILE), np.float32).transpose(1, 2, 0) for _ in range(count)
    ]


def measure(plan: Plan, tiles: list[np.ndarray], rounds: int) -> tuple[float, float]:
    """Median milliseconds a tile of blending and of copying."""
    columns = plan.grid.shape[1]

    def tile_of(index: tuple[int, int], _geom: object) -> np.ndarray:
        return tiles[(index[0] * columns + index[1]) % len(tiles)]

    def blend() -> None:
        run_plan(plan, BATCH, 10**9, lambda *_: None, get_tile=tile_of, read_ahead=False)

    def copy() -> None:
        for n in range(plan.tiles):
            np.array(tiles[n % len(tiles)])

    samples = [(seconds(blend), seconds(copy)) for _ in range(rounds)]
    return tuple(
        1000 * statistics.median(column) / plan.tiles for column in zip(*samples, strict=True)
    )


def seconds(work) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
