import json
from functools import reduce

import numpy as np
import onnxruntime
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from builders import made, networks
from builders.command import RUN, refused
from builders.sentences import MEASURED, PROVEN
from seamless_seg import ModelError, OptionError, check, probe, segment
from seamless_seg.models.load import open_models
from seamless_seg.models.onnx_model import OnnxModel
from seamless_seg.models.onnx_session import OnnxFile
from seamless_seg.models.tta import AUGMENTATIONS
from seamless_seg.normalization import Normalization

FLIPS = [
    (lambda x: x, lambda y: y),
    (lambda x: np.flip(x, -1), lambda y: np.flip(y, -1)),
    (lambda x: np.flip(x, -2), lambda y: np.flip(y, -2)),
    (lambda x: np.flip(x, (-2, -1)), lambda y: np.flip(y, (-2, -1))),
]


def transposed(x):
    return np.swapaxes(x, -2, -1)


ORACLE = {
    "flips": FLIPS,
    "d4": [
        *FLIPS,
        (transposed, transposed),
        (lambda x: np.rot90(x, 1, (-1, -2)), lambda y: np.rot90(y, 1, (-2, -1))),
        (lambda x: np.rot90(x, 1, (-2, -1)), lambda y: np.rot90(y, 1, (-1, -2))),
        (
            lambda x: transposed(np.rot90(x, 2, (-2, -1))),
            lambda y: np.rot90(transposed(y), 2, (-2, -1)),
        ),
    ],
}
"""Turns and how to undo them, in numpy's words."""


def averaged(models, turns, batch):
    """The mean of the logits, one after the other in float32."""
    total = np.float32(0)
    for model in models:
        for turn, back in turns:
            total = total + back(model(np.ascontiguousarray(turn(batch)))).astype(np.float32)
    return total / np.float32(len(models) * len(turns))


def session(path):
    """A bare session as a function."""
    loaded = onnxruntime.InferenceSession(path)
    return lambda batch: loaded.run(None, {"image": batch})[0]


def slanted(batch):
    """Sums with neighbors at the left and above that no turn leaves as they are."""
    padded = np.pad(batch, ((0, 0), (0, 0), (2, 0), (1, 0)))
    moved = padded[..., :-2, 1:] * 3 + padded[..., 2:, :-1]
    return np.concatenate([batch + moved, moved - 5 * batch], axis=1)


