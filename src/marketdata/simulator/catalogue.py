"""What an exchange lists, as the clock moves: made once each, in the order of announcement, and as far as needed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import reduce
from itertools import count
from typing import Protocol, Self
from zlib import crc32

from marketdata.simulator.grids import DAY_MS, HOUR_MS
from marketdata.simulator.listing_changes import ListingChange, Plan
from marketdata.simulator.market import Instrument, Life

GENESIS_MS = int(datetime(2019, 9, 8, tzinfo=UTC).timestamp()) * 1000
"""The first trade of the first instruments."""
_FIRST_WAVE_MS = int(datetime(2023, 12, 1, tzinfo=UTC).timestamp()) * 1000 - GENESIS_MS
_RHYTHM_MS = 5 * DAY_MS
_NOTICE_MS = 6 * DAY_MS
"""Longer than the rhythm, so that something is always announced and not yet traded."""


class Entry(Protocol):
    """Something listed."""

    @property
    def instrument(self) -> Instrument:
        """What is traded."""
        ...

    @property
    def removed_ms(self) -> int | None:
        """When it leaves the listing; None: it stays there when it has ended."""
        ...

    def changed(self, change: ListingChange) -> Self:
        """The same as it is listed after a change that leaves it there. Raises WrongListingChangeError."""
        ...


class Catalogue[E: Entry]:
    """Entries in the order of announcement, which may have no end, and what is planned to become of them."""

    def __init__(self, entries: Iterator[E]) -> None:
        """A catalogue of `entries`, announced one after the other."""
        self._coming = entries
        self._next: E | None = next(entries, None)
        self._made: dict[str, E] = {}
        self._plan = Plan()
        self._changed: dict[tuple[ListingChange, ...], E] = {}

    def listed(self, now_ms: int) -> list[E]:
        """All that the listing shows at `now_ms`, in the order of announcement."""
        self._reach(now_ms)
        shown = [entry for entry in self._made.values() if _shown(entry, now_ms)]
        if not self._plan:
            return shown
        return [entry for each in shown if (entry := self._as_planned(each, now_ms)) is not None]

    def get(self, symbol: str, now_ms: int) -> E | None:
        """The entry of that name, if the listing shows it at `now_ms`."""
        self._reach(now_ms)
        for announced in self._plan.called(symbol) if self._plan else (symbol,):
            entry = self._made.get(announced)
            if entry is not None and _shown(entry, now_ms):
                planned = self._as_planned(entry, now_ms)
                if planned is not None and planned.instrument.symbol == symbol:
                    return planned
        return None

    def plan(self, change: ListingChange) -> bool:
        """Let an entry change; False: nothing of that name is announced by then. Raises WrongListingChangeError."""
        self._reach(change.from_ms)
        entry = self._made.get(change.symbol)
        if entry is None:
            return False
        holder = self.get(change.target, change.from_ms) if change.change == "rename" else None
        if holder is not None and holder.instrument.first_symbol != change.symbol:
            raise change.wrong(f"{change.target} is another one's name then")
        _after(entry, change)
        self._plan.add(change)
        return True

    def keep(self) -> None:
        """Let all entries be as they were announced."""
        self._plan.clear()
        self._changed.clear()

    def _as_planned(self, entry: E, now_ms: int) -> E | None:
        """The entry as its changes leave it; None: absent. The same each time, for what is computed of it is kept."""
        changes = self._plan.at(entry.instrument.symbol, now_ms)
        if any(change.change == "absent" for change in changes):
            return None
        if changes and changes not in self._changed:
            self._changed[changes] = reduce(_after, changes, entry)
        return self._changed[changes] if changes else entry

    def _reach(self, now_ms: int) -> None:
        """Make all that is announced by now; the clock may have gone back since."""
        while self._next is not None and self._next.instrument.life.announced_ms <= now_ms:
            self._made[self._next.instrument.symbol] = self._next
            self._next = next(self._coming, None)


def _after[E: Entry](entry: E, change: ListingChange) -> E:
    """The entry after a change, which it may not see."""
    return entry if change.change == "absent" else entry.changed(change)


def _shown(entry: Entry, now_ms: int) -> bool:
    announced = entry.instrument.life.announced_ms <= now_ms
    return announced and (entry.removed_ms is None or now_ms < entry.removed_ms)


def first_life(number: int) -> Life:
    """The life of an instrument that is there from the beginning; they come within the first weeks."""
    listed_ms = GENESIS_MS + (number // 12) * DAY_MS
    return Life(listed_ms, listed_ms)


def lives(first_wave: int, ending_percent: int, name: str) -> Iterator[Life]:
    """Lives one after the other: `first_wave` of them until 2023-12, then one each five days for ever.

    So many per cent of them end, after one to three and a half years; `name` makes them differ from another exchange's.
    """
    for number in count():
        if number < first_wave:
            listed_ms = GENESIS_MS + 30 * DAY_MS + number * (_FIRST_WAVE_MS - 30 * DAY_MS) // first_wave
        else:
            listed_ms = GENESIS_MS + _FIRST_WAVE_MS + (number - first_wave + 1) * _RHYTHM_MS
        listed_ms -= listed_ms % HOUR_MS
        chance = crc32(f"{name}/{number}".encode())
        ends = chance % 100 < ending_percent
        ended_ms = listed_ms + (365 + chance // 100 % 900) * DAY_MS + chance // 7 % 24 * HOUR_MS
        yield Life(listed_ms - _NOTICE_MS, listed_ms, ended_ms if ends else None)


def price_decimals(price: float) -> int:
    """Decimals that give a price about five digits."""
    decimals = 0
    while price * 10**decimals < 10_000 and decimals < 10:
        decimals += 1
    return decimals


def size_decimals(price: float) -> int:
    """Decimals that make the smallest size worth some cents."""
    return next((decimals for decimals, least in ((3, 500), (2, 20), (1, 1)) if price >= least), 0)
