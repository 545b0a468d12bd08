"""Binance's weight limit: a fixed UTC minute, a 429 beyond it, a 418 for who goes on.

Measured on 2026-10-07: the weights of klines by `limit` (the documented ones are a switch), the fixed minute, refused
requests that are charged. How long bans last and what lengthens them is documented only as "2 minutes to 3 days".
"""

from marketdata.simulator.answers import Answer, Asked, Charge, json_body
from marketdata.simulator.binance_futures import HEADERS
from marketdata.simulator.grids import DAY_MS, MINUTE_MS
from marketdata.simulator.limits import Usage
from marketdata.simulator.scenario import Scenario

_KLINES = frozenset({"/fapi/v1/klines", "/fapi/v1/continuousKlines"})
_WEIGHT_1 = frozenset({"/fapi/v1/ping", "/fapi/v1/time", "/fapi/v1/exchangeInfo"})
_MEASURED, _DOCUMENTED = ((100, 1), (500, 2), (1000, 5)), ((99, 1), (499, 2), (1000, 5))
_WITHOUT_LIMIT, _WIDEST = 5, 10
_UNCOUNTED = frozenset({403, 418, 451})
"""Refused before the exchange counts: by its firewall, by law, by a ban; so are pages for people."""
_SHORTEST_BAN_MS, _LONGEST_BAN_MS = 2 * MINUTE_MS, 3 * DAY_MS


class BinanceLimits:
    """The weight of one address."""

    def __init__(self, scenario: Scenario) -> None:
        """Nothing used yet."""
        self.usage = Usage(scenario.weight_limit)
        self._scenario = scenario
        self._bands = _DOCUMENTED if scenario.documented_weights else _MEASURED
        self._minute = -1
        self._foreign = 0
        self._refusals = 0
        self._banned_ms = 0
        self._ban_ms = _SHORTEST_BAN_MS // 2

    def admit(self, asked: Asked) -> Answer | None:
        """A 418 during a ban, a 429 over the limit, a ban for who goes on then."""
        self._turn(asked.now_ms)
        if not self._scenario.limits:
            return None
        if self._banned_ms <= asked.now_ms < self.usage.banned_until_ms:
            self.usage.during_ban += 1
            return self._ban(asked.now_ms)
        weight = self._weight(asked)
        if weight == 0 or self.usage.used + weight <= self.usage.limit:
            return None
        self.usage.refused += 1
        self._refusals += 1
        if self._refusals > self._scenario.refusals_before_ban:
            self._ban_ms = min(2 * self._ban_ms, _LONGEST_BAN_MS)
            return self._ban(asked.now_ms)
        return self._refusal(429, too_many(self.usage.limit), (self._minute + 1) * MINUTE_MS - asked.now_ms)

    def settle(self, asked: Asked, answer: Answer) -> Charge:
        """The weight, also of a request that is refused; each weighted answer tells the minute's so far."""
        is_page = answer.headers.get("Content-Type") == "text/html"
        weight = 0 if is_page or answer.status in _UNCOUNTED else self._weight(asked)
        if weight == 0:
            return Charge()
        self._use(weight)
        return Charge(weight, {"X-MBX-USED-WEIGHT-1M": str(self.usage.used)})

    def add_foreign(self, weight: int, now_ms: int) -> None:
        """Another program at the same address used `weight`; the COIN-M API shares the pool, too."""
        self._turn(now_ms)
        self._foreign += weight
        self._use(weight)

    def _turn(self, now_ms: int) -> None:
        """A new minute begins with what others use in each."""
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._refusals, self._foreign = minute, 0, self._scenario.foreign_weight
            self.usage.record(self._foreign, self._foreign)

    def _use(self, weight: int) -> None:
        self.usage.record(self.usage.used + weight, self._foreign)

    def _ban(self, now_ms: int) -> Answer:
        """Each request during a ban begins it anew."""
        self._banned_ms = now_ms
        self.usage.banned_until_ms = now_ms + self._ban_ms
        return self._refusal(418, banned(self.usage.banned_until_ms), self._ban_ms)

    def _refusal(self, status: int, body: bytes, wait_ms: int) -> Answer:
        wait = {"Retry-After": str(-(-wait_ms // 1000))} if self._scenario.retry_after else {}
        return Answer(status, body, {**HEADERS, **wait})

    def _weight(self, asked: Asked) -> int:
        """What a request costs; 0 where there is nothing at its path."""
        if asked.path not in _KLINES:
            return 1 if asked.path in _WEIGHT_1 else 0
        limit = asked.query.get("limit", "")
        if not (limit.isascii() and limit.isdigit()):
            return _WITHOUT_LIMIT
        return next((weight for most, weight in self._bands if int(limit) <= most), _WIDEST)


def too_many(limit: int) -> bytes:
    """The body of a 429."""
    message = (
        f"Too many requests; current limit is {limit} requests per minute. Please use the websocket for live updates to"
        " avoid polling the API."
    )
    return json_body({"code": -1003, "msg": message})


def banned(until_ms: int) -> bytes:
    """The body of a 418."""
    message = (
        f"Way too many requests; IP banned until {until_ms}. Please use the websocket for live updates to avoid bans."
    )
    return json_body({"code": -1003, "msg": message})
