"""Guesses of secrets, before they cost anything: what an address counts as, and who has to wait anyway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil, inf
from typing import Final
from weakref import WeakValueDictionary

from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable

FAILED_S: Final = 60.0
"""For how long after a wrong secret the attempts from its place are made one at a time."""

TURN_S: Final = 1.0
"""The most that an attempt waits for those before it from the same place."""

_MAX_REMEMBERED: Final = 10_000
_IPV6_BITS: Final = 64
"""What one household gets: to change the address within it costs nothing."""


def place_of(address: str | None) -> str:
    """What an address counts as: itself, or of IPv6 the network that it is in; `nowhere` without one."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "nowhere"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Network((int(parsed) >> _IPV6_BITS << _IPV6_BITS, _IPV6_BITS)))
    return str(parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else parsed)


class Slowed:
    """Who has to wait, so that a flood of guesses costs this process nothing but a look."""

    def __init__(self, clock: Clock) -> None:
        """Nobody has to."""
        self._clock = clock
        self._until: dict[tuple[str, ...], float] = {}
        self._failed: dict[str, float] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn_of(self, place: str) -> AsyncIterator[None]:
        """Where wrong secrets came from of late, one attempt at a time: the others wait here, not at the database.

        Raises DatabaseUnavailable when those before it wait too long there.
        """
        if self._clock.monotonic() >= self._failed.get(place, -inf):
            yield
            return
        turn = self._turns.setdefault(place, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_S):
                await turn.acquire()
        except TimeoutError:
            raise DatabaseUnavailable("those who came before still wait for the database") from None
        try:
            yield
        finally:
            turn.release()

    def note_wrong(self, place: str) -> None:
        """A wrong secret came from there."""
        self._failed.pop(place, None)
        if len(self._failed) >= _MAX_REMEMBERED:
            del self._failed[next(iter(self._failed))]
        self._failed[place] = self._clock.monotonic() + FAILED_S

    def wait_s(self, *attempt: str) -> int:
        """How many whole seconds such an attempt still has to wait; 0: as far as is known here, not at all."""
        left_s = self._until.get(attempt, 0.0) - self._clock.monotonic()
        if left_s <= 0:
            self._until.pop(attempt, None)
        return max(0, ceil(left_s))

    def remember(self, *attempt: str, wait_s: float) -> None:
        """Such an attempt has to wait so long."""
        if len(self._until) >= _MAX_REMEMBERED:
            del self._until[next(iter(self._until))]
        self._until[attempt] = self._clock.monotonic() + wait_s
