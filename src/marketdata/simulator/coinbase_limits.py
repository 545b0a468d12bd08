"""Coinbase Exchange's request limit: a bucket that holds 15 requests and gets 10 back each second, told in no header.

https://docs.cdp.coinbase.com/exchange/introduction/rate-limits-overview
"""

from marketdata.simulator.answers import Answer, Asked, Charge
from marketdata.simulator.coinbase import refusal
from marketdata.simulator.limits import Usage
from marketdata.simulator.scenario import Scenario

_BURST, _MS_EACH = 15, 100
_REFUSAL = refusal(429, "Public rate limit exceeded")


class CoinbaseLimits:
    """The requests of one address."""

    def __init__(self, scenario: Scenario) -> None:
        """A full bucket."""
        self.usage = Usage(_BURST)
        self._enforced = scenario.limits
        self._debt_ms = 0  # how long the bucket takes to be full again
        self._foreign_ms = 0  # the others' part of that
        self._seen_ms = 0

    def admit(self, asked: Asked) -> Answer | None:
        """A 429 when the bucket is empty."""
        self._fill(asked.now_ms)
        if not self._enforced or self._debt_ms + _MS_EACH <= _BURST * _MS_EACH:
            return None
        self.usage.refused += 1
        return _REFUSAL

    def settle(self, asked: Asked, answer: Answer) -> Charge:
        """One request."""
        if answer.status == _REFUSAL.status:
            return Charge()
        self._take(1, 0, asked.now_ms)
        return Charge(1)

    def add_foreign(self, weight: int, now_ms: int) -> None:
        """Another program at the same address made `weight` requests, or as many as the bucket held."""
        self._fill(now_ms)
        free = (_BURST * _MS_EACH - self._debt_ms) // _MS_EACH
        self._take(min(weight, free), min(weight, free), now_ms)

    def _take(self, requests: int, foreign: int, now_ms: int) -> None:
        self._fill(now_ms)
        self._debt_ms += requests * _MS_EACH
        self._foreign_ms += foreign * _MS_EACH
        self.usage.record(-(-self._debt_ms // _MS_EACH), self._foreign_ms // _MS_EACH)

    def _fill(self, now_ms: int) -> None:
        passed_ms = max(now_ms - self._seen_ms, 0)
        self._seen_ms = now_ms
        self._debt_ms = max(self._debt_ms - passed_ms, 0)
        self._foreign_ms = max(self._foreign_ms - passed_ms, 0)
        self.usage.record(-(-self._debt_ms // _MS_EACH), self._foreign_ms // _MS_EACH)
