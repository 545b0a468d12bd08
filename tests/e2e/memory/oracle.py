"""What our API has to know of an exchange's catalogue, worked out from the listings alone.

It follows the documented rules one instrument at a time, and shares with the syncer only how a name is formed. All that
was ever read is kept.
"""

from collections.abc import Mapping
from typing import Any

from marketdata.core.models import Instrument, ListedInstrument, Listing
from marketdata.core.naming import assign_names, yymmdd
from tests.e2e.memory.lives import Life, Rules, State, Told, Version

_NOBODY = " "
"""Holds the names of replaced instruments: no exchange symbol is blank."""


class Catalogue:
    """All that was ever seen of one exchange."""

    def __init__(self, exchange: str, rules: Rules) -> None:
        """Nothing was read yet."""
        self.exchange = exchange
        self.events: list[Told] = []
        self.lives: list[Life] = []
        self.applied: list[int] = []
        """When listings were read that were applied."""
        self._rules = rules
        self._current: dict[str, Life] = {}
        """By exchange symbol, gone ones too."""

    def read(self, at_ms: int, listing: Listing) -> list[str]:
        """Learn from a listing, unless it is not to be believed: then why."""
        reasons = self._doubts(listing)
        if not reasons:
            self._learn(at_ms, listing)
        return reasons

    def _doubts(self, listing: Listing) -> list[str]:
        rules = self._rules
        listed = {one.exchange_symbol: one for one in listing.instruments}
        if not listed:
            return ["empty"]
        refused = [refusal.exchange_symbol for refusal in listing.refused]
        before = {
            symbol: life
            for symbol, life in self._current.items()
            if life.is_present or life.state["status"] != "delisted"
        }
        judged = {symbol: life for symbol, life in before.items() if symbol in listed or symbol not in refused}
        lost = [symbol for symbol, life in judged.items() if _is_lost(life, listed.get(symbol))]
        new = listed.keys() - before.keys()
        unreadable = {name for name in refused if name}
        nameless = refused.count(None)
        found = {
            "lost": len(lost) > max(rules.floor, rules.lost * len(before)),
            "new": bool(before) and len(new) > rules.floor and len(new) >= rules.new * len(before),
            "unreadable": len(unreadable) + nameless
            > max(rules.floor, rules.unreadable * (len(listed) + len(listing.refused))),
        }
        return [reason for reason, is_so in found.items() if is_so]

    def _learn(self, at_ms: int, listing: Listing) -> None:
        listed = {one.exchange_symbol: one for one in listing.instruments}
        refused = [refusal.exchange_symbol for refusal in listing.refused]
        replaced = [
            self._current.pop(symbol)
            for symbol, life in list(self._current.items())
            if symbol in listed and listed[symbol].identity != life.identity
        ]
        held = {name: symbol for symbol, life in self._current.items() for name in life.names}
        held |= {name: _NOBODY for life in self.lives if life.replaced for name in life.names}
        names = assign_names(listing.instruments, held)
        for symbol, name in names.items():
            names[symbol] = _free(name, symbol, held)
            held[names[symbol]] = symbol
        for life in replaced:
            self._replace(life, at_ms, held)
        for symbol, life in self._current.items():
            if symbol in listed or symbol in refused:
                life.seen.append(at_ms)
                life.is_present = True
                life.missing.clear()
            else:
                self._miss(life, at_ms)
        for symbol, one in listed.items():
            if symbol in self._current:
                self._see(self._current[symbol], one, names[symbol], at_ms)
            else:
                self._list(one, names[symbol], at_ms)
        self.applied.append(at_ms)

    def _replace(self, life: Life, at_ms: int, held: dict[str, str]) -> None:
        """Make way for another instrument of the same exchange symbol."""
        name = _free(f"{life.state['symbol']}~{yymmdd(at_ms)}", "", held)
        held[name] = _NOBODY
        since_ms = life.missing[0] if life.missing else at_ms
        self._change(life, at_ms, _renamed(life.state, name) | _delisted(life.state, since_ms))
        life.replaced, life.is_present = True, False

    def _miss(self, life: Life, at_ms: int) -> None:
        """Once is no delisting, and a state that was delisted stays so."""
        life.is_present = False
        life.missing.append(at_ms)
        if len(life.missing) >= self._rules.listings and at_ms - life.missing[0] >= self._rules.patience_ms:
            self._change(life, at_ms, _delisted(life.state, life.missing[0]))

    def _see(self, life: Life, one: ListedInstrument, name: str, at_ms: int) -> None:
        facts = _facts(one)
        since = {key: life.state[key] for key in ("delisted_at", "delisted_at_source")}
        if facts["status"] != "delisted":
            since = {"delisted_at": None, "delisted_at_source": None}
        elif since["delisted_at"] is None:
            since = {"delisted_at": at_ms, "delisted_at_source": "exchange"}
        self._change(life, at_ms, _renamed(life.state, name) | facts | since)

    def _list(self, one: ListedInstrument, name: str, at_ms: int) -> None:
        facts = _facts(one)
        is_delisted = facts["status"] == "delisted"
        state = {
            **facts,
            "id": f"{self.exchange}:{name}",
            "exchange": self.exchange,
            "symbol": name,
            "aliases": [],
            "delisted_at": at_ms if is_delisted else None,
            "delisted_at_source": "exchange" if is_delisted else None,
            "first_seen_at": at_ms,
        }
        life = Life(one.identity, [(at_ms, state)], [at_ms])
        self.lives.append(life)
        self._current[one.exchange_symbol] = life
        self._tell(at_ms, "listed", state, None, None, state["status"])

    def _change(self, life: Life, at_ms: int, update: State) -> None:
        """Let the instrument be so from now on, and tell what that changes."""
        old, new = life.state, {**life.state, **update}
        if old == new:
            return
        life.states.append((at_ms, new))
        if old["symbol"] != new["symbol"]:
            self._tell(at_ms, "field_changed", new, "symbol", old["symbol"], new["symbol"])
        if (old["delisted_at"] is None) != (new["delisted_at"] is None):
            self._tell(at_ms, "relisted" if old["delisted_at"] else "delisted", new, None, old["status"], new["status"])
        elif old["status"] != new["status"]:
            self._tell(at_ms, "status_changed", new, None, old["status"], new["status"])
        for name in Instrument.model_fields:
            if name != "status" and old[name] != new[name]:
                self._tell(at_ms, "field_changed", new, name, old[name], new[name])

    def _tell(self, at_ms: int, kind: str, state: State, name: str | None, old: Any, new: Any) -> None:
        symbols = (state["symbol"], state["exchange_symbol"])
        self.events.append(Told(self.exchange, at_ms, kind, *symbols, name, old, new, not self.applied))


