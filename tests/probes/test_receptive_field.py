import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import networks
from seamless_seg import ModelError
from seamless_seg.models.callable_model import CallableModel
from seamless_seg.models.load import open_models
from seamless_seg.probes.receptive_field import noise, probe

CONV, RELU = ("conv", 3, 1), ("relu",)
FINITE = {
    "pointwise": [],
    "one convolution": [CONV],
    "3 x 3, 5 x 5 and 7 x 7": [CONV, RELU, ("conv", 5, 1), RELU, ("conv", 7, 1)],
    "dilated": [("conv", 3, 1), RELU, ("conv", 3, 4), RELU, ("conv", 3, 16)],
    "padded on one side": [("conv_left", 3), RELU, ("conv_left", 5)],
    "strided": [("strided", 3, 2), RELU, CONV, ("up", 2)],
    "strided by 3": [("strided", 5, 3), RELU, ("up", 3), CONV],
    "pooled": [("pool", 4), CONV, RELU, ("up", 4)],
    "transposed": [("pool", 2), CONV, RELU, ("deconv", 4, 2), CONV],
    "transposed without overlap": [("strided", 4, 4), RELU, ("deconv", 2, 2), ("deconv", 2, 2)],
    "batch normalization": [CONV, ("norm",), RELU, CONV, ("norm",)],
    "U-Net of depth 1": networks.u_net(1),
    "U-Net of depth 2": networks.u_net(2, convolutions=2),
    "U-Net of depth 3": networks.u_net(3),
    "U-Net of depth 4": networks.u_net(4),
    "wider than the first length": [("conv", 3, 60), RELU, ("conv", 3, 60), RELU, ("conv", 3, 90)],
}


def asked(tmp_path, layers, **options):
    return probe(open_models(networks.save(tmp_path / "model.onnx", layers, **options)))


@pytest.mark.parametrize("layers", FINITE.values(), ids=FINITE)
def test_radius_and_stride_of_every_side_are_measured_right(tmp_path, layers):
    found = asked(tmp_path, layers)
    after, before = networks.radii(layers)
    assert [side.radius for side in found.sides] == [after, before, after, before]
    assert found.radius == (max(after, before), max(after, before))
    assert found.stride == (networks.stride_of(layers),) * 2
    assert not found.tile_wide
    assert not found.depends_on_batch
    assert found.deterministic


kinds = st.sampled_from([CONV, ("conv", 5, 1), ("conv", 3, 3), ("conv_left", 4), RELU, ("norm",)])


@settings(max_examples=8)
@given(
    st.lists(kinds, min_size=1, max_size=5),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_so_are_those_of_any_network(tmp_path_factory, layers, stride, channels, classes, seed):
    if stride > 1:
        layers = [CONV, ("skip", [("pool", stride), *layers, ("up", stride)]), CONV]
    path = tmp_path_factory.mktemp("any")
    found = asked(path, layers, channels=channels, classes=classes, seed=seed)
    after, before = networks.radii(layers)
    true = [after, before, after, before]
    assert found.graph.is_proof
    # A measurement is a lower bound, and the graph's is an upper one.
    sides = zip(found.sides, true, found.graph.radius, strict=True)
    assert all(side.radius <= own <= bound for side, own, bound in sides)
    assert found.stride == (stride, stride)


@pytest.mark.parametrize("kind", networks.TILE_WIDE)
@pytest.mark.parametrize("around", [[], [("pool", 4), ("up", 4)]], ids=["plain", "pooled"])
def test_what_sees_the_whole_tile_is_called_tile_wide(tmp_path, kind, around):
    wide = ("conv", 3, 1, 6)  # the stride of such a model is an estimate: few channels blur it
    found = asked(tmp_path, [wide, RELU, *around[:1], (kind,), *around[1:], CONV])
    assert found.tile_wide
    assert all(side.reaches_across for side in found.sides)
    assert found.stride == ((4, 4) if around else (1, 1))


def test_models_of_fixed_size_and_batch_are_asked_at_theirs(tmp_path):
    layers = networks.u_net(2)
    found = asked(tmp_path, layers, height=96, width=160, batch=3)
    after, before = networks.radii(layers)
    assert found.size == (96, 160)
    assert [side.radius for side in found.sides] == [after, before, after, before]
    assert found.stride == (4, 4)


def test_a_fixed_size_that_is_too_small_to_tell_is_tile_wide(tmp_path):
    found = asked(tmp_path, [("conv", 3, 30), RELU, ("conv", 3, 30)], height=64, width=64)
    assert found.tile_wide


def test_the_effective_radius_is_where_changes_fall_below_a_tolerance():
    weights = np.array([1e-5, 1e-3, 0.1, 1, 0.1, 1e-3, 1e-5], np.float32)

    def blur(batch):
        padded = np.pad(batch, [(0, 0), (0, 0), (3, 3), (3, 3)])
        rows = sum(w * padded[:, :, k : k + batch.shape[2]] for k, w in enumerate(weights))
        return sum(w * rows[..., k : k + batch.shape[3]] for k, w in enumerate(weights))

    found = probe(CallableModel(blur))
    assert found.radius == (3, 3)
    assert found.effective(1e-4) == (2, 2)
    assert found.effective(1e-1) == (1, 1)
    assert found.effective(10) == (0, 0)
    assert (np.diff(found.left.curve) < 0).all()


def test_a_model_that_mixes_the_tiles_of_a_batch_is_found_out():
    mixing = CallableModel(lambda batch: batch - batch.mean(axis=0, keepdims=True) / 9)
    assert probe(mixing).depends_on_batch


def test_a_model_that_throws_dice_is_found_out():
    random = np.random.default_rng(0)
    dicing = CallableModel(lambda batch: batch + random.random(batch.shape) * 1e-6)
    assert not probe(dicing).deterministic


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_do_not_hide_the_rest(value):
    def masked(batch):
        padded = np.pad(batch, [(0, 0), (0, 0), (2, 2), (2, 2)])
        logits = padded[:, :, :-4, :-4] + padded[:, :, 4:, 4:]
        logits[:, 1] = value
        return logits

    found = probe(CallableModel(masked))
    assert found.radius == (2, 2)
    assert not found.tile_wide


def test_a_constant_sees_nothing():
    found = probe(CallableModel(lambda batch: np.ones_like(batch)))
    assert found.radius == (0, 0)
    assert found.stride == (1, 1)


def test_a_measurement_beyond_the_graph_s_bound_is_reported_and_proves_nothing(tmp_path):
    path = networks.save(tmp_path / "model.onnx", 4 * [("conv", 3, 1)])
    opened = open_models(path)
    networks.save(path, [("conv", 3, 1)])  # so the graph is not that of the model that runs
    found = probe(opened)
    assert found.radius == (4, 4)
    assert not found.graph.is_proof
    assert found.graph.reason.startswith(
        "the measured radius of 4 px is beyond the 1 px that the graph allows: an error of this"
    )


def test_images_may_come_from_elsewhere():
    seen = []

    def source(random, shape):
        seen.append(shape)
        return noise(random, shape)

    assert probe(CallableModel(lambda batch: batch[:, :1]), channels=5, source=source).radius == (
        0,
        0,
    )
    assert {shape[0] for shape in seen} == {5}


def test_a_model_that_always_fails_says_why():
    def model(batch):
        raise RuntimeError("no such operator")

    with pytest.raises(ModelError, match="no such operator"):
        probe(CallableModel(model))
