"""Transforms, pixel sizes and ellipsoids, next to affine's and numpy's answers."""

import subprocess
import sys

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from builders import made
from seamless_seg import RasterError, class_stats
from seamless_seg.raster.ellipsoid import WGS84, Ellipsoid, ellipsoid_of
from seamless_seg.raster.georeference import Georeference, apply_affine, cropped, pixel_size
from seamless_seg.windows import Window

ROTATED = Affine(2, 1.5, 500_000, 1, -2, 5_600_000)


@pytest.mark.parametrize("transform", [from_origin(9, 50, 0.1, 0.2), ROTATED])
def test_the_affine_product_is_that_of_affine(transform):
    cols, rows = np.array([0, 3, 7.5]), np.array([4, 0, 2.5])
    np.testing.assert_allclose(apply_affine(transform, cols, rows), transform @ (cols, rows))
    x, y = transform @ (3, 4)
    assert np.allclose(apply_affine(~transform, x, y), (3, 4))


@pytest.mark.parametrize("transform", [from_origin(9, 50, 0.1, 0.2), ROTATED])
def test_a_window_lies_where_its_pixels_lie_in_the_raster(transform):
    whole = Georeference(None, transform, (), None)
    part = cropped(whole, Window(slice(20, 60), slice(7, 30)))
    corners = np.array([(0, 0), (23, 40)])
    np.testing.assert_allclose(
        part.coordinates(corners), whole.coordinates(corners + np.array((7, 20)))
    )


def test_pixels_of_a_rotated_grid_keep_their_size():
    turned = Affine.rotation(30) @ Affine.scale(2, -0.5)
    assert np.allclose(pixel_size(turned), (0.5, 2))


@pytest.mark.parametrize("ellipsoid", [WGS84, Ellipsoid(6_371_000, 0)])
def test_density_is_the_derivative_of_area_and_the_product_of_radii(ellipsoid):
    latitudes = np.array([-1.2, 0, 0.3, 1.5])
    step = 1e-6
    above, below = (ellipsoid.area_from_equator(np.sin(latitudes + side)) for side in (step, -step))
    density = ellipsoid.area_density(latitudes)
    np.testing.assert_allclose((above - below) / (2 * step), density, rtol=1e-6)
    products = [np.prod(ellipsoid.radii(latitude)) for latitude in latitudes]
    np.testing.assert_allclose(products, density, rtol=1e-12)


def test_a_crs_has_its_own_ellipsoid():
    assert ellipsoid_of(CRS.from_epsg(4326)) == WGS84
    assert ellipsoid_of(CRS.from_epsg(4807)).semi_major_axis == 6_378_249.2


@pytest.mark.parametrize("call", ["class_stats({0!r})", "polygonize({0!r}, {0!r} + '.gpkg')"])
def test_a_raster_is_read_without_planning_or_models(tmp_path, call):
    path = str(made.raster(tmp_path / "c.tif", np.zeros((1, 20, 30), np.uint8)))
    code = f"import sys, seamless_seg; seamless_seg.{call.format(path)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = {name.split(".")[1] for name in done.stdout.split() if name.startswith("seamless_seg.")}
    assert not own & {"areas", "evaluation", "inference", "models", "planning", "tiling"}
    assert "onnxruntime" not in done.stdout.split()


@pytest.mark.parametrize("numbers", [(1, 1, 0, 1, 1, 0), (1, 0, np.inf, 0, 1, 0)])
def test_a_transform_without_area_is_refused(tmp_path, numbers):
    path = made.raster(tmp_path / "in.tif", made.pixels(1, 20, 20), transform=Affine(*numbers))
    with pytest.raises(RasterError, match=r"in\.tif has a geotransform whose pixels have no area"):
        class_stats(path)
