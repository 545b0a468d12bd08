"""Single flight: those who want the same at the same time share one call."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from marketdata.core.errors import MarketDataError


class Flights[K: Hashable, T]:
    """The calls that are under way, by what they ask."""

    def __init__(self) -> None:
        """None yet."""
        self._under_way: dict[K, _Flight[T]] = {}

    def __contains__(self, key: K) -> bool:
        """Whether a call for `key` is under way, which one may join."""
        return key in self._under_way

    async def join(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of the call for `key`: of the one under way, else of the one that `start` makes.

        A failure is raised in all who share the call. One who is cancelled leaves the others their call; the last one
        to leave ends it.
        """
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = _Flight(asyncio.ensure_future(start()))
            flight.call.add_done_callback(lambda _: self._land(key, flight))
        flight.aboard += 1
        try:
            return await asyncio.shield(flight.call)
        except MarketDataError as error:
            raise error.with_traceback(None) from error.__cause__  # raised in many, it must not gather all their traces
        finally:
            flight.aboard -= 1
            if not flight.aboard and not flight.call.done():
                self._land(key, flight)
                flight.call.cancel()

    def _land(self, key: K, flight: "_Flight[T]") -> None:
        if self._under_way.get(key) is flight:
            del self._under_way[key]


class _Flight[T]:
    """One call and how many wait for it."""

    def __init__(self, call: "asyncio.Future[T]") -> None:
        self.call = call
        self.aboard = 0
