"""The one place that speaks HTTP to exchanges, once for all of them.

A Fetcher belongs to one exchange: it spends the budget, sends with a deadline and a cap on the size, names every
failure, and knows the exchange's time.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from marketdata import __version__
from marketdata.core.budget import BudgetLedger
from marketdata.core.clock import Clock
from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBanned,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import CandleQuery, ExchangeAdapter, Request, classify_status
from marketdata.core.models import Candle, Kind, Listing, Source
from marketdata.core.validate import check_candles

DEADLINE_S = 10.0
"""One call to an exchange, from the first byte sent to the last received."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The largest answer that is read, decompressed; the largest known is a listing of a few megabytes."""

_TIME_VALID_S = 600.0
_BACKOFF_S = 5.0  # after a refusal that does not say how long to wait
_SHORTEST_BAN_MS = 120_000
_MS_PER_S = 1000


def open_http() -> httpx2.AsyncClient:
    """A connection pool for exchanges: no redirects, no cookies, no proxies from the environment."""
    return httpx2.AsyncClient(
        headers={"User-Agent": f"market-data-platform/{__version__}", "Accept": "application/json"},
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx2.Timeout(DEADLINE_S, connect=5.0),
        limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
    )


async def is_answering(http: httpx2.AsyncClient, url: str) -> bool:
    """Whether a server answers `url` with a good status; for services that wait for one another."""
    try:
        return (await http.get(url)).is_success
    except httpx2.HTTPError:
        return False


