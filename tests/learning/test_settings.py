"""Settings of a run: what trains nothing is refused, and what is written down comes back."""

import math

import pytest

from hgn_train.presets import settings_of
from hgn_train.settings import RunSettings, Start, TrainSettings, values
from physim.errors import PhysimError

LEAST = {
    **dict.fromkeys(("steps", "batch_size", "log_every", "save_every", "held_out"), 1),
    **dict.fromkeys(("trajectories", "warmup", "threads", "seed", "evaluate_every"), 0),
    **dict.fromkeys(("final_learning_rate", "weight_decay", "clip", "averaging"), 0.0),
}
"""A number that is counted or divided by is 1 at least; where 0 means none, it is allowed."""


@pytest.mark.parametrize("name", LEAST)
def test_the_least_is_taken_and_less_is_refused(name):
    least = LEAST[name]
    assert getattr(TrainSettings(**{name: least}), name) == least
    less = least - 1 if isinstance(least, int) else -1e-9
    for refused in (less, math.nan, math.inf):
        with pytest.raises(
            PhysimError, match=f"^{name}: got {refused}, expected a number from {least:g}"
        ):
            TrainSettings(**{name: refused})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("threads", 4097, "at most 4096, or 0"),
        ("learning_rate", 0.0, "a number above 0"),
        ("learning_rate", -1e-3, "a number above 0"),
        ("learning_rate", math.inf, "a number above 0"),
        ("learning_rate", math.nan, "a number above 0"),
        ("precision", "16", "one of auto, bf16-mixed, 32-true"),
        ("step", "lazy", "one of auto, eager, captured"),
        ("averaging", 1.0, "a number from 0 to below 1"),
    ],
)
def test_what_trains_nothing_is_refused(name, value, expected):
    with pytest.raises(PhysimError, match=rf"^{name}: got '?{value}'?, expected {expected}$"):
        TrainSettings(**{name: value})


def test_the_most_threads_are_taken():
    assert TrainSettings(threads=4096).threads == 4096


@pytest.mark.parametrize("word", ["true", "True", "yes", True])
def test_words_for_true(word):
    assert values(TrainSettings, {"compile": word}) == {"compile": True}


@pytest.mark.parametrize("word", ["false", "False", "no", False])
def test_words_for_false(word):
    assert values(TrainSettings, {"compile": word}) == {"compile": False}


def test_another_word_is_neither():
    with pytest.raises(PhysimError, match="compile: got 'maybe', expected a value of type bool"):
        values(TrainSettings, {"compile": "maybe"})


@pytest.mark.parametrize("number", ["1.1e38", "-1.1e38", 1.1e38])
def test_numbers_beyond_float32_are_refused(number):
    assert values(TrainSettings, {"clip": "1e38"}) == {"clip": 1e38}
    with pytest.raises(PhysimError, match=r"clip: got .*, expected a finite number up to 1e38"):
        values(TrainSettings, {"clip": number})


@pytest.mark.parametrize("model", ["hgn", "hnn", "pixel-hnn", "nhf"])
def test_all_of_a_run_survives_json(model):
    chosen = settings_of("test", "somewhere", model, train={"seed": 2**62 + 1, "compile": "yes"})
    start, extended = Start("elsewhere", 7, "c0ffee"), ((10, 20), (20, 40))
    whole = RunSettings("somewhere", model, "test", chosen.network, chosen.train, start, extended)
    assert RunSettings.from_json(whole.to_json(), "test") == whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"model": "hgn"}',
        '{"model": []}',
        '{"model": "hgn", "data": "", "network": [], "train": {}}',
    ],
)
def test_what_is_no_run_is_named_by_its_file(text):
    with pytest.raises(PhysimError, match=r"^a/config\.json: not the settings of a run"):
        RunSettings.from_json(text, "a/config.json")
