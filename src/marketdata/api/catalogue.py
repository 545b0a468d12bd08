"""The metadata in memory: a whole snapshot per generation, swapped at once, served on when the database is away."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from marketdata.api.problems import Problem, not_ready
from marketdata.core.models import ExchangeId, Source, Symbol
from marketdata.core.naming import canonical_spelling
from marketdata.store.engine import Database
from marketdata.store.exchanges import ExchangeState, list_exchanges
from marketdata.store.installation import get_source
from marketdata.store.symbols import StoredSymbol, list_stored


class Instruments:
    """One exchange's symbols at one generation, found by any of their names."""

    def __init__(self, stored: Iterable[StoredSymbol]) -> None:
        """`stored`: all that were ever seen."""
        rows = sorted(stored, key=lambda row: row.symbol.symbol)
        self.symbols: Sequence[Symbol] = [row.symbol for row in rows]
        self._volume_units = {row.symbol.symbol: _volume_unit(row) for row in rows}
        self._row_ids = {row.symbol.symbol: row.row_id for row in rows}
        self._replaced = {row.symbol.symbol for row in rows if row.replaced_at is not None}
        self._by_exchange_symbol = {row.symbol.exchange_symbol: row.symbol for row in rows if row.replaced_at is None}
        self._by_symbol = {symbol.symbol: symbol for symbol in self.symbols}
        # of several that were once called so the last one: one that was not replaced, else the one replaced last
        newest_last = sorted(rows, key=lambda row: math.inf if row.replaced_at is None else row.replaced_at)
        self._by_alias = {alias: row.symbol for row in newest_last for alias in row.symbol.aliases}
        self._by_any: Mapping[str, list[Symbol]] = _index(self.symbols)

    def find(self, name: str) -> Symbol | None:
        """The one instrument that a path means: the exchange's symbol as it stands, our symbol, or a former one."""
        exact = self._by_exchange_symbol.get(name)
        if exact is not None:
            return exact
        ours = canonical_spelling(name)
        return self._by_symbol.get(ours) or self._by_alias.get(ours)

    def matches(self, name: str) -> list[Symbol]:
        """Every instrument that anyone calls so, by symbol; letter case counts only where it tells two apart."""
        return self._by_any.get(canonical_spelling(name), [])

    def is_replaced(self, symbol: Symbol) -> bool:
        """Whether its exchange symbol now belongs to another instrument, so that its candles cannot be asked for."""
        return symbol.symbol in self._replaced

    def row_id(self, symbol: Symbol) -> int:
        """Its row in the database."""
        row_id = self._row_ids[symbol.symbol]
        if row_id is None:
            raise ValueError(f"{symbol.id} is not stored")
        return row_id

    def volume_unit(self, symbol: Symbol) -> str:
        """What `volume` of its candles counts: its base with the factor, such as `1000SHIB`."""
        return self._volume_units[symbol.symbol]

    @cached_property
    def encoded(self) -> Mapping[str, bytes]:
        """Each symbol as JSON, by name, encoded once per generation."""
        return {symbol.symbol: symbol.model_dump_json().encode() for symbol in self.symbols}


def _volume_unit(row: StoredSymbol) -> str:
    """The base as the symbol spells it, without the dex: the exchange's own asset field can name another asset."""
    dex = row.symbol.dex
    return row.base if dex is None else row.base.removeprefix(f"{canonical_spelling(dex)}.")


def _index(symbols: Iterable[Symbol]) -> Mapping[str, list[Symbol]]:
    index: dict[str, list[Symbol]] = defaultdict(list)
    for symbol in symbols:
        names = (symbol.symbol, symbol.id, symbol.exchange_symbol, symbol.ccxt_symbol, *symbol.aliases)
        for name in {canonical_spelling(name) for name in names if name is not None}:
            index[name].append(symbol)
    return dict(index)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database said when it was last asked."""

    states: Mapping[ExchangeId, ExchangeState]
    instruments: Mapping[ExchangeId, Instruments]
    source: Source | None
    """Whose data the database holds; None before the first sync."""

    @classmethod
    def empty(cls) -> Self:
        """Before the database was first asked."""
        return cls({}, {}, None)


@dataclass(frozen=True, slots=True)
class Search:
    """Where instruments are looked for."""

    instruments: Mapping[ExchangeId, Instruments]
    """In the order of the exchanges' names."""
    unread: Sequence[ExchangeId]
    """Where one would have to look, too, but no sync has succeeded yet."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be missing from what is found."""
        return not self.unread

    def check_absence(self) -> None:
        """When nothing was found: Problem `metadata-not-ready` if that does not mean that there is nothing."""
        if self.unread:
            raise _not_read(self.unread)


def _not_read(exchanges: Iterable[str]) -> Problem:
    """The refusal as long as the instruments of `exchanges` are needed and unknown."""
    return not_ready(f"The instruments of {', '.join(exchanges)} have not been read yet")


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

    def of(self, exchange: str) -> Instruments:
        """The instruments of one exchange; Problem `unknown-exchange` or `metadata-not-ready` when there are none."""
        instruments = self.snapshot.instruments.get(self.check_exchange(exchange))
        if instruments is None:
            raise _not_read([exchange])
        return instruments

    def search(self, exchange: str | None) -> Search:
        """Where to look for instruments: on one exchange, or on all that have been read.

        Raises Problem `unknown-exchange`, or `metadata-not-ready` when there is nowhere to look.
        """
        held = self.snapshot.instruments
        allowed = self.exchanges if exchange is None else (self.check_exchange(exchange),)
        unread = [one for one in allowed if one not in held]
        if len(unread) == len(allowed):
            raise _not_read(unread)
        return Search({one: held[one] for one in sorted(allowed) if one in held}, unread)

    def symbol(self, exchange: str, name: str) -> Symbol:
        """The instrument that a path means.

        Raises Problem `unknown-exchange`, `metadata-not-ready` or `unknown-symbol`.
        """
        symbol = self.of(exchange).find(name)
        if symbol is None:
            raise Problem(
                "unknown-symbol",
                f"No instrument of {exchange} has this symbol; `/v1/resolve` finds any spelling.",
                parameter="symbol",
            )
        return symbol

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
                if state.last_synced_at is not None and state != held.states.get(exchange):
                    instruments[exchange] = Instruments(await list_stored(connection, exchange))
        self.snapshot = Snapshot(states, instruments, source)
