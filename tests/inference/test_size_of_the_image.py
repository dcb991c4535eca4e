"""Models that compute with the size of the image: with the whole image's in all tiles."""

import json

import numpy as np
import pytest

from builders import made, networks, sizes
from builders.nodata import NODATA, holes, image_with
from builders.whole_image import BLOCK, TILING, assert_same, u_net, whole
from seamless_seg import OptionError, check, forecast, probe, segment


def network(form):
    """The form on features of half the resolution."""
    return [*BLOCK, ("pool", 2), ("sized", form), *BLOCK, ("up", 2)]


def gated_by_mean(graph, value):
    """What the sum over the image, divided by its size, amounts to."""
    mean = graph.add("GlobalAveragePool", [value])
    return graph.add("Mul", [value, graph.add("Sigmoid", [mean])])


@pytest.fixture
def given(paths):
    """A raster, a model with a sum over its size, an output, and the pixels."""
    raster, model, output = paths
    image = made.pixels(3, 130, 151, "float32")
    made.raster(raster, image)
    networks.save(model, network(sizes.SUPPORTED["sum over height times width"]))
    return raster, model, output, image


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, (101, 90)) for name in sizes.SUPPORTED),
        ("sum over ones", (96, 128)),
        ("unbiased deviation", (61, 50)),
    ],
)
def test_tiles_equal_one_run_over_the_whole_image(paths, name, size):
    raster, model, output = paths
    image = made.pixels(3, *size, "float32") + np.linspace(0, 2, size[1], dtype=np.float32)
    made.raster(raster, image)
    networks.save(model, network(sizes.SUPPORTED[name]))
    segment(raster, model, output, exact="global", **TILING)
    assert_same(output, whole(model, image))


def test_sizes_of_several_levels_and_grids(paths):
    raster, model, output = paths
    image = made.pixels(3, 101, 90, "float32")
    made.raster(raster, image)
    forms = [sizes.unbiased_deviation, sizes.gated_by(sizes.counted_ones)]
    networks.save(model, u_net(*(("sized", form) for form in forms)))
    summary = segment(raster, model, output, exact="global", tile=64)
    assert_same(output, whole(model, image))
    assert summary.exact
    assert "(6 nodes in 6 levels)" in summary.exactness


@pytest.mark.parametrize("name", sizes.REFUSED)
def test_what_no_number_stands_for_is_refused_by_name(paths, name):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 101, 90, "float32"))
    form, node = sizes.REFUSED[name]
    networks.save(model, network(form))
    with pytest.raises(OptionError, match=f"cannot be run with exact=.*{node}"):
        segment(raster, model, output, exact="global", **TILING)
    assert not made.names(output.parent)


@pytest.mark.parametrize("name", ["sum over height times width", "sum of squares"])
def test_a_sum_in_a_graph_of_fixed_size_is_refused(paths, name):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 101, 90, "float32"))
    networks.save(model, network(sizes.SUPPORTED[name]), height=64, width=64)
    with pytest.raises(OptionError, match="for images of 64x64 px alone"):
        segment(raster, model, output, exact="global", **TILING)


def test_an_area_gets_the_size_of_the_whole_raster(given):
    raster, model, output, image = given
    bbox = made.bounds(raster, slice(90, 120), slice(100, 140))
    segment(raster, model, output, exact="global", bbox=bbox, crop=True, **TILING)
    expected = whole(model, image)
    found = made.read(output)
    assert np.abs(found - expected[:, 90:120, 100:140]).max() <= 1e-5 * expected.std()


def test_the_size_belongs_to_the_statistics(given):
    raster, model, output, image = given
    segment(raster, model, output, exact="global", **TILING)
    stored = output.with_name("out.statistics.json")
    (member,) = json.loads(stored.read_text())["members"]
    (count,) = [own["size"]["values"] for own in member.values() if "size" in own]
    assert count == [66 * 76]  # of the raster, extended to 132 x 152 px
    part, smaller = raster.with_name("part.tif"), output.with_name("part.tif")
    made.raster(part, image[:, :64, :64])
    segment(part, model, smaller, exact="global", statistics=stored, **TILING)
    found, expected = made.read(smaller)[:, :60, :60], made.read(output)[:, :60, :60]
    np.testing.assert_array_equal(found, expected)
    document = json.loads(stored.read_text())
    document["members"] = [{name: own for name, own in member.items() if "size" not in own}]
    stored.write_text(json.dumps(document))
    with pytest.raises(OptionError, match="other statistics than the model needs"):
        segment(part, model, smaller, exact="global", statistics=stored, overwrite=True, **TILING)


@pytest.mark.parametrize("name", ["sum over height times width", "sum over ones of pixels"])
def test_a_sum_over_the_size_is_the_mean_of_the_valid_features(paths, name):
    raster, model, output = paths
    valid = holes()
    made.raster(raster, image_with(valid), nodata=NODATA)
    outputs = []
    forms = [sizes.SUPPORTED[name], gated_by_mean]
    for n, form in enumerate(forms):
        networks.save(model, network(form))
        path = output.with_name(f"{n}.tif")
        segment(raster, model, path, exact="global", scale=1 / 255, **TILING)
        outputs.append(made.read(path)[:, valid])
    np.testing.assert_allclose(*outputs, atol=1e-5 * outputs[1].std())


def test_check_compares_with_the_size_of_the_whole_raster(given):
    raster, model, output, image = given
    networks.save(model, u_net(("sized", sizes.SUPPORTED["sum over ones"])))
    segment(raster, model, output, **TILING)
    report = check(raster, model, output, exact="global")
    largest = np.abs(made.read(output) - whole(model, image)).max()
    assert report.judged.largest == pytest.approx(largest, rel=1e-3)


def test_a_member_without_reduction_needs_none(given):
    raster, model, output, image = given
    local = model.with_name("local.onnx")
    networks.save(local, [*BLOCK], seed=1)
    segment(raster, [model, local], output, exact="global", **TILING)
    expected = (whole(model, image) + whole(local, image)) / 2
    assert np.abs(made.read(output) - expected).max() <= 1e-5 * expected.std()
    stored = output.with_name("out.statistics.json")
    again = output.with_name("again.tif")
    segment(raster, [model, local], again, exact="global", statistics=stored, **TILING)
    np.testing.assert_array_equal(made.read(again), made.read(output))
    with pytest.raises(OptionError, match="no reduction over the image"):
        segment(raster, [local, local], again, exact="global", overwrite=True, **TILING)


def test_the_size_alone_is_told_from_a_position(paths):
    raster, model, _ = paths
    made.raster(raster, made.pixels(3, 300, 300, "float32"))

    def divided(graph, value):
        return graph.add("Div", [value, sizes.pixels(graph, value)])

    networks.save(model, network(divided))
    found = probe(model)
    assert (found.graph.obstacle, found.depends_on_size) == ("size", True)
    assert "Div node" in found.graph.reason
    planned = forecast(raster, model, tile=128)
    assert planned.exactness.startswith("not exact: the model's output depends on the size of")
    assert planned.settings.tiling.overlap.value == (2 * 4 + 1,) * 2


@pytest.mark.parametrize("name", ["unbiased deviation", "sum over ones"])
def test_global_context_that_exact_global_takes_is_said(paths, name):
    raster, model, _ = paths
    made.raster(raster, made.pixels(3, 300, 300, "float32"))
    networks.save(model, network(sizes.SUPPORTED[name]))
    planned = forecast(raster, model, tile=128)
    assert planned.exactness.startswith("not exact: the model has global context")
    assert 'exact="global" makes all tiles agree' in planned.warning
