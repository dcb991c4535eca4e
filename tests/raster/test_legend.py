import numpy as np
import pytest

from builders import made
from seamless_seg import RasterError
from seamless_seg.raster.legend import category_names


def test_names_are_those_that_gdal_knows(tmp_path):
    path = made.raster(tmp_path / "classes.tif", np.zeros((2, 20, 30), np.uint8))
    made.name_classes(path, ["land & sea", "", "Straße"])
    before = made.names(tmp_path)
    assert category_names(path) == ["land & sea", "", "Straße"]
    assert category_names(str(path)) == ["land & sea", "", "Straße"]
    assert made.names(tmp_path) == before


def test_a_raster_without_names_has_none(tmp_path):
    path = made.raster(tmp_path / "classes.tif", np.zeros((1, 20, 30), np.uint8))
    assert category_names(path) == []


def test_a_raster_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RasterError, match=r"cannot open .*missing\.tif"):
        category_names(tmp_path / "missing.tif")