def pooled(batch, down=2, across=2):
    """Maxima of blocks beside the image: a grid, and numbers that stay whole."""
    count, bands, height, width = batch.shape
    blocks = batch.reshape(count, bands, height // down, down, width // across, across)
    within = [blocks[:, :, :, i, :, j] for i in range(down) for j in range(across)]
    largest = reduce(np.maximum, within).repeat(down, axis=2).repeat(across, axis=3)
    return np.concatenate([slanted(largest), batch], axis=1)


class TestTurns:
    def test_all_eight_are_different_and_undone(self):
        image = np.arange(6).reshape(2, 3)
        turned = {str(turn.apply(image).tolist()) for turn in AUGMENTATIONS["d4"]}
        assert len(turned) == 8
        for turn in AUGMENTATIONS["d4"]:
            np.testing.assert_array_equal(turn.undo(turn.apply(image)), image)

    @given(
        st.sampled_from(["flips", "d4"]), st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)
    )
    def test_the_mean_is_numpy_s_to_the_last_bit(self, tta, count, height, width):
        batch = made.pixels(3, count * height, width, "float32").reshape(count, 3, height, width)
        logits = open_models(slanted, tta=tta)(batch)
        assert logits.dtype == np.float32
        np.testing.assert_array_equal(logits, averaged([slanted], ORACLE[tta], batch))

    @pytest.mark.parametrize("dtype", ["float16", "float64"])
    def test_it_is_taken_in_float32(self, dtype):
        batch = made.pixels(2, 8, 8, "float32")[None]

        def model(batch):
            return slanted(batch).astype(dtype)

        expected = averaged([model], ORACLE["d4"], batch)
        np.testing.assert_array_equal(open_models(model, tta="d4")(batch), expected)

    @pytest.mark.parametrize(
        ("tta", "size"), [("d4", (37, 50)), ("flips", (130, 203)), ("d4", (130, 203))]
    )
    def test_whole_numbers_are_those_of_the_whole_image(self, paths, tta, size):
        raster, _, output = paths
        image = made.pixels(1, *size).astype(np.float32)
        made.raster(raster, image)
        summary = segment(raster, pooled, output, tta=tta, tile=64, margin="auto")
        assert summary.exactness.startswith("tiling exact")
        beyond = [(0, 0)] + [(0, -length % 2) for length in size]
        whole = averaged([pooled], ORACLE[tta], np.pad(image, beyond, mode="reflect")[None])[0]
        np.testing.assert_array_equal(made.read(output), whole[:, : size[0], : size[1]])

    @pytest.mark.parametrize("size", [(37, 300), (301, 258)])
    @pytest.mark.parametrize("tta", ORACLE)
    @pytest.mark.parametrize(
        "layers",
        [networks.u_net(2), [("conv_left", 4), ("relu",), ("conv", 3, 1)]],
        ids=["U-Net", "padded on one side"],
    )
    def test_networks_give_their_answer_to_the_whole_image(self, paths, layers, tta, size):
        raster, model, output = paths
        image = made.pixels(1, *size, "float32")
        made.raster(raster, image)
        networks.save(model, layers, channels=1)
        summary = segment(raster, model, output, tta=tta, tile=128)
        assert summary.tiles > 1
        assert summary.exactness.startswith(PROVEN)
        stride = networks.stride_of(layers)
        beyond = [(0, 0)] + [(0, -length % stride) for length in size]
        values = np.pad(image, beyond, mode="reflect")[None]
        whole = averaged([session(model)], ORACLE[tta], values)[0, :, : size[0], : size[1]]
        logits = made.read(output)
        assert (logits == whole).mean() >= 0.99
        np.testing.assert_allclose(logits, whole, rtol=0, atol=1e-5)

    def test_radius_and_grid_are_those_of_all_turns(self, tmp_path):
        layers = [("conv_left", 4), ("relu",), ("conv", 3, 1)]
        path = networks.save(tmp_path / "model.onnx", layers, channels=1)
        assert [side.radius for side in probe(path).sides] == [4, 1, 4, 1]
        assert [side.radius for side in probe(path, tta="flips").sides] == [4, 4, 4, 4]

        def model(batch):
            return pooled(batch, 4, 6)

        assert probe(model, 1).stride == probe(model, 1, tta="flips").stride == (4, 6)
        assert probe(model, 1, tta="d4").stride == (12, 12)
        assert probe(slanted, 1).radius == (2, 1)
        assert probe(slanted, 1, tta="d4").radius == (2, 2)

    def test_a_tile_off_the_grid_is_said_to_be_so(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(1, 300, 310, "float32"))
        networks.save(model, networks.u_net(2), channels=1)
        summary = segment(raster, model, output, tta="flips", tile=130)
        assert summary.exactness.startswith(
            "not exact: the tile size is not a multiple of the model's stride"
        )

    def test_same_bits_for_every_batch_size_and_number_of_threads(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 120, 130))
        made.convolutions(model, 3, 5)
        results = []
        for batch_size, threads in [(1, 1), (3, 2), (8, None)]:
            options = {"batch_size": batch_size, "threads": threads, "margin": 3, "align": 1}
            segment(raster, model, output, tta="d4", tile=48, overwrite=True, **options)
            results.append(made.read(output))
        np.testing.assert_array_equal(results[0], results[1])
        np.testing.assert_array_equal(results[0], results[2])

    def test_a_fixed_size_may_be_turned_if_it_is_square(self, paths):
        raster, model, output = paths
        image = made.pixels(3, 100, 130, "float32")
        made.raster(raster, image)
        _, answer = made.pointwise(model, 3, 2, height=64)
        segment(raster, model, output, tta="d4")
        np.testing.assert_allclose(made.read(output), answer(image), atol=1e-5)
        assert open_models(model, tta="d4").spec.tile == (64, 64)
        made.pointwise(model, 3, 2, height=64, width=48)
        segment(raster, model, output, tta="flips", overwrite=True)
        np.testing.assert_allclose(made.read(output), answer(image), atol=1e-5)
        with pytest.raises(OptionError, match="takes tiles of 64x48 only: choose flips"):
            segment(raster, model, output, tta="d4", overwrite=True)

    def test_tiles_of_a_free_model_need_not_be_square(self, paths):
        raster, model, output = paths
        image = made.pixels(3, 100, 130, "float32")
        made.raster(raster, image)
        made.convolutions(model, 3, 2)
        segment(raster, model, output, tta="d4", tile=(32, 80), margin=3, align=1)
        whole = averaged([session(model)], ORACLE["d4"], image[None])[0]
        np.testing.assert_allclose(made.read(output), whole, rtol=0, atol=1e-5)

    def test_logits_that_are_not_finite_come_through(self, paths):
        raster, _, output = paths
        image = made.pixels(1, 64, 64, "float32")
        image[0, 3, 5], image[0, 9, 9] = np.inf, np.nan
        made.raster(raster, image)
        summary = segment(raster, lambda batch: batch - batch[..., ::-1], output, tta="flips")
        assert summary.not_finite == 4

    def test_another_name_is_refused(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 20, 20))
        made.pointwise(model, 3, 2)
        with pytest.raises(OptionError, match="tta must be one of none, flips, d4, not 'all'"):
            segment(raster, model, output, tta="all")


