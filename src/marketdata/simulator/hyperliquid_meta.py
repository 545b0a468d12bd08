"""How Hyperliquid writes its universes and candles, and where the simulated ones come from.

The shapes are those of recorded answers (mainnet 2025-08 to 2026-07).
"""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from marketdata.simulator.answers import Rows, SymbolUnknownError, json_body
from marketdata.simulator.bars import Bar
from marketdata.simulator.catalogue import Catalogue
from marketdata.simulator.decimals import one_decimal, significant
from marketdata.simulator.grids import DAILY, DAY_MS, MINUTE_MS, Grid, Months, Steps
from marketdata.simulator.hyperliquid_universe import DEXES, MISSING_PAIRS, Pair, Perp, Token, Tokens, pairs, perps
from marketdata.simulator.market import Instrument, Market
from marketdata.simulator.prelisting import Prelisted
from marketdata.simulator.scenario import Scenario

_SIGNIFICANT_DIGITS = 5


_NO_CONTEXT: dict[str, object] = {
    "prevDayPx": "0.0",
    "dayNtlVlm": "0.0",
    "markPx": "0.0",
    "midPx": None,
    "circulatingSupply": "0.0",
    "coin": "",
    "totalSupply": "0.0",
    "dayBaseVlm": "0.0",
}
"""Of a pair that is not in the universe."""


