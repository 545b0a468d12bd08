import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.core.models import Kind, ListedInstrument, Status
from marketdata.core.naming import assign_names, canonical_spelling, symbol_name


def listed(exchange_symbol: str, base: str, quote: str = "USDT", status: Status = Status.TRADING) -> ListedInstrument:
    return ListedInstrument(
        exchange_symbol=exchange_symbol,
        base=base,
        identity=exchange_symbol,
        kind=Kind.PERPETUAL,
        dex=None,
        base_asset=base,
        base_multiplier=1,
        quote_asset=quote,
        settle_asset=quote,
        ccxt_symbol=None,
        status=status,
        exchange_status=None,
        tick_size=None,
        step_size=None,
        price_significant_digits=None,
        price_max_decimals=None,
        min_quantity=None,
        min_notional=None,
        contract_size=None,
        listed_at=None,
        expires_at=None,
    )


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
    assignment = assign_names([listed("IDOL", "IDOL"), listed("IDOLUSDT", "IDOL")], {})
    assert assignment.names == {"IDOL": "IDOL-USDT-PERP~IDOL", "IDOLUSDT": "IDOL-USDT-PERP"}


def test_then_the_one_that_trades_then_the_smaller_exchange_symbol() -> None:
    rivals = [listed("AA", "X", status=Status.DELISTED), listed("CC", "X"), listed("BB", "X")]
    assert assign_names(rivals, {}).names == {
        "AA": "X-USDT-PERP~AA",
        "BB": "X-USDT-PERP",
        "CC": "X-USDT-PERP~CC",
    }


def test_the_holder_keeps_the_name_even_when_it_left_the_listing() -> None:
    held = {"IDOL-USDT-PERP": "IDOL"}
    assert assign_names([listed("IDOLUSDT", "IDOL")], held).names == {"IDOLUSDT": "IDOL-USDT-PERP~IDOLUSDT"}


def test_a_marked_name_is_for_good() -> None:
    held = {"IDOL-USDT-PERP~IDOL": "IDOL"}
    assignment = assign_names([listed("IDOL", "IDOL")], held)
    assert assignment.names == {"IDOL": "IDOL-USDT-PERP~IDOL"}
    assert (
        assign_names([listed("IDOL", "IDOL"), listed("IDOLUSDT", "IDOL")], held).names["IDOLUSDT"] == "IDOL-USDT-PERP"
    )
