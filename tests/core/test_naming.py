import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.core.models import Kind, Status
from marketdata.core.naming import assign_names, canonical_spelling, symbol_name
from tests.listings import instrument


@pytest.mark.parametrize(
    "kind, expires_at, name",
    [
        (Kind.SPOT, None, "BTC-USD"),
        (Kind.PERPETUAL, None, "BTC-USD-PERP"),
        (Kind.FUTURE, 1798185600000, "BTC-USD-261225"),
    ],
)
def test_the_three_forms(kind: Kind, expires_at: int | None, name: str) -> None:
    assert symbol_name("btc", "usd", kind, expires_at) == name


def test_a_future_without_an_expiry_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expiry"):
        symbol_name("BTC", "USD", Kind.FUTURE)


def test_spelling_is_nfc_and_upper_case() -> None:
    assert canonical_spelling("e\u0301k*?币") == "ÉK*?币"


@given(st.text())
@example("\u0390")
def test_a_canonical_spelling_is_its_own(text: str) -> None:
    once = canonical_spelling(text)
    assert canonical_spelling(once) == once


def test_base_plus_quote_wins_within_one_listing() -> None:
    names = assign_names([instrument("IDOL", "IDOL"), instrument("IDOLUSDT", "IDOL")], {})
    assert names == {"IDOL": "IDOL-USDT-PERP~IDOL", "IDOLUSDT": "IDOL-USDT-PERP"}


def test_then_the_one_that_trades_then_the_smaller_exchange_symbol() -> None:
    rivals = [instrument("AA", "X", status=Status.DELISTED), instrument("CC", "X"), instrument("BB", "X")]
    assert assign_names(rivals, {}) == {
        "AA": "X-USDT-PERP~AA",
        "BB": "X-USDT-PERP",
        "CC": "X-USDT-PERP~CC",
    }


def test_the_holder_keeps_the_name_even_when_it_left_the_listing() -> None:
    held = {"IDOL-USDT-PERP": "IDOL"}
    assert assign_names([instrument("IDOLUSDT", "IDOL")], held) == {"IDOLUSDT": "IDOL-USDT-PERP~IDOLUSDT"}


def test_a_marked_name_is_for_good() -> None:
    held = {"IDOL-USDT-PERP~IDOL": "IDOL"}
    names = assign_names([instrument("IDOL", "IDOL")], held)
    assert names == {"IDOL": "IDOL-USDT-PERP~IDOL"}
    assert (
        assign_names([instrument("IDOL", "IDOL"), instrument("IDOLUSDT", "IDOL")], held)["IDOLUSDT"] == "IDOL-USDT-PERP"
    )
