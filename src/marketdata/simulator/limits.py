"""What the exchanges count of a caller's address: one ledger each, in the exchange's own unit and kind of window."""

from dataclasses import dataclass
from typing import Protocol

from marketdata.simulator.answers import Limits


@dataclass(slots=True)
class Usage:
    """What a ledger has seen; the unit is weight, or requests."""

    limit: int
    used: int = 0
    """In the present window, with what other programs at the address used."""
    most_used: int = 0
    """The highest of any window."""
    most_own: int = 0
    """Likewise, without the other programs."""
    refused: int = 0
    """Requests over the limit."""
    during_ban: int = 0
    """Requests in spite of a ban."""
    banned_until_ms: int = 0
    """The end of the last ban, epoch ms of the exchange; 0: there was none."""

    def record(self, used: int, foreign: int) -> None:
        """The window's present state; `foreign` is the other programs' part of it."""
        self.used = used
        self.most_used = max(self.most_used, used)
        self.most_own = max(self.most_own, used - foreign)


class Ledger(Limits, Protocol):
    """An exchange's limits, and what they have counted. The time is that of the request, which may also go back."""

    @property
    def usage(self) -> Usage:
        """What was counted so far."""
        ...

    def add_foreign(self, weight: int, now_ms: int) -> None:
        """Another program at the same address used `weight`."""
        ...
