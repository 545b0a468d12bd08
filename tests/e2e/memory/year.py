"""A year of an exchange's life, drawn: what the simulator is to list when, and when it is not well.

It stands beside the tests that live through it, for nobody else needs one; the simulator itself plays any such plan.
Births and deaths are the simulated market's own, and go on beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from random import Random
from typing import Any

import msgspec

from marketdata.core.models import DAY_MS, HOUR_MS
from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.sources import DEFAULT_SEED, Sources, simulated

EXCHANGES = ("binance_futures", "hyperliquid", "coinbase")
QUARTER_MS = 91 * DAY_MS

_STEPS = [f"0.{'0' * zeros}{digits}" for zeros in range(8) for digits in ("1", "2", "5", "10", "25")]
_BINANCE_WORDS = (
    "TRADING TRADING_HALT CANCEL_ONLY TRADING_CANCEL_ONLY PENDING_TRADING PRE_SETTLE CLOSE DELIVERED FROZEN"
)
_COINBASE_WORDS = (
    "online offline delisted internal frozen post_only limit_only cancel_only auction_mode trading_disabled"
)
_TARGETS: Mapping[tuple[str, str], Sequence[str]] = {
    ("tick", "binance_futures"): _STEPS,
    ("tick", "coinbase"): _STEPS,
    ("tick", "hyperliquid"): [*"0123456"],
    ("tick", "pair"): [*"012345678"],
    ("replace", "binance_futures"): ["BFUSD", "FDUSD", "USDC", "BNFCR"],
    ("replace", "coinbase"): ["BTC", "ETH", "SOL"],
    ("replace", "pair"): [str(token) for token in range(1, 361)],
    ("status", "binance_futures"): _BINANCE_WORDS.split(),
    ("status", "coinbase"): _COINBASE_WORDS.split(),
    ("status", "hyperliquid"): ["isDelisted", "listed"],
}
"""What an instrument of an exchange, or a pair of Hyperliquid's, may change to."""

BAD_LISTINGS = (
    "listing-empty",
    "listing-shrunk,percent=21",
    "listing-shrunk,percent=60",
    "listing-grown,percent=51",  # less than half more is believed, and that it ends is a loss of more than a fifth
    "listing-grown,percent=300",
    "listing-renamed",
    "listing-unknown-status",
    "listing-delisted",
    "listing-unreadable,percent=3",
    "listing-unreadable,percent=70",
    # not bad enough to be refused
    "listing-shrunk,percent=2",
    "listing-shrunk,percent=10",
    "listing-grown,percent=10",
    "listing-unreadable,percent=1",
)


@dataclass(frozen=True)
class Numbers:
    """How many of each a year has, of all exchanges together."""

    ticks: int = 300
    short_absences: int = 60
    long_absences: int = 30
    returns: int = 25
    """Removals that are taken back after weeks."""
    removals: int = 30
    renames: int = 25
    replacements: int = 30
    statuses: int = 120
    outages: int = 12
    bad_listings: int = 28


@dataclass(frozen=True)
class Year:
    """A plan for a simulator."""

    start_ms: int
    end_ms: int
    changes: tuple[ListingChange, ...]
    """For `Scenario(listing_changes=…)`."""
    faults: tuple[str, ...]
    """For `Controls.faults.add(…)`: they come and go by the simulator's clock. Exchanges that are away answer 503."""


def listing_year(
    seed: int,
    start_ms: int,
    every_ms: int = 6 * HOUR_MS,
    days: int = 365,
    numbers: Numbers | None = None,
    market_seed: int = DEFAULT_SEED,
) -> Year:
    """A plan for the market of `market_seed` from `start_ms` on; equal arguments draw equal plans.

    `every_ms`: how far apart the listings are read that are to see it: a short absence is one or two of them, a long
    one enough to count as a delisting.
    """
    return _Draw(seed, start_ms, every_ms, days, simulated(market_seed)).year(numbers or Numbers())


