import numpy as np
import pytest
from rasterio.env import get_gdal_config

from builders import made
from seamless_seg import Options, segment
from seamless_seg.inference.pipeline import Pipeline
from seamless_seg.inference.prepared import prepare
from seamless_seg.models.callable_model import CallableModel
from seamless_seg.models.load import LazyModel
from seamless_seg.models.tile_model import TileModel
from seamless_seg.raster.band_names import BandNames
from seamless_seg.raster.blocks import BlockLayout
from seamless_seg.raster.source import Reading


class FakeReader:
    """An image in memory that notes what is read of it."""

    count, has_trailing_alpha, bands = 2, False, (1, 2)
    names, mask_band = (BandNames(),) * 2, None
    dtype = np.dtype(np.float32)
    blocks = BlockLayout(16, 16, 8)
    reading, notes = Reading(), ()
    georeference = None
    nodata, may_have_nodata, may_have_gaps = None, False, False

    def __init__(self, height, width):
        self.image = made.pixels(2, height, width, "float32")
        self.reads = []

    @property
    def size(self):
        return self.image.shape[1:]

    def select(self, bands):
        assert bands == (1, 2)

    def valid_values(self, rows, cols):
        return None

    def read(self, rows, cols):
        self.reads.append((rows.start, rows.stop, cols.start, cols.stop))
        return self.image[:, rows, cols]


class FakeWriter:
    def __init__(self, reader):
        self.output = np.full((*reader.size, 2), np.nan, np.float32)

    def write(self, rows, cols, window, has_value):
        self.output[rows, cols] = window


@pytest.mark.parametrize("align", [1, 8])
def test_neighboring_tiles_of_a_batch_are_read_at_once(align):
    reader = FakeReader(90, 250)
    model = CallableModel(lambda batch: batch)
    options = Options(tile=64, overlap=16, batch_size=3, align=align)
    run = prepare(reader, LazyModel(model), options)
    reader.reads.clear()  # of what was looked at beforehand
    writer = FakeWriter(reader)
    Pipeline(run, run.schedule(run.tune()), writer, {}).run(None)
    assert run.plan.grid.shape == (2, 5)
    # Batches of three tiles of a row of five: 3, then 2 and 1 of the next row, 3, 1.
    assert [len(set(reader.reads)), len(reader.reads)] == [5, 5]
    assert all(bottom <= 90 and right <= 250 for _, bottom, _, right in reader.reads)
    np.testing.assert_array_equal(writer.output.transpose(2, 0, 1), reader.image)


@pytest.mark.parametrize(
    ("tile", "align", "given"),
    [((50, 50), 1, (50, 50)), ((50, 50), 8, (56, 56)), ((50, 33), 3, (51, 33))],
)
def test_a_free_model_gets_multiples_of_the_alignment(tile, align, given):
    shapes = []

    def model(batch):
        shapes.append(batch.shape)
        return batch

    fitted = TileModel(CallableModel(model), 2, tile, (align, align))
    batch = fitted.empty_batch(3, 2)
    pixels = made.pixels(6, *tile, "float32").reshape(3, 2, *tile)
    fitted.tile_view(batch)[:] = pixels
    logits = fitted(batch)
    assert shapes[-1] == (3, 2, *given)
    np.testing.assert_array_equal(logits, pixels.transpose(0, 2, 3, 1))


def test_a_model_that_rounds_its_size_up_gets_one_that_it_keeps():
    def model(batch):
        _, _, height, width = batch.shape
        return np.resize(batch, (*batch.shape[:2], height + height % 4, width + width % 4))

    assert TileModel(CallableModel(model), 1, (101, 90), (1, 1)).shape == (104, 92)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (100, 64)])
def test_an_encoder_without_skips_gets_multiples_of_its_stride(size):
    def model(batch):
        down = batch[:, :, ::8, ::8][:, :, : batch.shape[2] // 8, : batch.shape[3] // 8]
        if not down.size:
            raise ValueError("nothing is left")
        return down.repeat(8, axis=2).repeat(8, axis=3)

    expected = tuple(-(-length // 8) * 8 for length in size)
    assert TileModel(CallableModel(model), 1, size, (1, 1)).shape == expected


def test_a_function_may_give_the_same_buffer_each_time(tmp_path):
    image = made.pixels(2, 300, 300, "float32")
    made.raster(tmp_path / "in.tif", image)
    buffers = {}

    def model(batch):
        buffer = buffers.setdefault(batch.shape, np.empty_like(batch))
        buffer[:] = batch
        return buffer

    segment(tmp_path / "in.tif", model, tmp_path / "out.tif", tile=64, batch_size=2)
    np.testing.assert_array_equal(made.read(tmp_path / "out.tif"), image)


def test_gdal_s_cache_is_as_large_as_the_plan_needs_and_put_back(tmp_path):
    made.raster(tmp_path / "in.tif", made.pixels(3, 300, 20_000), blockysize=16)
    seen = []

    def model(batch):
        seen.append(get_gdal_config("GDAL_CACHEMAX"))
        return batch[:, :1]

    before = get_gdal_config("GDAL_CACHEMAX")
    segment(tmp_path / "in.tif", model, tmp_path / "out.tif", tile=128, overlap=32)
    # At most nine strips of sixteen rows hold the rows of a tile.
    seen = [size for size in seen if size != before]  # but for trial runs
    assert 9 * 16 * 20_000 * 3 < seen[0] < 10 * 16 * 20_000 * 3
    assert set(seen) == {seen[0]}
    assert get_gdal_config("GDAL_CACHEMAX") == before
