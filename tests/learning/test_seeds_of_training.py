"""Random numbers of different purposes, seeds and times have nothing to do with each other."""

import itertools

import pytest

from hgn_train.seeds import Purpose, seed_of
from hgn_train.settings import TrainSettings, values
from physim.errors import PhysimError


def test_no_two_are_the_same():
    drawn = [
        *(seed_of(Purpose.WEIGHTS, seed) for seed in range(4)),
        *(
            seed_of(purpose, *numbers)
            for purpose in (Purpose.ORDER, Purpose.NOISE, Purpose.TARGET)
            for numbers in itertools.product(range(4), range(40))
        ),
    ]
    assert len(set(drawn)) == len(drawn) == 4 + 3 * 4 * 40


@pytest.mark.parametrize("far", [2**32, 5 * 2**32, 2**62])
def test_seeds_beyond_32_bits_share_nothing_with_small_ones(far):
    """Their halves are no seed and update of their own: far + 1 = (1, far / 2³²) of 32 bits."""
    near = list(itertools.product(range(8), range(8)))
    numbers = near + [(far + seed, step) for seed, step in near]
    drawn = [seed_of(Purpose.NOISE, *each) for each in numbers]
    assert len(set(drawn)) == len(drawn) == 128


def test_seeds_fill_what_pytorch_takes():
    drawn = [seed_of(Purpose.NOISE, 2**62, step) for step in range(1000)]
    assert min(drawn) >= 0
    assert 2**62 < max(drawn) < 2**63  # below the middle a thousand are by a chance of 2⁻¹⁰⁰⁰


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("2e3", 2000),
        (2000.0, 2000),
        ("7.0", 7),
        (2**53 + 1, 2**53 + 1),
        (str(2**62 + 1), 2**62 + 1),
    ],
)
def test_a_seed_is_the_one_that_was_given(given, taken):
    assert values(TrainSettings, {"seed": given}) == {"seed": taken}


@pytest.mark.parametrize("given", ["1e17", 1e17, "2.5", 2.5, "nan", "inf", 2**63, "", None])
def test_a_seed_that_is_not_exact_is_refused(given):
    with pytest.raises(PhysimError, match=r"seed: got .*, expected a whole number below"):
        values(TrainSettings, {"seed": given})
