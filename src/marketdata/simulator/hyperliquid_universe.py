"""What the simulated Hyperliquid lists: main-dex perpetuals, builder dexes (HIP-3) and spot pairs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import merge
from itertools import count
from typing import Self
from zlib import crc32

from marketdata.simulator.assets import invented_assets, real_assets
from marketdata.simulator.catalogue import first_life, lives
from marketdata.simulator.grids import DAY_MS
from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.market import Asset, Instrument, Life

_PERP_DECIMALS, _SPOT_DECIMALS = 6, 8
_FIRST_PERPS, _FIRST_SPOTS = 150, 190

_COINS = (
    "BTC ETH ATOM MATIC DYDX SOL AVAX BNB APE OP LTC ARB DOGE INJ SUI kPEPE CRV LDO LINK STX GMX SNX XRP BCH APT AAVE"
    " COMP MKR WLD TRX kSHIB UNI SEI RUNE DOT TIA ADA FET NEAR FIL PYTH SUSHI IMX kBONK JUP kLUNC ENS ETC ONDO W TAO"
    " kFLOKI ENA HBAR XLM kDOGS kNEIRO SAND ALGO HYPE ME PURR S IP PAXG 2Z 0G"
)
_DELISTED = {"MATIC": 1500, "MKR": 2100, "IMX": 900, "SNX": 1700}
"""Days after which these were delisted."""
_PRELISTED = {"BTC": 921, "ETH": 921, "SOL": 901, "AVAX": 893, "DOGE": 957, "LINK": 999, "XRP": 999, "ZEC": 704}
"""Days of made-up rows before the first trade, as captured; others have some or none."""

DEXES = {
    "xyz": (
        "XYZ",
        0,
        "XYZ100 TSLA NVDA GOLD HOOD INTC PLTR COIN META AAPL MSFT ORCL GOOGL AMZN SILVER MSTR NFLX AMD MU",
    ),
    "flx": ("Felix Exchange", 360, "TSLA COIN CRCL GOLD SILVER XAU* BTC ETH"),
    "vntl": ("Ventuals", 360, "OPENAI ANTHROPIC SPACEX MAG7 STRIPE?"),
    "hyna": ("HyENA", 235, "BTC ETH HYPE SOL XRP DOGE LINK kPEPE"),
    "km": ("Markets by Kinetiq", 360, "US500 USTECH SMALL2000 TLT GOLD TSLA NVDA BABA EUR"),
    "abcd": ("ABCDEx", 0, ""),
    "cash": ("dreamcash", 268, "TSLA NVDA HOOD AMZN META GOLD SILVER MSFT"),
    "para": ("Paragon", 360, "BTCDOM DEFI"),
    "mkts": ("Markets", 0, "CL NATGAS COPPER XPT XPD"),
    "dops": ("DOPS", 268, ""),
    "asia": ("Asia Perps", 268, "HYNIX SKHX SMSN TENCENT MOUTAI CSI300"),
    "forx": ("Forx", 235, "EUR GBP JPY"),
}
"""Builder dexes: full name, spot token of the collateral, coins. The order is their index, from 1."""

_QUOTE_TOKENS = {0: "USDC", 235: "USDE", 268: "USDT0", 360: "USDH"}
_NAMED_TOKENS = {1: "PURR", 2: "HFUN", 3: "JEFF", 150: "HYPE", 197: "UBTC", 221: "UETH", 254: "USOL", 299: "UPUMP"}
_NAMED_PAIRS = {0: (1, 0), 107: (150, 0), 142: (197, 0), 151: (221, 0), 156: (254, 0), 188: (299, 0), 207: (150, 268)}
"""Pairs by their index, with base and quote token, that are so on the live exchange."""
MISSING_PAIRS = (71, 98, 144, 149, 154, 167, 168, 169, 181, 186, 197)
"""Indexes without a pair: from the first of them on, the index of a pair is not its place in the list."""
_FIRST_TOKENS = 361
_MOST_TOKENS = 2000
_STATUSES = {"isDelisted": True, "listed": False}


@dataclass(frozen=True, kw_only=True)
class Perp:
    """One entry of a perpetual universe."""

    instrument: Instrument
    dex: str
    max_leverage: int
    only_isolated: bool = False
    growth: bool = False
    prelisted_days: int = 0
    """Of how many days before its first trade there are made-up rows."""
    removed_ms: int | None = None
    size_decimals: int | None = None
    """The decimals of sizes that the universe tells, where they are not those of the candles."""
    is_delisted: bool | None = None
    """Whether it is settled for good, where that does not follow the clock."""

    def changed(self, change: ListingChange) -> Self:
        """Settled or not, other size decimals; it cannot become another: its dex tells the collateral of all it has."""
        match change.change:
            case "rename":
                if not change.target.startswith(prefix := f"{self.dex}:" if self.dex else ""):
                    raise change.wrong(f"it stays in its dex: {prefix}…")
                return replace(self, instrument=self.instrument.renamed(change.target))
            case "status":
                if change.target not in _STATUSES:
                    raise change.wrong(f"`to` is one of {', '.join(_STATUSES)}")
                return replace(self, is_delisted=_STATUSES[change.target])
            case "tick":
                return replace(self, size_decimals=change.whole(0, _PERP_DECIMALS))
            case _:
                raise change.wrong("its coin and its dex are all that a perpetual is; a pair may be of another token")

    def delisted(self, now_ms: int) -> bool:
        """Whether it has been settled for good; it keeps its place."""
        if self.is_delisted is not None:
            return self.is_delisted
        ended_ms = self.instrument.life.ended_ms
        return ended_ms is not None and ended_ms <= now_ms


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One entry of the spot universe."""

    instrument: Instrument
    index: int
    tokens: tuple[int, int]
    removed_ms: int | None = None
    size_decimals: int | None = None
    """The decimals of sizes that its base token tells, where they are not those of the candles."""

    def changed(self, change: ListingChange) -> Self:
        """Other size decimals, which are its base token's; another base token, by its index. It has no status."""
        match change.change:
            case "rename":
                return replace(self, instrument=self.instrument.renamed(change.target))
            case "tick":
                return replace(self, size_decimals=change.whole(0, _SPOT_DECIMALS))
            case "replace":
                return replace(self, tokens=(change.whole(1, _MOST_TOKENS), self.tokens[1]))
            case _:
                raise change.wrong("a spot pair has no status")


