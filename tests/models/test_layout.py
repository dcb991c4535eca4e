"""Shapes of models met in the wild: layouts, types, borders, fractions, several outputs."""

import re

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builders import made, networks
from builders.sentences import PROVEN
from seamless_seg import ModelError, OptionError, check, segment
from seamless_seg.models.layout import is_channels_last, possible_layouts, upsample
from seamless_seg.models.load import open_models
from seamless_seg.models.onnx_session import OnnxFile
from seamless_seg.probes.receptive_field import probe

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_normal((4, 3)).astype(np.float32)
FLOAT, HALF, BYTE, LONG = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.UINT8,
    TensorProto.INT64,
)
TYPES = {FLOAT: np.float32, HALF: np.float16, BYTE: np.uint8}


def pointwise(path, taken="NCHW", given="NKHW", lengths=(None, None, None), **options):
    """A 1 x 1 convolution for any layout; ``lengths`` are those of N, H and W, None for free."""
    dtype, out_dtype = options.get("dtype", FLOAT), options.get("out_dtype", FLOAT)
    classes = 1 if "K" not in given else len(WEIGHT)
    size = dict(zip("NHW", lengths, strict=True)) | {"C": 3, "K": classes, "1": 1}
    weight = numpy_helper.from_array(WEIGHT[:classes, :, None, None], "weight")
    nodes, last = [helper.make_node("Cast", ["image"], ["float"], to=FLOAT)], "float"
    if taken == "NHWC":
        nodes.append(helper.make_node("Transpose", [last], ["nchw"], perm=[0, 3, 1, 2]))
        last = "nchw"
    nodes.append(helper.make_node("Conv", [last, "weight"], ["conv"]))
    last, weights = "conv", [weight]
    if given == "NHWK":
        nodes.append(helper.make_node("Transpose", [last], ["nhwk"], perm=[0, 2, 3, 1]))
        last = "nhwk"
    elif "K" not in given:
        weights.append(numpy_helper.from_array(np.array([1], np.int64), "class_axis"))
        nodes.append(helper.make_node("Squeeze", [last, "class_axis"], ["squeezed"]))
        last = "squeezed"
    nodes.append(helper.make_node("Cast", [last], ["logits"], to=out_dtype))

    def tensor(name, axes, kind):
        named = options.get("axes", {})
        shape = [size[axis] or named.get((name, axis), f"{name}_{axis}") for axis in axes]
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes,
        "pointwise",
        [tensor("image", taken, dtype)],
        [tensor("logits", given, out_dtype)],
        weights,
    )
    return save(path, graph)


def save(path, graph):
    import onnx

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def expected(image, classes=4):
    return np.einsum("kc,chw->khw", WEIGHT[:classes], image.astype(np.float32))


@pytest.mark.parametrize("lengths", [(None, None, None), (1, None, None), (2, 48, 40), (1, 48, 40)])
@pytest.mark.parametrize("taken", ["NCHW", "NHWC"])
@pytest.mark.parametrize("given", ["NKHW", "NHWK", "NHW", "1HW"])
def test_every_layout_of_axes_gives_the_same_answer(paths, taken, given, lengths):
    raster, model, output = paths
    if given == "1HW" and lengths[0] == 2:
        lengths = (1, *lengths[1:])
    image = made.pixels(3, 100, 90, "float32")
    made.raster(raster, image)
    pointwise(model, taken, given, lengths)
    summary = segment(raster, model, output, **({} if lengths[1] else {"tile": 64}))
    classes = 4 if "K" in given else 1
    assert summary.classes == classes
    np.testing.assert_allclose(made.read(output), expected(image, classes), atol=1e-5)
    assert check(raster, model, output).judged.identical == 1


@pytest.mark.parametrize("given", [FLOAT, HALF])
@pytest.mark.parametrize("taken", [FLOAT, HALF, BYTE])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_types_are_converted(paths, taken, given, layout):
    raster, model, output = paths
    image = made.pixels(3, 100, 90)
    made.raster(raster, image)
    pointwise(model, layout, "NKHW", dtype=taken, out_dtype=given)
    segment(raster, model, output, tile=64)
    values = image if taken == BYTE else (image * np.float32(1 / 255)).astype(TYPES[taken])
    right = expected(values).astype(TYPES[given]).astype(np.float32)
    np.testing.assert_allclose(made.read(output), right, rtol=1e-3, atol=2e-3)


