"""Instruments that are listed otherwise from a moment on: in every endpoint, to the millisecond, and nothing else."""

from typing import Any

import msgspec
import pytest

from marketdata.core.exchanges.adapter import ExchangeAdapter
from marketdata.core.exchanges.binance_futures import BinanceFutures
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.exchanges.hyperliquid import Hyperliquid
from marketdata.core.models import Interval, ListedInstrument, Listing, Status
from marketdata.simulator.listing_changes import ListingChange, WrongListingChangeError
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.truth import truth
from tests.simulator.conftest import NOW_MS

HOUR_MS = 3_600_000
FROM_MS, UNTIL_MS = NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS
SYMBOLS = {"binance_futures": "BTCUSDT", "hyperliquid": "BTC", "coinbase": "BTC-USD"}
NEW_NAMES = {"binance_futures": "XBTUSDT", "hyperliquid": "XBT", "coinbase": "XBT-USD"}


def change(
    exchange: str, what: str, to: str | None = None, symbol: str = "", until: int | None = UNTIL_MS
) -> ListingChange:
    given = {"exchange": exchange, "symbol": symbol or SYMBOLS[exchange], "change": what, "to": to, "from": FROM_MS}
    return msgspec.convert({**given, "until": until}, ListingChange)


def served(*changes: ListingChange) -> Sources:
    return simulated(scenario=Scenario(limits=False, listing_changes=changes))


def bodies(sources: Sources, exchange: str, now_ms: int) -> list[bytes]:
    """What the requests of a sync are answered with."""
    if exchange == "binance_futures":
        return [sources.binance.exchange_info(now_ms)]
    if exchange == "coinbase":
        return [sources.coinbase.products(now_ms)]
    return [sources.hyperliquid.listing(kind, "", now_ms) for kind in ("allPerpMetas", "spotMeta")]


ADAPTERS: dict[str, ExchangeAdapter] = {
    "binance_futures": BinanceFutures(),
    "hyperliquid": Hyperliquid(),
    "coinbase": Coinbase(),
}


def parsed(sources: Sources, exchange: str, now_ms: int) -> dict[str, ListedInstrument]:
    listing: Listing = ADAPTERS[exchange].parse_listing(bodies(sources, exchange, now_ms), {})
    assert not listing.refused
    return {instrument.exchange_symbol: instrument for instrument in listing.instruments}


@pytest.fixture(scope="module")
def usual() -> Sources:
    return served()