class SimulatedHyperliquid:
    """What the simulated market has of Hyperliquid."""

    def __init__(self, market: Market, scenario: Scenario) -> None:
        """The coins of `market`."""
        self.market = market
        self._scenario = scenario
        self._perps = Catalogue(perps(market.seed, scenario.ending_percent))
        self._tokens = Tokens(market.seed)
        self._pairs = Catalogue(pairs(self._tokens))
        self._grids = grids(scenario)
        self._prelisted: dict[str, Prelisted] = {}

    def count(self, now_ms: int) -> int:
        """How many perpetuals and pairs are listed."""
        return len(self._perps.listed(now_ms)) + len(self._pairs.listed(now_ms))

    def instrument(self, coin: str, now_ms: int) -> Instrument:
        """A listed coin's instrument. Raises SymbolUnknownError."""
        entry = self._perps.get(coin, now_ms) or self._pairs.get(coin, now_ms)
        if entry is None:
            raise SymbolUnknownError(coin)
        return entry.instrument

    def prelisted(self, coin: str, now_ms: int) -> Prelisted:
        """A listed coin's instrument with its made-up rows. Raises SymbolUnknownError."""
        instrument = self.instrument(coin, now_ms)
        if coin not in self._prelisted:
            days, perp = self._scenario.prelisted_days, self._perps.get(coin, now_ms)
            usual = perp.prelisted_days if perp else 0
            self._prelisted[coin] = Prelisted.of(instrument, usual if days is None else days.get(coin, 0))
        return self._prelisted[coin]

    def kept_from_ms(self, interval: str, now_ms: int) -> int:
        """The open of the oldest candle that is still kept; it slides with the clock."""
        grid = self._grids[interval]
        return grid.open_ms(max(grid.index(now_ms) - self._scenario.kept_rows + 1, grid.index(0)))

    def candles(self, coin: str, interval: str, now_ms: int) -> tuple[Grid, Rows]:
        """The candles of a coin and where they open. Raises SymbolUnknownError."""
        coin_with_past, grid = self.prelisted(coin, now_ms), self._grids[interval]
        instrument, write = coin_with_past.instrument, old_candle if self._scenario.old_keys else candle
        kept_ms, late_ms = self.kept_from_ms(interval, now_ms), self._scenario.late_flat_ms

        def rows(first_ms: int, last_ms: int, limit: int, *, newest: bool) -> list[bytes]:
            selected = coin_with_past.select(
                self.market, grid, max(first_ms, kept_ms), last_ms, limit, newest=newest, now_ms=now_ms
            )
            return [
                write(instrument, interval, open_ms, next_ms, bar)
                for open_ms, next_ms, bar in selected
                if bar.trades or not late_ms or next_ms + late_ms <= now_ms
            ]

        return grid, rows

    def listing(self, kind: str, dex: str, now_ms: int) -> bytes:
        """The answer to a request that is not about candles. Raises SymbolUnknownError for an unknown dex."""
        if dex and dex not in DEXES:
            raise SymbolUnknownError(dex)
        answer: object
        match kind:
            case "meta":
                answer = self._meta(dex, now_ms)
            case "metaAndAssetCtxs":
                answer = [self._meta(dex, now_ms), [self._context(perp, now_ms) for perp in self._dex(dex, now_ms)]]
            case "allPerpMetas":
                answer = [self._meta(name, now_ms) for name in ("", *DEXES)]
            case "perpDexs":
                answer = [None, *(self._perp_dex(name, now_ms) for name in DEXES)]
            case "spotMeta":
                answer = self._spot_meta(now_ms)
            case "spotMetaAndAssetCtxs":
                answer = [self._spot_meta(now_ms), self._spot_contexts(now_ms)]
            case _:
                answer = self._mids(dex, now_ms)
        return json_body(answer)

    def _dex(self, dex: str, now_ms: int) -> list[Perp]:
        return [perp for perp in self._perps.listed(now_ms) if perp.dex == dex]

    def _meta(self, dex: str, now_ms: int) -> dict[str, object]:
        collateral = DEXES[dex][1] if dex else 0
        universe = [_asset(perp, now_ms) for perp in self._dex(dex, now_ms)]
        meta: dict[str, object] = {"universe": universe, "marginTables": _margin_tables()}
        return {**meta, "collateralToken": collateral} if self._scenario.collateral_tokens else meta

    def _perp_dex(self, dex: str, now_ms: int) -> dict[str, object]:
        address = "0x" + blake2b(dex.encode(), digest_size=20).hexdigest()
        names = [perp.instrument.symbol for perp in self._dex(dex, now_ms)]
        return {
            "name": dex,
            "fullName": DEXES[dex][0],
            "deployer": address,
            "oracleUpdater": None,
            "feeRecipient": address,
            "assetToStreamingOiCap": [[name, "25000000.0"] for name in sorted(names)],
            "subDeployers": [["setOracle", [address]]],
            "deployerFeeScale": "1.0",
            "lastDeployerFeeScaleChangeTime": "1970-01-01T00:00:00",
            "assetToFundingMultiplier": [],
        }

    def _spot_meta(self, now_ms: int) -> dict[str, object]:
        listed = self._pairs.listed(now_ms)
        universe = [
            {
                "tokens": pair.tokens,
                "name": pair.instrument.symbol,
                "index": pair.index,
                "isCanonical": pair.index == 0,
            }
            for pair in listed
        ]
        return {"universe": universe, "tokens": [_token(token) for token in self._tokens.listed(listed)]}

    def _mids(self, dex: str, now_ms: int) -> dict[str, str]:
        """Prices of what trades; the main dex's answer has the spot pairs too."""
        live: list[Perp | Pair] = [perp for perp in self._dex(dex, now_ms) if not perp.delisted(now_ms)]
        live += self._pairs.listed(now_ms) if not dex else []
        return {
            entry.instrument.symbol: self._price(entry.instrument, now_ms)
            for entry in live
            if entry.instrument.life.listed_ms <= now_ms
        }

    def _price(self, instrument: Instrument, now_ms: int) -> str:
        at_ms = max(instrument.last_ms(now_ms), instrument.life.listed_ms)
        minute_ms = at_ms - at_ms % MINUTE_MS
        return _price(instrument, self.market.bar(instrument, minute_ms, minute_ms + MINUTE_MS, at_ms).close)

    def _day(self, instrument: Instrument, now_ms: int) -> dict[str, str]:
        """A coin's figures of the day so far; turnovers carry the noise that live ones do."""
        if now_ms < instrument.life.listed_ms or now_ms > instrument.last_ms(now_ms):
            return {"prevDayPx": "0.0", "dayNtlVlm": "0.0", "dayBaseVlm": "0.0"}
        day_ms = now_ms - now_ms % DAY_MS
        bar = self.market.bar(instrument, day_ms, day_ms + DAY_MS, now_ms)
        turnover = one_decimal(
            bar.quote * 10_000 + bar.trades % 9_973, instrument.price_scale + instrument.size_scale + 4
        )
        size = one_decimal(bar.size, instrument.size_scale)
        return {"prevDayPx": _price(instrument, bar.open), "dayNtlVlm": turnover, "dayBaseVlm": size}

    def _context(self, perp: Perp, now_ms: int) -> dict[str, object]:
        """A perpetual's context; what a delisted one has no more is null."""
        price = self._price(perp.instrument, now_ms)
        day = self._day(perp.instrument, now_ms)
        live = not perp.delisted(now_ms)
        return {
            "funding": "0.0000125" if live else "0.0",
            "openInterest": day["dayBaseVlm"],
            "prevDayPx": day["prevDayPx"],
            "dayNtlVlm": day["dayNtlVlm"],
            "premium": "-0.0002298729" if live else None,
            "oraclePx": price,
            "markPx": price,
            "midPx": price if live else None,
            "impactPxs": [price, price] if live else None,
            "dayBaseVlm": day["dayBaseVlm"],
        }

    def _spot_contexts(self, now_ms: int) -> list[dict[str, object]]:
        """More rows than pairs, and from some place on in another order: they are to be joined by `coin`."""
        listed = self._pairs.listed(now_ms)
        rows = [self._spot_context(pair.instrument, now_ms) for pair in listed]
        in_order = MISSING_PAIRS[0]
        rows += [_NO_CONTEXT | {"coin": f"@{index}"} for index in MISSING_PAIRS if index < len(listed)]
        return rows[:in_order] + sorted(rows[in_order:], key=lambda row: str(row["coin"]))

    def _spot_context(self, instrument: Instrument, now_ms: int) -> dict[str, object]:
        price, day = self._price(instrument, now_ms), self._day(instrument, now_ms)
        return {
            "prevDayPx": day["prevDayPx"],
            "dayNtlVlm": day["dayNtlVlm"],
            "markPx": price,
            "midPx": None if day["dayNtlVlm"] == "0.0" else price,
            "circulatingSupply": "1000000000.0",
            "coin": instrument.symbol,
            "totalSupply": "1000000000.0",
            "dayBaseVlm": day["dayBaseVlm"],
        }


