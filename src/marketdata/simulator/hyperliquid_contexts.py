"""What Hyperliquid tells of its coins' present: mids, and the contexts beside its universes.

The shapes are those of recorded answers (mainnet 2025-08 to 2026-02).
"""

from collections.abc import Sequence

from marketdata.simulator.decimals import one_decimal
from marketdata.simulator.grids import DAY_MS, MINUTE_MS
from marketdata.simulator.hyperliquid_candles import price_text
from marketdata.simulator.hyperliquid_universe import MISSING_PAIRS, Pair, Perp
from marketdata.simulator.market import Instrument, Market

OUTCOME_MIDS = {"#30": "0.62", "#31": "0.38", "+3": "0.5"}
"""Outcome markets (HIP-4) and a token of one: they have a mid, and are in no universe."""

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


class Contexts:
    """The present of a market's coins."""

    def __init__(self, market: Market) -> None:
        """Of the coins of `market`."""
        self._market = market

    def mids(self, perps: Sequence[Perp], pairs: Sequence[Pair], now_ms: int) -> dict[str, str]:
        """Prices of what trades, by coin."""
        live: list[Perp | Pair] = [perp for perp in perps if not perp.delisted(now_ms)]
        return {
            entry.instrument.symbol: self._price(entry.instrument, now_ms)
            for entry in [*live, *pairs]
            if entry.instrument.life.listed_ms <= now_ms
        }

    def perps(self, perps: Sequence[Perp], now_ms: int) -> list[dict[str, object]]:
        """The contexts beside a universe, in its order."""
        return [self._perp(perp, now_ms) for perp in perps]

    def pairs(self, pairs: Sequence[Pair], now_ms: int) -> list[dict[str, object]]:
        """More rows than pairs, and from some place on in another order: they are to be joined by `coin`."""
        rows = [self._pair(pair.instrument, now_ms) for pair in pairs]
        in_order = MISSING_PAIRS[0]
        rows += [_NO_CONTEXT | {"coin": f"@{index}"} for index in MISSING_PAIRS if index < len(pairs)]
        return rows[:in_order] + sorted(rows[in_order:], key=lambda row: str(row["coin"]))

    def _price(self, instrument: Instrument, now_ms: int) -> str:
        at_ms = max(instrument.last_ms(now_ms), instrument.life.listed_ms)
        minute_ms = at_ms - at_ms % MINUTE_MS
        return price_text(instrument, self._market.bar(instrument, minute_ms, minute_ms + MINUTE_MS, at_ms).close)

    def _day(self, instrument: Instrument, now_ms: int) -> dict[str, str]:
        """A coin's figures of the day so far; turnovers carry the noise that live ones do."""
        if now_ms < instrument.life.listed_ms or now_ms > instrument.last_ms(now_ms):
            return {"prevDayPx": "0.0", "dayNtlVlm": "0.0", "dayBaseVlm": "0.0"}
        day_ms = now_ms - now_ms % DAY_MS
        bar = self._market.bar(instrument, day_ms, day_ms + DAY_MS, now_ms)
        turnover = one_decimal(
            bar.quote * 10_000 + bar.trades % 9_973, instrument.price_scale + instrument.size_scale + 4
        )
        size = one_decimal(bar.size, instrument.size_scale)
        return {"prevDayPx": price_text(instrument, bar.open), "dayNtlVlm": turnover, "dayBaseVlm": size}

    def _perp(self, perp: Perp, now_ms: int) -> dict[str, object]:
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

    def _pair(self, instrument: Instrument, now_ms: int) -> dict[str, object]:
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
