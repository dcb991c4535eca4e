import json

import numpy as np
import pytest

import seamless_seg
from builders import cached, made, networks
from seamless_seg import OptionError
from seamless_seg.models.files import fingerprint
from seamless_seg.models.load import open_models
from seamless_seg.models.onnx_model import OnnxModel
from seamless_seg.models.onnx_session import OnnxFile
from seamless_seg.planning.probing import from_json, probe_file, raster_source, to_json
from seamless_seg.raster.reader import RasterReader
from seamless_seg_cli.program import run_program

U_NET = networks.u_net(2)
RADIUS = max(networks.radii(U_NET))


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model in a folder with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return networks.save(tmp_path / "model.onnx", U_NET)


def counted(model, provider="cpu"):
    """A model that counts how often it is run; where the CPU is the only one, by another name."""
    file, calls = OnnxFile(model), []
    file.provider = provider
    opened = OnnxModel(file, device=None if provider == "cpu" else "cpu").resolved()

    class Counting:
        def __getattr__(self, name):
            return getattr(opened, name)

        def resolved(self, channels=None):
            return self

        def __call__(self, batch):
            calls.append(batch.shape)
            return opened(batch)

    return Counting(), calls


def test_functions_are_not_cached(tmp_path, monkeypatch):
    """Two functions cannot be told apart by their content."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def mean(batch):
        padded = np.pad(batch, [(0, 0), (0, 0), (0, 0), (2, 0)])
        return padded[..., :-2] + batch

    assert max(seamless_seg.probe(mean, 3, cached=True).radius) == 2
    assert max(seamless_seg.probe(lambda batch: batch * 2, 3, cached=True).radius) == 0


def test_a_probe_is_cached_by_the_model_s_content(model, tmp_path):
    first, calls = counted(model)
    found = probe_file(model, first)
    assert len(calls) > 10
    again, calls = counted(model)
    assert to_json(probe_file(model, again)) == to_json(found)
    assert not calls
    moved = model.rename(tmp_path / "moved.onnx")
    probe_file(moved, again)
    assert not calls
    probe_file(moved, again, again=True)
    assert calls


def test_each_provider_is_probed_for_itself(model, tmp_path):
    probe_file(model, open_models(model))
    assert made.names(tmp_path / "cache/seamless_seg/probes") == [f"{fingerprint(model)}.json"]
    for is_known in (False, True):
        elsewhere, calls = counted(model, "cuda")
        probe_file(model, elsewhere)
        assert bool(calls) != is_known
    assert len(made.names(tmp_path / "cache/seamless_seg/probes")) == 2


def test_another_model_under_the_same_name_is_probed(model):
    probe_file(model, open_models(model))
    networks.save(model, [("conv", 3, 1)])
    assert probe_file(model, open_models(model)).radius == (1, 1)


@pytest.mark.parametrize("rubbish", ["", "{}", "[1]", "\0", "[" * 100_000, "9" * 5000])
def test_a_cache_file_that_cannot_be_read_is_replaced(model, tmp_path, rubbish):
    probe_file(model, open_models(model))
    (path,) = (tmp_path / "cache/seamless_seg/probes").iterdir()
    path.write_text(rubbish)
    assert probe_file(model, open_models(model)).radius == (RADIUS, RADIUS)
    assert from_json(cached.document(path)).radius == (RADIUS, RADIUS)


@pytest.mark.parametrize("change", [{"stride": 7}, {"version": 0}, {"sides": 3}, {"graph": []}])
def test_so_is_one_of_another_form(model, tmp_path, change):
    probe_file(model, open_models(model))
    (path,) = (tmp_path / "cache/seamless_seg/probes").iterdir()
    cached.replace(path, cached.document(path) | change)
    assert probe_file(model, open_models(model)).radius == (RADIUS, RADIUS)


class TestPlanted:
    """Entries that make a model look as if it saw 1 px, in a cache that is not the user's own."""

    @pytest.fixture
    def planted(self, model, tmp_path):
        """The folder of the package in the cache, and the entry in it."""
        probe_file(model, open_models(model))
        (path,) = (tmp_path / "cache/seamless_seg/probes").iterdir()
        small = networks.save(tmp_path / "small.onnx", [("conv", 3, 1)])
        cached.replace(path, to_json(seamless_seg.probe(small)))
        assert probe_file(model, open_models(model)).radius == (1, 1)
        return tmp_path / "cache/seamless_seg", path

    def radius(self, model):
        return probe_file(model, open_models(model)).radius

    def test_a_folder_that_others_can_write_to_is_not_used(self, model, planted):
        for folder in (planted[0], planted[1].parent):
            folder.chmod(0o777)
            assert self.radius(model) == (RADIUS, RADIUS)
            folder.chmod(0o700)

    def test_nor_is_a_file(self, model, planted):
        planted[1].chmod(0o666)
        assert self.radius(model) == (RADIUS, RADIUS)

    @pytest.mark.parametrize("which", [0, 1])
    def test_nor_is_a_link(self, model, planted, tmp_path, which):
        place = planted[which]
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
        assert self.radius(model) == (RADIUS, RADIUS)

    def test_nor_is_a_document_that_was_changed(self, model, planted):
        text = planted[1].read_text()
        planted[1].write_text(text.replace('"tile_wide": false', '"tile_wide":  false'))
        assert self.radius(model) == (1, 1)
        planted[1].write_text(text.replace('"tile_wide": false', '"tile_wide": true'))
        assert self.radius(model) == (RADIUS, RADIUS)

    def test_nor_is_one_that_was_measured_with_another_version(self, model, planted):
        entry = json.loads(planted[1].read_text())
        entry["measured_with"]["onnxruntime"] = "1.2.3"
        planted[1].write_text(json.dumps(entry))
        assert self.radius(model) == (RADIUS, RADIUS)