def grids(scenario: Scenario) -> Mapping[str, Grid]:
    """Where the candles of each interval open."""
    return {
        **{interval: grid for interval, grid in DAILY.items() if interval != "6h"},
        # Raw division from the epoch, so weeks begin on Thursday.
        "1w": Steps(7 * DAY_MS),
        "1M": Months() if scenario.calendar_months else Steps(30 * DAY_MS),
    }


def candle(instrument: Instrument, interval: str, open_ms: int, next_ms: int, bar: Bar) -> bytes:
    """A candle; `T` is its last millisecond."""
    opened, high, low, closed = (_price(instrument, price) for price in bar[:4])
    size = one_decimal(bar.size, instrument.size_scale)
    return (
        f'{{"t":{open_ms},"T":{next_ms - 1},"s":"{instrument.symbol}","i":"{interval}","o":"{opened}","c":"{closed}"'
        f',"h":"{high}","l":"{low}","v":"{size}","n":{bar.trades}}}'
    ).encode()


def old_candle(instrument: Instrument, interval: str, open_ms: int, next_ms: int, bar: Bar) -> bytes:
    """A candle with its keys in the order of the alphabet, capitals first, as until 2023."""
    keys: dict[str, object] = msgspec.json.decode(candle(instrument, interval, open_ms, next_ms, bar))
    return json_body({key: keys[key] for key in sorted(keys)})


def _price(instrument: Instrument, ticks: int) -> str:
    """A price of five significant digits; rounding keeps the order of prices, so candles still agree."""
    scale = instrument.price_scale
    return one_decimal(significant(ticks * instrument.tick, scale, _SIGNIFICANT_DIGITS), scale)


def _asset(perp: Perp, now_ms: int) -> dict[str, object]:
    """One entry of a universe; optional keys are absent, not false."""
    asset: dict[str, object] = {
        "szDecimals": perp.instrument.size_scale,
        "name": perp.instrument.symbol,
        "maxLeverage": perp.max_leverage,
        "marginTableId": perp.max_leverage,
    }
    if perp.only_isolated:
        asset["onlyIsolated"] = True
    if perp.delisted(now_ms):
        asset["isDelisted"] = True
    if perp.dex and perp.only_isolated:
        asset["marginMode"] = "noCross"
    if perp.dex and perp.growth:
        asset["growthMode"] = "enabled"
        asset["lastGrowthModeChangeTime"] = "2025-11-23T17:37:10.033211662"
    return asset


def _margin_tables() -> list[list[object]]:
    return [
        [leverage, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": leverage}]}]
        for leverage in (3, 5, 10, 20, 25, 40, 50)
    ]


def _token(token: Token) -> dict[str, object]:
    """One spot token."""
    digest = blake2b(f"{token.index}/{token.asset.name}".encode(), digest_size=20).hexdigest()
    linked = token.index and token.index % 3 == 1
    return {
        "name": token.asset.name,
        "szDecimals": 8 if token.index == 0 else token.size_decimals,
        "weiDecimals": 8,
        "index": token.index,
        "tokenId": "0x" + digest[:32],
        "isCanonical": token.index in {0, 1},
        "evmContract": {"address": "0x" + digest, "evm_extra_wei_decimals": 10} if linked else None,
        "fullName": None if token.index % 2 else token.asset.name.title(),
        "deployerTradingFeeShare": "1.0" if token.index > 196 else "0.0",
    }
