"""Inputs that change while a run reads them: nothing is written, and it is said which changed."""

import json
import os
import shutil

import onnx
import pytest

from builders import made
from seamless_seg import RasterError, check, class_stats, polygonize, segment


def written_into(path):
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    times = path.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))  # clocks of files may be coarse


def grown(path):
    with path.open("ab") as file:
        file.write(b" ")


def replaced(path):
    shutil.copy2(path, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


CHANGES = {
    "something was written into it": written_into,
    "it had .* bytes and has": grown,
    "another file has taken its place": replaced,
    "it is gone": lambda path: path.unlink(),
}


@pytest.fixture
def job(paths):
    """All inputs that a run may have, in one folder, and a run on them."""
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 100, 120), nodata=0)
    made.name_classes(raster, ["a", "b"])
    made.pointwise(model, 3, 2)
    loaded = onnx.load(model)
    onnx.save(loaded, model, save_as_external_data=True, location="weights.bin", size_threshold=0)
    made.sidecar(f"{model}.json")
    ring = [[0, 0], [100, 0], [100, 90], [0, 0]]
    area = raster.with_name("area.json")
    crs = {"crs": "EPSG:32632"}
    ring = [[500_000 + x / 2, 5_600_000 - y / 2] for x, y in ring]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]} | crs))

    def run(change, path):
        def on_progress(progress):
            if progress.done == progress.total:
                change(path)

        return segment(raster, model, output, area=area, tile=64, scale=1, on_progress=on_progress)

    return run, raster.parent, output


@pytest.mark.parametrize("how", CHANGES)
def test_whatever_happens_to_the_raster(job, how):
    run, folder, output = job
    with pytest.raises(RasterError, match=rf"in\.tif changed during the run \({how}"):
        run(CHANGES[how], folder / "in.tif")
    assert made.names(output.parent) == []


@pytest.mark.parametrize(
    "name", ["in.tif.aux.xml", "model.onnx", "weights.bin", "model.onnx.json", "area.json"]
)
def test_whichever_input_it_is(job, name):
    run, folder, output = job
    with pytest.raises(RasterError, match=rf"{name} changed during the run.*nothing was written"):
        run(grown, folder / name)
    assert made.names(output.parent) == []


def test_no_change_is_no_error(job):
    run, folder, output = job
    run(lambda path: path.read_bytes(), folder / "in.tif")
    assert made.names(output.parent) == ["out.tif"]


def test_a_file_of_a_mosaic(paths):
    raster, model, output = paths
    source = made.raster(raster.with_name("part.tif"), made.pixels(3, 60, 70))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{n}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">part.tif</SourceFilename><SourceBand>{n}</SourceBand></SimpleSource>'
        f"</VRTRasterBand>"
        for n in (1, 2, 3)
    )
    mosaic = raster.with_suffix(".vrt")
    mosaic.write_text(f'<VRTDataset rasterXSize="70" rasterYSize="60">{bands}</VRTDataset>')
    made.pointwise(model, 3, 2)
    with pytest.raises(RasterError, match=r"part\.tif changed during the run"):
        segment(mosaic, model, output, tile=32, on_progress=lambda _: written_into(source))
    assert made.names(output.parent) == []


def test_other_commands_notice_it_too(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(1, 100, 100) % 3)
    message = r"in\.tif changed during the run"
    with pytest.raises(RasterError, match=message):
        class_stats(raster, on_progress=lambda _: written_into(raster))
    with pytest.raises(RasterError, match=message):
        polygonize(raster, output.with_suffix(".gpkg"), on_progress=lambda _: written_into(raster))
    assert made.names(output.parent) == []
    made.pointwise(model, 1, 2)
    with pytest.raises(RasterError, match=message):
        check(raster, model, tile=32, on_progress=lambda _: written_into(raster))