def test_a_model_of_bytes_gets_rounded_and_clipped_values_where_a_scale_is_given(paths):
    raster, model, output = paths
    image = made.pixels(3, 50, 60, "uint16")
    made.raster(raster, image)
    pointwise(model, dtype=BYTE)
    segment(raster, model, output, scale=0.1, mean=20, tile=64)
    values = np.clip(np.rint(image.astype(np.float32) * np.float32(0.1) - 20), 0, 255)
    np.testing.assert_allclose(made.read(output), expected(values), atol=1e-2)
    with pytest.raises(OptionError, match="normalize= gives fractions, and the model's input is"):
        segment(raster, model, output, overwrite=True, normalize="zscore")
    message = (
        "the model's input is uint8 and pixels are uint16: give the factor for pixel values, such "
        "as scale="
    )
    with pytest.raises(OptionError, match=message):
        segment(raster, model, output, overwrite=True, tile=64)


@pytest.mark.parametrize(
    ("lengths", "names", "last"),
    [
        ((None, 3, None, None), "", False),
        ((None, None, None, 3), "", True),
        ((1, 3, 512, 512), "", False),
        ((1, 512, 512, 3), "", True),
        ((1, 200, 64, 64), "", False),
        ((1, 64, 64, 200), "", True),
        ((1, 3, 480, 640), "", False),
        ((1, 480, 640, 3), "", True),
        ((None, None, None, None), "nchw", False),
        ((None, None, None, None), "nhwc", True),
        ((None, None, None, None), "", False),
        ((1, 4, 4, 4), "", False),
        ((None, None, 64, 64), "", False),
        ((None, 64, 64, None), "", True),
        ((None, 64, None, 3), "", True),
        ((None, 3, None, 64), "", False),
        ((None, 3, 64, None), "", False),
        ((None, None, 64, 3), "", True),
        ((1, 256, 128, 64), "", False),
        ((1, 64, 128, 256), "", False),
        ((1, 480, 640, 64), "", True),
        ((1, 64, 480, 640), "", False),
        ((1, 12, 512, 512), "", False),
        ((1, 512, 512, 12), "", True),
        ((1, 12, 480, 640), "", False),
        ((1, 480, 640, 12), "", True),
        ((1, 24, 40, 12), "", True),
        ((1, 12, 40, 8), "", False),
        ((1, 224, 64, 64), "", False),
        ((1, 64, 64, 224), "", True),
        ((1, None, None, 64), "", True),
        ((1, 64, None, None), "", False),
        ((1, None, None, None), ["", "image_height", "image_width", "unk__3"], True),
        ((1, None, None, None), ["", "bands", "rows", "cols"], False),
        ((1, None, None, None), ["", "y", "x", "bands"], True),
        ((1, None, 64, 128), ["", "C_in", "", ""], False),
        ((1, None, None, None), ["", "h", "w", "w2"], False),
        ((1, None, 64, 64), ["", "x_dynamic_axes_1", "", ""], False),
    ],
)
def test_the_axis_of_channels_is_told_by_length_or_name(lengths, names, last):
    assert is_channels_last(lengths, list(names) or [""] * 4) is last


