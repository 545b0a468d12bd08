from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.errors import UpstreamBadData
from marketdata.core.models import ExchangeId
from marketdata.core.wire import MAX_VALUES, decode, decoder, plain, plain_json_number, refuse_repeated_keys

ANY = decoder(list[Any])
EXCHANGE = ExchangeId("coinbase")


class _One(msgspec.Struct):
    one: int


@pytest.mark.parametrize(
    "sent, text",
    [
        ("1e-8", "0.00000001"),
        ("1.50E+3", "1500"),
        ("-2.5e-3", "-0.0025"),
        ("1.10", "1.10"),
        ("10000", "10000"),
        ("1e99999999", "1e99999999"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_only_an_exponent_is_written_out(sent: str, text: str) -> None:
    assert plain(sent) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_the_value_never_changes(value: Decimal) -> None:
    text = str(value).replace("E+", "e").replace("E", "e")
    if abs(value.adjusted()) < 900 and len(text) < 90:
        assert Decimal(plain(text)) == value
        assert "e" not in plain(text)


@pytest.mark.parametrize(
    "body, texts",
    [
        (
            b"[111360, 111832.10, 1e-8, 123456789012345678901234567890, 0.1000]",
            ["111360", "111832.10", "0.00000001", "123456789012345678901234567890", "0.1000"],
        ),
    ],
)
def test_json_numbers_never_pass_through_a_float(body: bytes, texts: list[str]) -> None:
    assert [plain_json_number(number) for number in decode(EXCHANGE, ANY, body)] == texts


def test_what_is_no_number_becomes_text_that_no_number_looks_like() -> None:
    assert [plain_json_number(value) for value in msgspec.json.decode(b"[null,true,{},[]]")] == [
        "None",
        "True",
        "{}",
        "[]",
    ]


@pytest.mark.parametrize("body", [b"", b"[NaN]", b"[1,]", b"[1] x", b"\xef\xbb\xbf[1]", b'["\xe9"]', b"[" * 100_000])
def test_json_is_strict(body: bytes) -> None:
    with pytest.raises(UpstreamBadData):
        decode(EXCHANGE, ANY, body)


def test_an_answer_of_very_many_values_is_refused() -> None:
    refuse_repeated_keys(EXCHANGE, b"[" + b"[]," * MAX_VALUES + b"[]]")
    with pytest.raises(UpstreamBadData, match="more than 400000 values"):
        refuse_repeated_keys(EXCHANGE, b"[" + b"[]," * (MAX_VALUES + 1) + b"[]]")


def test_what_is_skipped_is_utf_8_too() -> None:
    wire = decoder(_One)
    assert decode(EXCHANGE, wire, '{"one":1,"other":"é"}'.encode()).one == 1
    with pytest.raises(UpstreamBadData):
        decode(EXCHANGE, wire, '{"one":1,"other":"é"}'.encode("latin-1"))
