"""A breaker: an exchange that fails again and again is left alone for a while, and its callers answered at once."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from marketdata.core.clock import Clock
from marketdata.core.errors import (
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.models import ExchangeId

FAILURES_TO_OPEN = 5
"""So many failures in a row, with no good answer between them, open the breaker."""

FIRST_REST_S = 5.0
LONGEST_REST_S = 15.0
"""How long the exchange is left alone: the first time, doubling while the probes fail, and at most."""

_JITTER = 0.2
"""Rests differ by up to this part, so that many processes do not probe at once."""


class Breaker:
    """Closed it lets all calls through; open it lets one through after each rest, the probe, and refuses the others.

    What counts as a failure: no whole answer in time, not to be reached, out of service, or blocked. An instrument that
    is refused is an answer; bad data, a spent budget and a ban say nothing about whether the exchange is up. A probe
    that brings bad data is a failure, though.
    """

    def __init__(self, exchange: ExchangeId, clock: Clock, chance: random.Random) -> None:
        """Closed."""
        self._exchange = exchange
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._last: UpstreamError | None = None
        self._rest_s: float  # set, like its end, when it opens
        self._rests_until: float
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether the exchange is being left alone."""
        return self._failures >= FAILURES_TO_OPEN

    @contextmanager
    def watch(self, *, proves_health: bool = True) -> Iterator[None]:
        """Around one call. Raises UpstreamUnavailable or UpstreamBlocked when the call must not be made.

        `proves_health`: whether a good answer shows that the exchange is up.
        """
        is_probe = self._admit()
        try:
            yield
        except (UpstreamUnavailable, UpstreamTimeout, UpstreamBlocked) as error:
            self._fail(error, is_probe=is_probe)
            raise
        except UpstreamRefused:
            self._failures = 0
            raise
        except UpstreamError as error:
            if is_probe and not isinstance(error, UpstreamRateLimited | UpstreamBanned):
                self._fail(error, is_probe=True)  # it is not well yet
            raise
        else:
            if proves_health:
                self._failures = 0
        finally:
            if is_probe:
                self._is_probing = False

    def check(self) -> None:
        """Raises UpstreamUnavailable or UpstreamBlocked while no call must be made."""
        if not self.is_open:
            return
        wait_s = self._rests_until - self._clock.monotonic()
        if wait_s > 0 or self._is_probing:
            raise self._refusal(max(wait_s, 1.0))

    def _admit(self) -> bool:
        """Whether the call is a probe."""
        self.check()
        self._is_probing = self.is_open
        return self._is_probing

    def _refusal(self, wait_s: float) -> UpstreamError:
        if isinstance(self._last, UpstreamBlocked):
            return UpstreamBlocked(self._exchange, self._last.status, by_region=self._last.by_region)
        last = str(self._last).removeprefix(f"{self._exchange}: ")
        detail = f"has failed {self._failures} times in a row and is left alone for a moment; the last time: {last}"
        return UpstreamUnavailable(self._exchange, detail, wait_s)

    def _fail(self, error: UpstreamError, *, is_probe: bool) -> None:
        self._failures += 1
        self._last = error
        if is_probe:
            self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)
        elif self._failures == FAILURES_TO_OPEN:
            self._rest_s = FIRST_REST_S
        else:
            return  # it is closed still, or others opened it while this call was on its way
        self._rests_until = self._clock.monotonic() + self._rest_s * self._chance.uniform(1 - _JITTER, 1 + _JITTER)