class TestStatedLayout:
    """What a document beside the model says of the order of axes, against what lengths say."""

    def opened(self, paths, lengths, order, bands):
        names = {"N": "batch", "C": "channel", "H": "height", "W": "width"}
        stated = {"shape": [-1] * 4, "dim_order": [names[axis] for axis in order]}
        model = paths[1]
        made.sidecar(model.with_name(f"{model.name}.json"), channels=bands, input=stated)
        node = helper.make_node("Identity", ["image"], ["logits"])
        image, logits = (made.tensor(name, [1, *lengths]) for name in ("image", "logits"))
        save(model, helper.make_graph([node], "stated", [image], [logits]))
        return open_models(model)

    @pytest.mark.parametrize("lengths", [(40, 32, 24), (None, 32, 24), (40, 24, 24)])
    def test_a_stated_order_wins_over_lengths(self, paths, lengths):
        opened = self.opened(paths, lengths, "NHWC", 24)
        spec = opened.spec
        assert (spec.channels, *spec.tile) == (24, *lengths[:2])
        assert not opened.spec.metadata.notes
        raster, model, output = paths
        image = made.pixels(24, 50, 60, "float32")
        made.raster(raster, image)
        segment(raster, model, output, **({} if lengths[0] else {"tile": 32}))
        np.testing.assert_array_equal(made.read(output), image)

    def test_it_wins_over_names(self, paths):
        opened = self.opened(paths, ("h", "w", "c"), "NCHW", 3)
        assert (opened.spec.variant, opened.spec.metadata.notes) == ("", ())

    def test_one_that_has_the_bands_elsewhere_is_ignored_with_a_note(self, paths):
        opened = self.opened(paths, (3, 64, 48), "NHWC", 3)
        assert (opened.spec.channels, opened.spec.tile) == (3, (64, 48))
        assert opened.spec.metadata.notes == (
            "the layout NHWC of 3 bands contradicts the model's input image: float [1, 3, 64, 48]: "
            "the stated layout is ignored",
        )


@pytest.mark.parametrize("axes", [{}, {("image", "C"): "c"}])
def test_axes_that_are_named_alike_and_are_not_alike_are_seen_through(paths, axes):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 96, 160, "float32"))
    shrinking(model, 4, axes="same")
    segment(raster, model, output, tile=64)
    assert made.read(output).shape == (2, 96, 160)


def shrinking(path, times, size=(None, None), axes="own"):
    """A convolution with as large a step as its kernel: one answer for so many pixels a side."""
    layers = [("strided", times, times)]
    out = [length and length // times for length in size]
    lengths = {"height": size[0] or "h", "width": size[1] or "w"}
    if axes != "same":
        lengths["out_size"] = [length or f"out{n}" for n, length in enumerate(out)]
    return networks.save(path, layers, **lengths)


def whole(model, image, **options):
    """A bare session's answer to a whole image."""
    return onnxruntime.InferenceSession(model).run(None, {"image": image[None]})[0]


def bilinear(values, times):
    """Bilinear interpolation as torch has it (align_corners=False), pixel by pixel."""
    height, width = (length * times for length in values.shape[-2:])
    result = np.empty((*values.shape[:-2], height, width))

    def around(at, length):
        center = min(max((at + 0.5) / times - 0.5, 0), length - 1)
        low = int(center)
        return low, min(low + 1, length - 1), center - low

    for row in range(height):
        top, bottom, down = around(row, values.shape[-2])
        for col in range(width):
            left, right, along = around(col, values.shape[-1])
            upper = values[..., top, left] * (1 - along) + values[..., top, right] * along
            lower = values[..., bottom, left] * (1 - along) + values[..., bottom, right] * along
            result[..., row, col] = upper * (1 - down) + lower * down
    return result


@pytest.mark.parametrize("times", [2, 3, 4, 8])
def test_a_fraction_is_enlarged_bilinearly(times):
    values = RANDOM.standard_normal((2, 3, 5, 7)).astype(np.float32)
    np.testing.assert_allclose(upsample(values, times), bilinear(values, times), atol=1e-6)


@pytest.mark.parametrize("times", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(96, 120), (240, 312)])
def test_a_model_with_answers_at_a_fraction_equals_its_enlarged_answer_to_the_whole(
    paths, times, size
):
    raster, model, output = paths
    image = made.pixels(3, *size, "float32")
    made.raster(raster, image)
    shrinking(model, times)
    summary = segment(raster, model, output, tile=96)
    assert summary.exactness.startswith(PROVEN)
    right = upsample(whole(model, image), times)[0]
    np.testing.assert_array_equal(made.read(output), right)
    assert check(raster, model, output).judged.identical == 1


def test_a_fraction_of_a_fixed_size_and_of_a_raster_that_is_no_multiple_of_it(paths):
    raster, model, output = paths
    image = made.pixels(3, 101, 119, "float32")
    made.raster(raster, image)
    shrinking(model, 4, (64, 64))
    segment(raster, model, output)
    extended = np.pad(image, [(0, 0), (0, 3), (0, 1)], mode="reflect")
    shrinking(model.with_name("free.onnx"), 4)
    right = upsample(whole(model.with_name("free.onnx"), extended), 4)[0, :, :101, :119]
    np.testing.assert_allclose(made.read(output), right, atol=1e-5)


