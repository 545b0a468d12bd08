"""The products that the simulated Coinbase Exchange lists, how it writes them and its candles.

The shapes are those of recorded answers (products of 2022-12 to 2025-08, candles of 2018 to 2025).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import merge
from math import inf, nextafter
from typing import Self
from zlib import crc32

from marketdata.simulator.answers import Rows, SymbolUnknownError, json_body
from marketdata.simulator.assets import invented_assets, real_assets
from marketdata.simulator.bars import Bar
from marketdata.simulator.catalogue import Catalogue, first_life, lives, price_decimals
from marketdata.simulator.coinbase_currencies import Currency, written
from marketdata.simulator.decimals import json_number, padded
from marketdata.simulator.grids import DAY_MS, HOUR_MS, Steps
from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.market import Asset, Instrument, Life, Market
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.series import Series

_FIRST_WAVE = 250
_COINS = (
    "BTC ETH LTC BCH XRP EOS XLM ETC LINK ADA DASH ZEC XTZ ATOM SOL DOT AVAX UNI DOGE AAVE FIL NEAR ALGO SAND MANA AXS"
    " CRV MKR SNX COMP YFI SUSHI 1INCH GRT CHZ ENJ ICP HBAR APE APT ARB OP SUI TIA INJ SEI PYTH JUP WLD STX LDO FET IMX"
    " ENA ONDO TAO SHIB PEPE BONK FLOKI XTZ WBTC CBETH"
)
_QUOTES = {
    "USD": _COINS,
    "EUR": "BTC ETH LTC BCH XRP XLM ETC LINK ADA SOL DOT AVAX UNI DOGE AAVE FIL ALGO XTZ ATOM CRV SNX GRT CHZ ICP",
    "GBP": "BTC ETH LTC BCH XRP LINK ADA SOL DOT UNI DOGE AAVE FIL ALGO XTZ ATOM",
    "USDT": "BTC ETH XRP ADA SOL DOT AVAX LINK DOGE SHIB NEAR HBAR STX SUI ICP ATOM APE",
    "USDC": "BTC ETH LTC SOL ADA DOGE LINK ATOM AVAX",
    "BTC": "ETH LTC BCH XRP LINK ADA SOL DOT AVAX UNI AAVE DOGE FIL ALGO XTZ ATOM WBTC",
    "ETH": "CBETH LINK AAVE UNI",
}
_CASH = {"USDT": "USD EUR GBP USDC", "USDC": "EUR GBP", "DAI": "USD", "EURC": "USD USDC", "PYUSD": "USD"}
_PAIRED_STABLES = frozenset(
    {"USDT-EUR", "USDT-GBP", "USDC-EUR", "USDC-GBP", "DAI-USD", "PYUSD-USD", "WBTC-BTC", "CBETH-ETH"}
)
"""Books flagged fx_stablecoin; USDT-USD is not."""
_MIN_FUNDS = {"EUR": "0.84", "GBP": "0.72", "BTC": "0.000016", "ETH": "0.00022"}
_LIMIT_ONLY_MS = 3 * DAY_MS
_NOTICE_MS = 7 * DAY_MS


@dataclass(frozen=True, kw_only=True)
class Product:
    """One product."""

    instrument: Instrument
    base_currency: str
    removed_ms: int | None = None
    quote_increment: str | None = None
    """The step of prices that the listing tells, where it is not that of the candles."""
    word: str | None = None
    """A status or a flag that does not follow the clock."""

    def changed(self, change: ListingChange) -> Self:
        """Any status word, or one of the flags; any increment; another product is one of another base currency."""
        match change.change:
            case "rename":
                return replace(self, instrument=self.instrument.renamed(change.target))
            case "status":
                return replace(self, word=change.target)
            case "tick":
                return replace(self, quote_increment=change.step)
            case _:
                return replace(self, base_currency=change.target)

    def phase(self, now_ms: int) -> str:
        """Where it stands in its life; a word that is no part of it is itself."""
        if self.word is not None:
            return _PHASES.get(self.word, self.word)
        life = self.instrument.life
        if now_ms < life.listed_ms:
            return "auction" if now_ms >= life.listed_ms - DAY_MS else "announced"
        if life.ended_ms is None or now_ms < life.ended_ms - _NOTICE_MS:
            return "new" if now_ms < life.listed_ms + _LIMIT_ONLY_MS else "trading"
        if now_ms < life.ended_ms:
            return "leaving"
        since_ms = now_ms - life.ended_ms
        return "halted" if since_ms < HOUR_MS else "cancelling" if since_ms < DAY_MS else "delisted"


_PHASES = {
    "online": "trading",
    "offline": "halted",
    "post_only": "announced",
    "limit_only": "new",
    "cancel_only": "cancelling",
    "auction_mode": "auction",
    "trading_disabled": "disabled",
}
"""Which phase of its life shows a product with that status or flag."""
_ONLINE = frozenset({"announced", "auction", "new", "trading", "leaving", "cancelling", "disabled"})


class SimulatedCoinbase:
    """What the simulated market has of Coinbase Exchange."""

    def __init__(self, market: Market, scenario: Scenario) -> None:
        """The products of `market`."""
        self.market = market
        self._scenario = scenario
        self._catalogue = Catalogue(_products(market.seed, scenario.ending_percent))

    @property
    def catalogues(self) -> tuple[Catalogue[Product]]:
        """All that it lists."""
        return (self._catalogue,)

    def count(self, now_ms: int) -> int:
        """How many products are listed."""
        return len(self._catalogue.listed(now_ms))

    def instrument(self, product_id: str, now_ms: int) -> Instrument:
        """A listed product's instrument. Raises SymbolUnknownError."""
        return self._product(product_id, now_ms).instrument

    def products(self, now_ms: int) -> bytes:
        """The body of the list of products, which is in no order."""
        listed = self._catalogue.listed(now_ms)
        listed.sort(key=lambda product: crc32(product.instrument.name))
        return json_body([_written(product, now_ms) for product in listed])

    def product(self, product_id: str, now_ms: int) -> bytes:
        """The body of one product. Raises SymbolUnknownError."""
        return json_body(_written(self._product(product_id, now_ms), now_ms))

    def currencies(self, now_ms: int) -> bytes:
        """The body of the list of currencies: all that the products are made of."""
        found: dict[str, Currency] = {}
        for product in self._catalogue.listed(now_ms):
            online = product.phase(now_ms) != "delisted"
            for code in (product.base_currency, product.instrument.quote.name):
                before = found.get(code, Currency(code, 0, online=False))
                decimals = max(before.decimals, product.instrument.size_scale)
                found[code] = Currency(code, decimals, online=before.online or online)
        return json_body(written(found.values()))

    def candles(self, product_id: str, granularity_s: int, now_ms: int) -> Rows:
        """The candles of a product; a bucket without trades has none. Raises SymbolUnknownError."""
        instrument = self._product(product_id, now_ms).instrument
        series = Series(self.market, instrument, Steps(granularity_s * 1000))
        noisy = self._scenario.float_noise
        seen_ms = now_ms - self._scenario.newest_lag_ms
        before_ms = self._scenario.preceding_rows * granularity_s * 1000

        def rows(first_ms: int, last_ms: int, limit: int, *, newest: bool) -> list[bytes]:
            found: list[bytes] = []
            first_ms -= before_ms
            while len(found) < limit:
                page = series.select(first_ms, last_ms, limit, newest=newest, now_ms=now_ms)
                if not page:
                    break
                begin_ms, end_ms = page[0][0], page[-1][1]
                if end_ms > now_ms > seen_ms:
                    page[-1:] = series.select(page[-1][0], last_ms, 1, newest=True, now_ms=seen_ms)
                traded = [candle(instrument, open_ms, bar, noisy=noisy) for open_ms, _, bar in page if bar.trades]
                found = [*traded, *found] if newest else [*found, *traded]
                if newest:
                    last_ms = begin_ms - 1
                else:
                    first_ms = end_ms
            return found[-limit:] if newest else found[:limit]

        return rows

    def _product(self, product_id: str, now_ms: int) -> Product:
        product = self._catalogue.get(product_id, now_ms)
        if product is None:
            raise SymbolUnknownError(product_id)
        return product


