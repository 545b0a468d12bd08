"""The third step of a sync: what a listing changes about what is stored. Pure; an unchanged listing changes nothing.

No instrument is ever deleted: one that is missing long enough is delisted, one whose identity changes makes way under
another name and keeps the former one as an alias, whoever has it next. Among the others every name, former ones
included, belongs to one instrument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from marketdata.core.models import (
    Authority,
    EventType,
    ExchangeId,
    Instrument,
    ListedInstrument,
    Listing,
    Status,
    Symbol,
)
from marketdata.core.naming import assign_names, canonical_spelling, unmarked_name, yymmdd
from marketdata.store.events import NewEvent
from marketdata.store.symbols import StoredSymbol
from marketdata.store.syncs import Clash
from marketdata.syncer.rules import GuardRules
from marketdata.syncer.tell import tell_symbols

_NOBODY = "\0"
"""Holds the names of replaced instruments: no exchange symbol has this character."""


_LASTING = frozenset({EventType.LISTED, EventType.DELISTED, EventType.RELISTED})


@dataclass(frozen=True, slots=True)
class Moment:
    """When a listing was read."""

    at_ms: int
    """Epoch ms, UTC."""
    listing: int
    """Its number: the first that is applied is 1."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a sync has to do, and how it is told."""

    symbols: list[StoredSymbol]
    """The instruments to write, new and changed ones, whole."""
    events: list[NewEvent]
    """What changed about them; nothing yet about one that is missing for the first time."""
    clashes: list[Clash]
    """Listed instruments, new or not, that are called otherwise because another one holds their name."""
    missing: list[str]
    """The names of those that are not in the listing and not yet delisted."""

    def count(self, kind: EventType) -> int:
        """How many events are of this kind."""
        return sum(event.type is kind for event in self.events)

    @property
    def changed(self) -> int:
        """How many instruments changed that were neither listed, delisted nor relisted."""
        lasting = {event.symbol for event in self.events if event.type in _LASTING}
        return len({event.symbol for event in self.events} - lasting)


def compare(
    exchange: ExchangeId, stored: Sequence[StoredSymbol], listing: Listing, moment: Moment, rules: GuardRules
) -> Comparison:
    """What `listing`, read at `moment`, changes about all that was ever stored of `exchange`.

    An instrument whose row could not be read is listed all the same: it stays as it was last read.
    """
    now_ms = moment.at_ms
    listed = {instrument.exchange_symbol: instrument for instrument in listing.instruments}
    unread = {refusal.exchange_symbol for refusal in listing.refused} - listed.keys()
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
    for one, row in staying.items():
        if one in unread:
            after.append(_unread(row))
        elif one not in listed:
            after.append(_gone(row, moment, rules))
    for one, instrument in listed.items():
        row = staying.get(one) or _unseen(exchange, instrument, names[one], now_ms)
        after.append(_seen(row, instrument, names[one], now_ms))

    before = {row.row_id: row for row in stored}
    written = [row for row in after if row != before.get(row.row_id)]
    events = tell_symbols((before.get(row.row_id), row) for row in written)
    gone = [row.symbol for row in after if row.missing_since is not None]
    missing = sorted(symbol.symbol for symbol in gone if symbol.status is not Status.DELISTED)
    return Comparison(written, events, clashes, missing)


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
        delisted_at_source=None,
        first_seen_at=now_ms,
        last_seen_at=now_ms,
    )
    return StoredSymbol(symbol, canonical_spelling(instrument.base), instrument.identity, listed=True)


def _seen(row: StoredSymbol, instrument: ListedInstrument, name: str, now_ms: int) -> StoredSymbol:
    """An instrument as the listing shows it now; an exchange that lists it as delisted says so itself."""
    facts = {fact: getattr(instrument, fact) for fact in Instrument.model_fields}
    if instrument.status is not Status.DELISTED:
        facts |= {"delisted_at": None, "delisted_at_source": None}
    elif row.symbol.delisted_at is None:
        facts |= {"delisted_at": now_ms, "delisted_at_source": Authority.EXCHANGE}
    return replace(
        row,
        symbol=_renamed(row.symbol.model_copy(update=facts), name),
        base=canonical_spelling(instrument.base),
        listed=True,
        missing_since=None,
        missing_since_listing=None,
    )


def _unread(row: StoredSymbol) -> StoredSymbol:
    """An instrument whose row in the listing tells nothing: it is no longer missing, and else as it was."""
    if row.missing_since is None or row.symbol.status is Status.DELISTED:
        return row
    return replace(row, listed=True, missing_since=None, missing_since_listing=None)


def _gone(row: StoredSymbol, moment: Moment, rules: GuardRules) -> StoredSymbol:
    """An instrument that is not in the listing: once is no delisting."""
    since_ms, since_listing = row.missing_since, row.missing_since_listing
    if since_ms is None or since_listing is None:
        since_ms, since_listing = moment.at_ms, moment.listing
        row = replace(row, listed=False, missing_since=since_ms, missing_since_listing=since_listing)
    listings = moment.listing - since_listing + 1
    if listings < rules.delist_after_listings or moment.at_ms - since_ms < rules.delist_after * 1000:
        return row
    return replace(row, symbol=_delisted(row.symbol, since_ms))


def _replaced(row: StoredSymbol, name: str, now_ms: int) -> StoredSymbol:
    """An instrument whose exchange symbol now means another one."""
    since_ms = row.missing_since or now_ms
    symbol = _renamed(_delisted(row.symbol, since_ms), name)
    return replace(row, symbol=symbol, listed=False, missing_since=None, missing_since_listing=None, replaced_at=now_ms)


def _delisted(symbol: Symbol, since_ms: int) -> Symbol:
    """The instrument delisted for what we saw, if it is not already."""
    if symbol.delisted_at is not None:
        return symbol
    update = {"status": Status.DELISTED, "delisted_at": since_ms, "delisted_at_source": Authority.OBSERVED}
    return symbol.model_copy(update=update)


def _renamed(symbol: Symbol, name: str) -> Symbol:
    """The instrument under `name`; what it was called before stays an alias."""
    if symbol.symbol == name:
        return symbol
    aliases = (*(alias for alias in symbol.aliases if alias != name), symbol.symbol)
    return symbol.model_copy(update={"id": f"{symbol.exchange}:{name}", "symbol": name, "aliases": aliases})
