"""Random numbers of different purposes, seeds and times have nothing to do with each other."""

import itertools

from hgn_train.seeds import Purpose, seed_of


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


def test_none_is_beyond_what_pytorch_takes():
    assert all(0 <= seed_of(Purpose.NOISE, 2**62, step) < 2**63 for step in range(1000))
