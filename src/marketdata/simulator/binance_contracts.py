"""The contracts that the simulated Binance USD-M futures lists: real majors, invented coins, and what breaks bots."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import count
from typing import Self
from zlib import crc32

from marketdata.simulator.assets import invented_assets, real_assets
from marketdata.simulator.catalogue import GENESIS_MS, first_life, lives, price_decimals, size_decimals
from marketdata.simulator.grids import DAY_MS, HOUR_MS
from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.market import Asset, Instrument, Life

NEVER_MS = 4_133_404_800_000
"""The delivery date of a contract that has none: 2100-12-25T08:00."""

_DELISTING_NOTICE_MS = 7 * DAY_MS
_FIRST_WAVE = 520

_COINS = (
    "BTC ETH BCH XRP EOS LTC TRX ETC LINK XLM ADA XMR DASH ZEC XTZ BNB ATOM ONT NEO SOL DOT AVAX UNI DOGE AAVE FIL NEAR"
    " ALGO SAND MANA AXS CRV MKR SNX COMP YFI SUSHI 1INCH KSM GRT CHZ ENJ THETA VET ICP HBAR APE APT ARB OP SUI TIA INJ"
    " SEI PYTH JUP WLD STX RUNE LDO DYDX GMX FET IMX ENA ONDO TAO HYPE W S ME IP 0G 2Z IDOL 4 BTCST"
    " 币安人生 我踏马来了 哈基米 龙虾 修仙"
)
_USDC = "BTC ETH SOL XRP BNB DOGE LINK LTC BCH AVAX NEAR ADA ARB OP SUI TIA ENA WLD FIL UNI AAVE CRV"
_BUSD = "BTC ETH BNB SOL XRP ADA DOGE LTC LINK DOT AVAX NEAR"
_THOUSANDS = "SHIB PEPE BONK FLOKI LUNC XEC SATS CAT RATS X WHY CHEEMS"
_MILLIONS = {"1MBABYDOGE": "BABYDOGE", "1000000MOG": "MOG", "1000000BOB": "BOB"}
_TRADIFI = {
    "COMMODITY": "XAU XAG COPPER CL NATGAS XPT XPD",
    "EQUITY": "TSLA NVDA AAPL AMZN COIN MSTR HOOD INTC GOOGL META PLTR CRCL",
    "HK_EQUITY": "TENCENT BABA",
    "KR_EQUITY": "HYNIX",
    "CN_EQUITY": "MOUTAI",
    "FX": "EUR GBP",
}
_TRADES_A_DAY = {"BTC": 2_400_000, "ETH": 2_000_000, "SOL": 1_200_000, "XRP": 900_000, "BNB": 700_000, "DOGE": 700_000}


@dataclass(frozen=True, kw_only=True)
class Contract:
    """One row of exchangeInfo."""

    instrument: Instrument
    pair: str
    base_asset: str
    kind: str = "PERPETUAL"
    underlying: str = "COIN"
    word: str | None = None
    """A status that does not follow the clock."""
    quarter: int | None = None
    """Of a dated future, the quarter that it is delivered in: `year × 4 + 0..3`."""
    tick_size: str | None = None
    """The tick that the listing tells, where it is not that of the candles."""
    margin_asset: str | None = None
    """What it settles in, where that is not its quote asset."""

    @property
    def removed_ms(self) -> int | None:
        """A delivered contract leaves the listing after a day; a delisted perpetual stays."""
        return None if self.quarter is None else quarter_end_ms(self.quarter) + DAY_MS

    def changed(self, change: ListingChange) -> Self:
        """Any status word, any tick size; another contract is one of another margin asset."""
        match change.change:
            case "rename":
                return replace(self, instrument=self.instrument.renamed(change.target))
            case "status":
                return replace(self, word=change.target)
            case "tick":
                return replace(self, tick_size=change.step)
            case _:
                return replace(self, margin_asset=change.target)

    def status(self, now_ms: int) -> str:
        """The exchange's word, as the contract's life moves on."""
        life = self.instrument.life
        if self.word is not None:
            return self.word
        if now_ms < life.listed_ms:
            return "PENDING_TRADING"
        if life.ended_ms is None or now_ms < life.ended_ms:
            return "TRADING"
        since_ms = now_ms - life.ended_ms
        if self.quarter is not None:
            return "DELIVERING" if since_ms < HOUR_MS else "DELIVERED"
        if since_ms < 2 * HOUR_MS:
            return "TRADING_HALT" if since_ms < HOUR_MS else "TRADING_CANCEL_ONLY"
        closes = crc32(self.instrument.name) % 16 == 0 and since_ms > 30 * DAY_MS
        return "CLOSE" if closes else "SETTLING"

    def contract_type(self, now_ms: int) -> str:
        """The exchange's word; a dated future goes from next to current when the one before it is delivered."""
        if self.quarter is None:
            return self.kind
        if now_ms >= quarter_end_ms(self.quarter):
            return "CURRENT_QUARTER DELIVERING"
        return "NEXT_QUARTER" if now_ms < quarter_end_ms(self.quarter - 1) else "CURRENT_QUARTER"

    def delivery_ms(self, now_ms: int) -> int:
        """The delivery date; once a perpetual's delisting is announced, it is rewritten to that."""
        if self.quarter is not None:
            return quarter_end_ms(self.quarter)
        ended_ms = self.instrument.life.ended_ms
        return NEVER_MS if ended_ms is None or now_ms < ended_ms - _DELISTING_NOTICE_MS else ended_ms


