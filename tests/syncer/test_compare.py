"""What a listing changes: every kind of change by itself, and what holds after any listings whatsoever."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.models import ExchangeId, ListedInstrument, Listing, Refusal, Status
from marketdata.store.symbols import StoredSymbol
from marketdata.syncer.compare import Comparison, Moment, compare
from marketdata.syncer.rules import GuardRules
from tests.listings import instrument

EXCHANGE = ExchangeId("somewhere")
DAY_MS = 86_400_000
NEW_YEAR_MS = 1_767_225_600_000  # 2026-01-01


class Store:
    """What a database would hold after a sequence of syncs a day apart, without the database."""

    def __init__(self, delist_after_listings: int = 1) -> None:
        self._rules = GuardRules(delist_after_listings=delist_after_listings, delist_after=0)
        self._listing = 0
        self.rows: dict[int, StoredSymbol] = {}
        self._ids = count(1)
        self._now_ms = NEW_YEAR_MS - DAY_MS

    def compare(self, *listed: ListedInstrument, refused: tuple[Refusal, ...] = ()) -> Comparison:
        listing = Listing(instruments=listed, refused=refused)
        return compare(EXCHANGE, list(self.rows.values()), listing, Moment(self._now_ms, self._listing), self._rules)

    def sync(self, *listed: ListedInstrument, refused: tuple[Refusal, ...] = ()) -> Comparison:
        self._now_ms += DAY_MS
        self._listing += 1
        comparison = self.compare(*listed, refused=refused)
        for row in comparison.symbols:
            row_id = next(self._ids) if row.row_id is None else row.row_id
            self.rows[row_id] = replace(row, row_id=row_id)
        self.rows = {  # as the repository reads the last sync in which an instrument was listed
            row_id: (
                replace(row, symbol=row.symbol.model_copy(update={"last_seen_at": self._now_ms})) if row.listed else row
            )
            for row_id, row in self.rows.items()
        }
        return comparison

    def __getitem__(self, symbol: str) -> StoredSymbol:
        return next(row for row in self.rows.values() if row.symbol.symbol == symbol)

    def symbols(self) -> list[str]:
        return sorted(row.symbol.symbol for row in self.rows.values())


def clashing(comparison: Comparison) -> list[str]:
    assert {clash.beside for clash in comparison.clashes} <= {"BTC-USDT-PERP"}
    return [clash.symbol for clash in comparison.clashes]


def kinds(comparison: Comparison) -> dict[str | None, str]:
    """What happened to each instrument; `changed` if it was nothing more than that."""
    lasting = {"listed", "delisted", "relisted"}
    found: dict[str | None, str] = {}
    for one in comparison.events:
        found[one.symbol] = str(one.type) if one.type in lasting else found.get(one.symbol, "changed")
    return found


def changes(comparison: Comparison) -> list[tuple[str, str | None, object, object]]:
    return [(one.symbol or "", one.field, one.old, one.new) for one in comparison.events]


@pytest.fixture
def store() -> Store:
    store = Store()
    store.sync(instrument(), instrument("ETHUSDT", base="ETH"))
    return store


def test_the_first_listing_is_all_new() -> None:
    store = Store()
    comparison = store.sync(instrument(), instrument("ETHUSDT", base="ETH", status=Status.DELISTED))
    assert kinds(comparison) == {"BTC-USDT-PERP": "listed", "ETH-USDT-PERP": "listed"}
    symbol = store["BTC-USDT-PERP"].symbol
    assert (symbol.id, symbol.first_seen_at, symbol.delisted_at) == ("somewhere:BTC-USDT-PERP", NEW_YEAR_MS, None)
    assert store["ETH-USDT-PERP"].symbol.delisted_at == NEW_YEAR_MS


def test_an_unchanged_listing_changes_nothing_in_any_order(store: Store) -> None:
    comparison = store.sync(instrument("ETHUSDT", base="ETH"), instrument())
    assert (comparison.symbols, comparison.events) == ([], [])


def test_a_changed_field_is_told_with_both_values(store: Store) -> None:
    comparison = store.sync(
        instrument(tick_size="0.1"), instrument("ETHUSDT", base="ETH", status=Status.HALTED, tick_size="5")
    )
    assert kinds(comparison) == {"BTC-USDT-PERP": "changed", "ETH-USDT-PERP": "changed"}
    assert changes(comparison) == [
        ("BTC-USDT-PERP", "tick_size", "0.10", "0.1"),
        ("ETH-USDT-PERP", None, "trading", "halted"),
        ("ETH-USDT-PERP", "exchange_status", "trading", "halted"),
        ("ETH-USDT-PERP", "tick_size", "0.10", "5"),
    ]
    assert store["ETH-USDT-PERP"].symbol.tick_size == "5"


def test_what_leaves_is_delisted_and_what_returns_is_relisted(store: Store) -> None:
    gone = store.sync(instrument("ETHUSDT", base="ETH"))
    assert kinds(gone) == {"BTC-USDT-PERP": "delisted"}
    row = store["BTC-USDT-PERP"]
    assert (row.listed, row.symbol.status, row.symbol.exchange_status) == (False, Status.DELISTED, "trading")
    assert (row.symbol.delisted_at, row.symbol.last_seen_at) == (NEW_YEAR_MS + DAY_MS, NEW_YEAR_MS)

    assert store.sync(instrument("ETHUSDT", base="ETH")).events == []

    back = store.sync(instrument(), instrument("ETHUSDT", base="ETH"))
    assert kinds(back) == {"BTC-USDT-PERP": "relisted"}
    row = store["BTC-USDT-PERP"]
    assert (row.listed, row.symbol.status, row.symbol.delisted_at) == (True, Status.TRADING, None)
    assert row.symbol.first_seen_at == NEW_YEAR_MS


def test_one_missing_listing_is_no_delisting() -> None:
    patient, eth = Store(delist_after_listings=3), instrument("ETHUSDT", base="ETH")
    patient.sync(instrument(), eth)
    for number in range(2):
        gone = patient.sync(eth)
        assert (gone.events, gone.missing, len(gone.symbols)) == ([], ["BTC-USDT-PERP"], number == 0)
        row = patient["BTC-USDT-PERP"]
        assert (row.symbol.status, row.symbol.delisted_at, row.listed) == (Status.TRADING, None, False)
        assert (row.symbol.last_seen_at, row.missing_since) == (NEW_YEAR_MS, NEW_YEAR_MS + DAY_MS)
    back = patient.sync(instrument(), eth)
    assert (back.events, back.missing, [row.missing_since for row in back.symbols]) == ([], [], [None])
    for _ in range(2):
        assert patient.sync(eth).events == [], "three in a row, and not three at any time"
    gone = patient.sync(eth)
    assert (kinds(gone), gone.missing) == ({"BTC-USDT-PERP": "delisted"}, [])
    symbol = patient["BTC-USDT-PERP"].symbol
    assert (symbol.delisted_at, symbol.delisted_at_source) == (NEW_YEAR_MS + 4 * DAY_MS, "observed")
    assert symbol.last_seen_at == NEW_YEAR_MS + 3 * DAY_MS
    assert patient.sync(eth).symbols == []
    assert kinds(patient.sync(instrument(), eth)) == {"BTC-USDT-PERP": "relisted"}
    assert patient["BTC-USDT-PERP"].symbol.delisted_at_source is None


def test_a_row_that_cannot_be_read_is_no_missing_one() -> None:
    patient, eth = Store(delist_after_listings=3), instrument("ETHUSDT", base="ETH")
    unread = Refusal(exchange_symbol="BTCUSDT", reason="it has no tickSize")
    patient.sync(instrument(), eth)
    for _ in range(2):
        for _ in range(2):
            assert patient.sync(eth).missing == ["BTC-USDT-PERP"]
        seen = patient.sync(eth, refused=(unread,))
        assert (seen.events, seen.missing, patient["BTC-USDT-PERP"].listed) == ([], [], True)


def test_three_missing_listings_in_less_than_half_an_hour_are_no_delisting() -> None:
    listing = Listing(instruments=(instrument("ETHUSDT", base="ETH"),))
    both = Listing(instruments=(instrument(), instrument("ETHUSDT", base="ETH")))
    first = compare(EXCHANGE, [], both, Moment(0, 1), GuardRules()).symbols
    rows = {row.symbol.symbol: replace(row, row_id=number) for number, row in enumerate(first)}
    half_an_hour_ms = 30 * 60_000
    for number, at_ms, is_delisted in (
        (2, 1000, False),
        (3, 2000, False),
        (4, 3000, False),
        (5, half_an_hour_ms + 999, False),
        (6, half_an_hour_ms + 1000, True),
    ):
        found = compare(EXCHANGE, list(rows.values()), listing, Moment(at_ms, number), GuardRules())
        rows |= {row.symbol.symbol: row for row in found.symbols}
        assert [event.type for event in found.events] == ["delisted"] * is_delisted
    assert rows["BTC-USDT-PERP"].symbol.delisted_at == 1000


def test_who_says_that_it_is_delisted_is_kept(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    store.sync(instrument(status=Status.DELISTED), eth)
    assert store["BTC-USDT-PERP"].symbol.delisted_at_source == "exchange"
    store.sync(eth)
    assert store["BTC-USDT-PERP"].symbol.delisted_at_source == "exchange"
    store.sync(instrument(identity="second"), eth)
    assert store["BTC-USDT-PERP~260104"].symbol.delisted_at_source == "exchange"
    store.sync(instrument(identity="third"), eth)
    assert store["BTC-USDT-PERP~260105"].symbol.delisted_at_source == "observed"


def test_names_are_given_up_in_the_feed_before_they_are_taken(store: Store) -> None:
    told = store.sync(instrument(identity="second"), instrument("AAVEUSDT", base="AAVE"), instrument("ETHUSDT", "ETH"))
    assert [(one.type, one.symbol, one.old, one.new) for one in told.events] == [
        ("field_changed", "BTC-USDT-PERP~260102", "BTC-USDT-PERP", "BTC-USDT-PERP~260102"),
        ("delisted", "BTC-USDT-PERP~260102", "trading", "delisted"),
        ("listed", "AAVE-USDT-PERP", None, "trading"),
        ("listed", "BTC-USDT-PERP", None, "trading"),
    ]


def test_one_whose_row_could_not_be_read_is_still_listed_and_stays_as_it_was(store: Store) -> None:
    before = store["BTC-USDT-PERP"]
    unread = Refusal(exchange_symbol="BTCUSDT", reason="it has no PRICE_FILTER with a tickSize")
    unread_stranger = Refusal(exchange_symbol="NEWUSDT", reason="it has no PRICE_FILTER with a tickSize")
    comparison = store.sync(instrument("ETHUSDT", base="ETH"), refused=(unread, unread_stranger))
    assert comparison.events == []
    after = store["BTC-USDT-PERP"]
    assert replace(after, symbol=before.symbol) == before
    assert (after.symbol.status, after.symbol.tick_size) == (Status.TRADING, "0.10")

    assert kinds(store.sync(instrument("ETHUSDT", base="ETH"))) == {"BTC-USDT-PERP": "delisted"}
    assert store.sync(instrument("ETHUSDT", base="ETH"), refused=(unread,)).events == []


def test_an_exchange_can_list_an_instrument_as_delisted(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    assert kinds(store.sync(instrument(status=Status.DELISTED), eth)) == {"BTC-USDT-PERP": "delisted"}
    delisted_at = store["BTC-USDT-PERP"].symbol.delisted_at
    assert delisted_at == NEW_YEAR_MS + DAY_MS

    left = store.sync(eth)
    assert (left.events, [row.listed for row in left.symbols], left.missing) == ([], [False], [])
    returned = store.sync(instrument(status=Status.DELISTED), eth)
    assert (returned.events, [row.listed for row in returned.symbols]) == ([], [True])
    assert store["BTC-USDT-PERP"].symbol.delisted_at == delisted_at

    assert kinds(store.sync(instrument(), eth)) == {"BTC-USDT-PERP": "relisted"}


def test_another_identity_is_another_instrument_under_the_same_name(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    comparison = store.sync(instrument(identity="second"), eth)
    assert kinds(comparison) == {"BTC-USDT-PERP": "listed", "BTC-USDT-PERP~260102": "delisted"}
    old, new = store["BTC-USDT-PERP~260102"], store["BTC-USDT-PERP"]
    assert (old.replaced_at, old.listed, old.symbol.status) == (NEW_YEAR_MS + DAY_MS, False, Status.DELISTED)
    assert (old.symbol.delisted_at, old.symbol.last_seen_at) == (NEW_YEAR_MS + DAY_MS, NEW_YEAR_MS)
    assert (old.symbol.aliases, new.symbol.aliases) == (("BTC-USDT-PERP",), ())
    assert (new.identity, new.symbol.first_seen_at, new.replaced_at) == ("second", NEW_YEAR_MS + DAY_MS, None)


def test_a_replaced_instrument_keeps_its_name_as_an_alias_whoever_has_it_next(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    store.sync(instrument(quote="USDC"), eth)
    assert store.symbols() == ["BTC-USDC-PERP", "BTC-USDT-PERP~260102", "ETH-USDT-PERP"]
    assert list(store["BTC-USDT-PERP~260102"].symbol.aliases) == ["BTC-USDT-PERP"]

    comparison = store.sync(instrument(quote="USDC"), eth, instrument("XBT"))
    assert kinds(comparison) == {"BTC-USDT-PERP": "listed"}
    assert store["BTC-USDT-PERP"].symbol.exchange_symbol == "XBT"
    assert list(store["BTC-USDT-PERP~260102"].symbol.aliases) == ["BTC-USDT-PERP"]


def test_two_replacements_on_one_day_have_different_names(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    store.sync(instrument(identity="second"), eth)
    second = store.compare(instrument(identity="third"), eth)
    assert sorted(row.symbol.symbol for row in second.symbols) == ["BTC-USDT-PERP", "BTC-USDT-PERP~260102~2"]


def test_one_that_was_gone_and_returns_as_another_is_replaced(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    store.sync(eth)
    store.sync(eth, instrument(identity="second"))
    old = store["BTC-USDT-PERP~260103"].symbol
    assert (old.delisted_at, old.last_seen_at) == (NEW_YEAR_MS + DAY_MS, NEW_YEAR_MS)


def test_a_changed_name_leaves_an_alias_and_can_come_back(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    comparison = store.sync(instrument(base="XBT", identity="BTC|USDT"), eth)
    assert changes(comparison) == [
        ("XBT-USDT-PERP", "symbol", "BTC-USDT-PERP", "XBT-USDT-PERP"),
        ("XBT-USDT-PERP", "base_asset", "BTC", "XBT"),
    ]
    assert store["XBT-USDT-PERP"].symbol.aliases == ("BTC-USDT-PERP",)
    assert store["XBT-USDT-PERP"].base == "XBT"
    assert store["XBT-USDT-PERP"].symbol.id == "somewhere:XBT-USDT-PERP"

    late = instrument("LATE")
    store.sync(instrument(base="XBT", identity="BTC|USDT"), eth, late)
    assert store["BTC-USDT-PERP~LATE"].symbol.exchange_symbol == "LATE"  # a former name still has its holder

    store.sync(instrument(), eth, late)
    assert store["BTC-USDT-PERP"].symbol.aliases == ("XBT-USDT-PERP",)


def test_the_base_is_kept_as_the_symbol_spells_it(store: Store) -> None:
    store.sync(instrument(), instrument("ETHUSDT", base="ETH"), instrument("CAFE", base="cafe\u0301"))
    assert store["CAF\u00c9-USDT-PERP"].base == "CAF\u00c9"


def test_a_clash_is_told_each_time_and_lasts(store: Store) -> None:
    eth, other = instrument("ETHUSDT", base="ETH"), instrument("OTHER")
    first = store.sync(other, eth, instrument())
    assert (clashing(first), kinds(first)) == (["BTC-USDT-PERP~OTHER"], {"BTC-USDT-PERP~OTHER": "listed"})
    again = store.sync(other, eth, instrument())
    assert (clashing(again), again.events) == (["BTC-USDT-PERP~OTHER"], [])
    store.sync(other, eth)
    assert store["BTC-USDT-PERP~OTHER"].symbol.exchange_symbol == "OTHER"


def test_names_that_differ_by_case_alone_are_told_apart(store: Store) -> None:
    eth = instrument("ETHUSDT", base="ETH")
    listed = (instrument(), eth, instrument("other"), instrument("OTHER"))
    comparison = store.sync(*listed)
    assert [name for name in store.symbols() if "OTHER" in name] == ["BTC-USDT-PERP~OTHER", "BTC-USDT-PERP~OTHER~2"]
    assert clashing(comparison) == ["BTC-USDT-PERP~OTHER", "BTC-USDT-PERP~OTHER~2"]
    assert store.sync(*reversed(listed)).events == []


LISTINGS = st.lists(
    st.lists(
        st.builds(
            instrument,
            st.sampled_from(["AUSDT", "BUSDT", "ausdt", "260101", "C"]),
            base=st.sampled_from(["A", "B"]),
            quote=st.sampled_from(["USDT", "USDC"]),
            identity=st.sampled_from(["", "one", "two"]),
            status=st.sampled_from([Status.TRADING, Status.DELISTED, Status.HALTED]),
            tick_size=st.sampled_from(["1", "1.0"]),
        ),
        max_size=5,
        unique_by=lambda one: one.exchange_symbol,
    ),
    max_size=6,
)


@given(LISTINGS)
def test_whatever_is_listed(listings: list[list[ListedInstrument]]) -> None:
    store = Store()
    for listed in listings:
        before = dict(store.rows)
        store.sync(*listed)
        assert store.compare(*listed).symbols == []  # at once again: nothing more
        assert store.sync(*reversed(listed)).symbols == []  # a day later, in another order: nothing more
        assert before.keys() <= store.rows.keys()

        symbols = [row.symbol.symbol for row in store.rows.values()]
        assert len(symbols) == len(set(symbols))
        current = {row.symbol.exchange_symbol: row for row in store.rows.values() if row.replaced_at is None}
        names = [name for row in current.values() for name in (row.symbol.symbol, *row.symbol.aliases)]
        assert len(names) == len(set(names))
        assert len(current) == sum(row.replaced_at is None for row in store.rows.values())
        assert {one for one, row in current.items() if row.listed} == {one.exchange_symbol for one in listed}
        for one in listed:
            assert current[one.exchange_symbol].identity == one.identity
        for row in store.rows.values():
            assert (row.symbol.delisted_at is not None) == (row.symbol.status is Status.DELISTED)
            assert row.listed or row.symbol.status is Status.DELISTED


def test_first_those_that_are_replaced_then_those_that_changed_then_those_that_are_new() -> None:
    store, halted = Store(), Status.HALTED
    store.sync(instrument(), instrument("AAVEUSDT", "AAVE"), instrument("ZECUSDT", "ZEC", status=halted))
    told = store.sync(
        instrument(identity="second"),
        instrument("AAVEUSDT", "AAVE", status=halted),
        instrument("ZECUSDT", "ZEC"),
        instrument("AAA", "AAA"),
    )
    assert [(one.type, one.symbol, one.field, one.new) for one in told.events] == [
        ("field_changed", "BTC-USDT-PERP~260102", "symbol", "BTC-USDT-PERP~260102"),
        ("delisted", "BTC-USDT-PERP~260102", None, "delisted"),
        ("status_changed", "AAVE-USDT-PERP", None, "halted"),
        ("field_changed", "AAVE-USDT-PERP", "exchange_status", "halted"),
        ("status_changed", "ZEC-USDT-PERP", None, "trading"),
        ("field_changed", "ZEC-USDT-PERP", "exchange_status", "trading"),
        ("listed", "AAA-USDT-PERP", None, "trading"),
        ("listed", "BTC-USDT-PERP", None, "trading"),
    ]
