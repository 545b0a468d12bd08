"""How much an exchange may still be asked by this process, counted in the exchange's own kind of window."""

from collections import deque

from marketdata.core.clock import Clock
from marketdata.core.models import Budget

SHARE = 0.8
"""The part of an exchange's limit that is used: other programs at the same address need some, too."""

_MS_PER_S = 1000


class BudgetLedger:
    """What was asked lately. `spend` books a request or says how long to wait; nothing is ever booked twice."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        """An empty ledger for one exchange."""
        self._budget = budget
        self._clock = clock
        self._booked: deque[tuple[float, int]] = deque()
        self._used = 0

    def spend(self, weight: int) -> float:
        """Book `weight` and return 0, or book nothing and return the seconds until there is room for it."""
        self._forget()
        if not self._booked or self._used + weight <= self._allowance:
            self._booked.append((self._clock.monotonic(), weight))
            self._used += weight
            return 0.0
        return self._seconds_until_room(weight)

    @property
    def used(self) -> int:
        """The weight booked in the present window."""
        self._forget()
        return self._used

    @property
    def _allowance(self) -> float:
        return (self._budget.burst or self._budget.limit) * SHARE

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - self._window_age_s()
        is_fixed = self._budget.window == "fixed"  # the instant at which a fixed window opens belongs to it
        while self._booked and (self._booked[0][0] < horizon or (self._booked[0][0] == horizon and not is_fixed)):
            self._used -= self._booked.popleft()[1]

    def _window_age_s(self) -> float:
        """How far back a booking still counts."""
        if self._budget.window == "fixed":
            return self._clock.now_ms() / _MS_PER_S % self._budget.window_s
        if self._budget.burst is not None:
            return self._budget.burst / self._budget.limit * self._budget.window_s
        return self._budget.window_s

    def _seconds_until_room(self, weight: int) -> float:
        if self._budget.window == "fixed":
            return self._budget.window_s - self._window_age_s()
        excess = self._used + weight - self._allowance
        age_s = self._window_age_s()
        freed = 0
        for booked_at, booked in self._booked:
            freed += booked
            if freed >= excess:
                return max(0.001, booked_at + age_s - self._clock.monotonic())
        return age_s
