"""Who is told of in the audit log, and how often."""

from typing import Final

from starlette.requests import Request

from marketdata.api.record import record_of
from marketdata.core.clock import Clock
from marketdata.store.audit import Actor

SELDOM_S: Final = 60.0
"""What comes in floods is written once in this time for each subject by each process: refusals, and looks of admins."""

_MAX_REMEMBERED: Final = 10_000


def actor_of(request: Request, client_id: str | None) -> Actor:
    """Who sends a request."""
    address = None if request.client is None else request.client.host
    return Actor(client_id, address, record_of(request.scope).request_id)


class Seldom:
    """Lets each thing through once in a while."""

    def __init__(self, clock: Clock) -> None:
        """Nothing has come yet."""
        self._clock = clock
        self._last: dict[tuple[str | None, ...], float] = {}

    def is_due(self, *thing: str | None) -> bool:
        """Whether it has not come for SELDOM_S; it has now."""
        now = self._clock.monotonic()
        if thing in self._last and now < self._last[thing] + SELDOM_S:
            return False
        self._last.pop(thing, None)
        if len(self._last) >= _MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[thing] = now
        return True
