"""The oracle says what the rules say: each rule by a case worked out by hand."""

from collections.abc import Sequence

import pytest

from marketdata.core.models import HOUR_MS, ListedInstrument, Listing, Refusal, Status
from tests.e2e.memory.oracle import Oracle
from tests.listings import instrument

T0 = 1_773_578_096_789
"""2026-03-15; further syncs come each hour."""
X = "some_exchange"
BTC, ETH = instrument(), instrument("ETHUSDT", "ETH")
OTHERS = [instrument(f"C{number}USDT", f"C{number}") for number in range(30)]


def listing(*instruments: ListedInstrument, refused: Sequence[str | None] = ()) -> Listing:
    refusals = tuple(Refusal(exchange_symbol=name, reason="why") for name in refused)
    return Listing(instruments=instruments, refused=refusals)


def at(hour: float) -> int:
    return T0 + round(hour * HOUR_MS)


def lived(*listings: Sequence[ListedInstrument] | Listing, every_h: float = 1) -> Oracle:
    """An oracle that has read these, one each hour; all are applied."""
    oracle = Oracle()
    for number, each in enumerate(listings):
        read = each if isinstance(each, Listing) else listing(*each)
        assert oracle.read(X, at(number * every_h), read) == []
    return oracle


def told(oracle: Oracle, hour: float | None = None) -> list[tuple[object, ...]]:
    """Type, symbol, field, old and new of the events; `hour`: of one sync only."""
    return [
        (event.type, event.symbol, event.field, event.old, event.new)
        for event in oracle.events
        if hour is None or event.observed_at == at(hour)
    ]


def test_the_first_listing_is_there_before_us() -> None:
    oracle = lived([BTC], [BTC, ETH])
    assert [(event.type, event.symbol, event.initial, event.observed_at) for event in oracle.events] == [
        ("listed", "BTC-USDT-PERP", True, at(0)),
        ("listed", "ETH-USDT-PERP", False, at(1)),
    ]
    assert oracle.symbols(X, at(0) - 1) is None
    assert list(oracle.symbols(X, at(0)) or {}) == ["BTC-USDT-PERP"]
    assert list(oracle.symbols(X, at(1) - 1) or {}) == ["BTC-USDT-PERP"]
    assert list(oracle.symbols(X, at(9)) or {}) == ["BTC-USDT-PERP", "ETH-USDT-PERP"]
    assert oracle.symbols("another", at(9)) is None


def test_a_state_has_all_fields_of_the_contract() -> None:
    state = (lived([BTC], [BTC]).symbols(X, at(5)) or {})["BTC-USDT-PERP"]
    assert state == {
        "id": "some_exchange:BTC-USDT-PERP",
        "exchange": X,
        "symbol": "BTC-USDT-PERP",
        "exchange_symbol": "BTCUSDT",
        "aliases": [],
        "ccxt_symbol": None,
        "kind": "perpetual",
        "dex": None,
        "base_asset": "BTC",
        "base_multiplier": 1,
        "quote_asset": "USDT",
        "settle_asset": "USDT",
        "status": "trading",
        "exchange_status": "trading",
        "tick_size": "0.10",
        "step_size": "1",
        "price_significant_digits": None,
        "price_max_decimals": None,
        "min_quantity": None,
        "min_notional": None,
        "contract_size": None,
        "listed_at": None,
        "expires_at": None,
        "delisted_at": None,
        "delisted_at_source": None,
        "first_seen_at": at(0),
        "last_seen_at": at(1),
    }


def test_a_field_that_changes_is_told_and_remembered() -> None:
    finer = instrument(tick_size="0.01")
    oracle = lived([BTC], [BTC], [finer], [finer])
    assert told(oracle)[1:] == [("field_changed", "BTC-USDT-PERP", "tick_size", "0.10", "0.01")]
    known = [(oracle.symbols(X, at(hour)) or {})["BTC-USDT-PERP"] for hour in (1.9, 2)]
    assert [(state["tick_size"], state["last_seen_at"]) for state in known] == [("0.10", at(1)), ("0.01", at(2))]
    versions = oracle.history(X, "BTC-USDT-PERP")
    assert [(version.valid_from, version.valid_to) for version in versions] == [(at(0), at(2)), (at(2), None)]
    assert [version.state["tick_size"] for version in versions] == ["0.10", "0.01"]