@pytest.mark.parametrize("exchange", SYMBOLS)
class TestAllExchanges:
    def test_it_is_gone_from_a_moment_until_another(self, usual: Sources, exchange: str) -> None:
        sources = served(change(exchange, "absent"))
        for now_ms in (FROM_MS - 1, UNTIL_MS):
            assert bodies(sources, exchange, now_ms) == bodies(usual, exchange, now_ms)
        for now_ms in (FROM_MS, UNTIL_MS - 1):
            right, there = parsed(usual, exchange, now_ms), parsed(sources, exchange, now_ms)
            assert right.pop(SYMBOLS[exchange]).exchange_symbol == SYMBOLS[exchange]
            assert there == right
            assert list(there) == list(right)

    def test_without_an_end_it_is_for_good(self, exchange: str) -> None:
        sources = served(change(exchange, "absent", until=None))
        assert SYMBOLS[exchange] not in parsed(sources, exchange, NOW_MS + 1000 * 24 * HOUR_MS)
        assert SYMBOLS[exchange] in parsed(sources, exchange, FROM_MS - 1)

    def test_another_tick(self, usual: Sources, exchange: str) -> None:
        sources = served(change(exchange, "tick", "2" if exchange == "hyperliquid" else "0.00500"))
        right, there = (parsed(which, exchange, FROM_MS) for which in (usual, sources))
        was, is_now = right.pop(SYMBOLS[exchange]), there.pop(SYMBOLS[exchange])
        assert there == right
        fields = (
            {"price_max_decimals": 4, "step_size": "0.01"} if exchange == "hyperliquid" else {"tick_size": "0.00500"}
        )
        assert is_now == was.model_copy(update=fields) != was

    def test_another_name_and_nothing_else(self, usual: Sources, exchange: str) -> None:
        name = NEW_NAMES[exchange]
        sources = served(change(exchange, "rename", name))
        assert bodies(sources, exchange, UNTIL_MS) == bodies(usual, exchange, UNTIL_MS)
        right, there = (b"".join(bodies(which, exchange, FROM_MS)) for which in (usual, sources))
        field = "symbol" if exchange == "binance_futures" else "name" if exchange == "hyperliquid" else "id"
        old, new = f'"{field}":"{SYMBOLS[exchange]}"', f'"{field}":"{name}"'
        if exchange == "hyperliquid":  # a token has the same name
            old, new = '"szDecimals":5,' + old, '"szDecimals":5,' + new
        expected = right.replace(old.encode(), new.encode(), 1)
        if exchange == "coinbase":
            expected = expected.replace(b'"display_name":"BTC-USD"', b'"display_name":"XBT-USD"')
        assert there == expected != right

    def test_candles_are_served_under_the_name_that_holds(self, usual: Sources, exchange: str) -> None:
        old, new = SYMBOLS[exchange], NEW_NAMES[exchange]
        sources = served(change(exchange, "rename", new))
        range_ms = (NOW_MS - 5 * HOUR_MS, FROM_MS)
        for symbol, unknown, now_ms in ((old, new, FROM_MS - 1), (new, old, FROM_MS), (old, new, UNTIL_MS)):
            candles = truth(sources, exchange, symbol, Interval.HOUR_1, *range_ms, now_ms)
            assert candles == truth(usual, exchange, old, Interval.HOUR_1, *range_ms, now_ms)
            assert len(candles) == 6
            with pytest.raises(LookupError):
                truth(sources, exchange, unknown, Interval.HOUR_1, *range_ms, now_ms)

    def test_the_later_of_two_alike_counts_and_different_ones_go_together(self, exchange: str) -> None:
        first, second = ("2", "3") if exchange == "hyperliquid" else ("0.5", "5")
        later = msgspec.structs.replace(change(exchange, "tick", second), from_ms=FROM_MS + 10)
        name = NEW_NAMES[exchange]
        sources = served(later, change(exchange, "rename", name), change(exchange, "tick", first))
        seen = [parsed(sources, exchange, now_ms)[name] for now_ms in (FROM_MS, FROM_MS + 9, FROM_MS + 10)]
        expected = ["0.01", "0.01", "0.001"] if exchange == "hyperliquid" else ["0.5", "0.5", "5"]
        assert [each.step_size if exchange == "hyperliquid" else each.tick_size for each in seen] == expected

    def test_what_is_not_changed_keeps_its_candles(self, exchange: str) -> None:
        sources = served(change(exchange, "tick", "1"), change(exchange, "rename", NEW_NAMES[exchange]))
        other = {"binance_futures": "ETHUSDT", "hyperliquid": "ETH", "coinbase": "ETH-USD"}[exchange]
        assert truth(sources, exchange, other, Interval.HOUR_1, NOW_MS, FROM_MS, FROM_MS) == truth(
            simulated(), exchange, other, Interval.HOUR_1, NOW_MS, FROM_MS, FROM_MS
        )


