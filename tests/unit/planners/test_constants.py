"""Named constants: found in a source, drawn from ranges, written back as its defaults."""

import pytest
from codec_evolution.planners.constants import (
    VARIANTS,
    BadRanges,
    Range,
    check_ranges,
    named_constants,
    variants,
    with_constants,
)

SOURCE = '''"""Größe."""
def f(config):
    ö = "größer"; step = config.get("step", 0.5) * config.get("scale", -2)
    again = config.get("step", 0.5)
    other = settings.get("other", 1.0), config.get("name", "text"), config.get("none")
    return step, config["quality"]
'''


def test_the_constants_of_a_source_are_the_numbers_that_it_takes_from_its_config():
    assert named_constants(SOURCE) == {"step": 0.5, "scale": -2}


def test_numbers_are_written_back_wherever_a_constant_is_read():
    written = with_constants(SOURCE, {"step": 0.75, "scale": 3})
    assert named_constants(written) == {"step": 0.75, "scale": 3}
    assert written == SOURCE.replace('"step", 0.5', '"step", 0.75').replace("-2", "3")
    assert with_constants(SOURCE, {}) == SOURCE


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([Range("stepp", 0, 1)], "no config.get.*stepp.*its constants: scale, step"),
        ([Range("step", 1.0, 1.0)], "step: low 1.0 must be below high 1.0"),
        ([Range("step", 0, float("nan"))], "step: low"),
        ([Range("step", 0, 1), Range("step", 0, 2)], "twice"),
    ],
)
def test_ranges_that_cannot_be_tuned_are_named(given, told):
    with pytest.raises(BadRanges, match=told):
        check_ranges(SOURCE, given)


def test_settings_cover_each_range_evenly_and_begin_with_the_defaults():
    drawn = variants([Range("step", 0.1, 10.0), Range("taps", 2, 9, whole=True)], "seed")
    assert len(drawn) == VARIANTS and drawn[0] == {}
    steps = sorted(each["step"] for each in drawn[1:])
    assert steps[0] >= 0.1 and steps[-1] <= 10.0 and sum(step < 1 for step in steps) in (3, 4), "equal ratios"
    assert sorted(each["taps"] for each in drawn[1:])[0] <= 3
    assert all(isinstance(each["taps"], int) for each in drawn[1:])
    assert drawn == variants([Range("step", 0.1, 10.0), Range("taps", 2, 9, whole=True)], "seed")