def candle(instrument: Instrument, open_ms: int, bar: Bar, *, noisy: bool = False) -> bytes:
    """A row of six JSON numbers: second, low, high, open, close, volume."""
    tick, scale = instrument.tick, instrument.price_scale
    volume = json_number(bar.size, instrument.size_scale)
    if noisy and "." in volume:
        volume = repr(nextafter(float(volume), inf))
    low, high = json_number(bar.low * tick, scale), json_number(bar.high * tick, scale)
    opened, closed = json_number(bar.open * tick, scale), json_number(bar.close * tick, scale)
    return f"[{open_ms // 1000},{low},{high},{opened},{closed},{volume}]".encode()


def _written(product: Product, now_ms: int) -> dict[str, object]:
    """A product's 18 keys."""
    instrument, phase = product.instrument, product.phase(now_ms)
    base, quote = instrument.symbol.rpartition("-")[0], instrument.quote.name
    chance = crc32(instrument.name)
    stable = instrument.first_symbol in _PAIRED_STABLES
    return {
        "id": instrument.symbol,
        "base_currency": product.base_currency,
        "quote_currency": quote,
        "quote_increment": product.quote_increment or padded(instrument.tick, instrument.price_scale),
        "base_increment": padded(1, instrument.size_scale),
        "display_name": f"{base}/{quote}" if chance % 9 == 0 else instrument.symbol,
        "min_market_funds": _MIN_FUNDS.get(quote, "1"),
        "margin_enabled": False,
        "post_only": phase == "announced",
        "limit_only": phase in {"new", "leaving"},
        "cancel_only": phase == "cancelling",
        "status": "online" if phase in _ONLINE else "offline" if phase == "halted" else phase,
        "status_message": "",
        "trading_disabled": phase in {"halted", "delisted", "disabled"},
        "fx_stablecoin": stable,
        "max_slippage_percentage": "0.01000000" if stable else "0.10000000" if chance % 40 == 0 else "0.03000000",
        "auction_mode": phase == "auction",
        "high_bid_limit_percentage": "0.05000000" if chance % 31 == 0 else "",
    }