def contracts(seed: int, ending_percent: int) -> Iterator[Contract]:
    """All contracts in the order of their announcement, without end."""
    assets = real_assets()
    first = sorted([*_perpetuals(assets), *_tradfi(assets)], key=_announced_ms)
    return merge(first, _quarterlies(assets), _invented(seed, ending_percent, assets), key=_announced_ms)


def quarter_end_ms(quarter: int) -> int:
    """08:00 UTC of the last Friday of quarter `year × 4 + 0..3`."""
    year, part = divmod(quarter + 1, 4)
    last = datetime(year, 3 * part + 1, 1, 8, tzinfo=UTC) - timedelta(days=1)
    return int((last - timedelta(days=(last.weekday() - 4) % 7)).timestamp()) * 1000


def _announced_ms(contract: Contract) -> int:
    return contract.instrument.life.announced_ms


def _perpetuals(assets: Mapping[str, Asset]) -> Iterator[Contract]:
    """Those on coins with real names."""
    usdt, usdc, busd = assets["USDT"], assets["USDC"], assets["BUSD"]
    for place, name in enumerate(_COINS.split()):
        yield _contract(assets[name], usdt, first_life(place))
    for place, name in enumerate(_THOUSANDS.split()):
        yield _contract(assets[name].times(1000, f"1000{name}"), usdt, first_life(150 + place))
    for name, coin in _MILLIONS.items():
        yield _contract(assets[coin].times(1_000_000, name), usdt, first_life(170))
    for place, name in enumerate(_USDC.split()):
        yield _contract(assets[name], usdc, first_life(200 + place))
    for name in ("SHIB", "PEPE", "BONK"):
        yield _contract(assets[name].times(1000, f"1000{name}"), usdc, first_life(230))
    for place, name in enumerate(_BUSD.split()):
        listed_ms = first_life(250).listed_ms
        yield _contract(assets[name], busd, Life(listed_ms, listed_ms, listed_ms + (1400 + place) * DAY_MS))
    yield _contract(assets["ETH"], assets["BTC"], first_life(260))
    for name in ("DEFI", "BTCDOM"):
        yield _contract(assets[name], usdt, first_life(270), underlying="INDEX")
    yield _contract(assets["IDOL"], usdt, first_life(280), symbol="IDOL")


