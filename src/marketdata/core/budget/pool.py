"""How the processes of one installation share a budget: what core asks of whoever keeps the books for all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from marketdata.core.budget.bookings import Bookings, first_room_s
from marketdata.core.budget.rule import Rule
from marketdata.core.models import ExchangeId

Role = Literal["api", "syncer"]
"""On whose behalf an exchange is asked: a caller of the API, or the sync of its metadata."""

SilenceKind = Literal["limited", "banned"]
"""Why an exchange is not asked: it has refused us for asking too much, or banned this address."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody asks the exchange until then."""

    until: float
    """In seconds of this process's monotonic clock."""
    length_s: float
    """How long it was when it began."""


@dataclass(frozen=True, slots=True)
class Held:
    """Weight that counts for the whole installation."""

    ends_at: float
    """In seconds of this process's monotonic clock."""
    weight: int
    role: Role | None
    """None: other programs at the same address have used it."""


class Known:
    """What a process knows of the books of one exchange, since it last looked at them."""

    def __init__(self, held: Iterable[Held] = (), silences: Mapping[SilenceKind, Silence] | None = None) -> None:
        """`held`: all that counts, of whomever."""
        held = tuple(held)
        self.everyone = Bookings((one.ends_at, one.weight) for one in held)
        self.api = Bookings((one.ends_at, one.weight) for one in held if one.role == "api")
        self.silences = silences or {}

    def add(self, held: Held) -> None:
        """Take note of what this process has leased since."""
        self.everyone.add(held.ends_at, held.weight)
        if held.role == "api":
            self.api.add(held.ends_at, held.weight)

    def room(self, rule: Rule, role: Role, now: float) -> int:
        """How much more may be booked now."""
        room = rule.limit - self.everyone.active(now)
        return min(room, rule.api_limit - self.api.active(now)) if role == "api" else room

    def first_room_s(self, rule: Rule, role: Role, weight: int, now: float) -> float | None:
        """The seconds until there is room for `weight`, 0 when there is now; None: there never will be."""
        waits = [first_room_s(now, rule.limit, weight, self.everyone)]
        if role == "api":
            waits.append(first_room_s(now, rule.api_limit, weight, self.api))
        return longest(waits)


def longest(waits: Iterable[float | None]) -> float | None:
    """The longest of several waits; None, which is for ever, if one of them is."""
    longest_s = 0.0
    for wait_s in waits:
        if wait_s is None:
            return None
        longest_s = max(longest_s, wait_s)
    return longest_s


@dataclass(frozen=True, slots=True)
class Ask:
    """What a process would like to lease."""

    rule: Rule
    role: Role
    need: int
    """Less is of no use."""
    want: int
    """What would be spent at once."""
    counts_for_s: float
    """For how long the lease counts from now on, whenever it is spent."""

    def grant(self, known: Known, now: float) -> int:
        """How much of it can be had: a block, or a few for many; less near the end; 0: less than what it needs."""
        room = known.room(self.rule, self.role, now)
        most = max(self.need, self.rule.block, min(self.want, self.rule.most_blocks))
        return min(room, most) if room >= self.need else 0


@dataclass(slots=True)
class Lease:
    """Weight that this process may spend for a short while; what it does not spend is given back."""

    id: int
    left: int
    spend_before: float
    """In seconds of the monotonic clock."""
    spent: int = field(default=0)

    def left_at(self, now: float) -> int:
        """How much may still be spent."""
        return self.left if now < self.spend_before else 0

    def spend(self, weight: int, now: float) -> bool:
        """Whether `weight` was left; it is spent then."""
        if weight > self.left_at(now):
            return False
        self.left -= weight
        self.spent += weight
        return True


class BudgetPool(Protocol):
    """The books of the whole installation, as one process sees them."""

    @property
    def is_reachable(self) -> bool:
        """Whether leases can be had."""
        ...

    @property
    def shares_from(self) -> float:
        """Since or from when each process goes on with a share while they cannot, in seconds of the monotonic clock.

        Not at once: others may be able to lease still.
        """
        ...

    @property
    def processes(self) -> int:
        """How many processes share the budgets, this one included, as far as known; at least 1."""
        ...

    def known(self, exchange: ExchangeId) -> Known | None:
        """What is known of an exchange, kept up to date; None: the books have not been seen at all yet."""
        ...

    async def lease(self, exchange: ExchangeId, ask: Ask) -> Lease | None:
        """A lease, or None when there is no room; `known` is then up to date and says when there will be.

        The lease that this process had before is closed. Raises DatabaseUnavailable at once or within a fraction of a
        second; `is_reachable` is then False.
        """
        ...

    def record(self, exchange: ExchangeId, role: Role, ends_at: float, weight: int) -> None:
        """Note what was spent without a lease; it enters the books when they can be reached."""
        ...

    def report(self, exchange: ExchangeId, used: int, ends_at: float) -> None:
        """Note what the exchange says was used; what it is more than the books hold counts for all until `ends_at`."""
        ...

    async def silence(self, exchange: ExchangeId, kind: SilenceKind, silence: Silence) -> None:
        """Tell all processes, now and later ones, to keep silent; when the books cannot be reached, once they can."""
        ...
