"""The CRS of a GeoJSON file is text of a stranger: GDAL must neither fetch nor open it."""

import json
import re

import pytest
from rasterio.crs import CRS

from builders import made
from builders.remote import listening
from seamless_seg import OptionError, segment
from seamless_seg.areas.geojson import read_area
from seamless_seg.raster.georeference import Georeference

UTM = CRS.from_epsg(32632)
PLACE = Georeference(crs=UTM, transform=made.UTM["transform"], gcps=[], rpcs=None)
RING = [[500_000, 5_600_000], [500_050, 5_600_000], [500_050, 5_599_950], [500_000, 5_600_000]]

SAFE = [
    "EPSG:32632",
    "urn:ogc:def:crs:EPSG::32632",
    "http://www.opengis.net/def/crs/EPSG/0/32632",
    UTM.to_wkt(),
    UTM.to_wkt(version="WKT2_2019"),
    "+proj=utm +zone=32 +datum=WGS84 +units=m +no_defs",
    "+init=epsg:32632",
    json.dumps(UTM.to_dict(projjson=True)),
    UTM.to_dict(projjson=True),
    {"type": "name", "properties": {"name": "EPSG:32632"}},
    {"type": "EPSG", "properties": {"code": 32632}},
]


def area(tmp_path, crs):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [RING], "crs": crs}))
    return path


@pytest.mark.parametrize("crs", SAFE, ids=lambda crs: re.sub(r"\W+", "-", str(crs))[:24])
def test_it_is_taken_in_each_usual_form(tmp_path, crs):
    found = read_area(area(tmp_path, crs), (100, 100), PLACE)
    assert found.bounds == pytest.approx((0, 0, 100, 100), abs=1e-3)


@pytest.mark.parametrize(
    "crs",
    [
        "{url}/crs.wkt",
        "{folder}/crs.prj",
        "crs.prj",
        "/vsicurl/{url}/crs.prj",
        "EPSG:4326/../crs.prj",
        "+init={folder}/crs.prj:1",
        "+proj=longlat +datum=WGS84 +nadgrids={folder}/grid",
        "+proj=longlat +ellps=GRS80 +geoidgrids=@grid",
        "+proj=pipeline +step +proj=hgridshift +grids=grid",
        'GEOGCS["a",DATUM["a",SPHEROID["a",6378137,298.2],EXTENSION["PROJ4_GRIDS","/etc/passwd"]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]',
        '{{"type": "BoundCRS", "parameters": [{{"parameter_file": "/etc/passwd"}}]}}',
        {"type": "link", "properties": {"href": "{url}/crs.wkt", "type": "ogcwkt"}},
        {"type": "name", "properties": {"name": ["EPSG:4326"]}},
        ["EPSG:4326"],
        4326,
    ],
    ids=str,
)
def test_what_names_a_file_or_an_address_is_refused_and_not_asked(tmp_path, monkeypatch, crs):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crs.prj").write_text(UTM.to_wkt())
    with listening() as (url, requests):
        if isinstance(crs, str):
            crs = crs.format(url=url, folder=tmp_path)
        with pytest.raises(OptionError, match=r"a\.json states the CRS .*state it as EPSG:CODE"):
            read_area(area(tmp_path, crs), (100, 100), PLACE)
    assert requests == []


def test_a_run_with_it_writes_nothing(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 20))
    made.pointwise(model, 3, 2)
    with listening() as (url, requests), pytest.raises(OptionError, match="states the CRS http"):
        segment(raster, model, output, area=area(raster.parent, f"{url}/crs"))
    assert (requests, made.names(output.parent)) == ([], [])
