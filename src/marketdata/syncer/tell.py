"""What a sync changes, told as events: what those need who keep a copy of the metadata."""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import JsonValue

from marketdata.core.models import EventType, Interval, IntervalSpec
from marketdata.store.events import NewEvent
from marketdata.store.symbols import StoredSymbol

_UNTOLD = frozenset({"id", "aliases", "status", "delisted_at", "delisted_at_source", "first_seen_at", "last_seen_at"})
"""Fields that are told otherwise: by the name that changes with it, by the kind of the event, by its time."""

_OF_INTERVALS = ("token", "anchor", "offset_ms")


def tell_symbols(pairs: Iterable[tuple[StoredSymbol | None, StoredSymbol]]) -> list[NewEvent]:
    """The events of instruments, each as it was and as it is, in an order in which names are given up before taken."""

    def place(pair: tuple[StoredSymbol | None, StoredSymbol]) -> tuple[int, str]:
        before, after = pair
        if before is None:
            return 2, after.symbol.symbol
        return (0 if after.replaced_at is not None else 1), after.symbol.symbol

    return [event for before, after in sorted(pairs, key=place) for event in _tell(before, after)]


def _tell(before: StoredSymbol | None, after: StoredSymbol) -> Iterator[NewEvent]:
    def event(kind: EventType, old: JsonValue, new: JsonValue, field: str | None = None) -> NewEvent:
        symbol = after.symbol
        return NewEvent(
            type=kind, symbol=symbol.symbol, exchange_symbol=symbol.exchange_symbol, field=field, old=old, new=new
        )

    new = after.symbol.model_dump(mode="json")
    if before is None:
        yield event(EventType.LISTED, None, new["status"])
        return
    old = before.symbol.model_dump(mode="json")
    changed = [name for name in new if name not in _UNTOLD and old[name] != new[name]]
    was_delisted, is_delisted = old["delisted_at"] is not None, new["delisted_at"] is not None
    if "symbol" in changed:
        yield event(EventType.FIELD_CHANGED, old["symbol"], new["symbol"], "symbol")
    if was_delisted != is_delisted:
        yield event(EventType.DELISTED if is_delisted else EventType.RELISTED, old["status"], new["status"])
    elif old["status"] != new["status"]:
        yield event(EventType.STATUS_CHANGED, old["status"], new["status"])
    for name in changed:
        if name != "symbol":
            yield event(EventType.FIELD_CHANGED, old[name], new[name], name)


def tell_intervals(before: Sequence[IntervalSpec], after: Sequence[IntervalSpec]) -> list[NewEvent]:
    """The events of an exchange's intervals, as they were and as they are."""
    old, new = {spec.interval: spec for spec in before}, {spec.interval: spec for spec in after}
    events = []
    for interval in Interval:
        if interval in old and interval in new:
            was, now = old[interval].model_dump(mode="json"), new[interval].model_dump(mode="json")
            events += [
                NewEvent(type=EventType.FIELD_CHANGED, interval=interval, field=name, old=was[name], new=now[name])
                for name in _OF_INTERVALS
                if was[name] != now[name]
            ]
        elif interval in old:
            was = old[interval].model_dump(mode="json")
            events.append(NewEvent(type=EventType.INTERVAL_REMOVED, interval=interval, old=was))
        elif interval in new:
            now = new[interval].model_dump(mode="json")
            events.append(NewEvent(type=EventType.INTERVAL_ADDED, interval=interval, new=now))
    return events