def valid(path, border, size=(None, None), **options):
    """Convolutions that give no answer for pixels without a full neighborhood."""
    layers = [("valid", 3)] * border
    lengths = {"height": size[0] or "h", "width": size[1] or "w"}
    out = [length and length - 2 * border for length in size]
    lengths["out_size"] = [length or f"out{n}" for n, length in enumerate(out)]
    return networks.save(path, layers, **lengths, **options)


@pytest.mark.parametrize("size", [(1, 1), (40, 50), (64, 65), (131, 200)])
@pytest.mark.parametrize("fixed", [(None, None), (72, 56)])
def test_what_valid_convolutions_lose_is_read_around_each_tile(paths, size, fixed):
    raster, model, output = paths
    image = made.pixels(3, *size, "float32")
    made.raster(raster, image)
    valid(model, 5, fixed)
    options = {} if fixed[0] else {"tile": 48}
    summary = segment(raster, model, output, **options)
    free = valid(model.with_name("free.onnx"), 5)
    right = whole(free, np.pad(image, [(0, 0), (5, 5), (5, 5)], mode="reflect"))[0]
    np.testing.assert_array_equal(made.read(output), right)
    assert summary.settings.tiling.overlap.value == (0, 0), "all that it sees is read around it"
    if max(size) > 64:
        assert summary.exactness.startswith(PROVEN)
    assert check(raster, model, output).judged.identical == 1


@pytest.mark.parametrize("options", [{}, {"margin": 0, "align": 1}])
@pytest.mark.parametrize("place", ["metadata", "sidecar"])
def test_a_tile_that_a_model_states_is_its_input(paths, place, options):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 96, 144, "float32"))
    metadata = {"tile_size": 62} if place == "metadata" else {}
    valid(model, 7, metadata=metadata)
    if place == "sidecar":
        order = ["batch", "channel", "height", "width"]
        shape = {"shape": [-1, 3, 62, 62], "dim_order": order}
        made.sidecar(model.with_name("model.onnx.json"), input=shape, value_scaling=None)
    for _ in range(2):  # seen by the probe at first, remembered by nobody
        found = []
        segment(raster, model, output, overwrite=True, on_start=found.append, **options)
        tile = found[0].settings.tiling.tile
        assert tile.value == (48, 48)
        origin = {"metadata": "the model's metadata", "sidecar": "the model's MLM sidecar"}[place]
        assert tile.origin == f"{origin}, less a border of 7 px"
    right = np.pad(made.read(raster), [(0, 0), (7, 7), (7, 7)], mode="reflect")
    np.testing.assert_array_equal(made.read(output), whole(model, right)[0])


def test_a_stated_tile_smaller_than_its_border_is_none(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 40, 50, "float32"))
    valid(model, 7, metadata={"tile_size": 14})
    found = []
    segment(raster, model, output, margin=0, align=1, on_start=found.append)
    tile = found[0].settings.tiling.tile
    assert (tile.value, tile.origin) == ((512, 512), "default")


def test_a_tile_of_a_fixed_input_s_size_is_refused_with_its_border(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 40, 50, "float32"))
    valid(model, 32, (98, 98))
    message = (
        "tile 98x98 contradicts the model, which takes only tiles of 34x34: its input is 98x98, "
        "and its output is smaller by a border of 32 px at each side: leave out tile="
    )
    with pytest.raises(OptionError, match=message):
        segment(raster, model, output, tile=98)
    segment(raster, model, output, tile=34)


def test_what_a_model_sees_beyond_its_border_is_its_margin(tmp_path):
    sizes = {"height": 98, "width": 98, "out_size": [34, 34]}
    narrow = networks.save(tmp_path / "narrow.onnx", [("valid", 5)] * 16, **sizes)
    assert not probe(narrow).tile_wide
    wide = networks.save(tmp_path / "wide.onnx", [("valid", 3)] * 3 + [("conv", 3, 2)])
    found = probe(wide)
    assert found.radius == (2, 2)


