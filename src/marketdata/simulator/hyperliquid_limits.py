"""Hyperliquid's weight limit: any 60 seconds, charged when the size of the answer is known, told in no header.

The weights are documented; that the window slides is how two adapters model it.
"""

from collections import deque
from zlib import crc32

import msgspec

from marketdata.simulator.answers import Answer, Asked, Charge
from marketdata.simulator.grids import MINUTE_MS
from marketdata.simulator.hyperliquid_troubles import REFUSAL, TROUBLES
from marketdata.simulator.limits import Usage
from marketdata.simulator.scenario import Scenario

_LIMIT = 1200
_COSTS_2 = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
_CHEAP, _USUAL = 2, 20
_ROWS_A_WEIGHT = 60


class _Wanted(msgspec.Struct):
    type: str = ""


class HyperliquidLimits:
    """The weight of one address."""

    def __init__(self, scenario: Scenario) -> None:
        """Nothing used yet."""
        self.usage = Usage(_LIMIT)
        self._scenario = scenario
        self._charges: deque[tuple[int, int, int]] = deque()  # when, how much, how much of it was others'
        self._asked = 0

    def admit(self, asked: Asked) -> Answer | None:
        """A 429 where what the request costs at least is over the limit; now and then a failure without a reason."""
        self._slide(asked.now_ms)
        if self._scenario.limits and self.usage.used + _weight(asked.body) > self.usage.limit:
            self.usage.refused += 1
            return REFUSAL
        self._asked += 1
        if crc32(str(self._asked).encode()) % 1000 < 10 * self._scenario.failing_percent:
            return TROUBLES["maintenance"](asked)
        return None

    def settle(self, asked: Asked, answer: Answer) -> Charge:
        """The weight of the type, and of candles one more for each 60 that came."""
        if answer.status == REFUSAL.status:
            return Charge()
        weight = _weight(asked.body) - (-answer.rows // _ROWS_A_WEIGHT)
        self._charge(asked.now_ms, weight, 0)
        return Charge(weight)

    def add_foreign(self, weight: int, now_ms: int) -> None:
        """Another program at the same address used `weight`."""
        self._charge(now_ms, weight, weight)

    def _charge(self, now_ms: int, weight: int, foreign: int) -> None:
        self._charges.append((now_ms, weight, foreign))
        self._slide(now_ms)

    def _slide(self, now_ms: int) -> None:
        """Forget what is older than a minute, and what has not happened where the clock went back."""
        while self._charges and self._charges[0][0] <= now_ms - MINUTE_MS:
            self._charges.popleft()
        while self._charges and self._charges[-1][0] > now_ms:
            self._charges.pop()
        always = self._scenario.foreign_weight
        used, foreign = sum(charge[1] for charge in self._charges), sum(charge[2] for charge in self._charges)
        self.usage.record(used + always, foreign + always)


def _weight(body: bytes) -> int:
    """What a request costs at least, by its type."""
    try:
        return _CHEAP if msgspec.json.decode(body, type=_Wanted).type in _COSTS_2 else _USUAL
    except msgspec.MsgspecError:
        return _USUAL
