from dataclasses import fields

import pytest

from builders import made
from seamless_seg import GeometryError, OptionError, Options, check, forecast, segment
from seamless_seg.inference.segment import SegmentChoices
from seamless_seg.planning.options import OptionChoices, ReadingChoices
from seamless_seg.planning.outputs import OutputChoices, OutputOptions
from seamless_seg.raster.creation_options import Encoding, EncodingChoices


def names(kind):
    return {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    ("choices", "kind"),
    [(OptionChoices, Options), (OutputChoices, OutputOptions), (EncodingChoices, Encoding)],
)
def test_keywords_are_the_fields(choices, kind):
    assert set(choices.__annotations__) == names(kind)
    assert set(choices.__annotations__) <= set(SegmentChoices.__annotations__)


def test_keywords_for_reading_are_among_them():
    assert set(ReadingChoices.__annotations__) < names(Options)


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({"tile": 0}, GeometryError, "tile must be at least 1, not 0"),
        ({"overlap": -1}, GeometryError, "overlap must be at least 0, not -1"),
        ({"margin": 1.5}, GeometryError, "margin must be a whole number, not 1.5"),
        ({"align": (1, 2, 3)}, GeometryError, "align must be one number or"),
        ({"batch_size": 0}, GeometryError, "batch size must be at least 1, not 0"),
        ({"trust": "blind"}, OptionError, "'blind' is unknown: choose one of linear"),
        ({"tolerance": 0}, OptionError, "tolerance must be above 0, not 0"),
        ({"scale": float("nan")}, OptionError, "scale must be a finite number, not nan"),
        ({"tta": "d8"}, OptionError, "d8"),
        ({"level": -1}, OptionError, "level must be .*overview"),
        ({"resolution": (1, 2, 3)}, OptionError, "resolution must be"),
        ({"resolution": 0}, OptionError, "resolution must be"),
        ({"nodata": "none"}, OptionError, "nodata must be a number or nan, not 'none'"),
        ({"normalize": "minmax"}, OptionError, "normalize must be zscore or percentile:LOW,HIGH"),
        ({"normalize": "zscore", "mean": 1}, OptionError, "leave out mean"),
        ({"level": 1, "resolution": 2.0}, OptionError, "level= and resolution= exclude each other"),
    ],
)
def test_what_is_wrong_is_refused_when_options_are_made(choice, error, message):
    with pytest.raises(error, match=message):
        Options(**choice)


@pytest.mark.parametrize("function", [segment, forecast, check])
@pytest.mark.parametrize(
    ("name", "advice"), [("foo", ""), ("device", ": use provider="), ("overlapp", ": use overlap=")]
)
def test_an_unknown_keyword_names_the_function_and_the_nearest_keyword(function, name, advice):
    output = () if function is forecast else ("out.tif",)
    with pytest.raises(TypeError) as error:
        function("in.tif", "model.onnx", *output, **{name: 1})
    assert str(error.value) == f"{function.__name__}() has no keyword {name!r}{advice}"


def test_one_number_stands_for_height_and_width():
    options = Options(tile=512, overlap=(64, 32), margin="auto")
    assert (options.pair("tile"), options.pair("overlap")) == ((512, 512), (64, 32))
    assert options.pair("margin") is options.pair("align") is None


@pytest.mark.parametrize(
    "name", ["mean", "std", "scale", "fill", "tolerance", "tile", "resolution"]
)
def test_text_is_no_number_and_no_list_of_numbers(tmp_path, name):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 40, 40))
    model, _ = made.pointwise(tmp_path / "model.onnx", 3, 2)
    with pytest.raises((OptionError, GeometryError), match=rf"{name} must be .*not .*123"):
        segment(raster, model, tmp_path / "out.tif", **{name: "123"})