def _products(seed: int, ending_percent: int) -> Iterator[Product]:
    """All products in the order of their announcement, without end."""
    assets = real_assets()
    first = sorted(_named(assets), key=_announced_ms)
    return merge(first, _invented(seed, ending_percent, assets), key=_announced_ms)


def _announced_ms(product: Product) -> int:
    return product.instrument.life.announced_ms


def _named(assets: Mapping[str, Asset]) -> Iterator[Product]:
    """Books of coins with real names; those against USDC were closed when USDC became the same as USD."""
    place = 0
    for quote, coins in _QUOTES.items():
        for coin in dict.fromkeys(coins.split()):
            life = first_life(place)
            if quote == "USDC":
                life = Life(life.announced_ms, life.listed_ms, life.listed_ms + 1100 * DAY_MS)
            yield _product(coin, assets[coin], assets[quote], life)
            place += 1
    for coin, quotes in _CASH.items():
        for quote in quotes.split():
            yield _product(coin, assets[coin], assets[quote], first_life(40))
    yield _product("BTCAUCTION", assets["BTC"], assets["USD"], first_life(60))


def _invented(seed: int, ending_percent: int, assets: Mapping[str, Asset]) -> Iterator[Product]:
    """Books of coins nobody has issued; each third has a second one."""
    coins = invented_assets(seed, frozenset(assets))
    for place, life in enumerate(lives(_FIRST_WAVE, ending_percent, "coinbase")):
        coin = next(coins)
        yield _product(coin.name, coin, assets["USD"], life)
        if place % 3 == 0:
            yield _product(coin.name, coin, assets[("EUR", "USDT", "BTC", "GBP")[place % 4]], life)


def _product(name: str, base: Asset, quote: Asset, life: Life) -> Product:
    """A product in units that suit its price."""
    symbol = f"{name}-{quote.name}"
    price = base.dollars / quote.dollars
    scale = min(max(price_decimals(price) - (base.dollars > 10_000), 2 if price > 1 else 0), 8)
    instrument = Instrument(
        exchange="coinbase",
        symbol=symbol,
        base=base,
        quote=quote,
        price_scale=scale,
        tick=1,
        size_scale=8 if base.dollars > 50 else 2 if base.dollars > 0.1 else 0,
        trades_a_day={"BTC-USD": 500_000, "ETH-USD": 400_000, "SOL-USD": 150_000}.get(
            symbol, 150 + crc32(symbol.encode()) % 5_000
        ),
        life=life,
    )
    return Product(instrument=instrument, base_currency=base.name)
