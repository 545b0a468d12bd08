"""The one source of time: everything that needs "now" is handed a Clock.

Nothing else in the product asks the operating system for the time, so that a test or the demo can drive simulator,
syncer and API from one clock.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and sleeping, all three from one hand."""

    def now_ms(self) -> int:
        """Epoch milliseconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now_ms(self) -> int:
        """Epoch milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep in real time."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is moved; `sleep` moves it and returns at once."""

    def __init__(self, start_ms: int) -> None:
        """Begin at `start_ms`, epoch milliseconds."""
        self._start_ms = start_ms
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Epoch milliseconds as last set."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._now_ms - self._start_ms) / 1000

    async def sleep(self, seconds: float) -> None:
        """Move the clock on instead of waiting."""
        self._now_ms += round(seconds * 1000)
        await asyncio.sleep(0)

    def set(self, now_ms: int) -> None:
        """Move to `now_ms`, epoch milliseconds."""
        self._now_ms = now_ms

    def advance(self, ms: int) -> None:
        """Move on by `ms` milliseconds."""
        self._now_ms += ms