class TestSeveral:
    @pytest.fixture
    def models(self, tmp_path):
        """Three files, and the same as functions."""
        files = [made.convolutions(tmp_path / f"{n}.onnx", 3, 4, seed=n) for n in range(3)]
        return files, [session(path) for path in files]

    @pytest.mark.parametrize("count", [1, 2, 3])
    @pytest.mark.parametrize("tta", [None, "d4"])
    def test_their_mean_is_numpy_s_to_the_last_bit(self, paths, models, count, tta):
        raster, _, output = paths
        image = made.pixels(3, 64, 64, "float32")
        made.raster(raster, image)
        files, functions = (listed[:count] for listed in models)
        turns = FLIPS[:1] if tta is None else ORACLE[tta]
        expected = averaged(functions, turns, image[None])[0]
        for model in (
            files,
            tuple(functions),
            ",".join(map(str, files)),
            [files[0], *functions[1:]],
        ):
            options = {"tta": tta, "tile": 64, "margin": 0, "align": 1, "overwrite": True}
            segment(raster, model, output, **options)
            np.testing.assert_array_equal(made.read(output), expected)

    @pytest.mark.parametrize(("tta", "order"), [(None, (0, 1, 2)), ("flips", (2, 1, 0))])
    @pytest.mark.slow
    def test_models_of_different_borders_each_get_their_own(self, paths, tmp_path, tta, order):
        raster, _, output = paths
        image = made.pixels(1, 100, 130, "float32")
        made.raster(raster, image)
        layers = [[("conv", 3, 1)], [("valid", 3)] * 2, [("valid", 3)] * 5]
        sizes = {"channels": 1, "out_size": ["oh", "ow"]}
        files = [networks.save(tmp_path / f"{n}.onnx", layers[n], seed=n, **sizes) for n in order]
        summary = segment(raster, files, output, tile=48, tta=tta)
        assert summary.exactness.startswith(PROVEN)
        together, alone = made.read(output), []
        for path in files:  # one tile holds the image: it is exact without a margin
            whole_image = {"tile": 200, "margin": 0, "align": 1}
            segment(raster, path, output, tta=tta, overwrite=True, **whole_image)
            alone.append(made.read(output))
        np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-5)

    def test_tiles_are_exact_for_the_farthest_sighted(self, paths, models):
        raster, model, output = paths
        image = made.pixels(3, 150, 203, "float32")
        made.raster(raster, image)
        given = [models[0][0], networks.save(model, networks.u_net(2), classes=4)]
        summary = segment(raster, given, output, tile=96)
        assert summary.exactness.startswith(PROVEN)
        values = np.pad(image, [(0, 0), (0, -150 % 4), (0, -203 % 4)], mode="reflect")[None]
        whole = averaged([session(path) for path in given], FLIPS[:1], values)
        np.testing.assert_allclose(made.read(output), whole[0, :, :150, :203], rtol=0, atol=1e-5)

    def test_a_name_with_a_comma_is_one_file_if_it_is_there(self, paths):
        raster, model, output = paths
        image = made.pixels(3, 30, 40, "float32")
        made.raster(raster, image)
        path, answer = made.pointwise(model.with_name("a,b.onnx"), 3, 2)
        segment(raster, str(path), output)
        np.testing.assert_allclose(made.read(output), answer(image), atol=1e-5)

    def test_names_may_be_longer_together_than_a_file_s_can_be(self, paths, monkeypatch):
        raster, model, output = paths
        monkeypatch.chdir(raster.parent)
        made.raster(raster, made.pixels(3, 30, 40))
        made.pointwise(model, 3, 2)
        segment(raster, ", ".join(30 * [model.name]), output, tile=32, margin=0, align=1)
        assert made.read(output).shape == (2, 30, 40)

    def test_fixed_batches_are_kept_by_each(self, paths):
        raster, _, output = paths
        image = made.pixels(3, 100, 120, "float32")
        made.raster(raster, image)
        folder, answers, given = raster.parent, [], []
        for seed, batch in enumerate((2, 3, "batch")):
            path, answer = made.pointwise(folder / f"{seed}.onnx", 3, 2, seed, batch=batch)
            given.append(path)
            answers.append(answer)
        assert open_models(given).spec.batch == 6
        segment(raster, given, output, tile=64)
        expected = np.mean([answer(image) for answer in answers], axis=0)
        np.testing.assert_allclose(made.read(output), expected, atol=1e-5)

    def test_what_one_function_writes_into_its_batch_the_other_does_not_see(self, paths):
        raster, _, output = paths
        image = made.pixels(2, 50, 60, "float32")
        made.raster(raster, image)

        def rude(batch):
            batch[:] = 0
            return batch

        segment(raster, [rude, lambda batch: 2 * batch], output, tta="flips")
        np.testing.assert_array_equal(made.read(output), image)

    @pytest.mark.parametrize(
        ("one", "other", "message"),
        [
            (
                {},
                {"classes": 3},
                r"a.onnx has 2 classes, and \S*b.onnx has 3 classes",
            ),
            (
                {},
                {"channels": 4},
                r"a.onnx takes 3 bands, and \S*b.onnx takes 4 bands: only models",
            ),
            ({"height": 64}, {"height": 32}, "a.onnx takes tiles of 64 rows, and .* of 32 rows"),
            (
                {"width": 64},
                {"width": 48},
                "a.onnx takes tiles of 64 columns, and .* of 48 columns",
            ),
        ],
    )
    def test_models_that_contradict_each_other_are_refused(self, paths, one, other, message):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 100, 120))
        given = []
        for name, settled in (("a.onnx", one), ("b.onnx", other)):
            options = {"channels": 3, "classes": 2} | settled
            path, _ = made.pointwise(raster.parent / name, **options)
            given.append(path)
        with pytest.raises(ModelError, match=message):
            segment(raster, given, output)

    def test_functions_of_different_classes_are_refused(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 64, 64))
        message = (
            r"model 1 of 2 gives logits of \[1, 3, 64, 64\] and model 2 of 2 of \[1, 1, 64, 64\]"
        )
        with pytest.raises(ModelError, match=message):
            segment(raster, [lambda batch: batch, lambda batch: batch[:, :1]], output, tile=64)
        with pytest.raises(ModelError, match=r"model 2 of 2: .* to \[3\]"):
            segment(raster, [lambda batch: batch, lambda batch: np.ones(3)], output, tile=64)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([], "the list of models is empty"),
            ("a.onnx,", "a.onnx,: a comma joins two models, and one of them has no name"),
            ("gone.onnx,away.onnx", "gone.onnx: there is no such model file"),
        ],
    )
    def test_a_model_that_is_missing_is_said_to_be(self, paths, given, message):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 20, 20))
        with pytest.raises(ModelError, match=message):
            segment(raster, given, output)

    def test_the_first_one_s_metadata_holds_and_the_others_are_noted(self, paths):
        raster, _, output = paths
        image = made.pixels(3, 30, 40)
        made.raster(raster, image)
        stated = [
            {"standardization_mean": [0.5, 0.4, 0.3], "class_names": {"0": "land", "1": "water"}},
            {"standardization_mean": [0.1, 0.1, 0.1], "class_names": {"0": "water", "1": "land"}},
            {"tile_size": "big"},
        ]
        given, answers, notes = [], [], []
        for seed, metadata in enumerate(stated):
            path = raster.with_name(f"{seed}.onnx")
            given.append(path)
            answers.append(made.pointwise(path, 3, 2, seed, metadata=metadata)[1])
        segment(raster, given, output, on_start=lambda f: notes.extend(f.settings.notes))
        values = image / 255 - np.array([[[0.5]], [[0.4]], [[0.3]]])
        expected = np.mean([answer(values) for answer in answers], axis=0)
        np.testing.assert_allclose(made.read(output), expected, atol=1e-5)
        with rasterio.open(output) as dataset:
            assert dataset.descriptions == ("land", "water")
        said = (
            f"{given[1]} states another mean and class names than {given[0]}, whose settings hold"
        )
        assert sum(note.startswith(said) for note in notes) == 1
        assert any("tile_size" in note and "ignored" in note for note in notes)
        assert not any(f"{given[2]} states" in note for note in notes)

    def test_all_get_as_many_workers_as_the_one_that_takes_the_fewest(self, models):
        files, functions = models
        for listed, workers in ((files, 2), ([files[0], functions[1]], 1)):
            opened = open_models(listed, threads=2)
            opened.tune((256, 256))
            assert opened.workers == workers
            batch = made.pixels(3, 256, 256, "float32")[None]
            expected = averaged(functions[: len(listed)], FLIPS[:1], batch)
            np.testing.assert_allclose(opened(batch), expected, atol=1e-6)

    @pytest.mark.parametrize("takes_bytes", [True, False])
    def test_bytes_are_turned_before_a_device_normalizes_them(self, paths, models, takes_bytes):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 100, 130))
        files, functions = models
        members = [OnnxModel(OnnxFile(path), device="cpu") for path in files]
        if not takes_bytes:
            files, members = [*files, functions[0]], [*members, functions[0]]
        assert (
            open_models(members).take_over_normalization(Normalization(), np.dtype("uint8"))
            == takes_bytes
        )
        options = {"tta": "d4", "tile": (64, 48), "margin": 3, "align": 1, "mean": 0.5}
        segment(raster, files, output, **options)
        expected = made.read(output)
        segment(raster, members, output, overwrite=True, **options)
        np.testing.assert_allclose(made.read(output), expected, rtol=0, atol=1e-5)


