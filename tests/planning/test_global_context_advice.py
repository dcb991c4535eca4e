"""What models with global context are told to do: ``exact="global"`` only where it can help."""

import re

import numpy as np
import pytest
from onnx import TensorProto, helper

from builders import made, networks
from seamless_seg import OptionError, forecast, segment

BLOCK = (("conv", 3, 1), ("relu",))
OPEN = "if statistics of the image can replace these nodes"
UNPROBED = {"margin": 2, "overlap": 5, "align": 1}


def warning_on(model, **options):
    """The one warning on an image of 200 x 200 px in tiles of 64 px."""
    (found,) = forecast(size=200, model=model, tile=64, **options).warnings
    return found


@pytest.mark.parametrize(
    ("layers", "helps"),
    [
        ([("instance_norm",)], True),
        ([("squeeze_excite",), ("attention",)], False),
    ],
)
def test_it_is_advised_where_it_helps_and_left_open_where_nobody_looked(paths, layers, helps):
    raster, model, output = paths
    networks.save(model, [*BLOCK, *layers])
    assert ('exact="global" makes all tiles agree' in warning_on(model)) == helps
    said = warning_on(model, **UNPROBED)
    assert said.endswith(f'exact="global" makes all tiles agree {OPEN}')
    # The advice is true: what it helps can be run with it, and nothing else can.
    made.raster(raster, made.pixels(3, 100, 110, "float32"))
    if helps:
        assert segment(raster, model, output, exact="global", tile=64).exact
    else:
        with pytest.raises(OptionError, match="cannot be run with exact="):
            segment(raster, model, output, exact="global", tile=64)


@pytest.mark.parametrize("other", [("attention",), ("instance_norm",)])
def test_all_models_of_an_ensemble_count(paths, other):
    _, model, _ = paths
    networks.save(model, [*BLOCK, ("squeeze_excite",)])
    second = networks.save(model.with_name("second.onnx"), [*BLOCK, other])
    assert ("exact=" in warning_on([model, second])) == (other == ("instance_norm",))


def test_it_is_not_advised_for_class_numbers(paths):
    _, model, _ = paths
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Sub", ["image", "mean"], ["centered"]),
        helper.make_node("Conv", ["centered", "weight"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["logits"], axis=1, select_last_index=1),
    ]
    weight = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32)
    made.model(model, nodes, {"weight": weight}, 3, 1, out_dtype=TensorProto.INT64)
    assert "exact=" not in warning_on(model)
    assert "exact=" not in warning_on(model, **UNPROBED)


@pytest.mark.parametrize("tile", [9, 13])
def test_a_tile_without_room_for_the_statistics_is_refused_with_one_that_is_exact(paths, tile):
    layers = [*BLOCK, ("pool", 2), *BLOCK, ("up", 2), *BLOCK, *BLOCK, ("instance_norm",)]
    networks.save(paths[1], [*layers, ("conv", 3, 1)])
    options = {"size": (120, 140), "model": paths[1], "exact": "global"}
    with pytest.raises(OptionError, match=rf"no room: tiles of {tile} px are too small") as error:
        forecast(tile=tile, **options)
    advised = int(re.search(r"give tile=(\d+), the smallest that is exact", str(error.value))[1])
    found = forecast(tile=advised, **options)
    assert found.exact
    assert any(
        ": 1 pass over the raster, about as long as a run" in own for own in found.settings.notes
    )
