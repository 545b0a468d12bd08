"""How the processes of one installation share a client's limits: what core asks of whoever counts for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Final, Literal, Protocol

from marketdata.core.clock import Clock

Kind = Literal["requests", "candles"]
"""What a client has so much of in a minute."""

KINDS: Final[tuple[Kind, ...]] = ("requests", "candles")

WINDOW_S: Final = 60.0
_WINDOW_MS: Final = 60_000

Amounts = Mapping[Kind, int]


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute of the installation's clock, and what a client's processes have taken in it."""

    start_ms: int
    """Which one it is: its beginning, epoch ms."""
    ends_at: float
    """In seconds of this process's monotonic clock; not later than it really ends."""
    taken: Amounts = field(default_factory=dict)
    """By all processes, as far as is known; a kind of which nothing is known is left out."""
    is_seen: bool = True
    """Whether anybody has looked at what was taken in this minute; if not, it is only reckoned from an earlier one."""


class Minutes:
    """Which minute it is, reckoned on from the one that was seen last."""

    def __init__(self, now: float) -> None:
        """Until one has been seen a minute begins now."""
        self._start_ms = 0
        self._ends_at = now + WINDOW_S

    def see(self, start_ms: int, ends_at: float) -> None:
        """Take note of a minute that somebody who knows has told of."""
        self._start_ms = start_ms
        self._ends_at = ends_at

    def present(self, now: float) -> tuple[int, float]:
        """The present minute: its beginning, epoch ms, and when it ends on the monotonic clock."""
        passed = 0 if now < self._ends_at else 1 + floor((now - self._ends_at) / WINDOW_S)
        return self._start_ms + passed * _WINDOW_MS, self._ends_at + passed * WINDOW_S


class RatePool(Protocol):
    """What counts for the whole installation, as one process sees it."""

    @property
    def is_reachable(self) -> bool:
        """Whether what was taken can be told."""
        ...

    @property
    def can_lease(self) -> bool:
        """Whether it can be reached and all processes have told what they took while it could not."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether each process goes on with its share; not at once, for others may be able to lease still."""
        ...

    @property
    def processes(self) -> int:
        """How many processes share the limits, this one included, as far as known; at least 1."""
        ...

    def minute(self, client_id: str) -> Minute:
        """The present minute and what is known of it."""
        ...

    async def take(self, client_id: str, amounts: Amounts) -> Minute:
        """Count `amounts` for the client in the present minute, whatever its limits are; less than 0 gives back.

        Returns the minute in which they count, with what is taken in it now, these included. A kind that is missing
        there was not counted. Raises DatabaseUnavailable at once or within a second or two; `can_lease` is then False.
        """
        ...


class OwnRates:
    """For a process that is alone: all is its own and nothing is counted anywhere else. A RatePool."""

    is_reachable = False
    can_lease = False
    is_alone = True
    processes = 1

    def __init__(self, clock: Clock) -> None:
        """Its minutes begin now."""
        self._clock = clock
        self._minutes = Minutes(clock.monotonic())

    def minute(self, _: str) -> Minute:
        """The present minute."""
        start_ms, ends_at = self._minutes.present(self._clock.monotonic())
        return Minute(start_ms, ends_at, is_seen=False)

    async def take(self, client_id: str, _: Amounts) -> Minute:
        """Nothing is counted."""
        return self.minute(client_id)