class Fetcher:
    """Everything that one exchange is asked, through its adapter."""

    def __init__(
        self,
        adapter: ExchangeAdapter,
        http: httpx2.AsyncClient,
        clock: Clock,
        base_url: str | None = None,
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`base_url`: where the exchange is; None for its public one. The caller closes `http`."""
        self.adapter = adapter
        self.base_url = (base_url or adapter.base_url).rstrip("/")
        self.ledger = BudgetLedger(adapter.capabilities.budget, clock)
        self._http = http
        self._clock = clock
        self._deadline_s = deadline_s
        self._time_sample: tuple[int, float] | None = None  # exchange time in ms, and when on the monotonic clock
        self._time_lock = asyncio.Lock()
        self._silent_until_ms = 0
        self._banned_until_ms = 0
        self._source: tuple[Source, float] | None = None  # and when it was asked, on the monotonic clock

    @property
    def banned_until_ms(self) -> int | None:
        """Until when the exchange bans this address, epoch ms of the local clock; None: it does not."""
        return self._banned_until_ms if self._banned_until_ms > self._clock.now_ms() else None

    async def listing(self, known: Mapping[str, Kind]) -> Listing:
        """The exchange's whole catalogue: all parts or nothing.

        `known`: kinds of the instruments seen before, by exchange symbol. Raises UpstreamError.
        """
        bodies: list[bytes] = []
        requests = self.adapter.listing_requests()
        try:
            request = next(requests)
            while True:
                bodies.append(await self._ask(request))
                request = requests.send(bodies[-1])
        except StopIteration:
            return self.adapter.parse_listing(bodies, known)

    async def candles(self, query: CandleQuery) -> tuple[list[Candle], list[Candle]]:
        """One call's candles, checked, oldest first: all that came, and those of them inside the asked range.

        `is_closed` is not yet judged. Raises UpstreamError.
        """
        body = await self._ask(self.adapter.candles_request(query))
        answered = self.adapter.parse_candles(body, query)
        spec = self.adapter.capabilities.spec(query.interval)
        if spec is None:
            raise ValueError("an interval that the exchange does not offer is refused before it is asked for")
        check_candles(self.adapter.exchange, spec, answered)
        start_ms = query.start_ms or 0
        return answered, [candle for candle in answered if start_ms <= candle.open_time < query.end_ms]

    async def now_ms(self) -> int:
        """The exchange's time, epoch ms: a sample of its own clock, carried on by our monotonic one.

        Raises UpstreamError when there is no sample yet and the exchange cannot be asked.
        """
        sample = self._time_sample
        if sample is None or self._clock.monotonic() - sample[1] > _TIME_VALID_S:
            sample = await self._sample_time()
        return sample[0] + round((self._clock.monotonic() - sample[1]) * _MS_PER_S)

    async def source(self, max_age_s: float = 0.0) -> Source:
        """Whose data this is: live only from the adapter's own address, else what the server there says of itself.

        It is asked anew unless it was asked within `max_age_s`: another server may stand there by now. One that does
        not say is simulated: it can never be taken for live. Raises UpstreamError when there is no good answer.
        """
        if self.base_url == self.adapter.base_url:
            return Source.LIVE
        now_s = self._clock.monotonic()
        if self._source is None or now_s - self._source[1] >= max_age_s:
            parts = urlsplit(self.base_url)
            status, headers, body = await self._send("GET", f"{parts.scheme}://{parts.netloc}/_control/about")
            error = classify_status(self.adapter.exchange, status, headers)
            if isinstance(error, UpstreamUnavailable | UpstreamRateLimited):
                raise error
            self._source = (Source.SIMULATED if error else _read_source(body), now_s)
        return self._source[0]

    async def _sample_time(self) -> tuple[int, float]:
        async with self._time_lock:
            sample = self._time_sample
            if sample is not None and self._clock.monotonic() - sample[1] <= _TIME_VALID_S:
                return sample
            sent = self._clock.monotonic()
            try:
                headers, body = await self._exchange(self.adapter.time_request())
                received = self._clock.monotonic()
                fresh = (self.adapter.parse_time(headers, body), (sent + received) / 2)
            except UpstreamError:
                if sample is None:
                    raise
                fresh = (sample[0] + round((self._clock.monotonic() - sample[1]) * _MS_PER_S), self._clock.monotonic())
            self._time_sample = fresh
            return fresh

    async def _ask(self, request: Request) -> bytes:
        _, body = await self._exchange(request)
        return body

    async def _exchange(self, request: Request) -> tuple[Mapping[str, str], bytes]:
        """Send one request within budget and deadline; the answer is a good one, else an UpstreamError is raised."""
        exchange = self.adapter.exchange
        self._keep_silence()
        wait_s = self.ledger.spend(request.weight)
        waited_s = 0.0
        while wait_s:
            if waited_s + wait_s > self._deadline_s / 2:
                raise UpstreamRateLimited(exchange, wait_s)
            await self._clock.sleep(wait_s)
            waited_s += wait_s
            wait_s = self.ledger.spend(request.weight)
        status, headers, body = await self._send(
            request.method,
            self.base_url + request.path,
            params=request.params,
            json=request.json,
            headers=request.headers,
        )
        error = self.adapter.classify(status, headers, body)
        if error is not None:
            self._remember(error)
            raise error
        return headers, body

    async def _send(self, method: str, url: str, **parts: Any) -> tuple[int, Mapping[str, str], bytes]:  # noqa: ANN401
        exchange = self.adapter.exchange
        if parts.get("json") is None:
            parts.pop("json", None)
        try:
            async with asyncio.timeout(self._deadline_s), self._http.stream(method, url, **parts) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise UpstreamBadData(exchange, f"the answer is larger than {MAX_BODY_BYTES} bytes")
                return (
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    bytes(body),
                )
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise UpstreamTimeout(exchange, self._deadline_s) from error
        except httpx2.DecodingError as error:
            raise UpstreamBadData(exchange, "the answer's compression is broken") from error
        except httpx2.ConnectError as error:
            raise UpstreamUnavailable(exchange, f"cannot be reached: {_why(error)}") from error
        except httpx2.HTTPError as error:
            raise UpstreamUnavailable(exchange, f"the connection broke off ({type(error).__name__})") from error

    def _keep_silence(self) -> None:
        """Ask nothing of an exchange that has told us to wait: asking on is what turns a limit into a ban."""
        now_ms = self._clock.now_ms()
        if self._banned_until_ms > now_ms:
            raise UpstreamBanned(self.adapter.exchange, self._banned_until_ms)
        if self._silent_until_ms > now_ms:
            raise UpstreamRateLimited(self.adapter.exchange, (self._silent_until_ms - now_ms) / _MS_PER_S)

    def _remember(self, error: UpstreamError) -> None:
        """How long to keep silent; a shorter time never cuts a longer one short."""
        now_ms = self._clock.now_ms()
        if isinstance(error, UpstreamRateLimited):
            wait_s = _BACKOFF_S if error.retry_after_s is None else error.retry_after_s
            self._silent_until_ms = max(self._silent_until_ms, now_ms + round(wait_s * _MS_PER_S))
        elif isinstance(error, UpstreamBanned):
            until_ms = now_ms + _SHORTEST_BAN_MS if error.until_ms is None else error.until_ms
            self._banned_until_ms = max(self._banned_until_ms, until_ms)


def _why(error: BaseException) -> str:
    """Why there is no connection, told without an address: the exception at the bottom knows."""
    while (beneath := error.__cause__ or error.__context__) is not None:
        error = beneath
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), type(error).__name__)


_REASONS = (
    (socket.gaierror, "its name cannot be resolved (is there internet, is DNS right?)"),
    (ConnectionRefusedError, "nothing listens there"),
    (ssl.SSLError, "its certificate is not accepted"),
)


class _About(msgspec.Struct):
    source: Source


def _read_source(body: bytes) -> Source:
    try:
        source = msgspec.json.decode(body, type=_About).source
    except msgspec.DecodeError:
        return Source.SIMULATED
    return Source.SIMULATED if source is Source.LIVE else source