class Oracle:
    """All that was ever seen of all exchanges."""

    def __init__(self, rules: Rules | None = None) -> None:
        """Nothing was read yet."""
        self._rules = rules or Rules()
        self._catalogues: dict[str, Catalogue] = {}

    def read(self, exchange: str, at_ms: int, listing: Listing) -> list[str]:
        """Learn from a listing that was read at `at_ms`, later than those before.

        Empty: it was applied; else it is quarantined and nothing changes, for these reasons: `empty`, `lost`, `new`,
        `unreadable`. A sync that got no listing is not told.
        """
        return self._catalogues.setdefault(exchange, Catalogue(exchange, self._rules)).read(at_ms, listing)

    @property
    def events(self) -> list[Told]:
        """All that there has to be in the feed, by the time of its listing; in which order within one is left open.

        But of one instrument they are in order: its name, then its status, then its other fields.
        """
        every = [event for catalogue in self._catalogues.values() for event in catalogue.events]
        return sorted(every, key=lambda event: event.observed_at)

    def applied(self, exchange: str) -> list[int]:
        """When the listings were read that were applied."""
        return self._catalogues[exchange].applied if exchange in self._catalogues else []

    def symbols(self, exchange: str, as_of_ms: int) -> dict[str, State] | None:
        """Every instrument as it was known at a moment, by its name then; None: nothing was known."""
        applied = self.applied(exchange)
        if not applied or as_of_ms < applied[0]:
            return None
        states = (life.at(as_of_ms) for life in self._catalogues[exchange].lives)
        return {state["symbol"]: state for state in states if state is not None}

    def history(self, exchange: str, symbol: str) -> list[Version]:
        """The states of the instrument that is called so now, oldest first, each with its newest `last_seen_at`.

        A state that is only seen no more is the same state. Raises KeyError.
        """
        lives = {life.state["symbol"]: life for life in self._catalogues[exchange].lives}
        starts = [since_ms for since_ms, _ in lives[symbol].states]
        ends: list[int | None] = [*starts[1:], None]
        versions = []
        for since_ms, until_ms in zip(starts, ends, strict=True):
            state = lives[symbol].at(self.applied(exchange)[-1] if until_ms is None else until_ms - 1)
            versions.append(Version(since_ms, until_ms, state or {}))
        return versions


def _is_lost(life: Life, one: ListedInstrument | None) -> bool:
    if one is None or one.identity != life.identity:
        return True
    return one.status.value in {"delisted", "unknown"} and one.status.value != life.state["status"]


def _facts(one: ListedInstrument) -> dict[str, Any]:
    return one.model_dump(mode="json", include=set(Instrument.model_fields))


def _renamed(state: State, name: str) -> dict[str, Any]:
    if state["symbol"] == name:
        return {}
    aliases = [*(alias for alias in state["aliases"] if alias != name), state["symbol"]]
    return {"symbol": name, "id": f"{state['exchange']}:{name}", "aliases": aliases}


def _delisted(state: State, since_ms: int) -> dict[str, Any]:
    """What delists an instrument that is not."""
    if state["delisted_at"] is not None:
        return {}
    return {"status": "delisted", "delisted_at": since_ms, "delisted_at_source": "observed"}


def _free(name: str, owner: str, held: Mapping[str, str]) -> str:
    """The name, or with the first number from 2 on that makes it nobody else's."""
    number, free = 1, name
    while held.get(free, owner) != owner:
        number += 1
        free = f"{name}~{number}"
    return free