class _Draw:
    """The drawing of one year."""

    def __init__(self, seed: int, start_ms: int, every_ms: int, days: int, sources: Sources) -> None:
        self._random = Random(seed)
        self._start_ms, self._every_ms, self._end_ms = start_ms, every_ms, start_ms + days * DAY_MS
        self._numbers = count(1)
        self._listed = [
            {exchange: names(now_ms) for exchange, names in _names_of(sources).items()}
            for now_ms in range(start_ms, self._end_ms, QUARTER_MS)
        ]

    def year(self, numbers: Numbers) -> Year:
        every, week_ms = self._every_ms, 7 * DAY_MS
        changes = [
            *self._changes(numbers.ticks, "tick", for_good=0.8, longest_ms=60 * DAY_MS),
            *self._changes(numbers.short_absences, "absent", for_good=0, longest_ms=2 * every),
            *self._changes(numbers.long_absences, "absent", for_good=0, shortest_ms=3 * every, longest_ms=30 * every),
            *self._changes(numbers.returns, "absent", for_good=0, shortest_ms=week_ms, longest_ms=20 * week_ms),
            *self._changes(numbers.removals, "absent", for_good=1),
            *self._changes(numbers.renames, "rename", for_good=0.7, longest_ms=8 * week_ms),
            *self._changes(numbers.replacements, "replace", for_good=0.7, longest_ms=8 * week_ms),
            *self._changes(numbers.statuses, "status", for_good=0.3, longest_ms=4 * week_ms),
        ]
        faults = [self._fault("status,status=503", 3 * DAY_MS) for _ in range(numbers.outages)]
        bad = islice(cycle(BAD_LISTINGS), numbers.bad_listings)
        faults += [self._fault(kind, 5 * every) for kind in bad]
        return Year(self._start_ms, self._end_ms, tuple(changes), tuple(faults))

    def _changes(
        self, number: int, what: str, *, for_good: float, shortest_ms: int = 1, longest_ms: int = 1
    ) -> list[ListingChange]:
        changes: list[ListingChange] = []
        while len(changes) < number:
            exchange = self._random.choice(EXCHANGES)
            from_ms = self._random.randrange(self._start_ms, self._end_ms)
            symbol = self._random.choice(self._listed[(from_ms - self._start_ms) // QUARTER_MS][exchange])
            lasts_ms = self._random.randint(shortest_ms, longest_ms)
            until_ms = None if self._random.random() < for_good else from_ms + lasts_ms
            to = self._target(what, exchange, symbol)
            if what == "absent" or to is not None:
                given = {"exchange": exchange, "symbol": symbol, "change": what, "to": to}
                changes.append(msgspec.convert({**given, "from": from_ms, "until": until_ms}, ListingChange))
        return changes

    def _target(self, what: str, exchange: str, symbol: str) -> str | None:
        """What it changes to; None: to nothing, or it cannot change so."""
        sort = "pair" if exchange == "hyperliquid" and ("/" in symbol or symbol.startswith("@")) else exchange
        if what != "rename":
            possible = _TARGETS.get((what, sort))
            return self._random.choice(possible) if possible else None
        number = next(self._numbers)
        dex, colon, _ = symbol.rpartition(":")
        return {
            "binance_futures": f"ZR{number}USDT",
            "coinbase": f"ZR{number}-{symbol.rpartition('-')[2]}",
            "hyperliquid": f"{dex}{colon}ZR{number}",
            "pair": f"@{30_000 + number}",
        }[sort]

    def _fault(self, kind: str, longest_ms: int) -> str:
        exchange = self._random.choice(EXCHANGES)
        from_ms = self._random.randrange(self._start_ms + DAY_MS, self._end_ms)
        route = "" if kind.startswith("status") else ",route=listing"
        until_ms = from_ms + self._random.randint(self._every_ms // 2, longest_ms)
        return f"{kind},exchange={exchange}{route},from={from_ms},until={until_ms}"


def _names_of(sources: Sources) -> Mapping[str, Callable[[int], Sequence[str]]]:
    """What each exchange lists at a moment, by its own names."""

    def at(now_ms: int, kind: str) -> Any:
        return msgspec.json.decode(sources.hyperliquid.listing(kind, "", now_ms))

    def binance(now_ms: int) -> list[str]:
        return [row["symbol"] for row in msgspec.json.decode(sources.binance.exchange_info(now_ms))["symbols"]]

    def hyperliquid(now_ms: int) -> list[str]:
        universes = [*at(now_ms, "allPerpMetas"), at(now_ms, "spotMeta")]
        return [row["name"] for universe in universes for row in universe["universe"]]

    def coinbase(now_ms: int) -> list[str]:
        return [row["id"] for row in msgspec.json.decode(sources.coinbase.products(now_ms))]

    return {"binance_futures": binance, "hyperliquid": hyperliquid, "coinbase": coinbase}