@pytest.mark.parametrize(
    "exchange, symbol, word, status, told",
    [
        ("binance_futures", "BTCUSDT", "TRADING_HALT", Status.HALTED, "TRADING_HALT"),
        ("binance_futures", "BTCUSDT", "CLOSE", Status.DELISTED, "CLOSE"),
        ("binance_futures", "BTCUSDT", "FROZEN", Status.UNKNOWN, "FROZEN"),
        ("hyperliquid", "BTC", "isDelisted", Status.DELISTED, "isDelisted"),
        ("hyperliquid", "MATIC", "listed", Status.TRADING, None),
        ("coinbase", "BTC-USD", "offline", Status.HALTED, "offline"),
        ("coinbase", "BTC-USD", "delisted", Status.DELISTED, "delisted"),
        ("coinbase", "BTC-USD", "post_only", Status.POST_ONLY, "online"),
        ("coinbase", "BTC-USD", "cancel_only", Status.CANCEL_ONLY, "online"),
        ("coinbase", "BTC-USD", "auction_mode", Status.PRE_TRADING, "online"),
        ("coinbase", "BTC-USD", "trading_disabled", Status.HALTED, "online"),
        ("coinbase", "BTC-USD", "limit_only", Status.TRADING, "online"),
        ("coinbase", "BTC-USD", "internal", Status.UNKNOWN, "internal"),
        ("coinbase", "BTC-USD", "frozen", Status.UNKNOWN, "frozen"),
        ("coinbase", "BTC-USDC", "online", Status.TRADING, "online"),
    ],
)
def test_another_status(
    usual: Sources, exchange: str, symbol: str, word: str, status: Status, told: str | None
) -> None:
    sources = served(change(exchange, "status", word, symbol))
    was, is_now = (parsed(which, exchange, FROM_MS)[symbol] for which in (usual, sources))
    assert is_now == was.model_copy(update={"status": status, "exchange_status": told})
    assert bodies(sources, exchange, FROM_MS) != bodies(usual, exchange, FROM_MS)
    assert bodies(sources, exchange, UNTIL_MS) == bodies(usual, exchange, UNTIL_MS)


@pytest.mark.parametrize(
    "exchange, symbol, to, field, value",
    [
        ("binance_futures", "ADAUSDT", "USDC", "settle_asset", "USDC"),
        ("hyperliquid", "@107", "151", "ccxt_symbol", None),
        ("hyperliquid", "PURR/USDC", "400", "base_asset", None),
        ("coinbase", "ADA-USD", "BTC", "base_asset", "BTC"),
    ],
)
def test_the_same_name_for_something_else(
    usual: Sources, exchange: str, symbol: str, to: str, field: str, value: str | None
) -> None:
    sources = served(change(exchange, "replace", to, symbol))
    was, is_now = (parsed(which, exchange, FROM_MS)[symbol] for which in (usual, sources))
    # A product of Coinbase is what its id says: another currency is a field that changes.
    assert (is_now.identity != was.identity) == (exchange != "coinbase")
    assert getattr(is_now, field) == (value or getattr(is_now, field)) != getattr(was, field)


def test_a_pairs_step_is_its_tokens_and_so_of_all_its_pairs() -> None:
    there = parsed(served(change("hyperliquid", "tick", "4", "@107")), "hyperliquid", FROM_MS)
    assert {there["@107"].step_size, there["@207"].step_size} == {"0.0001"}


def test_contexts_mids_and_dexes_go_with_their_universe(usual: Sources) -> None:
    sources = served(
        change("hyperliquid", "absent", symbol="ETH"), change("hyperliquid", "rename", "xyz:T", "xyz:TSLA")
    )

    def listing(which: Sources, kind: str, dex: str = "") -> Any:
        return msgspec.json.decode(which.hyperliquid.listing(kind, dex, FROM_MS))

    place = [asset["name"] for asset in listing(usual, "meta")["universe"]].index("ETH")
    (right, right_contexts), (meta, contexts) = (listing(which, "metaAndAssetCtxs") for which in (usual, sources))
    assert contexts == [*right_contexts[:place], *right_contexts[place + 1 :]]
    assert [asset["name"] for asset in meta["universe"]] == [a["name"] for a in right["universe"] if a["name"] != "ETH"]
    assert set(listing(usual, "allMids")) - set(listing(sources, "allMids")) == {"ETH"}
    assert set(listing(sources, "allMids", "xyz")) - set(listing(usual, "allMids", "xyz")) == {"xyz:T"}
    assert ["xyz:T", "25000000.0"] in listing(sources, "perpDexs")[1]["assetToStreamingOiCap"]
    assert "xyz:T" in [asset["name"] for asset in listing(sources, "meta", "xyz")["universe"]]