class TestFiles:
    """What is written, remembered and protected."""

    @pytest.fixture
    def pair(self, tmp_path, monkeypatch):
        """A raster and two models."""
        monkeypatch.chdir(tmp_path)
        made.raster("in.tif", made.pixels(1, 150, 160, "float32"))
        for seed, name in enumerate(("a.onnx", "b.onnx")):
            made.convolutions(name, 1, 2, layers=1, seed=seed)
        return "a.onnx,b.onnx"

    @pytest.fixture
    def memory(self, tmp_path, monkeypatch):
        """A folder where nothing is remembered yet."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return tmp_path / "cache/seamless_seg"

    def test_an_output_says_how_it_was_made_and_a_check_does_that_again(self, pair):
        segment("in.tif", pair, "out.tif", tta="d4", tile=64)
        with rasterio.open("out.tif") as dataset:
            tags = dataset.tags(ns="seamless_seg")
        assert json.loads(tags["tta"]) == "d4"
        assert json.loads(tags["model"]) == "a.onnx,b.onnx"
        report = check("in.tif", pair, "out.tif")
        assert report.complete
        assert report.judged.largest < 1e-6
        assert not any("out.tif" in note for note in report.forecast.settings.notes)

    @pytest.mark.parametrize(
        ("model", "options", "doubt"),
        [
            (
                "a.onnx,b.onnx",
                {"tta": "none"},
                "was made with tta d4, and is checked with tta none",
            ),
            ("b.onnx,a.onnx", {}, 'was made with another model: "a.onnx,b.onnx"'),
            ("a.onnx", {}, 'was made with another model: "a.onnx,b.onnx"'),
        ],
    )
    def test_a_check_of_something_else_is_doubted(self, pair, model, options, doubt):
        segment("in.tif", pair, "out.tif", tta="d4", tile=64)
        report = check("in.tif", model, "out.tif", **options)
        assert any(doubt in note for note in report.forecast.settings.notes)
        assert (report.judged.largest > 1e-3) == (model != "b.onnx,a.onnx")

    def test_no_model_is_overwritten(self, pair):
        for output in pair.split(","):
            with pytest.raises(OptionError, match="is one of the inputs"):
                segment("in.tif", pair, output, overwrite=True)
        with pytest.raises(OptionError, match="is one of the inputs"):
            segment("in.tif", [lambda batch: batch, "b.onnx"], "b.onnx", overwrite=True)

    def test_each_way_of_averaging_is_remembered_for_itself(self, pair, memory, cli):
        for count, arguments in enumerate(
            [("a.onnx",), (pair,), (pair, "--tta", "flips"), (pair, "--tta", "d4")], start=1
        ):
            first = cli("probe", *arguments)
            assert first[0] == 0
            assert len(made.names(memory / "probes")) == count
            assert cli("probe", *arguments) == first
            assert len(made.names(memory / "probes")) == count

    def test_timings_are_those_of_all_runs(self, pair, cli, memory):
        seconds = {}
        for tta in ("none", "d4"):
            status, out, err = cli("plan", "in.tif", pair, "--tile", "auto", "--tta", tta, "--json")
            assert status == 0, err
            timed = json.loads(out)["timed"]
            seconds[tta] = min(1 / price["speed"] for price in timed)
        assert seconds["d4"] > 2 * seconds["none"]
        assert len(made.names(memory / "timings")) == 2

    def test_a_function_among_files_is_probed_unless_its_margin_is_0(self, pair):
        given = ["a.onnx", lambda batch: np.concatenate([batch, -batch], axis=1)]
        assert segment("in.tif", given, "out.tif", margin=0).exactness is None
        summary = segment("in.tif", given, "again.tif", tile=64)
        assert summary.exactness.startswith(MEASURED)


class TestCommand:
    def test_it_runs_several_models_turned(self, folder, cli):
        other, answer = made.pointwise("other.onnx", 3, 2, seed=1)
        _, first = made.pointwise("model.onnx", 3, 2)
        status, _, err = cli("run", "in.tif", f"model.onnx,{other}", RUN[3], "--tta", "d4", "-v")
        assert status == 0, err
        assert "tta         d4  (option)" in err
        values = made.read("in.tif") / 255
        expected = (answer(values) + first(values)) / 2
        np.testing.assert_allclose(made.read(RUN[3]), expected, atol=1e-5)

    def test_plans_and_checks_do_so_too(self, folder, cli):
        status, out, _ = cli("plan", "in.tif", "model.onnx", "--tta", "flips", "--json")
        assert (status, json.loads(out)["tta"]) == (0, "flips")
        status, out, _ = cli(
            "plan", "--size", 500, "model.onnx,model.onnx", "--tta", "d4", "--json"
        )
        assert (status, json.loads(out)["tta"]) == (0, "d4")
        assert cli("check", "in.tif", "model.onnx", "--tta", "d4")[0] == 0

    def test_what_does_not_fit_gets_one_clear_line(self, folder, cli):
        refused(cli(*RUN, "--tta", "all"), 2, "'all' is not one of 'none', 'flips', 'd4'")
        made.pointwise("model.onnx", 3, 2, height=64, width=48)
        refused(cli(*RUN, "--tta", "d4"), 2, "model.onnx takes tiles of 64x48 only: choose flips")
        made.pointwise("other.onnx", 3, 5)
        both = "model.onnx,other.onnx"
        refused(cli("run", "in.tif", both, RUN[3]), 1, "other.onnx has 5 classes")
        refused(cli("probe", "model.onnx,"), 1, "one of them has no name")
        assert made.names("out") == []