@pytest.mark.parametrize("size", [(188, 188), (None, None)])
def test_a_u_net_of_valid_convolutions(paths, size):
    """Ronneberger's: only some sizes go through its poolings."""
    raster, model, output = paths
    made.raster(raster, made.pixels(1, 230, 301, "float32"))
    inner = [("valid", 3), ("valid", 3)]
    layers = [*inner, ("crop_skip", [("pool", 2), *inner, ("up", 2)]), *inner]
    border = 2 + 2 * 2 + 2
    out = [length and length - 2 * border for length in size]
    lengths = {"height": size[0] or "h", "width": size[1] or "w"}
    lengths["out_size"] = [length or f"out{n}" for n, length in enumerate(out)]
    networks.save(model, layers, channels=1, **lengths)
    opened = open_models(model)
    summary = segment(raster, model, output, **({} if size[0] else {"tile": 100}))
    assert summary.exactness.startswith(PROVEN)
    if size[0]:
        assert opened.spec.tile == tuple(out)
    assert check(raster, model, output).judged.identical == 1


def test_a_u_net_that_crops_by_numbers(paths):
    """Every level's crop is baked in: only one length in 2 ** levels goes through."""
    raster, model, output = paths
    made.raster(raster, made.pixels(1, 230, 301, "float32"))
    inner = [("valid", 3), ("valid", 3)]
    layers, border = inner, 2
    for _ in range(3):
        inside = [("pool", 2), *layers, ("up", 2)]
        layers = [*inner, ("crop_skip", inside, 2 * border), *inner]
        border = 2 * border + 4
    sizes = {"height": "h", "width": "w", "out_size": ["oh", "ow"]}
    networks.save(model, layers, channels=1, **sizes)
    assert segment(raster, model, output).exactness.startswith("tiling exact")
    assert check(raster, model, output).judged.identical == 1
    odd = segment(raster, model, output, tile=124, overwrite=True)
    assert "not a multiple of the model's stride of 8 px" in odd.exactness


@pytest.mark.parametrize("convolutions", [1, 2, 3])
@pytest.mark.parametrize("poolings", [1, 2, 3])
def test_poolings_that_drop_a_rest_do_not_shift_the_answer(paths, convolutions, poolings):
    """Lengths of which a pooling drops the last pixels are not used, whichever is asked first."""
    raster, model, output = paths
    image = made.pixels(3, 150, 170, "float32")
    made.raster(raster, image)
    layers, scale = [("valid", 3)] * convolutions, 1
    for _ in range(poolings):
        layers += [("pool", 2), *[("valid", 3)] * convolutions]
        scale *= 2
    layers += [("up", 2)] * poolings
    networks.save(model, layers, height="h", width="w", out_size=["oh", "ow"])
    border = sum(convolutions * 2**level for level in range(poolings + 1))
    opened = open_models(model).resolved()
    segment(raster, opened, output, tile=64, margin=0, align=scale)
    assert opened.spec.border == border
    # The whole image, reflected by as much as is lost, up to a length that suits the model.
    beyond = [(border, border + -length % scale) for length in (150, 170)]
    right = whole(model, np.pad(image, [(0, 0), *beyond], mode="reflect"))[0, :, :150, :170]
    np.testing.assert_allclose(made.read(output), right, atol=1e-5)


def test_an_output_is_laid_out_as_the_input_where_lengths_do_not_tell():
    shape = (1, 64, 64, 64)
    assert [way.channels_last for way in possible_layouts(shape, 1, (64, 64))] == [False, True]
    assert [way.channels_last for way in possible_layouts(shape, 1, (64, 64), True)] == [
        True,
        False,
    ]


def test_a_fixed_size_that_leaves_doubt_is_noted(paths):
    _, model, _ = paths
    valid(model, 8, (32, 32))
    (note,) = open_models(model).spec.metadata.notes
    said = "taken as downsampled by a factor of 2, it may also be cropped by a border of 8 px"
    assert re.search(said, note)
    valid(model, 8, (50, 50))
    assert not open_models(model).spec.metadata.notes