def test_a_status_that_changes_is_told_as_that() -> None:
    oracle = lived([BTC], [instrument(status=Status.HALTED)])
    assert told(oracle, 1) == [
        ("status_changed", "BTC-USDT-PERP", None, "trading", "halted"),
        ("field_changed", "BTC-USDT-PERP", "exchange_status", "trading", "halted"),
    ]


@pytest.mark.parametrize("absent", [1, 2])
def test_missing_once_or_twice_is_no_delisting(absent: int) -> None:
    oracle = lived([BTC, ETH], *[[BTC]] * absent, [BTC, ETH])
    assert len(told(oracle)) == 2
    seen = [(oracle.symbols(X, at(hour)) or {})["ETH-USDT-PERP"]["last_seen_at"] for hour in (absent, absent + 1)]
    assert seen == [at(0), at(absent + 1)]
    assert len(oracle.history(X, "ETH-USDT-PERP")) == 1


def test_missing_three_times_is_a_delisting_since_the_first() -> None:
    oracle = lived([BTC, ETH], [BTC], [BTC], [BTC], [BTC], [BTC, ETH])
    assert told(oracle)[2:] == [
        ("delisted", "ETH-USDT-PERP", None, "trading", "delisted"),
        ("relisted", "ETH-USDT-PERP", None, "delisted", "trading"),
    ]
    assert [event.observed_at for event in oracle.events[2:]] == [at(3), at(5)]
    states = [(oracle.symbols(X, at(hour)) or {})["ETH-USDT-PERP"] for hour in (2.9, 3, 4, 5)]
    assert [(state["delisted_at"], state["delisted_at_source"], state["last_seen_at"]) for state in states] == [
        (None, None, at(0)),
        (at(1), "observed", at(0)),
        (at(1), "observed", at(0)),
        (None, None, at(5)),
    ]
    assert {state["first_seen_at"] for state in states} == {at(0)}


def test_three_listings_in_a_hurry_are_not_enough() -> None:
    oracle = lived([BTC, ETH], [BTC], [BTC], [BTC], [BTC], every_h=0.2)
    assert [event.observed_at for event in oracle.events if event.type == "delisted"] == [at(0.8)]


def test_a_row_that_cannot_be_read_is_there_and_stays_as_it_was() -> None:
    oracle = lived([BTC, ETH], [BTC], [BTC], listing(BTC, refused=["ETHUSDT"]), [BTC], [BTC])
    assert len(told(oracle)) == 2
    assert (oracle.symbols(X, at(9)) or {})["ETH-USDT-PERP"]["last_seen_at"] == at(3)


def test_an_exchange_that_says_so_delists_once() -> None:
    gone = instrument(status=Status.DELISTED)
    oracle = lived([BTC], [gone], [gone], [ETH], [ETH], [ETH], [ETH, gone], [BTC, ETH])
    assert [event[0] for event in told(oracle) if event[2] is None and "BTC" in str(event[1])] == [
        "listed",
        "delisted",
        "relisted",
    ]
    states = [(oracle.symbols(X, at(hour)) or {})["BTC-USDT-PERP"] for hour in (1, 5, 6)]
    assert {(state["delisted_at"], state["delisted_at_source"]) for state in states} == {(at(1), "exchange")}
    assert (oracle.symbols(X, at(7)) or {})["BTC-USDT-PERP"]["delisted_at"] is None


def test_the_same_name_for_something_else_is_another_instrument() -> None:
    other = instrument(identity="other", tick_size="5")
    oracle = lived([BTC], [other], [other])
    assert told(oracle, 1) == [
        ("field_changed", "BTC-USDT-PERP~260315", "symbol", "BTC-USDT-PERP", "BTC-USDT-PERP~260315"),
        ("delisted", "BTC-USDT-PERP~260315", None, "trading", "delisted"),
        ("listed", "BTC-USDT-PERP", None, None, "trading"),
    ]
    after = oracle.symbols(X, at(2)) or {}
    old, new = after["BTC-USDT-PERP~260315"], after["BTC-USDT-PERP"]
    assert (old["delisted_at"], old["delisted_at_source"], old["last_seen_at"]) == (at(1), "observed", at(0))
    assert (old["aliases"], old["tick_size"], old["id"]) == (
        ["BTC-USDT-PERP"],
        "0.10",
        "some_exchange:BTC-USDT-PERP~260315",
    )
    assert (new["first_seen_at"], new["last_seen_at"], new["aliases"], new["tick_size"]) == (at(1), at(2), [], "5")
    assert list(oracle.symbols(X, at(0.5)) or {}) == ["BTC-USDT-PERP"]