@dataclass(frozen=True, kw_only=True)
class Token:
    """A spot token."""

    asset: Asset
    index: int
    size_decimals: int


def perps(seed: int, ending_percent: int) -> Iterator[Perp]:
    """All perpetuals of all dexes in the order of their announcement, without end."""
    assets = real_assets()
    return merge(_coins(assets), _builders(assets), _invented(seed, ending_percent, assets), key=_announced_ms)


def pairs(tokens: "Tokens") -> Iterator[Pair]:
    """All spot pairs in the order of their index, without end."""
    coming = lives(_FIRST_SPOTS, 0, "hyperliquid-spot")
    free = (index for index in count(2) if index not in _NAMED_TOKENS and index not in _QUOTE_TOKENS)
    for index in count():
        if index in MISSING_PAIRS:
            continue
        base, quote = _NAMED_PAIRS.get(index) or (
            next(free),
            0 if index < 120 or index % 9 else (268, 360, 235)[index // 9 % 3],
        )
        name = "PURR/USDC" if index == 0 else f"@{index}"
        life = first_life(0) if index == 0 else next(coming)
        token = tokens[base]
        instrument = _instrument(name, token.asset, tokens[quote].asset, life, token.size_decimals, _SPOT_DECIMALS)
        yield Pair(instrument=instrument, index=index, tokens=(base, quote))


class Tokens:
    """The spot tokens by index, made as far as they are asked for."""

    def __init__(self, seed: int) -> None:
        """The tokens of a market's seed."""
        assets = real_assets()
        coins = invented_assets(seed + 1, frozenset(assets))
        named = {index: assets[name] for index, name in (_NAMED_TOKENS | _QUOTE_TOKENS).items()}
        self._coming = (named.get(index) or next(coins) for index in count())
        self._made: list[Token] = []

    def __getitem__(self, index: int) -> Token:
        """The token of that index."""
        while len(self._made) <= index:
            asset = next(self._coming)
            decimals = _size_decimals(asset.dollars)
            self._made.append(Token(asset=asset, index=len(self._made), size_decimals=decimals))
        return self._made[index]

    def listed(self, pairs_listed: list[Pair]) -> list[Token]:
        """Those that were always there, and as far as the pairs reach."""
        last = max([_FIRST_TOKENS - 1, *(token for pair in pairs_listed for token in pair.tokens)])
        return [self[index] for index in range(last + 1)]


def _announced_ms(perp: Perp) -> int:
    return perp.instrument.life.announced_ms


def _coins(assets: Mapping[str, Asset]) -> Iterator[Perp]:
    """The main dex's coins with real names."""
    for place, name in enumerate(_COINS.split()):
        life = first_life(place)
        if name in _DELISTED:
            life = Life(life.announced_ms, life.listed_ms, life.listed_ms + _DELISTED[name] * DAY_MS)
        leverage = 40 if name == "BTC" else 25 if name == "ETH" else 20 if name == "SOL" else 10 if place < 30 else 5
        yield _perp(name, assets, life, leverage)


def _builders(assets: Mapping[str, Asset]) -> Iterator[Perp]:
    """The builder dexes' coins; each seventh has been delisted."""
    made = []
    for turn, (dex, (_, collateral, coins)) in enumerate(DEXES.items()):
        quote = assets[_QUOTE_TOKENS[collateral]]
        for place, coin in enumerate(coins.split()):
            life = first_life(150 + 12 * turn + place)
            if place % 7 == 6:
                life = Life(life.announced_ms, life.listed_ms, life.listed_ms + (600 + 31 * place) * DAY_MS)
            made.append(_perp(coin, assets, life, 10 + 10 * (place % 3 == 0), dex=dex, quote=quote))
    return iter(sorted(made, key=_announced_ms))


def _invented(seed: int, ending_percent: int, assets: Mapping[str, Asset]) -> Iterator[Perp]:
    """Main-dex perpetuals on coins nobody has issued."""
    coins = invented_assets(seed, frozenset(assets))
    for place, life in enumerate(lives(_FIRST_PERPS, ending_percent // 2, "hyperliquid")):
        coin = next(coins)
        yield _perp(coin.name, {coin.name: coin, "USDC": assets["USDC"]}, life, 3 if place % 4 else 5)


def _perp(
    coin: str, assets: Mapping[str, Asset], life: Life, leverage: int, *, dex: str = "", quote: Asset | None = None
) -> Perp:
    thousand = coin[0] == "k" and coin[1:2].isupper()
    base = assets[coin[1:]].times(1000, coin) if thousand else assets[coin.rstrip("*?")]
    name = f"{dex}:{coin}" if dex else coin
    instrument = _instrument(name, base, quote or assets["USDC"], life, _size_decimals(base.dollars), _PERP_DECIMALS)
    chance = crc32(name.encode())
    isolated = leverage == 3 and chance % 2 == 0
    return Perp(
        instrument=instrument,
        dex=dex,
        max_leverage=leverage,
        only_isolated=isolated,
        growth=chance % 3 == 0,
        prelisted_days=_PRELISTED.get(coin, chance % 900 if chance % 4 else 0) if not dex else 0,
    )


def _instrument(name: str, base: Asset, quote: Asset, life: Life, size_scale: int, decimals: int) -> Instrument:
    """Its price step is the finest that the exchange allows; the five significant digits are a matter of writing."""
    trades = {"BTC": 280_000, "ETH": 220_000, "SOL": 120_000, "HYPE": 150_000}
    return Instrument(
        exchange="hyperliquid",
        symbol=name,
        base=base,
        quote=quote,
        price_scale=decimals - size_scale,
        tick=1,
        size_scale=size_scale,
        trades_a_day=trades.get(base.name, 250 + crc32(name.encode()) % 9_000),
        life=life,
    )


def _size_decimals(price: float) -> int:
    """Size decimals that a coin of that price has."""
    return next((digits for digits, least in ((5, 20_000), (4, 1000), (3, 100), (2, 8), (1, 0.4)) if price >= least), 0)
