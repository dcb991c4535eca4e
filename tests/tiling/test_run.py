import threading
import tracemalloc

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import ndimage

import seamless_seg
from builders import oracle
from builders.areas import areas, inside
from builders.strategies import plan_arguments
from seamless_seg import BudgetError, RasterError, TileError, plan_run_grid, run_plan, tiles_held

trusts = st.sampled_from(sorted(seamless_seg.PROFILES))
NO_LIMIT = 10**9


def blended(plan, tile_of, batch_size=4, **options):
    """Run a plan into one array; every pixel must be written once at most."""
    output = None
    written = np.zeros(plan.image_size, dtype=int)

    def write_tile(index, geom, window):
        nonlocal output
        slices = seamless_seg.shape_to_slices(geom)
        if output is None:
            output = np.full((*plan.image_size, *window.shape[2:]), np.nan, window.dtype)
        output[slices] = window
        written[slices] += 1

    run_plan(plan, batch_size, NO_LIMIT, write_tile, get_tile=tile_of, **options)
    assert written.max(initial=0) <= 1
    return output


def noise(plan, trailing=(), dtype=np.float32, seed=0):
    """A random tile for every index, always the same."""

    def tile_of(index, geom):
        random = np.random.default_rng([seed, *index])
        return (random.random((*plan.grid.tile_shape, *trailing)) * 250).astype(dtype)

    return tile_of


@given(plan_arguments(), st.sampled_from([(), (1,), (3,), (2, 2)]))
@example({"image_size": (257, 86), "tile_size": (256, 32), "overlap": (64, 8)}, ())
@example({"image_size": (50, 50), "tile_size": (20, 16), "overlap": (15, 12)}, (2,))
def test_blending_is_the_sum_of_tiles_by_weight(arguments, trailing):
    plan, grid = plan_run_grid(**arguments)
    tile_of = noise(plan, trailing)
    tiles = {index: tile_of(index, None) for index in np.ndindex(*grid.shape)}
    expected = oracle.weighted_sum(grid, tiles, arguments.get("margin", (0, 0)))
    np.testing.assert_allclose(blended(plan, tile_of), expected, rtol=1e-4, atol=1e-4)


@given(plan_arguments(), trusts, st.integers(0, 2**32 - 1))
def test_what_all_tiles_agree_on_comes_out_to_the_last_bit(arguments, trust, seed):
    plan, _ = plan_run_grid(**arguments, trust=trust)
    image = np.random.default_rng(seed).standard_normal(plan.image_size).astype(np.float32)
    output = blended(plan, lambda index, geom: oracle.reflected(image, geom))
    np.testing.assert_array_equal(output, image)


