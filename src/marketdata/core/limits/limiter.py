"""The limits of all clients, as one process keeps them: from leases, or from its share while there are none."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.limits.meter import Allowance, Meter
from marketdata.core.limits.pool import WINDOW_S, RatePool

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 1.0
"""The most that a caller waits for a lease."""

BUSY_S: Final = 1.0
"""When to come again if nobody can say in that time whether something is left."""


class Limiter:
    """Takes requests and candles from what clients may have in a minute."""

    def __init__(self, pool: RatePool, clock: Clock, limits_of: Callable[[str], tuple[int, int]]) -> None:
        """`limits_of`: the requests and candles that the client of an id may have in a minute."""
        self._pool = pool
        self._clock = clock
        self._limits_of = limits_of
        self._meters: dict[str, Meter] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}

    def meter(self, client_id: str) -> Meter:
        """What is held of the client's limits."""
        meter = self._meters.get(client_id)
        if meter is None:
            meter = self._meters[client_id] = Meter(client_id)
        return meter

    async def take(self, meter: Meter, allowance: Allowance, amount: int) -> float | None:
        """Take so much of one of the meter's allowances; waits for a lease if need be, at most a second.

        None: it is taken; else the seconds after which there may be as much.
        """
        now = self._clock.monotonic()
        # a share is void as soon as the pool leases again, so that is looked at each time
        if now < meter.ends_at and not allowance.is_alone and allowance.spend(amount, now):
            if allowance.left <= allowance.low and meter.client_id not in self._flights:
                self._fly(meter)
            return None
        allowance.waiting += amount
        try:
            return await self._take_waiting(meter, allowance, amount, now)
        finally:
            allowance.waiting -= amount

    async def tick(self) -> None:
        """What is to be done about once a second: tell the books what they do not know, and forget who is gone."""
        now = self._clock.monotonic()
        for client_id, meter in list(self._meters.items()):
            if client_id in self._flights:
                continue
            if now - meter.last_spent >= 2 * WINDOW_S:
                del self._meters[client_id]
                continue
            self._catch_up(meter, now)
            meter.learn(self._pool.minute(client_id))
            if self._pool.is_reachable and (meter.has_unwritten or self._pool.can_lease):
                self._fly(meter)
        if self._flights:
            await asyncio.wait(self._flights.values())

    async def _take_waiting(self, meter: Meter, allowance: Allowance, amount: int, began: float) -> float | None:
        while True:
            now = self._clock.monotonic()
            self._catch_up(meter, now)
            if allowance.spend(amount, now):
                return None
            if meter.is_on_credit:
                return BUSY_S
            if allowance.left + allowance.rest < amount:
                return meter.ends_at - now
            if not self._pool.can_lease:
                meter.go_on_credit(self._pool.processes)
                continue
            patience_s = began + PATIENCE_S - now
            flight = self._flights.get(meter.client_id) or self._fly(meter)
            if patience_s <= 0 or not (await asyncio.wait({flight}, timeout=patience_s))[0]:
                return BUSY_S
            flight.result()

    def _catch_up(self, meter: Meter, now: float) -> None:
        """Be in the present minute, with the limits and the way of taking that are in force."""
        meter.set_limits(self._limits_of(meter.client_id))
        if now >= meter.ends_at:
            meter.begin(self._pool.minute(meter.client_id))
        if self._pool.can_lease:
            if meter.is_alone:
                meter.go_together()
        elif self._pool.is_alone and (meter.is_on_credit or not meter.is_alone):
            minute = self._pool.minute(meter.client_id)
            meter.go_alone(minute, self._pool.processes)

    def _fly(self, meter: Meter) -> asyncio.Task[None]:
        """Go to the books for a client, one at a time."""
        flight = asyncio.create_task(self._lease(meter))
        self._flights[meter.client_id] = flight
        flight.add_done_callback(lambda _: self._land(meter.client_id, flight))
        return flight

    def _land(self, client_id: str, flight: asyncio.Task[None]) -> None:
        del self._flights[client_id]
        if not flight.cancelled() and (error := flight.exception()) is not None:
            logger.error("defect while leasing", exc_info=error)

    async def _lease(self, meter: Meter) -> None:
        asked_in_ms = meter.start_ms
        asked, told = meter.ask(self._clock.monotonic())
        if not any(asked.values()) and not any(told.values()):
            return
        try:
            minute = await self._pool.take(meter.client_id, told)
        except DatabaseUnavailable:
            return  # the pool knows, and whoever waits asks it
        meter.book(minute, asked, told, asked_in_ms)
