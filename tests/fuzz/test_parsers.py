"""Whatever an exchange sends is read or refused by name; `make fuzz-parsers` tries it for as long as one likes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutate
from tests.fuzz.parsers import TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_good_answers_are_read(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_answers_are_read_or_refused(name: str) -> None:
    good = seeds(name)

    @settings(max_examples=150 if name.endswith("listing") else 800, deadline=None, database=None)
    @given(st.integers(0, 2**64))
    def run(number: int) -> None:
        chance = random.Random(number)
        data = chance.choice(good)
        for _ in range(chance.choice((1, 1, 2, 3))):
            data = mutate(data, chance)
        TARGETS[name](data)

    run()