def test_a_fixed_size_that_leaves_doubt_is_read_as_what_is_likelier(paths):
    assert next(possible_layouts((1, 2, 32, 32), 1, (96, 96))).border == 32
    assert next(possible_layouts((1, 2, 4, 4), 1, (188, 188))).border == 92
    assert next(possible_layouts((1, 2, 24, 24), 1, (96, 96))).output_stride == 4


def test_a_border_that_could_be_a_fraction_is_told_by_another_size(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 70, 80, "float32"))
    valid(model, 8)
    segment(raster, model, output, tile=32)  # 32 to 16: half, or 8 lost at each side
    assert next(possible_layouts((1, 2, 16, 16), 1, (32, 32))).output_stride == 2
    right = np.pad(made.read(raster), [(0, 0), (8, 8), (8, 8)], mode="reflect")
    np.testing.assert_array_equal(made.read(output), whole(model, right)[0])


class TestResolution:
    """When a graph is run to infer its layout, and what becomes of it."""

    @pytest.fixture
    def runs(self, monkeypatch):
        """Shapes of all batches that any session is run on."""
        shapes, run = [], OnnxFile.run

        def recorded(self, image, batch, logits, **options):
            shapes.append(batch.shape)
            return run(self, image, batch, logits, **options)

        monkeypatch.setattr(OnnxFile, "run", recorded)
        return shapes

    def only_100(self, path):
        """A graph at a fourth of its input that takes images of 100 x 100 px and no others."""
        table = np.arange(10_000, dtype=np.float32).reshape(1, 1, 100, 100)
        size = {"kernel_shape": [4, 4], "strides": [4, 4]}
        nodes = [
            helper.make_node("Add", ["image", "table"], ["sum"]),
            helper.make_node("MaxPool", ["sum"], ["logits"], **size),
        ]
        tensors = [made.tensor(name, ["n", 3, "h", "w"]) for name in ("image", "logits")]
        weights = [numpy_helper.from_array(table, "table")]
        save(path, helper.make_graph(nodes, "only", tensors[:1], tensors[1:], weights))
        return table[0]

    def test_declared_lengths_are_complete_when_opened(self, paths, runs):
        opened = open_models(valid(paths[1], 5, (72, 56)))
        assert opened.resolved() is opened
        assert (opened.spec.border, opened.spec.tile) == (5, (62, 46))
        assert runs == []

    def test_names_are_confirmed_by_one_small_run(self, paths, runs):
        made.pointwise(paths[1], 3, 2)
        opened = open_models(paths[1])
        assert runs == []
        assert opened.resolved().spec == opened.spec
        assert runs == [(1, 3, 192, 192), (2, 3, 192, 192)]

    def test_a_resolved_model_is_final(self, paths, runs):
        resolved = open_models(valid(paths[1], 8)).resolved()
        spec, count = resolved.spec, len(runs)
        assert (spec.border, spec.classes) == (8, None)
        assert resolved.resolved() is resolved
        assert resolved(np.zeros((1, 3, 32, 32), np.float32)).shape[2:] == (16, 16)
        assert len(runs) == count + 1
        assert resolved.spec is spec

    def test_channels_that_are_free_are_the_caller_s(self, paths, runs):
        node = helper.make_node("MaxPool", ["image"], ["logits"], kernel_shape=[3, 3])
        image, logits = (
            made.tensor(name, ["n", "c", f"{name}_h", f"{name}_w"]) for name in ("image", "logits")
        )
        save(paths[1], helper.make_graph([node], "free", [image], [logits]))
        assert open_models(paths[1]).resolved(5).spec.border == 1
        assert {shape[1] for shape in runs} == {5}

    def test_a_graph_that_takes_one_size_alone_is_run_at_that(self, paths):
        raster, model, output = paths
        image = made.pixels(3, 100, 100, "float32")
        made.raster(raster, image)
        table = self.only_100(model)
        segment(raster, model, output, tile=100)
        pooled = (image + table).reshape(1, 3, 25, 4, 25, 4).max(axis=(3, 5))
        np.testing.assert_array_equal(made.read(output), upsample(pooled, 4)[0])

    def test_the_size_that_metadata_states_is_tried(self, paths, runs):
        self.only_100(paths[1])
        made.sidecar(
            paths[1].with_name("model.onnx.json"),
            input={
                "shape": [-1, 3, 100, 100],
                "dim_order": ["batch", "channel", "height", "width"],
            },
        )
        open_models(paths[1]).resolved()
        assert runs[-2:] == [(1, 3, 100, 100), (2, 3, 100, 100)]


