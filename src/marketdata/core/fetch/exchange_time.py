"""An exchange's own clock: asked now and then, carried on by ours in between."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from marketdata.core.clock import Clock
from marketdata.core.errors import MarketDataError
from marketdata.core.fetch.flight import Flights

VALID_S = 600.0
"""After that a sample is taken anew."""

_RETRY_S = 60.0
_STEP_S = 2.0  # wall and monotonic clock part by so much only when one was set, or stood still while the machine slept
_SHARP_S = 1.0  # the middle of a sample that took longer may be wrong by more than half a second
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class _Sample:
    time_ms: int
    """The exchange's time when its answer came, or a little before."""
    taken_at: float
    """On the monotonic clock."""
    taken_at_ms: int
    """On the wall clock."""
    doubt_s: float
    """How long the answer took: so much later it may have been at most."""


class ExchangeTime:
    """What time it is at an exchange."""

    def __init__(self, clock: Clock, ask: Callable[[], Awaitable[int]]) -> None:
        """`ask` asks the exchange, epoch ms; it may raise UpstreamError."""
        self._clock = clock
        self._ask = ask
        self._sample: _Sample | None = None
        self._next_at = 0.0
        self._flights: Flights[None, _Sample] = Flights()
        self._refreshing: asyncio.Task[None] | None = None

    async def now_ms(self) -> int:
        """The exchange's time, epoch ms.

        It is never ahead, so that no candle is taken as closed before it is: it may be behind by what the sample took.
        Waits for the exchange only when there is no sample yet, or when our clocks disagree about how old it is; then
        it raises UpstreamError if the exchange cannot be asked.
        """
        sample = self._sample
        if sample is None or self._have_parted(sample):
            sample = await self._flights.join(None, self._take)
        elif self._clock.monotonic() >= self._next_at:
            self._next_at = self._clock.monotonic() + _RETRY_S
            self._refreshing = asyncio.create_task(self._refresh())
        return self._carried_on(sample, 0.0)

    def known_ms(self) -> int | None:
        """The same without asking, and neither ahead nor behind; None: not known to half a second."""
        sample = self._sample
        if sample is None or sample.doubt_s > _SHARP_S or self._have_parted(sample):
            return None
        return self._carried_on(sample, sample.doubt_s / 2)

    async def _take(self) -> _Sample:
        sent_at = self._clock.monotonic()
        time_ms = await self._ask()
        taken_at = self._clock.monotonic()
        old, new = self._sample, _Sample(time_ms, taken_at, self._clock.now_ms(), taken_at - sent_at)
        if old is not None and self._is_sharper(old, new):
            self._next_at = taken_at + _RETRY_S
            return old
        self._sample = new
        self._next_at = taken_at + VALID_S
        return new

    async def _refresh(self) -> None:
        with suppress(MarketDataError):  # the old sample is carried on
            await self._flights.join(None, self._take)

    def _have_parted(self, sample: _Sample) -> bool:
        by_wall_s = (self._clock.now_ms() - sample.taken_at_ms) / _MS_PER_S
        return abs(by_wall_s - (self._clock.monotonic() - sample.taken_at)) > _STEP_S

    def _is_sharper(self, old: _Sample, new: _Sample) -> bool:
        """Whether `new` is too dull to replace `old`, and does not show it to be wrong."""
        if new.doubt_s <= max(_SHARP_S, old.doubt_s) or self._have_parted(old):
            return False
        ahead_s = (self._carried_on(old, 0.0) - new.time_ms) / _MS_PER_S
        return -old.doubt_s - _SHARP_S <= ahead_s <= new.doubt_s + _SHARP_S

    def _carried_on(self, sample: _Sample, later_s: float) -> int:
        return sample.time_ms + round((self._clock.monotonic() - sample.taken_at + later_s) * _MS_PER_S)
