import pytest

from marketdata.core.multipliers import BINANCE_FUTURES, Multiplied, classify_base


@pytest.mark.parametrize(
    "base, multiplied",
    [
        ("1000SHIB", Multiplied(1000, "SHIB")),
        ("1000SATS", Multiplied(1000, "SATS")),
        ("1000CAT", Multiplied(1000, "CAT")),
        ("1000X", Multiplied(1000, "X")),
        ("1MBABYDOGE", Multiplied(1_000_000, "BABYDOGE")),
        ("1INCH", Multiplied(1, "1INCH")),
        ("4", Multiplied(1, "4")),
        ("BTC", Multiplied(1, "BTC")),
        ("A16Z", Multiplied(1, "A16Z")),
        ("42", Multiplied(1, "42")),  # nothing is left to be multiplied
        ("10000NEW", None),
        ("1KNEW", None),
        ("3NEW", None),
    ],
)
def test_a_number_is_a_factor_only_where_the_table_says_so(base: str, multiplied: Multiplied | None) -> None:
    assert classify_base(base, BINANCE_FUTURES) == multiplied


def test_one_exchange_s_table_says_nothing_about_another() -> None:
    assert classify_base("1000X", {}) is None