class TestOutputs:
    @pytest.fixture
    def model(self, paths):
        made.raster(paths[0], made.pixels(3, 100, 90, "float32"))
        weight = numpy_helper.from_array(WEIGHT[:, :, None, None], "weight")
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["image", "weight"], ["logits"]),
                helper.make_node("Neg", ["logits"], ["opposite"]),
                helper.make_node("ArgMax", ["logits"], ["classes"], axis=1),
            ],
            "several",
            [made.tensor("image", ["n", 3, "h", "w"])],
            [
                made.tensor("logits", ["n", 4, "h", "w"]),
                made.tensor("opposite", ["n", 4, "h", "w"]),
                made.tensor("classes", ["n", 1, "h", "w"], LONG),
            ],
            [weight],
        )
        return save(paths[1], graph)

    @pytest.mark.parametrize(
        ("wanted", "sign"), [(None, 1), ("logits", 1), (0, 1), ("1", -1), ("opposite", -1)]
    )
    def test_one_is_chosen_by_name_or_index(self, paths, model, wanted, sign):
        raster, _, output = paths
        notes = []
        segment(
            raster,
            model,
            output,
            model_output=wanted,
            tile=64,
            on_start=lambda forecast: notes.extend(forecast.settings.notes),
        )
        np.testing.assert_allclose(made.read(output), sign * expected(made.read(raster)), atol=1e-5)
        said = "outputs logits, opposite, classes: the first is used, model_output="
        assert any(said in note for note in notes) == (wanted is None)
        assert check(raster, model, output).judged.identical == 1

    def test_a_function_has_none_to_choose(self, paths, model):
        with pytest.raises(OptionError, match="model-output chooses among the outputs of an ONNX"):
            segment(paths[0], lambda batch: batch, paths[2], model_output="logits")

    @pytest.mark.parametrize("wanted", [3, -1, "other", "1.5"])
    def test_one_that_is_not_there_is_refused(self, paths, model, wanted):
        message = f"no output {wanted}: choose one of 0 logits, 1 opposite, 2 classes"
        with pytest.raises(OptionError, match=message):
            segment(paths[0], model, paths[2], model_output=wanted)