@given(plan_arguments(), trusts, st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_constant_stays_that_constant(arguments, trust, value):
    plan, grid = plan_run_grid(**arguments, trust=trust)
    output = blended(plan, lambda index, geom: np.full(grid.tile_shape, value, np.float32))
    assert (output == np.float32(value)).all()


@given(plan_arguments(), st.integers(0, 2**32 - 1))
def test_convolution_with_a_margin_of_its_radius_is_that_of_the_whole_image(arguments, seed):
    plan, grid = plan_run_grid(**arguments)
    random = np.random.default_rng(seed)
    kernel = random.standard_normal([2 * margin + 1 for margin in arguments["margin"]])

    def model(pixels):
        return ndimage.convolve(pixels, kernel, mode="constant")

    image = random.standard_normal(plan.image_size)
    output = blended(plan, lambda _, geom: model(oracle.reflected(image, geom)))
    # An aligned last tile sticks out: the whole image is the one extended in that way, once.
    whole = model(oracle.reflected(image, shapely.box(0, 0, *grid[-1, -1].bounds[2:])))
    height, width = plan.image_size
    np.testing.assert_allclose(output, whole[:height, :width], rtol=0, atol=1e-12)


def test_convolution_is_bit_identical_where_it_sums_in_a_fixed_order():
    plan, _ = plan_run_grid((230, 190), 64, 21, margin=2)
    kernel = np.random.default_rng(1).standard_normal((5, 5)).astype(np.float32)

    def model(pixels):
        padded = np.pad(pixels, 2)
        height, width = pixels.shape
        return sum(
            kernel[a, b] * padded[a : a + height, b : b + width] for a, b in np.ndindex(5, 5)
        )

    image = np.random.default_rng(2).standard_normal((230, 190)).astype(np.float32)
    output = blended(plan, lambda _, geom: model(oracle.reflected(image, geom)))
    np.testing.assert_array_equal(output, model(image))


@given(plan_arguments(), trusts, st.integers(1, 9), st.booleans())
def test_same_bits_for_every_batch_size_and_with_or_without_a_thread(
    arguments, trust, batch_size, read_ahead
):
    plan, _ = plan_run_grid(**arguments, trust=trust)
    tile_of = noise(plan)
    expected = blended(plan, tile_of, batch_size=1, read_ahead=False)
    output = blended(plan, tile_of, batch_size=batch_size, read_ahead=read_ahead)
    np.testing.assert_array_equal(output, expected)


@given(plan_arguments(deepest=0.95), trusts, areas, st.sampled_from([(), (2,)]), st.data())
def test_same_bits_for_every_width_of_panels(arguments, trust, area, trailing, data):
    arguments["panel"] = None
    whole, grid = plan_run_grid(**arguments, trust=trust, area=area)
    tile_of = noise(whole, trailing)
    expected = blended(whole, tile_of)
    arguments["panel"] = data.draw(st.integers(1, grid.shape[1]))
    plan, _ = plan_run_grid(**arguments, trust=trust, area=area)
    np.testing.assert_array_equal(blended(plan, tile_of), expected)


@given(plan_arguments(), trusts, areas)
def test_inside_an_area_the_bits_are_those_of_the_full_run(arguments, trust, area):
    full, _ = plan_run_grid(**arguments, trust=trust)
    part, _ = plan_run_grid(**arguments, area=area, trust=trust)
    wanted = inside(area, *full.image_size)
    output = blended(part, noise(full))
    if output is None:
        assert not wanted.any()
        return
    np.testing.assert_array_equal(output[wanted], blended(full, noise(full))[wanted])
    assert np.isnan(output[~wanted]).all()


@pytest.mark.parametrize("trailing", [(), (3,)])
@pytest.mark.parametrize(
    ("given_dtype", "blend_dtype"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        ("uint8", "float32"),
        ("int64", "float32"),
        ("bool", "float32"),
    ],
)
def test_any_real_dtype_blends(given_dtype, blend_dtype, trailing):
    plan, grid = plan_run_grid((50, 60), 20, 5)
    tile_of = noise(plan, trailing, given_dtype)
    output = blended(plan, tile_of)
    assert output.dtype == blend_dtype
    tiles = {index: tile_of(index, None) for index in np.ndindex(*grid.shape)}
    np.testing.assert_allclose(output, oracle.weighted_sum(grid, tiles), rtol=1e-4, atol=1e-4)


def test_tiles_may_be_transposed_views_and_are_neither_changed_nor_kept():
    plan, _ = plan_run_grid((100, 90), 40, 10)
    buffer = np.empty((5, 40, 40), np.float32)  # channels first, used again for every tile
    contiguous = noise(plan, (5,))

    def tile_of(index, geom):
        buffer[:] = contiguous(index, geom).transpose(2, 0, 1)
        buffer.flags.writeable = False
        view = buffer.transpose(1, 2, 0)
        buffer.flags.writeable = True
        return view

    output = blended(plan, tile_of, batch_size=1, read_ahead=False)
    np.testing.assert_array_equal(output, blended(plan, contiguous))


def test_an_infinite_logit_does_not_leak_out_of_an_untrusted_margin():
    plan, _ = plan_run_grid(100, 40, 21, margin=10)

    def tile_of(index, geom):
        tile = np.zeros((40, 40), np.float32)
        (i, j), (rows, cols) = index, plan.grid.shape
        tile[: 10 if i else 0] = tile[:, : 10 if j else 0] = np.nan
        tile[40 - (10 if i < rows - 1 else 0) :] = np.inf
        tile[:, 40 - (10 if j < cols - 1 else 0) :] = np.inf
        return tile

    assert (blended(plan, tile_of) == 0).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("tile", [(20, 20), (40, 30)])
def test_infinities_that_agree_stay_infinities(value, tile):
    plan, grid = plan_run_grid(100, tile, 15)
    tiles = np.full((*grid.tile_shape, 2), value, np.float32)
    tiles[..., 1] = 7
    output = blended(plan, lambda *_: tiles)
    assert (output[..., 0] == value).all()
    assert (output[..., 1] == 7).all()


def test_batches_of_tiles_may_be_one_array():
    plan, _ = plan_run_grid(100, 40, 10)
    single = noise(plan)
    output = np.empty((100, 100), np.float32)

    def get_tiles(indices, geoms):
        return np.stack([single(index, geom) for index, geom in zip(indices, geoms, strict=True)])

    def write_tile(index, geom, window):
        output[seamless_seg.shape_to_slices(geom)] = window

    run_plan(plan, 5, NO_LIMIT, write_tile, get_tiles=get_tiles)
    np.testing.assert_array_equal(output, blended(plan, single))


@given(plan_arguments(largest_tile=64, largest_size=300), st.integers(1, 6), st.booleans())
def test_what_is_held_never_exceeds_what_the_plan_says(arguments, batch_size, read_ahead):
    plan, grid = plan_run_grid(**arguments)
    assume(plan.tiles <= 500)  # a step of one pixel makes tens of thousands
    held = most = 0
    lock = threading.Lock()

    class Counted(np.ndarray):
        """Counts the tiles that are alive."""

        def __del__(self):
            nonlocal held
            with lock:
                held -= self.base is None

    def tile_of(index, geom):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return Counted(grid.tile_shape, np.float32)

    def get_tiles(indices, geoms):
        return [tile_of(*pair).view(Counted) for pair in zip(indices, geoms, strict=True)]

    run_plan(
        plan, batch_size, NO_LIMIT, lambda *_: None, get_tiles=get_tiles, read_ahead=read_ahead
    )
    assert most + plan.peak.tiles <= tiles_held(plan, batch_size, read_ahead)


@pytest.mark.parametrize("panel", [None, 5])
def test_memory_between_steps_is_the_carry_and_nothing_else(panel):
    plan, grid = plan_run_grid((2000, 3000), 256, 64, panel=panel)
    tile = np.zeros(grid.tile_shape, np.float32)
    carried = []

    def write_tile(index, geom, window):
        carried.append(tracemalloc.get_traced_memory()[0] - window.nbytes)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run_plan(plan, 1, NO_LIMIT, write_tile, get_tile=lambda *_: tile, read_ahead=False)
    tracemalloc.stop()
    bookkeeping = 300_000  # boxes of a row of tiles, Python's own
    assert max(carried) - before <= plan.peak.pixels * 4 + bookkeeping


@pytest.mark.parametrize("overlap", [128, 300, 448])
def test_memory_within_a_step_is_what_max_tiles_counts(overlap):
    plan, grid = plan_run_grid((1024, 1400), 512, overlap)
    tile = np.zeros(grid.tile_shape, np.float32)
    tracemalloc.start()
    run_plan(plan, 1, None, lambda *_: None, get_tile=lambda *_: tile.copy(), read_ahead=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bookkeeping = 600_000
    assert peak <= tiles_held(plan, 1, read_ahead=False) * tile.nbytes + bookkeeping


def test_max_tiles_is_a_limit_that_is_checked_before_anything_is_read():
    plan, _ = plan_run_grid((1000, 1000), 256, 64)
    needed = tiles_held(plan, 8)
    message = f"holds up to {needed} tiles .* more than max_tiles, {needed - 1}: allow {needed}"
    with pytest.raises(BudgetError, match=message):
        run_plan(plan, 8, needed - 1, lambda *_: None, get_tile=lambda *_: pytest.fail("read"))
    run_plan(plan, 8, needed, lambda *_: None, get_tile=noise(plan))


@pytest.mark.parametrize("read_ahead", [True, False])
class TestErrors:
    plan, _ = plan_run_grid((300, 300), 64, 16)

    def run(self, read_ahead, write_tile=lambda *_: None, **source):
        before = threading.active_count()
        try:
            run_plan(self.plan, 4, NO_LIMIT, write_tile, read_ahead=read_ahead, **source)
        finally:
            assert threading.active_count() == before

    def test_a_get_tile_that_raises_ends_the_run_and_names_the_tile(self, read_ahead):
        def get_tile(index, geom):
            if index == (2, 3):
                raise ZeroDivisionError("no such pixel")
            return np.zeros((64, 64))

        message = r"tile \(2, 3\) failed: ZeroDivisionError: no such pixel"
        with pytest.raises(TileError, match=message) as caught:
            self.run(read_ahead, get_tile=get_tile)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_a_get_tiles_that_raises_names_the_batch(self, read_ahead):
        def get_tiles(indices, geoms):
            raise ZeroDivisionError("no such pixel")

        with pytest.raises(TileError, match=r"tiles \(0, 0\) to \(0, 3\) failed"):
            self.run(read_ahead, get_tiles=get_tiles)

    def test_errors_of_this_package_keep_their_kind(self, read_ahead):
        def get_tile(index, geom):
            raise RasterError("the disk is gone")

        with pytest.raises(RasterError, match="the disk is gone") as caught:
            self.run(read_ahead, get_tile=get_tile)
        assert "while working on tile (0, 0)" in caught.value.__notes__

    @pytest.mark.parametrize("shape", [(64, 63), (64,), (64, 64, 2), ()])
    def test_a_tile_of_the_wrong_shape_ends_the_run(self, read_ahead, shape):
        def get_tile(index, geom):
            return np.zeros((64, 64) if index != (1, 1) else shape)

        with pytest.raises(TileError, match=r"tile \(1, 1\) has shape .*, not \(64, 64\)"):
            self.run(read_ahead, get_tile=get_tile)

    def test_complex_tiles_are_refused(self, read_ahead):
        with pytest.raises(TileError, match=r"tile \(0, 0\) is of complex128: only real numbers"):
            self.run(read_ahead, get_tile=lambda *_: np.zeros((64, 64), complex))

    def test_too_few_tiles_are_refused(self, read_ahead):
        with pytest.raises(
            TileError, match=r"returned 3 tiles for the 4 from \(0, 0\) to \(0, 3\)"
        ):
            self.run(read_ahead, get_tiles=lambda indices, geoms: [np.zeros((64, 64))] * 3)

    def test_a_write_tile_that_raises_stops_the_reader(self, read_ahead):
        asked = []

        def get_tile(index, geom):
            asked.append(index)
            return np.zeros((64, 64))

        def write_tile(index, geom, window):
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            self.run(read_ahead, write_tile, get_tile=get_tile)
        assert len(asked) <= 8

    def test_one_source_of_tiles_must_be_given(self, read_ahead):
        with pytest.raises(TypeError, match="exactly one of get_tile and get_tiles"):
            self.run(read_ahead)

    def test_a_list_of_steps_is_not_a_plan(self, read_ahead):
        with pytest.raises(TypeError, match="must be the Plan that plan_run_grid returns"):
            run_plan(list(self.plan), 4, 99, lambda *_: None, lambda *_: None)