def test_twice_on_a_day_and_back_again() -> None:
    other = instrument(identity="other")
    oracle = lived([BTC], [other], [BTC])
    assert set(oracle.symbols(X, at(2)) or {}) == {
        "BTC-USDT-PERP",
        "BTC-USDT-PERP~260315",
        "BTC-USDT-PERP~260315~2",
    }
    assert (oracle.symbols(X, at(2)) or {})["BTC-USDT-PERP"]["first_seen_at"] == at(2)


def test_a_name_that_is_held_is_not_given_again() -> None:
    renamed = instrument("XBTUSDT", "BTC")
    oracle = lived([BTC, ETH], [renamed, ETH], [renamed, ETH], [renamed, ETH])
    after = oracle.symbols(X, at(3)) or {}
    assert after["BTC-USDT-PERP"]["status"] == "delisted"
    assert after["BTC-USDT-PERP~XBTUSDT"]["status"] == "trading"


def test_what_is_quarantined_changes_nothing() -> None:
    full = [BTC, *OTHERS]  # 31
    oracle = lived(full)
    before = oracle.symbols(X, at(0))

    def judged(*instruments: ListedInstrument, refused: Sequence[str | None] = ()) -> list[str]:
        return oracle.read(X, at(1), listing(*instruments, refused=refused))

    def all_are(number: int, **change: object) -> list[ListedInstrument]:
        return [one.model_copy(update=change) for one in full[:number]] + full[number:]

    new = [instrument(f"N{number}USDT", f"N{number}") for number in range(20)]
    assert judged() == ["empty"]
    assert judged(refused=["BTCUSDT"]) == ["empty"]
    assert judged(*full[7:]) == ["lost"]
    assert judged(*all_are(7, identity="other")) == ["lost"]
    assert judged(*all_are(7, status=Status.DELISTED)) == ["lost"]
    assert judged(*all_are(7, status=Status.UNKNOWN)) == ["lost"]
    assert judged(*full, *new[:16]) == ["new"]
    assert judged(*full, refused=["a", "b", "c", None, None, "f"]) == ["unreadable"]
    assert judged(*new) == ["lost", "new"]
    assert oracle.symbols(X, at(1)) == before
    assert oracle.applied(X) == [at(0)]
    assert len(oracle.events) == 31

    assert judged(*full[6:]) == []
    assert [(oracle.symbols(X, at(9)) or {})[f"C{n}-USDT-PERP"]["last_seen_at"] for n in (0, 29)] == [at(0), at(1)]


@pytest.mark.parametrize(
    "second",
    [
        listing(BTC, *OTHERS, *[instrument(f"N{number}USDT", f"N{number}") for number in range(15)]),
        listing(BTC, *OTHERS, refused=["a", "b", "c", None, "e"]),
        listing(*OTHERS[5:], refused=["BTCUSDT"]),
    ],
)
def test_what_is_not_bad_enough_is_applied(second: Listing) -> None:
    lived([BTC, *OTHERS], second)


def test_what_cannot_be_read_counts_each_time() -> None:
    unread = ["a", "b", "c", None, None, "f"]
    oracle = lived([BTC], *[listing(BTC, refused=unread[:number]) for number in (3, 5, 5)])
    for hour in (4, 5):
        assert oracle.read(X, at(hour), listing(BTC, refused=unread)) == ["unreadable"]


def test_a_quarantined_listing_does_not_count_as_one_that_misses() -> None:
    oracle = Oracle()
    full = [BTC, ETH, *OTHERS]
    for hour, read in enumerate([full, full[1:], full[1:], [], full[20:], full[1:]]):
        oracle.read(X, at(hour), listing(*read))
    assert [event.observed_at for event in oracle.events if event.type == "delisted"] == [at(5)]