@pytest.mark.parametrize(
    "wrong, says",
    [
        (change("coinbase", "absent", symbol="BTC-USDX"), "nothing of that name is announced by then"),
        (change("kraken", "absent", symbol="X"), "no exchange is called 'kraken'; there are: binance_futures, hyper"),
        (change("coinbase", "tick", "small"), 'is a step such as "0.01"'),
        (change("coinbase", "tick", "1e-8"), 'is a step such as "0.01"'),
        (change("coinbase", "rename", ""), "`to` is not empty"),
        (change("coinbase", "rename", "ETH-USD"), "ETH-USD is another one's name then"),
        (change("hyperliquid", "tick", "7"), "a number from 0 to 6"),
        (change("hyperliquid", "tick", "9", "@107"), "a number from 0 to 8"),
        (change("hyperliquid", "tick", "0.1"), "a number from 0 to 6"),
        (change("hyperliquid", "status", "halted"), "`to` is one of isDelisted, listed"),
        (change("hyperliquid", "status", "isDelisted", "@107"), "a spot pair has no status"),
        (change("hyperliquid", "replace", "1"), "a pair may be of another token"),
        (change("hyperliquid", "replace", "USDC", "@107"), "a number from 1 to 2000"),
        (change("hyperliquid", "rename", "TSLA", "xyz:TSLA"), "it stays in its dex: xyz:…"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(usual: Sources, wrong: ListingChange, says: str) -> None:
    sources = served(change("coinbase", "tick", "1"))
    assert sources.listings is not None
    with pytest.raises(WrongListingChangeError, match="^.*" + says.replace("`", ".")):
        sources.listings.add(change("coinbase", "tick", "5"), change("binance_futures", "absent"), wrong)
    assert list(sources.listings) == [change("coinbase", "tick", "1")]
    assert parsed(sources, "coinbase", FROM_MS)["BTC-USD"].tick_size == "1"
    assert bodies(sources, "binance_futures", FROM_MS) == bodies(usual, "binance_futures", FROM_MS)


def test_a_name_that_it_has_already_may_be_given_for_longer() -> None:
    longer = msgspec.structs.replace(change("coinbase", "rename", "XBT-USD"), from_ms=UNTIL_MS - 1, until_ms=None)
    sources = served(change("coinbase", "rename", "XBT-USD"), longer)
    assert all("XBT-USD" in parsed(sources, "coinbase", now_ms) for now_ms in (FROM_MS, UNTIL_MS))


@pytest.mark.parametrize("exchange", SYMBOLS)
def test_a_name_that_was_given_up_may_be_taken(exchange: str) -> None:
    other, name = {
        "binance_futures": ("ETHUSDT", "OLDUSDT"),
        "hyperliquid": ("ETH", "OLD"),
        "coinbase": ("ETH-USD", "OLD-USD"),
    }[exchange]
    sources = served(change(exchange, "rename", name), change(exchange, "rename", SYMBOLS[exchange], other))
    for now_ms, first, second in ((FROM_MS - 1, SYMBOLS[exchange], other), (FROM_MS, name, SYMBOLS[exchange])):
        for asked, original in ((first, SYMBOLS[exchange]), (second, other)):
            assert truth(sources, exchange, asked, Interval.DAY_1, NOW_MS - 48 * HOUR_MS, NOW_MS, now_ms) == truth(
                simulated(), exchange, original, Interval.DAY_1, NOW_MS - 48 * HOUR_MS, NOW_MS, now_ms
            )
