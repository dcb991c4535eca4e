"""The slow and obvious answers that everything fast is compared with.

Whole arrays, plain loops, formulas written out once more; nothing here is taken from the
modules under test but the places of the tiles.
"""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def pyramid(length, cut_before, cut_after, margin):
    """Distance in pixels from the nearer cut side, the margin taken off; at most the center's."""
    if not (cut_before or cut_after):
        return np.ones(length)
    trust = []
    for pixel in range(length):
        depths = [(length + 1) / 2 - margin]
        if cut_before:
            depths.append(pixel + 1 - margin)
        if cut_after:
            depths.append(length - pixel - margin)
        trust.append(max(0.0, min(depths)))
    return np.array(trust)


def full_weights(grid, margin=(0, 0)):
    """Weight of every tile at every pixel, shape (tile rows, tile columns, height, width)."""
    rows, cols = grid.shape
    height, width = grid.rows.size, grid.cols.size
    trust = np.zeros((rows, cols, height, width))
    for i in range(rows):
        for j in range(cols):
            y0, x0, y1, x1 = (int(bound) for bound in grid[i, j].bounds)
            along_y = pyramid(y1 - y0, i > 0, i < rows - 1, margin[0])
            along_x = pyramid(x1 - x0, j > 0, j < cols - 1, margin[1])
            tile = np.outer(along_y, along_x)[: height - y0, : width - x0]
            trust[i, j, y0 : y0 + tile.shape[0], x0 : x0 + tile.shape[1]] = tile
    return trust / trust.sum(axis=(0, 1))


def weighted_sum(grid, tiles, margin=(0, 0)):
    """Blend ``tiles``, a dict from index to array, by whole-image weights in float64."""
    weights = full_weights(grid, margin)
    trailing = next(iter(tiles.values())).shape[2:]
    total = np.zeros((grid.rows.size, grid.cols.size, *trailing))
    for (i, j), tile in tiles.items():
        y0, x0, y1, x1 = (int(bound) for bound in grid[i, j].bounds)
        y1, x1 = min(y1, grid.rows.size), min(x1, grid.cols.size)
        weight = weights[i, j, y0:y1, x0:x1].reshape((y1 - y0, x1 - x0) + (1,) * len(trailing))
        total[y0:y1, x0:x1] += weight * tile[: y1 - y0, : x1 - x0]
    return total


def reflected(image, box):
    """Pixels of ``image`` under ``box``; what sticks out at the right or bottom is reflected."""
    y0, x0, y1, x1 = (int(bound) for bound in box.bounds)
    height, width = image.shape[:2]
    padding = [(0, max(0, y1 - height)), (0, max(0, x1 - width))] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, padding, mode="reflect")[y0:y1, x0:x1]
