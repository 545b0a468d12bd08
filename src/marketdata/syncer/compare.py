"""The third step of a sync: what a listing changes about what is stored. Pure; an unchanged listing changes nothing.

No instrument is ever deleted: one that leaves the listing is delisted, one whose identity changes makes way under
another name and keeps the former one as an alias, whoever has it next. Among the others every name, former ones
included, belongs to one instrument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Literal

from marketdata.core.models import ExchangeId, Instrument, ListedInstrument, Listing, Status, Symbol
from marketdata.core.naming import assign_names, canonical_spelling, unmarked_name, yymmdd
from marketdata.store.symbols import StoredSymbol
from marketdata.store.syncs import Clash, SymbolChange

type ChangeKind = Literal["listed", "delisted", "relisted", "replaced", "changed"]

_NOBODY = "\0"
"""Holds the names of replaced instruments: no exchange symbol has this character."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a sync has to do, and how it is reported."""

    symbols: list[StoredSymbol]
    """The instruments to write, new and changed ones, whole."""
    changes: list[SymbolChange]
    """One for each of them."""
    clashes: list[Clash]
    """Listed instruments, new or not, that are called otherwise because another one holds their name."""

    def count(self, *kinds: ChangeKind) -> int:
        """How many changes are of these kinds."""
        return sum(change.change in kinds for change in self.changes)


def compare(exchange: ExchangeId, stored: Sequence[StoredSymbol], listing: Listing, now_ms: int) -> Comparison:
    """What `listing`, read at `now_ms` (epoch ms, UTC), changes about all that was ever stored of `exchange`.

    An instrument whose row could not be read is listed all the same: it stays as it was last read.
    """
    listed = {instrument.exchange_symbol: instrument for instrument in listing.instruments}
    present = listed.keys() | {refusal.exchange_symbol for refusal in listing.refused}
    former = [row for row in stored if row.replaced_at is not None]
    current = [row for row in stored if row.replaced_at is None]
    leaving = [row for row in current if _is_replaced(row, listed)]
    staying = {row.symbol.exchange_symbol: row for row in current if not _is_replaced(row, listed)}

    held = {name: row.symbol.exchange_symbol for row in staying.values() for name in _names(row)}
    held |= {row.symbol.symbol: _NOBODY for row in former}
    names = {one: _take(name, one, held) for one, name in assign_names(listing.instruments, held).items()}
    wanted = {names[one]: unmarked_name(instrument) for one, instrument in listed.items()}
    clashes = [Clash(symbol=name, beside=wanted[name]) for name in sorted(wanted) if name != wanted[name]]

    after: list[StoredSymbol] = list(former)
    after += [_replaced(row, _take(_dated(row, now_ms), None, held), now_ms) for row in leaving]
    after += [_gone(row, now_ms) for one, row in staying.items() if one not in present]
    for one, instrument in listed.items():
        row = staying.get(one) or _unseen(exchange, instrument, names[one], now_ms)
        after.append(_seen(row, instrument, names[one], now_ms))

    before = {row.row_id: row for row in stored}
    written = [row for row in after if row != before.get(row.row_id)]
    changes = [_change(before.get(row.row_id), row) for row in written]
    return Comparison(written, sorted(changes, key=lambda change: change.symbol), clashes)


def _is_replaced(row: StoredSymbol, listed: Mapping[str, ListedInstrument]) -> bool:
    instrument = listed.get(row.symbol.exchange_symbol)
    return instrument is not None and instrument.identity != row.identity


def _names(row: StoredSymbol) -> tuple[str, ...]:
    return (row.symbol.symbol, *row.symbol.aliases)


def _take(name: str, owner: str | None, held: dict[str, str]) -> str:
    """The first of `name`, `name~2`, `name~3` … that is free or `owner`'s already; from now on it is held."""
    variants = chain([name], (f"{name}~{number}" for number in count(2)))
    taken = next(variant for variant in variants if held.get(variant, owner) == owner)
    held[taken] = owner or _NOBODY
    return taken


def _dated(row: StoredSymbol, now_ms: int) -> str:
    return f"{row.symbol.symbol}~{yymmdd(now_ms)}"


def _unseen(exchange: ExchangeId, instrument: ListedInstrument, name: str, now_ms: int) -> StoredSymbol:
    """An instrument that is listed for the first time."""
    symbol = Symbol(
        **{fact: getattr(instrument, fact) for fact in Instrument.model_fields},
        id=f"{exchange}:{name}",
        exchange=exchange,
        symbol=name,
        aliases=(),
        delisted_at=None,
        first_seen_at=now_ms,
        last_seen_at=now_ms,
    )
    return StoredSymbol(symbol, canonical_spelling(instrument.base), instrument.identity, listed=True)


def _seen(row: StoredSymbol, instrument: ListedInstrument, name: str, now_ms: int) -> StoredSymbol:
    """An instrument as the listing shows it now; an exchange that lists it as delisted says so itself."""
    is_delisted = instrument.status is Status.DELISTED
    facts = {fact: getattr(instrument, fact) for fact in Instrument.model_fields}
    delisted_at = row.symbol.delisted_at or now_ms
    symbol = row.symbol.model_copy(update={**facts, "delisted_at": delisted_at if is_delisted else None})
    return replace(row, symbol=_renamed(symbol, name), base=canonical_spelling(instrument.base), listed=True)


def _gone(row: StoredSymbol, now_ms: int) -> StoredSymbol:
    """An instrument that is not in the listing."""
    if not row.listed:
        return row
    update = {"status": Status.DELISTED, "delisted_at": row.symbol.delisted_at or now_ms}
    return replace(row, symbol=row.symbol.model_copy(update=update), listed=False)


def _replaced(row: StoredSymbol, name: str, now_ms: int) -> StoredSymbol:
    """An instrument whose exchange symbol now means another one."""
    gone = _gone(row, now_ms)
    return replace(gone, symbol=_renamed(gone.symbol, name), replaced_at=now_ms)


def _renamed(symbol: Symbol, name: str) -> Symbol:
    """The instrument under `name`; what it was called before stays an alias."""
    if symbol.symbol == name:
        return symbol
    aliases = (*(alias for alias in symbol.aliases if alias != name), symbol.symbol)
    return symbol.model_copy(update={"id": f"{symbol.exchange}:{name}", "symbol": name, "aliases": aliases})


def _change(before: StoredSymbol | None, after: StoredSymbol) -> SymbolChange:
    """How the report tells it."""
    fields: dict[str, tuple[object, object]] = {}
    kind: ChangeKind = "changed"
    if before is None:
        kind = "listed"
    else:
        old, new = before.symbol.model_dump(mode="json"), after.symbol.model_dump(mode="json")
        fields = {name: (old[name], new[name]) for name in new if name != "id" and old[name] != new[name]}
        beside = ((name, getattr(before, name), getattr(after, name)) for name in ("base", "listed"))
        fields |= {name: (old, new) for name, old, new in beside if old != new}
        if before.replaced_at != after.replaced_at:
            kind = "replaced"
        elif before.symbol.delisted_at is None and after.symbol.delisted_at is not None:
            kind = "delisted"
        elif before.symbol.delisted_at is not None and after.symbol.delisted_at is None:
            kind = "relisted"
    return SymbolChange(
        symbol=after.symbol.symbol, exchange_symbol=after.symbol.exchange_symbol, change=kind, fields=fields
    )