def _tradfi(assets: Mapping[str, Asset]) -> Iterator[Contract]:
    """Those on shares, commodities and currencies."""
    for place, (underlying, names) in enumerate(_TRADIFI.items()):
        for name in names.split():
            life = first_life(300 + 20 * place)
            yield _contract(assets[name], assets["USDT"], life, kind="TRADIFI_PERPETUAL", underlying=underlying)


def _quarterlies(assets: Mapping[str, Asset]) -> Iterator[Contract]:
    """The dated futures; each is listed when the one two quarters before it is delivered."""
    for quarter in count(4 * 2019 + 2):
        delivery_ms = quarter_end_ms(quarter)
        listed_ms = max(quarter_end_ms(quarter - 2), GENESIS_MS)
        day = datetime.fromtimestamp(delivery_ms / 1000, UTC)
        for name in ("BTC", "ETH"):
            life = Life(listed_ms, listed_ms, delivery_ms)
            symbol = f"{name}USDT_{day:%y%m%d}"
            yield _contract(assets[name], assets["USDT"], life, symbol=symbol, quarter=quarter)


def _invented(seed: int, ending_percent: int, assets: Mapping[str, Asset]) -> Iterator[Contract]:
    """Perpetuals on coins nobody has issued; each 40th on a thousand of them, which nothing but its name tells."""
    coins = invented_assets(seed, frozenset(assets))
    for place, life in enumerate(lives(_FIRST_WAVE, ending_percent, "binance_futures")):
        coin = next(coins)
        yield _contract(
            coin.times(1000, f"1000{coin.name}") if place % 40 == 3 else coin,
            assets["USDC" if place % 15 == 7 else "USDT"],
            life,
            underlying="PREMARKET" if place % 30 == 29 else "COIN",
        )


def _contract(
    base: Asset,
    quote: Asset,
    life: Life,
    *,
    symbol: str | None = None,
    kind: str = "PERPETUAL",
    underlying: str = "COIN",
    quarter: int | None = None,
) -> Contract:
    """A contract on `base`, in units that suit its price."""
    pair = base.name + quote.name
    price = base.dollars / quote.dollars
    scale = price_decimals(price)
    if pair in _UNITS:
        scale, tick, size_scale = _UNITS[pair]
    elif crc32(pair.encode()) % 5 == 0:
        scale, tick, size_scale = scale + 1, 10, size_decimals(price)
    else:
        tick, size_scale = 1, size_decimals(price)
    instrument = Instrument(
        exchange="binance_futures",
        symbol=symbol or pair,
        base=base,
        quote=quote,
        price_scale=scale,
        tick=tick,
        size_scale=size_scale,
        trades_a_day=_TRADES_A_DAY.get(base.name, 1200 + crc32(pair.encode()) % 60_000),
        life=life,
    )
    odd = _ODD.get(symbol or pair, {})
    return Contract(
        instrument=instrument,
        pair=pair,
        base_asset=odd.get("base_asset", base.name),
        kind=odd.get("kind", kind),
        underlying=odd.get("underlying", underlying),
        word=odd.get("word"),
        quarter=quarter,
    )


_UNITS = {
    "BTCUSDT": (2, 10, 3),
    "ETHUSDT": (2, 1, 3),
    "BCHUSDT": (2, 1, 3),
    "XRPUSDT": (4, 1, 1),
    "SOLUSDT": (4, 100, 0),
    "币安人生USDT": (7, 1000, 0),
}
"""Recorded decimals of the price, tick in units of the last one, decimals of the size."""

_ODD = {
    "CRVUSDT": {"base_asset": "TRB"},
    "BTCSTUSDT": {"kind": "", "word": "PENDING_TRADING"},
    "KSMUSDT": {"kind": "PERPETUAL DELIVERING", "word": "DELIVERING"},
    "GRTUSDT": {"kind": "EVERLASTING"},
    "CHZUSDT": {"word": "AUCTION_MATCH"},
    "ENJUSDT": {"underlying": "TOKENIZED_FUND"},
}
"""Recorded oddities (a base asset that disagrees with the pair, no contract type) and words nobody has heard of."""