def test_a_relative_folder_of_xdg_is_ignored(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    probe_file(model, open_models(model))
    assert not (tmp_path / "relative").exists()
    assert len(made.names(tmp_path / "home/.cache/seamless_seg/probes")) == 1


def test_it_is_private(model, tmp_path):
    probe_file(model, open_models(model))
    folder = tmp_path / "cache/seamless_seg"
    assert folder.stat().st_mode & 0o777 == 0o700
    (path,) = (folder / "probes").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_xdg_it_lies_in_the_home(model, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    probe_file(model, open_models(model))
    assert len(made.names(tmp_path / "home/.cache/seamless_seg/probes")) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(model, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert probe_file(model, open_models(model)).radius == (RADIUS, RADIUS)


@pytest.mark.parametrize("size", [(2000, 1500), (50, 60), (1, 1)])
def test_real_pixels_give_the_same_answer(model, tmp_path, size):
    made.raster(tmp_path / "in.tif", made.pixels(3, *size))
    opened = open_models(model)
    with RasterReader(tmp_path / "in.tif") as reader:
        image = raster_source(reader, opened)(np.random.default_rng(0), (3, 100, 300))
        assert image.shape == (3, 100, 300)
        if size != (1, 1):
            assert 0.45 < image.mean() < 0.55
            assert 0.25 < image.std() < 0.35
        assert probe_file(model, opened, reader).radius == (RADIUS, RADIUS)
    assert not (tmp_path / "cache").exists()


def test_a_raster_of_other_bands_is_refused(tmp_path):
    made.raster(tmp_path / "in.tif", made.pixels(4, 50, 50))
    with RasterReader(tmp_path / "in.tif") as reader:
        source = raster_source(reader, open_models(lambda batch: batch))
        with pytest.raises(OptionError, match="the raster has 4 bands, the model takes 3"):
            source(np.random.default_rng(0), (3, 8, 8))


class TestCommand:
    def run(self, capfd, *arguments):
        status = run_program(["probe", *map(str, arguments)])
        out, err = capfd.readouterr()
        return status, out, err

    def test_it_says_what_to_give_run(self, model, capfd):
        status, out, _ = self.run(capfd, model)
        assert status == 0
        radius, overlap = RADIUS, 2 * RADIUS + 1
        assert f"receptive-field radius is {radius} px and the total stride 4 px" in out
        assert f"--margin {radius} --align 4 --overlap {overlap} or more" in out
        assert "deterministic yes" in out

    def test_json_holds_it_all(self, model, capfd):
        _, out, _ = self.run(capfd, model, "--json")
        document = json.loads(out)
        assert document["radius"] == [RADIUS, RADIUS]
        assert document["stride"] == [4, 4]
        assert len(document["sides"]["left"]["curve"]) == document["sides"]["left"]["radius"]

    def test_a_raster_may_be_given(self, model, capfd):
        made.raster("in.tif", made.pixels(3, 500, 500))
        assert f"radius is {RADIUS} px" in self.run(capfd, model, "in.tif")[1]

    def test_a_tile_wide_model_is_called_so(self, model, capfd):
        networks.save(model, [("conv", 3, 1), ("squeeze_excite",)])
        status, out, _ = self.run(capfd, model)
        assert status == 0
        assert out.startswith("The model has global context (the graph has 1 GlobalAveragePool ")
        assert "its output depends on the whole tile" in out
        assert "global context yes" in out

    def test_a_raster_counts_the_channels_that_are_free(self, model, capfd):
        made.pointwise("free.onnx", 3, 2, bands="any")
        made.sidecar("free.json")
        made.raster("in.tif", made.pixels(3, 60, 70))
        made.name_bands("in.tif", ["B1", "B2", "B3"])
        status, out, err = self.run(capfd, "free.onnx", "in.tif")
        assert status == 0, err
        assert "radius is 0 px" in out

    def test_a_picture_is_drawn(self, model, capfd, tmp_path):
        assert self.run(capfd, model, "--plot", "probe.png")[0] == 0
        assert (tmp_path / "probe.png").read_bytes().startswith(b"\x89PNG")
        status, _, err = self.run(capfd, model, "--plot", "no/probe.png")
        assert status == 2
        assert "cannot draw no/probe.png" in err

    def test_a_file_that_is_no_model_is_refused(self, model, capfd):
        status, out, err = self.run(capfd, "gone.onnx")
        assert (status, out) == (1, "")
        assert "there is no such model file" in err


def test_one_pixel_less_than_the_radius_is_not_exact(model, tmp_path):
    """The probe's answer, confirmed by sweeping the margin on a raster."""
    import onnxruntime

    from seamless_seg import segment

    image = made.pixels(3, 203, 310, "float32")
    made.raster("in.tif", image)
    beyond = [(0, 0), (0, -203 % 4), (0, -310 % 4)]
    values = np.pad(image, beyond, mode="reflect")[None]
    (whole,) = onnxruntime.InferenceSession(model).run(None, {"image": values})
    found = probe_file(model, open_models(model))

    def difference(margin):
        options = {"tile": 96, "overlap": 48, "margin": margin, "align": max(found.stride)}
        options["trust"] = "linear"
        segment("in.tif", model, "out.tif", overwrite=True, **options)
        return np.abs(made.read("out.tif") - whole[0, :, :203, :310]).max()

    assert difference(max(found.radius)) < 1e-5
    assert difference(max(found.radius) - 1) > 1e-4
