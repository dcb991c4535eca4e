import gc
import tracemalloc

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given
from hypothesis import strategies as st

from seamless_seg.polygons.trace import trace, window_shape


def whole(classes, valid=None):
    """GDAL's polygons of the whole raster at once, normalized, with their classes."""
    known = np.unique(classes)
    indices = np.searchsorted(known, classes).astype(np.int32)
    shapes = rasterio.features.shapes(indices, mask=valid)
    found = [(shapely.geometry.shape(shape), known[int(value)]) for shape, value in shapes]
    return sorted((shapely.normalize(polygon).wkt, int(value)) for polygon, value in found)


def traced(classes, window, valid=None):
    """The same, traced window by window; all of them are valid."""

    def read(rows, cols):
        return classes[rows, cols], None if valid is None else valid[rows, cols]

    found = []
    for outlines, values, _ in trace(read, classes.shape, window):
        polygons = outlines.geometries
        assert shapely.is_valid(polygons).all()
        pairs = zip(shapely.normalize(polygons), values, strict=True)
        found += [(polygon.wkt, int(value)) for polygon, value in pairs]
    return sorted(found)


def blobs(random, shape, classes, size):
    """Classes in patches of about ``size`` pixels, torn at their edges."""
    rows, cols = np.indices(shape) + random.integers(-1, 2, (2, *shape))
    patches = random.integers(0, classes, (shape[0] // size + 2, shape[1] // size + 2))
    return patches[(rows + 1) // size, (cols + 1) // size].astype(np.uint8)


@given(st.data())
def test_polygons_are_those_of_the_whole_raster(data):
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)), label="shape")
    window = data.draw(st.tuples(st.integers(1, 45), st.integers(1, 45)), label="window")
    classes = data.draw(st.integers(1, 4), label="classes")
    size = data.draw(st.integers(1, 9), label="size")
    random = np.random.default_rng(data.draw(st.integers(0, 99), label="seed"))
    pixels = blobs(random, shape, classes, size)
    share = data.draw(st.sampled_from([None, 0, 0.1, 0.5, 1]), label="missing")
    valid = None if share is None else random.random(shape) >= share
    assert traced(pixels, window, valid) == whole(pixels, valid)


SPIRAL = """
#########.
........#.
.######.#.
.#....#.#.
.#.##.#.#.
.#.#..#.#.
.#.####.#.
.#......#.
.########.
"""


@pytest.mark.parametrize("window", [(1, 100), (100, 1), (1, 1), (2, 3), (4, 4)])
def test_what_winds_through_many_windows_is_one_polygon(window):
    lines = SPIRAL.split()
    classes = np.array([[character == "#" for character in line] for line in lines], np.uint8)
    found = traced(classes, window)
    assert found == whole(classes)
    assert len(found) == 3


@pytest.mark.parametrize("window", [(1, 9), (3, 3)])
def test_chequerboards_meet_at_corners_only(window):
    classes = (np.indices((9, 9)).sum(axis=0) % 2).astype(np.uint8)
    classes[4] = 1
    assert traced(classes, window) == whole(classes)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_all_integers_are_classes(dtype):
    largest = min(np.iinfo(dtype).max, 2**40)
    classes = np.array([[0, largest, largest], [3, 3, largest]], dtype)
    assert traced(classes, (1, 2)) == whole(classes)


def test_each_polygon_comes_as_soon_as_it_is_complete():
    classes = np.zeros((30, 5), np.uint8)
    classes[10:12] = 1
    found = [
        values.tolist() for _, values, _ in trace(lambda *at: (classes[at], None), (30, 5), (5, 5))
    ]
    assert found == [[], [], [1, 0], [], [], [0]]


@pytest.mark.parametrize(
    ("size", "block", "window"),
    [
        ((40_000, 40_000), (256, 256), (1024, 1024)),
        ((40_000, 40_000), (1, 40_000), (26, 40_000)),
        ((40_000, 3_000_000), (1, 3_000_000), (1, 1024 * 1024)),
        ((300, 200), (256, 256), (300, 200)),
        ((100_000, 100), (64, 100), (10_432, 100)),
    ],
)
def test_windows_are_whole_blocks_where_these_fit(size, block, window):
    assert window_shape(size, block) == window


@pytest.mark.slow
def test_what_is_held_does_not_grow_with_the_raster():
    once = blobs(np.random.default_rng(0), (100, 100), 4, 8)
    once[30] = 9  # or some polygons would go on for ever
    classes, held = np.tile(once, (10, 1)), []

    def read(rows, cols):
        return classes[rows, cols], None

    gc.freeze()  # collecting is quick then
    tracemalloc.start()
    list(trace(read, (16, 17), (1, 1)))  # it fills what libraries keep for the next time
    for _ in trace(read, classes.shape, (50, 100)):
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    gc.unfreeze()
    assert max(held[12:]) < 1.05 * max(held[4:12])
