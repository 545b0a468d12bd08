"""What a client may ask in a minute and at once, as each of its requests meets it."""

import logging
import math
from collections.abc import Callable
from typing import Final

from marketdata.api.problems import Problem
from marketdata.api.usage import UsageBook
from marketdata.core.clock import Clock
from marketdata.core.limits import Allowance, Limiter, RatePool
from marketdata.store.engine import Database

logger = logging.getLogger(__name__)

LimitsOf = Callable[[str], tuple[int, int]]
"""The requests and candles that the client of an id may have in a minute."""

_TICK_S: Final = 1.0
_USAGE_S: Final = 10.0
"""How often what was counted is written down."""


class Limits:
    """The limits of all clients, and what they have used."""

    def __init__(self, pool: RatePool, clock: Clock, limits_of: LimitsOf, at_once: int) -> None:
        """`at_once`: how many requests of one client this process answers at the same time."""
        self.clock = clock
        self.limits_of = limits_of
        self.most_at_once = at_once
        self.limiter = Limiter(pool, clock, limits_of)
        self.usage = UsageBook(clock)
        self.at_once: dict[str, int] = {}
        """How many requests of each client are being answered."""

    async def keep(self, database: Database) -> None:
        """Keep what is leased and what is used in step with the database; for ever, and once more when cancelled."""
        written_at = self.clock.monotonic()
        try:
            while True:
                await self.clock.sleep(_TICK_S)
                try:
                    await self.limiter.tick()
                    if self.clock.monotonic() - written_at >= _USAGE_S:
                        written_at = self.clock.monotonic()
                        await self.usage.write(database)
                except Exception:
                    logger.exception("defect while keeping the limits")  # the next round may succeed
        finally:
            await self.usage.write(database)


class Visit:
    """One request of a client, from the gate to the end of its answer."""

    __slots__ = ("_client_id", "_is_in", "_limits", "_meter", "_reserved", "_start_ms")

    def __init__(self, limits: Limits, client_id: str) -> None:
        """Of a client who has shown a good token."""
        self._limits = limits
        self._client_id = client_id
        self._meter = limits.limiter.meter(client_id)
        self._is_in = False
        self._reserved = 0
        self._start_ms = 0

    async def enter(self) -> None:
        """Take one request. Raises Problem `rate-limited`."""
        limits = self._limits
        limits.usage.of(self._client_id).requests += 1
        present = limits.at_once.get(self._client_id, 0)
        if present >= limits.most_at_once:
            self._count_refusal()
            raise Problem(
                "rate-limited",
                f"At most {limits.most_at_once} requests of a client are answered at a time; wait for one of yours.",
                retry_after=1,
            )
        limits.at_once[self._client_id] = present + 1
        self._is_in = True
        requests = self._meter.requests
        wait_s = await limits.limiter.take(self._meter, requests, 1)
        if wait_s is not None:
            raise self._refuse("The requests of this minute are used up.", wait_s, requests)

    async def reserve_candles(self, most: int) -> None:
        """Take as many candles as the answer may hold. Raises Problem `rate-limited`."""
        candles = self._meter.candles
        wait_s = await self._limits.limiter.take(self._meter, candles, most)
        if wait_s is not None:
            left = candles.left + candles.rest
            raise self._refuse(
                f"{left} candles are left in this minute; a smaller `limit` may fit.", wait_s, candles, most
            )
        self._reserved = most
        self._start_ms = self._meter.start_ms

    def serve_candles(self, count: int) -> None:
        """So many candles are in the answer; what else was reserved can be had by others."""
        self._meter.put_back(self._meter.candles, self._reserved - count, self._start_ms)
        self._reserved = 0
        self._limits.usage.of(self._client_id).candles += count

    def leave(self) -> None:
        """The request is over, however it ended."""
        if self._reserved:
            self.serve_candles(0)
        if self._is_in:
            self._is_in = False
            at_once = self._limits.at_once
            at_once[self._client_id] -= 1
            if not at_once[self._client_id]:
                del at_once[self._client_id]

    def headers(self) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        """What is left, as draft-ietf-httpapi-ratelimit-headers has it."""
        requests, candles = self._meter.requests, self._meter.candles
        ends_s = max(0, math.ceil(self._meter.ends_at - self._limits.clock.monotonic()))
        return (
            (b"ratelimit-policy", b'"requests";q=%d;w=60, "candles";q=%d;w=60' % (requests.limit, candles.limit)),
            (
                b"ratelimit",
                b'"requests";r=%d;t=%d, "candles";r=%d;t=%d'
                % (requests.left + requests.rest, ends_s, candles.left + candles.rest, ends_s),
            ),
        )

    def _refuse(self, detail: str, wait_s: float, allowance: Allowance, amount: int = 1) -> Problem:
        self._count_refusal()
        left = allowance.left + allowance.rest
        retry_after = max(1, math.ceil(wait_s))
        if left >= amount or self._meter.is_on_credit:
            return Problem("rate-limited", "It cannot be found out right now what is left.", retry_after=retry_after)
        return Problem("rate-limited", detail, retry_after=retry_after, max=left)

    def _count_refusal(self) -> None:
        self._limits.usage.of(self._client_id).limited += 1
