"""Numbers as the exchanges write them."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.simulator.decimals import json_number, one_decimal, padded, short, significant


@pytest.mark.parametrize(
    "number, scale, text", [(8313790, 2, "83137.90"), (5, 3, "0.005"), (17, 0, "17"), (0, 2, "0.00")]
)
def test_padded(number: int, scale: int, text: str) -> None:
    assert padded(number, scale) == text


@pytest.mark.parametrize(
    "number, scale, text", [(1000000, 2, "10000"), (1041265, 2, "10412.65"), (100, 0, "100"), (0, 3, "0")]
)
def test_short(number: int, scale: int, text: str) -> None:
    assert short(number, scale) == text


@pytest.mark.parametrize("number, scale, text", [(66383, 0, "66383.0"), (160400, 8, "0.001604"), (0, 5, "0.0")])
def test_one_decimal(number: int, scale: int, text: str) -> None:
    assert one_decimal(number, scale) == text


@pytest.mark.parametrize(
    "number, scale, text",
    [(11136000, 2, "111360"), (1, 6, "0.000001"), (15, 8, "1.5e-7"), (1, 8, "1e-8"), (20, 8, "2e-7"), (0, 8, "0")],
)
def test_json_number(number: int, scale: int, text: str) -> None:
    assert json_number(number, scale) == text


@given(st.integers(0, 10**18), st.integers(0, 10))
def test_no_form_loses_a_digit(number: int, scale: int) -> None:
    value = Decimal(number).scaleb(-scale)
    for write in (padded, short, one_decimal, json_number):
        assert Decimal(write(number, scale)) == value
    assert Decimal(json.loads(json_number(number, scale), parse_float=str, parse_int=str)) == value


@pytest.mark.parametrize(
    "number, scale, rounded", [(663834, 1, 663830), (1234567, 0, 1234567), (160449, 8, 160450), (99999, 3, 99999)]
)
def test_significant_digits_never_touch_the_whole_part(number: int, scale: int, rounded: int) -> None:
    assert significant(number, scale, 5) == rounded


@given(st.lists(st.integers(1, 10**12), min_size=2, max_size=2), st.integers(0, 8))
def test_rounding_keeps_the_order(numbers: list[int], scale: int) -> None:
    lesser, greater = sorted(numbers)
    assert significant(lesser, scale, 5) <= significant(greater, scale, 5)
