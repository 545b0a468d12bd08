"""The metadata in memory: a whole snapshot per generation, swapped at once, served on when the database is away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from marketdata.api.caching import HIT
from marketdata.api.instruments import Instruments
from marketdata.api.problems import Problem, not_ready
from marketdata.api.search import suggest
from marketdata.core.models import ExchangeId, Source, Symbol
from marketdata.store.engine import Database
from marketdata.store.exchanges import ExchangeState, list_exchanges
from marketdata.store.installation import get_source
from marketdata.store.symbols import list_stored
from marketdata.store.syncs import HAD_A_LISTING, Reading, SyncRun, last_runs


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of one exchange from one listing on until the next one was read."""

    exchange: ExchangeId
    instruments: Instruments
    reading: Reading

    def symbol(self, name: str) -> Symbol:
        """The instrument that a path means; Problem `unknown-symbol` if none."""
        return _find(self.exchange, self.instruments, name)


def _find(exchange: str, instruments: Instruments, name: str) -> Symbol:
    symbol = instruments.find(name)
    if symbol is None:
        near = [symbol.symbol for symbol in suggest([instruments], name)]
        raise unknown_symbol(f"No instrument of {exchange} has this symbol", near)
    return symbol


def unknown_symbol(detail: str, near: Sequence[str]) -> Problem:
    """The refusal of a name that no instrument has; `near`: what may have been meant."""
    problem = Problem("unknown-symbol", f"{detail}; `/v1/resolve` finds any spelling.", parameter="symbol")
    if near:
        problem.members["did_you_mean"] = near
    return problem


@dataclass(frozen=True, slots=True)
class Search:
    """Where instruments are looked for, all at the same moment."""

    known: Mapping[ExchangeId, Known]
    """In the order of the exchanges' names."""
    unread: Sequence[ExchangeId]
    """Where one would have to look, too, but no sync has succeeded yet, or had at that moment."""
    is_held: bool = True
    """Whether all of it was in memory, and nothing had to be asked for."""

    @property
    def instruments(self) -> Sequence[Instruments]:
        """Those of each exchange."""
        return [known.instruments for known in self.known.values()]

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be missing from what is found."""
        return not self.unread

    def check_absence(self) -> None:
        """When nothing was found now: Problem `metadata-not-ready` if that does not mean that there is nothing."""
        if self.unread:
            raise not_read(self.unread)

    def headers(self, now_ms: int) -> dict[str, str]:
        """Which generations an answer from here is of (RFC 9651, a dictionary), and how old the oldest is.

        Also that no database was asked for it, where that is so (RFC 9211).
        """
        generations = ", ".join(f"{exchange}={known.reading.generation}" for exchange, known in self.known.items())
        oldest_ms = min(known.reading.at_ms for known in self.known.values())
        how = {"Cache-Status": HIT} if self.is_held else {}
        return {"Marketdata-Generation": generations, "Age": str(max(0, now_ms - oldest_ms) // 1000), **how}


def not_read(exchanges: Iterable[str]) -> Problem:
    """The refusal as long as the instruments of `exchanges` are needed and unknown."""
    return not_ready(f"The instruments of {', '.join(exchanges)} have not been read yet")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database said when it was last asked."""

    states: Mapping[ExchangeId, ExchangeState]
    instruments: Mapping[ExchangeId, Instruments]
    source: Source | None
    """Whose data the database holds; None before the first sync."""
    last_runs: Mapping[ExchangeId, SyncRun]
    """The newest sync of each exchange, however it ended."""
    last_judged: Mapping[ExchangeId, SyncRun]
    """The newest of each that had a listing, applied or quarantined."""

    def known(self, exchange: ExchangeId) -> Known | None:
        """What it says of one exchange; None before the first sync."""
        instruments, state = self.instruments.get(exchange), self.states.get(exchange)
        if instruments is None or state is None or state.last_synced_at is None:
            return None
        return Known(exchange, instruments, Reading(state.generation, state.last_synced_at))

    @classmethod
    def empty(cls) -> Self:
        """Before the database was first asked."""
        return cls({}, {}, None, {}, {})


class Catalogue:
    """The newest snapshot and how it is renewed."""

    def __init__(self, exchanges: Sequence[ExchangeId]) -> None:
        """`exchanges`: those that are served; others in the database are not shown."""
        self.exchanges = tuple(exchanges)
        self.snapshot = Snapshot.empty()

    @property
    def is_ready(self) -> bool:
        """Whether there is metadata of any exchange."""
        return bool(self.snapshot.instruments)

    def check_exchange(self, exchange: str) -> ExchangeId:
        """`exchange`, being one that is served; else Problem `unknown-exchange`."""
        if exchange in self.exchanges:
            return ExchangeId(exchange)
        raise Problem(
            "unknown-exchange",
            f"Exchanges served here are {', '.join(self.exchanges)}.",
            parameter="exchange",
            supported=self.exchanges,
        )

    def allowed(self, exchange: str | None) -> tuple[ExchangeId, ...]:
        """The one exchange, or all; Problem `unknown-exchange` if it is not served."""
        return self.exchanges if exchange is None else (self.check_exchange(exchange),)

    def of(self, exchange: str) -> Instruments:
        """The instruments of one exchange; Problem `unknown-exchange` or `metadata-not-ready` when there are none."""
        instruments = self.snapshot.instruments.get(self.check_exchange(exchange))
        if instruments is None:
            raise not_read([exchange])
        return instruments

    def symbol(self, exchange: str, name: str) -> Symbol:
        """The instrument that a path means.

        Raises Problem `unknown-exchange`, `metadata-not-ready` or `unknown-symbol`.
        """
        return _find(exchange, self.of(exchange), name)

    def search(self, exchange: str | None) -> Search:
        """Where to look for instruments now: on one exchange, or on all that have been read.

        Raises Problem `unknown-exchange`, or `metadata-not-ready` when there is nowhere to look.
        """
        snapshot, allowed = self.snapshot, self.allowed(exchange)
        known = {one: held for one in sorted(allowed) if (held := snapshot.known(one)) is not None}
        if not known:
            raise not_read(allowed)
        return Search(known, [one for one in allowed if one not in known])

    async def refresh(self, database: Database) -> None:
        """Look whether anything is new and read it whole. Raises DatabaseUnavailable, keeping what is held."""
        async with database.transaction(of_one_instant=True) as connection:
            states = {
                state.exchange: state for state in await list_exchanges(connection) if state.exchange in self.exchanges
            }
            source = await get_source(connection)
            held = self.snapshot
            instruments = dict(held.instruments)
            for exchange, state in states.items():
                before = held.states.get(exchange)
                if state.last_synced_at is None or state == before:
                    continue
                if exchange in instruments and before is not None and _is_unchanged(before, state):
                    instruments[exchange] = instruments[exchange].seen_at(state.last_synced_at)
                else:
                    instruments[exchange] = Instruments(await list_stored(connection, exchange))
            runs, judged = await last_runs(connection), await last_runs(connection, HAD_A_LISTING)
        self.snapshot = Snapshot(states, instruments, source, runs, judged)


def _is_unchanged(before: ExchangeState, after: ExchangeState) -> bool:
    """Whether the syncs between the two, of the same history, found nothing new."""
    return (before.first_synced_at, before.generation) == (after.first_synced_at, after.generation) and (
        before.listings <= after.listings
    )
