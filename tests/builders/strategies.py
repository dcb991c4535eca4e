"""Sizes for hypothesis: small enough for whole-array oracles, odd enough to tell."""

from __future__ import annotations

from hypothesis import strategies as st

from seamless_seg.tiling.axis import Axis


@st.composite
def axes(draw, largest_tile=40, largest_size=160, deepest=0.9, aligns=(1, 2, 3, 4, 8)):
    """Axes with sizes below, at, just above and far from multiples of the tile."""
    tile = draw(st.integers(1, largest_tile))
    overlap = draw(st.integers(0, max(0, min(tile - 1, int(tile * deepest)))))
    margin = draw(st.integers(0, max(0, (overlap - 1) // 2)))
    align = draw(st.sampled_from([a for a in aligns if a <= tile - overlap]))
    stride = tile - overlap
    telling = [1, tile - 1, tile, tile + 1, tile + stride, tile + stride + 1, 2 * tile]
    size = draw(st.sampled_from(telling) | st.integers(1, largest_size))
    return Axis(max(1, size), tile, overlap, align, margin)


@st.composite
def plan_arguments(draw, **limits):
    """Keyword arguments of ``plan_run_grid`` but for area and trust, made from two axes."""
    limits = {"largest_tile": 16, "largest_size": 48} | limits
    rows, cols = draw(axes(**limits)), draw(axes(**limits))
    return {
        "image_size": (rows.size, cols.size),
        "tile_size": (rows.tile, cols.tile),
        "overlap": (rows.overlap, cols.overlap),
        "margin": (rows.margin, cols.margin),
        "align": (rows.align, cols.align),
        "panel": draw(st.sampled_from([None, None, 1, 2, 3])),
    }
