"""Everything that one exchange is asked: within its budget, safely, and each thing once.

A call passes the breaker and the budget, is sent with a deadline, and its answer is named, read and checked. Those who
want the same at the same time share one call.
"""

import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from urllib.parse import urlsplit

import httpx2

from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import Clock
from marketdata.core.errors import (
    MarketDataError,
    UpstreamBadData,
    UpstreamBanned,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import CandleQuery, ExchangeAdapter, Request, classify_status, date_ms
from marketdata.core.fetch.about import ABOUT, read_source
from marketdata.core.fetch.breaker import Breaker
from marketdata.core.fetch.exchange_time import ExchangeTime
from marketdata.core.fetch.flight import Flights
from marketdata.core.fetch.retry import RetryBudget, is_doubtful, is_worth_retrying
from marketdata.core.fetch.transport import MAX_BODY_BYTES, Answer, Deadline, Transport
from marketdata.core.models import DAY_MS, MINUTE_MS, Candle, Interval, Kind, Listing, Source
from marketdata.core.validate import check_candles, check_range
from marketdata.core.wire import refuse_repeated_keys

logger = logging.getLogger(__name__)

DEADLINE_S = 5.0
"""One thing that is asked of an exchange, from its beginning to the last byte received, a retry included."""

_RETRY_AFTER_S = (0.1, 0.4)
_WORTH_RETRYING = 0.2  # this part of the deadline has to be left, else a failure with a name becomes a mere timeout
_HEAD_BYTES = 200
_ROW_BYTES, _LEAST_CAP_BYTES = 256, 256 * 1024  # about twice the longest row that is known; and where rows are few
_UNTRADED_S = 600.0
_AHEAD_MS = 60_000  # an answer is that much younger than the time by which it is judged, at most
_TIMES_MS = range(1_500_000_000_000, 4_102_444_800_000)  # 2017 to 2100; by a clock outside of it nothing can be judged


class Fetcher:
    """Everything that one exchange is asked, through its adapter."""

    def __init__(
        self,
        adapter: ExchangeAdapter,
        http: httpx2.AsyncClient,
        clock: Clock,
        base_url: str | None = None,
        *,
        budget: ExchangeBudget | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`base_url`: where the exchange is; None for its public one. The caller closes `http`.

        `budget`: what it spends from; None: a budget of its own.
        """
        self.adapter = adapter
        self.base_url = (base_url or adapter.base_url).rstrip("/")
        self._time = ExchangeTime(clock, self._ask_time)
        self.budget = budget or ExchangeBudget(adapter.exchange, adapter.capabilities.budget, clock)
        self.budget.exchange_time = self._time.known_ms
        self._clock = clock
        self._deadline_s = deadline_s
        self._chance = random.Random()  # noqa: S311 - for jitter
        self._transport = Transport(adapter.exchange, http, self._heed_unread)
        self._breaker = Breaker(adapter.exchange, clock, self._chance)
        self._retries = RetryBudget()
        self._candles: Flights[tuple[CandleQuery, int], tuple[list[Candle], list[Candle]]] = Flights()
        self._sources: Flights[None, Source] = Flights()
        self._source: tuple[Source, float] | None = None  # and when it was asked, on the monotonic clock
        self._first_trades: dict[str, tuple[int | None, float]] = {}  # and until when that holds, likewise

    async def listing(self, known: Mapping[str, Kind]) -> Listing:
        """The exchange's whole catalogue: all parts or nothing.

        `known`: kinds of the instruments seen before, by exchange symbol. Raises UpstreamError.
        """
        bodies: list[bytes] = []
        requests = self.adapter.listing_requests()
        try:
            request = next(requests)
            while True:
                bodies.append(await self._ask(request, self._strict))
                request = requests.send(bodies[-1])
        except StopIteration:
            payload = b"".join(bodies)
            listing = self.adapter.parse_listing(bodies, known)
            update = {"payload_sha256": sha256(payload).hexdigest(), "payload_bytes": len(payload)}
            return listing.model_copy(update=update)

    async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
        """One call's candles, checked, oldest first: all that came, and those of them inside the asked range.

        `now_ms`: the exchange's time, by which they are closed or not. The candles may be shared with others who asked
        the same: they are not to be changed. Raises UpstreamError.
        """
        return await self._candles.join(_flight(query, now_ms), lambda: self._ask_candles(query, now_ms))

    def is_under_way(self, query: CandleQuery, now_ms: int) -> bool:
        """Whether somebody else's call for the same is under way, so that `candles` would join it."""
        return _flight(query, now_ms) in self._candles

    def check_room(self, queries: Sequence[CandleQuery], now_ms: int) -> None:
        """Refuse all these calls when the budget has no room for those that are not under way already.

        Raises UpstreamRateLimited with the time until there will be, UpstreamBanned and DatabaseUnavailable.
        """
        new = (query for query in queries if not self.is_under_way(query, now_ms))
        self.budget.check_room(sum(self.adapter.candles_request(query).weight for query in new))

    async def first_traded_ms(self, exchange_symbol: str, now_ms: int) -> int | None:
        """When the first day opened on which an instrument traded, epoch ms; None: it never did.

        For exchanges that make candles up for the time before. Asked once and remembered: a day for good, that there is
        none for some minutes. Raises UpstreamError.
        """
        first_ms, holds_until = self._first_trades.get(exchange_symbol, (None, -math.inf))
        if self._clock.monotonic() < holds_until:
            return first_ms
        rows, end_ms = self.adapter.capabilities.rows_per_call, now_ms // DAY_MS * DAY_MS + DAY_MS
        days, _ = await self.candles(CandleQuery(exchange_symbol, Interval.DAY_1, 0, end_ms, rows), now_ms)
        first_ms = next((day.open_time for day in days if day.trades), None)
        holds_s = _UNTRADED_S if first_ms is None else math.inf
        self._first_trades[exchange_symbol] = (first_ms, self._clock.monotonic() + holds_s)
        return first_ms

    async def now_ms(self) -> int:
        """The exchange's time, epoch ms, never ahead of it. Raises UpstreamError when it cannot be known."""
        return await self._time.now_ms()

    @property
    def is_on_probation(self) -> bool:
        """Whether the exchange has been left alone and is not known to be back: it is asked one thing at a time."""
        return self._breaker.is_open

    async def source(self, max_age_s: float = 0.0) -> Source:
        """Whose data this is: live only from the adapter's own address, else what the server there says of itself.

        It is asked anew unless it was asked within `max_age_s`: another server may stand there by now. One that does
        not say is simulated: it can never be taken for live. While nobody may ask, what is known holds. Raises
        UpstreamError when there is no good answer.
        """
        if self.base_url == self.adapter.base_url:
            return Source.LIVE
        known = self._source
        if known is not None and (self._breaker.is_open or self._clock.monotonic() - known[1] < max_age_s):
            return known[0]  # while the exchange is left alone nothing can be asked of it, whoever it is
        try:
            self.budget.heed()
        except MarketDataError:
            if known is None:
                raise
            return known[0]
        return await self._sources.join(None, self._ask_source)

    async def _ask_candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
        def read(answer: Answer) -> list[Candle]:
            return self.adapter.parse_candles(answer.body, query)

        capabilities = self.adapter.capabilities
        most_bytes = max(_LEAST_CAP_BYTES, capabilities.rows_per_call * _ROW_BYTES)
        answered = await self._ask(self.adapter.candles_request(query), read, most_bytes, is_of_one=True)
        spec = capabilities.spec(query.interval)
        if spec is None:
            raise ValueError("an interval that the exchange does not offer is refused before it is asked for")
        check_candles(self.adapter.exchange, spec, answered)
        if answered and answered[-1].open_time > now_ms + _AHEAD_MS:
            raise UpstreamBadData(self.adapter.exchange, "it opens in the future", answered[-1].open_time)
        for candle in answered:
            candle.is_closed = candle.close_time <= now_ms
        start_ms = query.start_ms or 0
        check_range(self.adapter.exchange, capabilities, answered, start_ms, query.end_ms)
        return answered, [candle for candle in answered if start_ms <= candle.open_time < query.end_ms]

    async def _ask_time(self) -> int:
        def read(answer: Answer) -> int:
            time_ms = self.adapter.parse_time(answer.headers, self._strict(answer))
            if time_ms not in _TIMES_MS:
                raise UpstreamBadData(self.adapter.exchange, "its clock is years off")
            return time_ms

        return await self._ask(self.adapter.time_request(), read)

    async def _ask_source(self) -> Source:
        parts, deadline = urlsplit(self.base_url), Deadline(self._deadline_s)
        async with self._transport.place(deadline):
            with self._breaker.watch(proves_health=False):
                answer = await self._transport.send(f"{parts.scheme}://{parts.netloc}", ABOUT, deadline)
                error = classify_status(self.adapter.exchange, answer.status, answer.headers)
                await self._fall_silent(error, answer)
                if isinstance(error, UpstreamUnavailable | UpstreamRateLimited | UpstreamBanned):
                    raise error
        source = Source.SIMULATED if error else read_source(answer.body)
        self._source = (source, self._clock.monotonic())
        return source

    def _strict(self, answer: Answer) -> bytes:
        refuse_repeated_keys(self.adapter.exchange, answer.body)
        return answer.body

    async def _ask[T](
        self,
        request: Request,
        read: Callable[[Answer], T],
        most_bytes: int = MAX_BODY_BYTES,
        *,
        is_of_one: bool = False,
    ) -> T:
        """What `read` makes of the answer to `request`, which is asked again once where that is safe and may help.

        `is_of_one`: whether it is about one instrument, which may be refused.
        """
        deadline = Deadline(self._deadline_s)
        self._retries.earn()
        try:
            return await self._attempt(request, read, most_bytes, deadline, is_of_one=is_of_one)
        except UpstreamError as error:
            pause_s = self._chance.uniform(*_RETRY_AFTER_S)
            is_late = deadline.left_s <= pause_s + self._deadline_s * _WORTH_RETRYING
            # an open breaker, which this call may have been the probe of, would not let another one through
            if is_late or self._breaker.is_open or not is_worth_retrying(error) or not self._retries.spend():
                raise
            first = error
        await self._clock.sleep(pause_s)
        try:
            return await self._attempt(request, read, most_bytes, deadline, is_of_one=is_of_one)
        except UpstreamRefused as refusal:
            if is_doubtful(refusal, first):
                raise first from refusal
            raise

    async def _attempt[T](
        self, request: Request, read: Callable[[Answer], T], most_bytes: int, deadline: Deadline, *, is_of_one: bool
    ) -> T:
        """One call within budget and deadline; the answer is a good one, else an UpstreamError is raised.

        The budget is asked last: who may spend sends at once.
        """
        exchange = self.adapter.exchange
        self._breaker.check()
        async with self._transport.place(deadline):
            with self._breaker.watch():
                await self.budget.spend(request.weight)
                sent_at = self._clock.monotonic()
                answer = await self._transport.send(self.base_url, request, deadline, most_bytes)
                used = self.adapter.used_weight(answer.headers)
                if used is not None:
                    self.budget.reported(used, sent_at)
                error = self.adapter.classify(answer.status, answer.headers, answer.body)
                if isinstance(error, UpstreamRefused) and not is_of_one:
                    error = classify_status(exchange, answer.status, answer.headers, answer.body)
                if error is None and not answer.is_json:
                    error = UpstreamGarbled(exchange, "the answer does not say that it is JSON")
                if error is None:
                    try:
                        return read(answer)
                    except UpstreamBadData as unreadable:
                        error = unreadable
                logger.warning("%s: %s %s: %r", error, request.method, request.path, answer.body[:_HEAD_BYTES])
                await self._fall_silent(error, answer)
                raise error

    async def _heed_unread(self, answer: Answer) -> None:
        """Know of a ban or a limit although nobody waits for the rest of the answer any more."""
        with suppress(MarketDataError):
            await self._fall_silent(self.adapter.classify(answer.status, answer.headers, answer.body), answer)

    async def _fall_silent(self, error: UpstreamError | None, answer: Answer) -> None:
        """Raises UpstreamBanned or UpstreamRateLimited, with the time until when, if `error` is one of them."""
        if isinstance(error, UpstreamRateLimited | UpstreamBanned):
            told_ms = date_ms(answer.headers)
            is_a_time = told_ms is not None and told_ms in _TIMES_MS
            await self.budget.silence(error, told_ms if is_a_time else None)
            self.budget.heed()  # tells until when, also where the exchange did not


def _flight(query: CandleQuery, now_ms: int) -> tuple[CandleQuery, int]:
    """What is the same for all who share a call.

    In the next minute another candle may have closed, which is still forming in what was asked before.
    """
    return query, now_ms // MINUTE_MS
