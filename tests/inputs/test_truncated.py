"""Headers of strangers: they take no more time than their length."""

import pytest

from builders import made
from seamless_seg import OptionError, RasterError
from seamless_seg.areas.stated_crs import stated_crs
from seamless_seg.inputs.truncated import check_not_truncated
from seamless_seg.inputs.vrt import check_raw_bands, named_files
from seamless_seg.raster.reader import RasterReader

MANY = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "<SourceFilename" * MANY,
        "<SourceFilename>" + " " * MANY,
        "<SourceFilename>" * MANY,
        "<VRTRasterBand subClass='VRTRawRasterBand'>" * MANY,
        "<VRTDataset rasterXSize" * MANY,
    ],
    ids=lambda text: text[:30],
)
def test_a_vrt_of_many_beginnings(tmp_path, text):
    assert list(named_files(text, tmp_path)) == []
    check_raw_bands(f'<VRTDataset rasterXSize="9" rasterYSize="9">{text}', tmp_path)


@pytest.mark.parametrize("text", ["+a=b" * 1000 + "!", "+a=1 " * 1000 + "!", "GEOGCS[" * 20_000])
def test_a_crs_of_many_beginnings(text):
    with pytest.raises(OptionError, match="states the CRS"):
        stated_crs({"crs": text}, "area a.json")


@pytest.mark.parametrize("text", ["{" * MANY, "\n" * MANY, "pixel.order = {\n" * 9000])
def test_a_header_of_many_beginnings(tmp_path, text):
    image = tmp_path / "in.img"
    image.write_bytes(bytes(99))
    image.with_suffix(".hdr").write_text(f"ENVI\n{text}")
    with pytest.raises(RasterError, match="states no samples"):
        check_not_truncated(image)


def test_a_tiff_whose_directories_go_round_or_on(tmp_path):
    path = tmp_path / "in.tif"
    made.raster(path, made.pixels(1, 20, 20))
    content = bytearray(path.read_bytes())
    at = int.from_bytes(content[4:8], "little")
    end = at + 2 + 12 * int.from_bytes(content[at : at + 2], "little")
    content[end : end + 4] = content[4:8]
    path.write_bytes(content)
    with RasterReader(path) as reader:
        assert reader.size == (20, 20)
    content[end : end + 4] = (10**9).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(RasterError, match="the file ends too early"):
        RasterReader(path)
