"""Names that lead to other machines: without a network, nothing even connects."""

import json
import os

import pytest

from builders import made
from builders.command import RUN, refused
from builders.remote import listening
from seamless_seg import OptionError, SeamlessError, segment
from seamless_seg.inputs.network import BLOCKING, is_remote, without_network

ONE_BAND = ("--bands", "1,1,1")

BAND = (
    '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>{}</SourceFilename>'
    "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
)
VRT = f'<VRTDataset rasterXSize="9" rasterYSize="9">{BAND}</VRTDataset>'
TILES = """<GDAL_WMS>
<Service name="TMS"><ServerUrl>{}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>-9</UpperLeftX><UpperLeftY>9</UpperLeftY><LowerRightX>9</LowerRightX>
<LowerRightY>-9</LowerRightY><TileLevel>0</TileLevel><TileCountX>1</TileCountX>
<TileCountY>1</TileCountY></DataWindow><BandsCount>3</BandsCount></GDAL_WMS>"""

FILES = {
    "a.vrt": VRT.format("/vsicurl/{}/a.tif"),
    "address.vrt": VRT.format("{}/a.tif"),
    "tiles.xml": TILES,
    "tiles.vrt": VRT.format("tiles.xml"),
    "wmts.xml": "<GDAL_WMTS><GetCapabilitiesUrl>{}/wmts</GetCapabilitiesUrl></GDAL_WMTS>",
    "wcs.xml": "<WCS_GDAL><ServiceURL>{}/wcs?</ServiceURL><CoverageName>a</CoverageName>"
    "</WCS_GDAL>",
    "a.mrf": '<MRF_META><CachedSource><Source>{}/a.tif</Source></CachedSource><Raster><Size x="9" '
    'y="9" c="1"/><PageSize x="9" y="9" c="1"/></Raster></MRF_META>',
}
"""Files that lead to a server, by name, with its address left out."""

NAMES = (
    *(
        "{}/a.tif",
        "/vsicurl/{}/a.tif",
        "/vsicurl_streaming/{}/a.tif",
        "/vsizip//vsicurl/{}/a.zip/a",
    ),
    *('NETCDF:"{}/a.nc":v', "WMTS:{}/wmts", "WCS:{}/wcs?coverage=a", 'STACIT:"{}/a.json"'),
    *(
        "GTI:{}/a.geojson",
        'ZARR:"/vsicurl/{}/a.zarr"',
        "DERIVED_SUBDATASET:AMPLITUDE:/vsicurl/{}/a",
    ),
)
"""Names that lead to a server, with its address left out."""


@pytest.fixture
def server(folder, monkeypatch):
    """A server's address, and who connects to it; a proxy's exceptions must not matter."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    with listening() as (url, requests):
        for name, content in FILES.items():
            (folder / name).write_text(content.format(url))
        yield url, requests


@pytest.mark.parametrize("name", [*FILES, *NAMES])
def test_nothing_connects(server, cli, name):
    url, requests = server
    status, _, said = cli("run", name.format(url), *RUN[2:], *ONE_BAND, "--no-network", "--debug")
    assert status in (1, 2), said
    assert requests == []
    assert made.names("out") == []


@pytest.mark.parametrize("name", ["a.vrt", "tiles.xml", NAMES[0], 'NETCDF:"{}/a.nc":v'])
def test_with_a_network_it_does(server, cli, name):
    url, requests = server
    assert cli("run", name.format(url), *RUN[2:], *ONE_BAND)[0] == 1
    assert requests


def test_it_is_said_which_name_is_meant(server, cli):
    refused(
        cli("run", f"{server[0]}/a.tif", *RUN[2:], "--no-network"),
        1,
        "a.tif is not a local file, and --no-network allows no other: copy it first",
    )
    refused(
        cli("run", "a.vrt", *RUN[2:], "--no-network"), 1, "a.vrt names /vsicurl/.*is not a local"
    )


@pytest.mark.parametrize("arguments", [("stats",), ("polygonize", "out/a.gpkg"), ("probe",)])
def test_other_commands_have_it_too(server, cli, arguments):
    requests = server[1]
    name, *more = arguments
    inputs = ["model.onnx", "tiles.xml"] if name == "probe" else ["tiles.xml"]
    assert cli(name, *inputs, *more, "--no-network")[0] in (1, 2)
    assert requests == []


def test_local_files_are_read_as_ever_and_the_environment_is_left_as_it_was(folder):
    before = dict(os.environ)
    segment(*RUN[1:], network=False)
    assert made.names("out") == ["out.tif"]
    assert dict(os.environ) == before


def test_blocks_may_overlap(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://own:1")
    monkeypatch.delenv("ALL_PROXY", raising=False)
    with without_network():
        with without_network():
            pass
        assert {name: os.environ[name] for name in BLOCKING} == BLOCKING
    assert os.environ["https_proxy"] == "http://own:1"
    assert "ALL_PROXY" not in os.environ


@pytest.mark.parametrize("name", ["in.tif", "/data/s3/in.tif", "NETCDF:in.nc:v", "zip://in.zip!a"])
def test_local_names_are_local(name):
    assert not is_remote(name)


def test_the_option_is_yes_or_no(folder):
    with pytest.raises(OptionError, match="network must be True or False, not 'no'"):
        segment(*RUN[1:], network="no")
    with pytest.raises(SeamlessError):
        segment("https://example.invalid/in.tif", *RUN[2:], network=False)
    assert json.dumps(made.names("out")) == "[]"
