"""What is allowed of an exchange's limit, and for how long a request counts against it.

A request that is booked now arrives at the exchange now or a little later, and counts there for the exchange's own kind
of window. It is booked until the last moment at which it may still count. So the bookings that are active at any moment
hold everything that the exchange counts at that moment, and while they stay within the allowance it does, too.
"""

from math import ceil

from marketdata.core.models import Budget

SHARE = 0.8
"""The part of an exchange's limit that is used: other programs at the same address need some, too."""

API_SHARE = 0.9
"""The part of the allowance that callers of the API may use in sum; the rest is the syncer's alone."""

BLOCK_SHARE = 0.05
"""The part of the allowance that is leased at once."""

ARRIVAL_S = 5.0
"""A request arrives this long after it was booked, or never: the deadline of a call."""

TIME_MARGIN_S = 0.5
"""How wrong our idea of an exchange's time may be."""

_UNSEEN_BLOCKS = 2
"""Without books, so much is left for what others have leased after this process last looked at them."""

_LONGEST_LEASE_S = 1.0
_BUCKET_PATIENCE_S = 2.5
_MS_PER_S = 1000


class Rule:
    """The rule for one exchange. Durations are in seconds, the exchange's time in epoch milliseconds."""

    def __init__(self, budget: Budget) -> None:
        """`budget`: what the exchange allows one address."""
        size = budget.limit if budget.burst is None else budget.burst
        self.limit = max(1, int(size * SHARE))
        """The allowance: how much may be booked at any moment."""
        self.api_limit = max(1, int(self.limit * API_SHARE))
        """How much of it by callers of the API."""
        self.block = max(1, int(self.limit * BLOCK_SHARE))
        """How much is leased at once, or what is needed if that is more."""
        self.most_blocks = self.limit // 4
        """How much when many wait: enough to spare them some asking, not so much that others get nothing."""
        self.share_limit = max(0, self.limit - _UNSEEN_BLOCKS * self.block)
        """How much is shared out while nobody keeps books."""
        self.window_s = budget.window_s * size / budget.limit
        """How long a request counts after it has arrived: for a bucket, as long as it takes to fill it anew."""
        is_bucket = budget.window == "bucket"
        # requests to a short window are spread less on their way; a bucket fills faster than the allowance drains it
        self.arrival_s = 0.0 if is_bucket else min(ARRIVAL_S, self.window_s / 12)
        """How much later than it was booked a request may arrive."""
        self.lease_s = min(_LONGEST_LEASE_S, self.window_s / 5)
        """How long a lease may be spent."""
        self.patience_s = _BUCKET_PATIENCE_S if is_bucket else 0.0
        """How long a caller may wait for its turn; a window is too long to be waited for."""
        self._is_fixed = budget.window == "fixed"

    def counts_for_s(self, exchange_ms: int | None, spendable_s: float = 0.0) -> float:
        """For how long a request counts that is sent within `spendable_s` from now.

        `exchange_ms`: the exchange's time now. Without it, a fixed window is any window: it may begin when it will.
        """
        late_s = spendable_s + self.arrival_s
        if not self._is_fixed or exchange_ms is None:
            return late_s + self.window_s
        return self._left_s(exchange_ms, late_s + TIME_MARGIN_S) + TIME_MARGIN_S

    def report_counts_for_s(self, exchange_ms: int | None, age_s: float) -> float | None:
        """For how long it counts what the exchange says was used of the window in which a request was answered.

        `age_s`: how long ago that request was sent. None: perhaps it speaks of a window that has ended.
        """
        if not self._is_fixed or exchange_ms is None:
            return self.window_s
        window_ms = ceil(self.window_s * _MS_PER_S)
        margin_ms = TIME_MARGIN_S * _MS_PER_S
        earliest_ms, latest_ms = exchange_ms - age_s * _MS_PER_S - margin_ms, exchange_ms + margin_ms
        if earliest_ms // window_ms != latest_ms // window_ms:
            return None
        return self._left_s(exchange_ms, 0.0) + TIME_MARGIN_S

    def _left_s(self, exchange_ms: int, later_s: float) -> float:
        """How long until the end of the window that will be open `later_s` from now."""
        window_ms = ceil(self.window_s * _MS_PER_S)
        ends_ms = ((exchange_ms + later_s * _MS_PER_S) // window_ms + 1) * window_ms
        return (ends_ms - exchange_ms) / _MS_PER_S
