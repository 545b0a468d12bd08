"""What is kept of each instrument and told of it: plain data of the oracle."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MINUTE_MS = 60_000

type State = Mapping[str, Any]
"""The fields of an instrument as the API writes them in JSON."""


@dataclass(frozen=True)
class Rules:
    """When a listing is not believed, and when an instrument that is missing is delisted; the documented defaults."""

    lost: float = 0.2
    new: float = 0.5
    unreadable: float = 0.01
    floor: int = 5
    listings: int = 3
    patience_ms: int = 30 * MINUTE_MS


class Told(NamedTuple):
    """An event, all of it but its id and generation."""

    exchange: str
    observed_at: int
    type: str
    symbol: str
    exchange_symbol: str
    field: str | None
    old: Any
    new: Any
    initial: bool


class Version(NamedTuple):
    """A state, and between which syncs it was the one that is known."""

    valid_from: int
    valid_to: int | None
    state: State


@dataclass
class Life:
    """One instrument, from the first listing that had it."""

    identity: str
    states: list[tuple[int, State]]
    """Each state from when on, without `last_seen_at`."""
    seen: list[int]
    """All listings that had it."""
    is_present: bool = True
    missing: list[int] = field(default_factory=list)
    """The listings since the last that had it."""
    replaced: bool = False
    """Whether its exchange symbol is another instrument's now."""

    @property
    def state(self) -> State:
        """The newest."""
        return self.states[-1][1]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that nobody else may have: of a replaced one the present, else all that it ever had."""
        return (self.state["symbol"],) if self.replaced else (self.state["symbol"], *self.state["aliases"])

    def at(self, at_ms: int) -> State | None:
        """What was known of it at a moment; None before it was."""
        place = bisect_right(self.states, at_ms, key=lambda each: each[0])
        if not place:
            return None
        return {**self.states[place - 1][1], "last_seen_at": self.seen[bisect_right(self.seen, at_ms) - 1]}
