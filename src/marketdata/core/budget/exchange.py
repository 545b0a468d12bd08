"""One budget per exchange for the whole installation, as one process spends from it."""

import asyncio
from collections.abc import Callable
from math import inf

from marketdata.core.budget.bookings import Bookings, first_room_s
from marketdata.core.budget.pool import Ask, BudgetPool, Known, Lease, Role, longest
from marketdata.core.budget.rule import Rule
from marketdata.core.budget.silences import Silences
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable, UpstreamBanned, UpstreamRateLimited
from marketdata.core.models import Budget, ExchangeId

_DOUBT_PATIENCE_S = 4.0
"""How long a caller waits while it is not clear yet whether the database is away for all processes."""

_MOST_LEASES = 5
_SHORTEST_SLEEP_S = 0.001
_MS_PER_S = 1000


class ExchangeBudget:
    """What one process may ask of one exchange: from leases of a pool, from its share without it, or all by itself."""

    def __init__(
        self,
        exchange: ExchangeId,
        budget: Budget,
        clock: Clock,
        *,
        pool: BudgetPool | None = None,
        role: Role = "api",
    ) -> None:
        """`pool`: the books of the installation; None: this process is alone, and everything is its own."""
        self.exchange_time: Callable[[], int | None] = lambda: None
        """The exchange's time, epoch ms, not wrong by more than half a second; None: not known (yet)."""
        self._exchange = exchange
        self._rule = Rule(budget)
        self._clock = clock
        self._pool = pool
        self._role: Role = role
        self._own = Bookings()  # spent without a lease
        self._foreign = Bookings()  # used by other programs, while nobody keeps books of it
        self._lease: Lease | None = None
        self._silences = Silences()
        self._exhausted_until = 0.0
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def limit(self) -> int:
        """How much we allow ourselves in a window: a part of what the exchange allows."""
        return self._rule.limit

    @property
    def window_s(self) -> float:
        """For how long a request counts at the exchange, seconds."""
        return self._rule.window_s

    @property
    def used(self) -> int:
        """How much of it is booked now, by all processes of the installation as far as known."""
        now = self._clock.monotonic()
        return sum(bookings.active(now) for bookings in self._all_held())

    @property
    def banned_until_ms(self) -> int | None:
        """Until when the exchange bans this address, epoch ms of the local clock; None: it does not."""
        self._hear()
        left_s = self._silences.left_s("banned", self._clock.monotonic())
        return self._clock.now_ms() + round(left_s * _MS_PER_S) if left_s else None

    async def spend(self, weight: int) -> None:
        """Book `weight` and return; whoever has spent sends its request at once.

        Waits only for the pace of a bucket, at most 2.5 seconds, for the books, a fraction of a second, and when they
        have just been lost until it is clear how to go on, at most 4 seconds; first come, first served. Raises
        UpstreamRateLimited when there is no room, with the time until there will be,
        UpstreamBanned, and DatabaseUnavailable when the books have never been seen: a ban may stand in them.
        """
        self.heed()
        if not self._waiting and self._take(weight):
            return
        began = self._clock.monotonic()
        self._check_patience(None if weight > self._most() else self._wait_in_line_s(weight), began)
        self._waiting += weight
        try:
            async with self._turn:
                self.heed()  # it may have begun while this caller stood in line
                leases = 0
                while not self._take(weight):
                    wait_s = self._check_patience(self._wait_s(weight), began)
                    if wait_s:
                        await self._clock.sleep(max(wait_s, _SHORTEST_SLEEP_S))
                    elif self._pool is not None and self._pool.is_reachable:
                        if leases == _MOST_LEASES:
                            raise UpstreamRateLimited(self._exchange, self._rule.lease_s)
                        leases += 1  # on a slow day one comes too late to be spent, and the next in time
                        await self._renew(self._pool, weight)
                    self.heed()
        finally:
            self._waiting -= weight

    def check_room(self, weight: int) -> None:
        """Refuse what will cost `weight` in several calls when not all of them would be served; books nothing.

        Else some would be spent in vain, and so again with each new attempt. Raises what `spend` raises.
        """
        self.heed()
        if not weight:
            return
        most = self._most()
        if not most or (weight - 1) // most * self._refilled_in_s() > self._rule.patience_s:
            raise UpstreamRateLimited(self._exchange, None, "so many calls are more than it may be asked for one page")
        self._check_patience(self._wait_in_line_s(weight), self._clock.monotonic())

    def reported(self, used: int, sent_at: float | None = None) -> None:
        """Take note of what the exchange says that this address has used of its present window.

        `sent_at`: when the request was sent whose answer says so, in seconds of the monotonic clock.
        """
        now = self._clock.monotonic()
        age_s = self._rule.arrival_s if sent_at is None else now - sent_at
        counts_for_s = self._rule.report_counts_for_s(self.exchange_time(), age_s)
        if counts_for_s is None:
            return
        excess = used - sum(bookings.active(now) for bookings in self._all_held())
        if self._pool is None or not self._pool.is_reachable:
            if excess > 0:
                self._foreign.add(now + counts_for_s, excess)
            return
        if self._lease is not None:
            self._lease.left = max(0, min(self._lease.left, self.limit - used))
        if used >= self.limit:
            self._exhausted_until = max(self._exhausted_until, now + counts_for_s)
        if excess > 0:
            self._pool.report(self._exchange, used, now + counts_for_s)

    async def silence(self, error: UpstreamRateLimited | UpstreamBanned, exchange_ms: int | None = None) -> None:
        """Let nobody of the installation ask the exchange until the time that `error` tells, or for a while.

        `exchange_ms`: the exchange's time, not later than it really is, where its answer told so.
        """
        known_ms = self.exchange_time()
        exchange_ms = exchange_ms if known_ms is None else known_ms
        begun = self._silences.begin(error, self._clock.monotonic(), exchange_ms, self._clock.now_ms())
        if begun is not None and self._pool is not None:
            await self._pool.silence(self._exchange, *begun)

    def heed(self) -> None:
        """Refuse during a silence, and before it is known whether there is one.

        Raises UpstreamBanned and UpstreamRateLimited, which tell until when, and DatabaseUnavailable.
        """
        if self._pool is not None and self._known() is None:
            raise DatabaseUnavailable("what was asked of the exchanges lately is not known before the database is")
        self._hear()
        now = self._clock.monotonic()
        if left_s := self._silences.left_s("banned", now):
            raise UpstreamBanned(self._exchange, self._clock.now_ms() + round(left_s * _MS_PER_S))
        if left_s := self._silences.left_s("limited", now):
            raise UpstreamRateLimited(self._exchange, left_s, "it refused a request as one too many and is left alone")

    def _known(self) -> Known | None:
        return None if self._pool is None else self._pool.known(self._exchange)

    def _all_held(self) -> tuple[Bookings, ...]:
        """All that this process knows to be booked."""
        known = self._known()
        if known is None:
            return self._own, self._foreign
        if self._pool is not None and self._pool.is_reachable:
            return (known.everyone,)
        return known.everyone, self._own, self._foreign

    def _hear(self) -> None:
        known = self._known()
        if known is not None and known.silences:
            self._silences.learn(known.silences)

    def _take(self, weight: int) -> bool:
        """Whether `weight` could be spent without asking anybody; it is then."""
        now = self._clock.monotonic()
        if self._lease is not None and self._lease.spend(weight, now):
            return True
        if (self._pool is not None and self._pool.is_reachable) or self._wait_s(weight) != 0:
            return False
        ends_at = now + self._rule.counts_for_s(self.exchange_time())
        self._own.add(ends_at, weight * self._sharers())
        if self._pool is not None:
            self._pool.record(self._exchange, self._role, ends_at, weight)
        return True

    async def _renew(self, pool: BudgetPool, weight: int) -> None:
        """Lease anew; when the books cannot be reached, the share is what is left."""
        self._lease = None
        counts_for_s = self._rule.counts_for_s(self.exchange_time(), self._rule.lease_s)
        ask = Ask(self._rule, self._role, weight, self._waiting, counts_for_s)
        try:
            self._lease = await pool.lease(self._exchange, ask)
        except DatabaseUnavailable:
            return

    def _wait_s(self, weight: int) -> float | None:
        """The seconds until there should be room for `weight`; None: there never will be."""
        now, known = self._clock.monotonic(), self._known()
        if self._pool is None or known is None:
            return first_room_s(now, self.limit, weight, *self._all_held())
        if self._pool.is_reachable:
            left = 0 if self._lease is None else self._lease.left  # given back when there is a new one
            room_s = known.first_room_s(self._rule, self._role, weight - left, now)
            return longest((room_s, self._exhausted_until - now))
        # all of them spend an equal part of what was free; whatever one spends, the others are thought to spend, too
        room_s = first_room_s(now, self._rule.share_limit, weight * self._sharers(), *self._all_held())
        return longest((room_s, self._pool.shares_from - now))

    def _wait_in_line_s(self, weight: int) -> float | None:
        """The same behind all who wait; whenever they fill the allowance, that counts for a while."""
        windows, rest = divmod(self._waiting + weight - 1, self._most())
        wait_s = self._wait_s(rest + 1)
        return None if wait_s is None else wait_s + windows * self._refilled_in_s()

    def _refilled_in_s(self) -> float:
        """How long it counts what is spent now."""
        is_leased = self._pool is not None and self._pool.is_reachable
        return self._rule.counts_for_s(self.exchange_time(), self._rule.lease_s if is_leased else 0.0)

    def _sharers(self) -> int:
        """Among how many processes the allowance is shared where nobody keeps books."""
        return 1 if self._pool is None else self._pool.processes

    def _most(self) -> int:
        """The most that this process could ever spend in a window."""
        if self._pool is None:
            return self.limit
        if not self._pool.is_reachable:
            return self._rule.share_limit // self._sharers()
        return self._rule.api_limit if self._role == "api" else self.limit

    def _check_patience(self, wait_s: float | None, began: float) -> float:
        """The wait, if it is not too long for a caller who has waited since `began`."""
        now = self._clock.monotonic()
        doubt_s = 0.0 if self._pool is None or self._pool.is_reachable else self._pool.shares_from - now
        patience_s = max(self._rule.patience_s, _DOUBT_PATIENCE_S if 0 < doubt_s < inf else 0.0)
        if wait_s is None or (wait_s and now - began + wait_s > patience_s):
            raise UpstreamRateLimited(self._exchange, wait_s)
        return wait_s
