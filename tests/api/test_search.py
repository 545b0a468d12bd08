"""What people type, and what they may have meant."""

import pytest

from marketdata.api.instruments import Instruments
from marketdata.api.search import suggest
from marketdata.core.models import Kind, Status, Symbol
from marketdata.store.symbols import StoredSymbol
from tests.api.conftest import NOW_MS, SYMBOLS, Api, make_symbol, problem, store_symbols

MANY = {
    **SYMBOLS,
    "coinbase": (
        *SYMBOLS["coinbase"],
        make_symbol("coinbase", "ETH-USDC", "ETH-USDC", "ETH", "USDC"),
        make_symbol("coinbase", "METH-USDC", "METH-USDC", "METH", "USDC"),
        make_symbol("coinbase", "ETHFI-USDC", "ETHFI-USDC", "ETHFI", "USDC", status=Status.DELISTED),
        make_symbol("coinbase", "ETHX-USDC", "ETHX-USDC", "ETHX", "USDC"),
        make_symbol("coinbase", "BTC-ETH", "BTC-ETH", "BTC", "ETH"),
        make_symbol("coinbase", "PERP-USD", "PERP-USD", "PERP", "USD"),
        make_symbol("coinbase", "NEW-USD", "NEW-USD", "NEW", "USD", aliases=("FORMER-USD",)),
        make_symbol("coinbase", "BTC-USD-261225", "BTC-DEC26", "BTC", "USD", kind=Kind.FUTURE),
    ),
}


@pytest.fixture
async def market_of_many(empty_api: Api) -> Api:
    await store_symbols(empty_api.services.database, MANY, NOW_MS)
    await empty_api.services.refresh()
    return empty_api


@pytest.mark.parametrize(
    "words,expected",
    [
        ("btc perp", ["binance_futures:BTC-USDT-PERP", "hyperliquid:BTC-USDC-PERP"]),
        ("BTC Perpetual", ["binance_futures:BTC-USDT-PERP", "hyperliquid:BTC-USDC-PERP"]),
        ("btc swap usdc", ["hyperliquid:BTC-USDC-PERP"]),
        ("btc future coinbase", ["coinbase:BTC-USD-261225"]),
        ("btc spot", ["coinbase:BTC-ETH", "coinbase:BTC-USD"]),
        ("pepe", ["hyperliquid:1000PEPE-USDC-PERP"]),
        ("kpepe", ["hyperliquid:1000PEPE-USDC-PERP"]),
        ("tesla", []),
        ("tsla", ["hyperliquid:XYZ.TSLA-USDC-PERP"]),
        ("xyz", ["hyperliquid:XYZ.TSLA-USDC-PERP"]),
        ("former", ["coinbase:NEW-USD"]),
        ("币安", ["binance_futures:币安人生-USDT-PERP"]),
        ("btc/usdt", ["binance_futures:BTC-USDT-PERP"]),
        ("hyperliquid purr", ["hyperliquid:PURR-USDC"]),
        ("dec26", ["coinbase:BTC-USD-261225"]),
        ("btc nothing", []),
        # begins a word of the kind, or of the exchange's name; a part of one is nothing
        ("pot", []),
        ("quid", []),
        # equal, then beginning with it, those that trade first, then containing it, then elsewhere
        (
            "eth",
            [
                "coinbase:ETH-USDC",
                "coinbase:ETHX-USDC",
                "coinbase:ETHFI-USDC",
                "coinbase:BTC-ETH",
                "coinbase:METH-USDC",
            ],
        ),
        ("perp usd coinbase", ["coinbase:PERP-USD"]),
    ],
)
async def test_search_as_people_type(market_of_many: Api, words: str, expected: list[str]) -> None:
    answer = (await market_of_many.get(f"/v1/symbols?q={words}")).json()
    assert [one["id"] for one in answer["data"]] == expected


async def test_a_search_goes_on_over_pages_in_its_order(market_of_many: Api) -> None:
    whole = [one["id"] for one in (await market_of_many.get("/v1/symbols?q=usd&quote=USDC")).json()["data"]]
    assert len(whole) == 9
    paged: list[str] = []
    following = "/v1/symbols?q=usd&quote=USDC&limit=2"
    while following:
        body = (await market_of_many.get(following)).json()
        paged += [one["id"] for one in body["data"]]
        following = body["page"]["next"]
    assert paged == whole


async def test_a_search_without_a_letter_is_refused(market_of_many: Api) -> None:
    assert problem(await market_of_many.get("/v1/symbols?q=-%20/")) == {
        "status": 400,
        "code": "invalid-parameter",
        "detail": "`q` has neither a letter nor a digit in it.",
        "parameter": "q",
    }
    assert problem(await market_of_many.get("/v1/symbols?q="))["detail"] == "`q` is empty."


@pytest.mark.parametrize(
    "path,expected",
    [
        ("symbols/coinbase/BTC-EUR", ["BTC-ETH", "BTC-USD", "BTC-USD-261225"]),
        ("symbols/coinbase/BTCUSDX", ["BTC-USD"]),
        ("symbols/coinbase/ETHX-USDT-PERP", ["ETHX-USDC"]),
        ("symbols/binance_futures/BTC-USDT-PREP", ["BTC-USDT-PERP"]),
        ("symbols/binance_futures/SHIB-USDT-PERP", ["1000SHIB-USDT-PERP"]),
        ("symbols/hyperliquid/XYZ.TSLA-USDC", ["XYZ.TSLA-USDC-PERP"]),
        ("symbols/binance_futures/NOTHING-USDT-PERP", None),
        ("symbols/binance_futures/~", None),
        ("symbols/binance_futures/" + "BTC-USDT-PERP" * 9, None),
        ("symbols/coinbase/BTC-EUR/history", ["BTC-ETH", "BTC-USD", "BTC-USD-261225"]),
        ("candles/coinbase/NEV-USD/1h", ["NEW-USD"]),
        ("intervals?symbol=NEV-USD", ["NEW-USD"]),
        ("events?exchange=coinbase&symbol=NEV-USD", ["NEW-USD"]),
    ],
)
async def test_what_may_have_been_meant(market_of_many: Api, path: str, expected: list[str] | None) -> None:
    refusal = problem(await market_of_many.get(f"/v1/{path}"))
    assert refusal["code"] == "unknown-symbol"
    assert refusal.get("did_you_mean") == expected


async def test_resolve_suggests_only_where_nothing_is_found(market_of_many: Api) -> None:
    found = (await market_of_many.get("/v1/resolve?name=BTC-USD")).json()
    assert (len(found["data"]), found["did_you_mean"]) == (1, [])
    missed = (await market_of_many.get("/v1/resolve?name=BTC-USDD")).json()
    assert missed["data"] == []
    assert missed["did_you_mean"] == [
        "binance_futures:BTC-USDT-PERP",
        "coinbase:BTC-USD",
        "hyperliquid:BTC-USDC-PERP",
        "coinbase:BTC-USD-261225",
        "coinbase:BTC-ETH",
    ]


def test_those_that_trade_are_suggested_first() -> None:
    def stored(symbol: Symbol) -> StoredSymbol:
        return StoredSymbol(symbol, symbol.base_asset, "", listed=True)

    known = Instruments(
        stored(make_symbol("coinbase", f"AB{end}-USD", f"AB{end}", f"AB{end}", "USD", status=status))
        for end, status in (("A", Status.DELISTED), ("B", Status.TRADING), ("C", Status.HALTED))
    )
    assert [symbol.symbol for symbol in suggest([known], "ABX-USD")] == ["ABB-USD", "ABC-USD", "ABA-USD"]