class TestNoSegmentation:
    def model(self, path, nodes, out_shape, weights=(), batch="n", size=None, more=()):
        batch, size = (batch, ("h", "w")) if size is None else (1, size)
        graph = helper.make_graph(
            nodes,
            "other",
            [made.tensor("image", [batch, 3, *size])],
            [made.tensor("out", out_shape), *more],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in weights],
        )
        return save(path, graph)

    def refused(self, paths, message):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 100, 90, "float32"))
        with pytest.raises(ModelError, match=message):
            segment(raster, model, output)
        assert made.names(output.parent) == []

    def test_a_classifier(self, paths):
        mean = helper.make_node("ReduceMean", ["image"], ["out"], axes=[2, 3], keepdims=0)
        self.model(paths[1], [mean], ["n", 3])
        self.refused(paths, "one vector for a whole tile, as of a classifier")

    def test_a_detector_by_its_answer(self, paths):
        weights = [("shape", np.array([1, 84, -1])), ("times", np.array([1, 28, 1, 1]))]
        nodes = [
            helper.make_node("MaxPool", ["image"], ["few"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Tile", ["few", "times"], ["more"]),
            helper.make_node("Reshape", ["more", "shape"], ["out"]),
        ]
        self.model(paths[1], nodes, [1, 84, "boxes"], weights)
        self.refused(paths, r"a list for each tile, as the boxes of a detector")

    def test_an_image_larger_than_the_input(self, paths):
        scales = [("scales", np.array([1, 1, 2, 2], np.float32))]
        node = helper.make_node("Resize", ["image", "", "scales"], ["out"], mode="nearest")
        self.model(paths[1], [node], ["n", 3, "h2", "w2"], scales)
        self.refused(
            paths, r"maps \[1, 3, 100, 90\] to \[1, 3, 200, 180\]: it is neither of its input"
        )

    def test_an_odd_border_of_which_nobody_knows_the_side(self, paths):
        weight = [("weight", np.ones((2, 3, 2, 2), np.float32))]
        node = helper.make_node("Conv", ["image", "weight"], ["out"])
        self.model(paths[1], [node], ["n", 2, "h1", "w1"], weight)
        self.refused(
            paths, r"99, 89\]: it lacks 1 px of its input's height and width, an odd number"
        )

    @pytest.mark.parametrize("is_free", [True, False])
    def test_a_border_that_is_wider_at_two_sides(self, paths, is_free):
        weight = [("weight", np.ones((2, 3, 5, 9), np.float32))]
        node = helper.make_node("Conv", ["image", "weight"], ["out"])
        size = {} if is_free else {"size": (100, 90)}
        self.model(
            paths[1], [node], ["n", 2, "h1", "w1"] if is_free else [1, 2, 96, 82], weight, **size
        )
        self.refused(
            paths,
            r"to \[1, 2, 96, 82\]: it lacks 4 px of its input's height and 8 px of its width, and "
            r"only a border that is equal on all sides is supported: export the model",
        )

    @pytest.mark.parametrize("size", [None, (98, 98)])
    def test_a_border_of_a_fraction(self, paths, size):
        weights = [("weight", np.ones((2, 3, 2, 2), np.float32))]
        options = {"strides": [2, 2], "dilations": [65, 65]}
        node = helper.make_node("Conv", ["image", "weight"], ["out"], **options)
        shape = ["n", 2, "h1", "w1"] if size is None else [1, 2, 17, 17]
        self.model(paths[1], [node], shape, weights, size=size)
        self.refused(paths, "as where a border is cropped and the rest is downsampled: only one")

    @pytest.mark.parametrize("shape", [["h", "w"], [100, 90], ["k", "h", "w"]])
    def test_pixels_without_a_batch(self, paths, shape):
        weights = [("first", np.array([0]))]
        nodes = [helper.make_node("Squeeze", ["image", "first"], ["out"])]
        if len(shape) == 2:
            mean = helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=0)
            nodes = [mean, helper.make_node("Squeeze", ["mean", "first"], ["out"])]
        size = (100, 90) if shape == [100, 90] else None
        self.model(paths[1], nodes, shape, weights, batch=1, size=size)
        self.refused(paths, "pixels of one tile without the axis of the batch: export the model")

    @pytest.mark.parametrize(
        ("function", "advice"),
        [
            (lambda batch: batch[0], "without the axis of the batch: return them with it"),
            (lambda batch: batch[:, :, 1:], "equal on all sides is supported: use padded"),
        ],
    )
    def test_a_function_is_not_to_be_exported(self, paths, function, advice):
        made.raster(paths[0], made.pixels(3, 100, 90))
        with pytest.raises(ModelError, match=advice) as error:
            segment(paths[0], function, paths[2])
        assert "export" not in str(error.value)

    def test_another_number_of_tiles(self, paths):
        node = helper.make_node("ReduceMean", ["image"], ["out"], axes=[0], keepdims=1)
        self.model(paths[1], [node], ["m", 3, "h", "w"], batch=2)
        self.refused(paths, "it has 1 tiles for a batch of 2")

    @pytest.mark.parametrize("axes", [2, 3])
    def test_other_outputs_are_named_where_the_first_is_of_no_use(self, paths, axes):
        mean = helper.make_node(
            "ReduceMean", ["image"], ["out"], axes=[2, 3][axes - 2 :], keepdims=0
        )
        nodes = [mean, helper.make_node("Neg", ["image"], ["logits"])]
        logits = made.tensor("logits", ["n", 3, "h", "w"])
        self.model(paths[1], nodes, ["n", 3, "h"][:axes], more=[logits])
        seems = {2: "as of a classifier", 3: "as the boxes of a detector"}[axes]
        self.refused(paths, rf"{seems}, or choose another output \(logits\) with model_output=")
        raster, model, output = paths
        segment(raster, model, output, model_output="logits")
        np.testing.assert_array_equal(made.read(output), -made.read(raster))
