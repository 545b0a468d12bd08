"""One request over HTTP: sent within a deadline, answered whole and small enough, every failure named."""

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

from marketdata import __version__
from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import Request
from marketdata.core.models import ExchangeId

CONNECT_S = 3.0
"""The most that a connection may take to stand, of the time that a call has in all."""

MAX_BODY_BYTES = 12 * 1024 * 1024
"""The largest answer that is read, unpacked; the largest known is a listing of about three megabytes."""

MAX_HEAD_BYTES = 16 * 1024
"""The largest headers that are read; those of a real answer are about one or two thousand bytes."""

MAX_AT_ONCE = 32
"""The most calls that are on their way to one exchange."""

PLACE_S = 1.5
"""How long at most more of them wait for a place, of the time that a call has in all."""

MAX_REFUSAL_BYTES = 64 * 1024
REFUSAL_S = 1.0
"""How much of an answer that is no success is read, and for how long."""

_GZIP = 31  # zlib's code for the gzip format
_STEP_BYTES = 256 * 1024
_GOES_ON = "the answer goes on after its compressed part"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Unpacked."""

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media_type == "application/json" or media_type.endswith("+json")


class Deadline:
    """When a call has to be over, with all that belongs to it."""

    def __init__(self, length_s: float) -> None:
        """In `length_s` from now."""
        self.length_s = length_s
        self.ends_at = asyncio.get_running_loop().time() + length_s

    @property
    def left_s(self) -> float:
        """Until then."""
        return max(0.0, self.ends_at - asyncio.get_running_loop().time())


def open_http() -> httpx2.AsyncClient:
    """A connection pool for exchanges: no redirects, no cookies, no proxies from the environment."""
    return httpx2.AsyncClient(
        headers={
            "User-Agent": f"market-data-platform/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
        # each exchange bounds its own calls: one that hangs must not hold the connections of the others
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=MAX_AT_ONCE),
    )


async def is_answering(http: httpx2.AsyncClient, url: str) -> bool:
    """Whether a server answers `url` with a good status; for services that wait for one another."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return (await http.get(url)).is_success
    except (TimeoutError, httpx2.HTTPError):
        return False


class Transport:
    """The connections to one exchange."""

    def __init__(
        self, exchange: ExchangeId, http: httpx2.AsyncClient, tell: Callable[[Answer], Awaitable[None]]
    ) -> None:
        """The caller closes `http`; `tell` takes an answer that is no success and whose call is cancelled."""
        self._exchange = exchange
        self._http = http
        self._tell = tell
        self._free = asyncio.Semaphore(MAX_AT_ONCE)

    @asynccontextmanager
    async def place(self, deadline: Deadline) -> AsyncIterator[None]:
        """One of the places of those on their way. Raises UpstreamRateLimited when none becomes free in time."""
        try:
            async with asyncio.timeout(min(PLACE_S, deadline.left_s)):
                await self._free.acquire()
        except TimeoutError:
            raise UpstreamRateLimited(self._exchange, PLACE_S) from None
        try:
            yield
        finally:
            self._free.release()

    async def send(
        self, base_url: str, request: Request, deadline: Deadline, most_bytes: int = MAX_BODY_BYTES
    ) -> Answer:
        """Send `request` and read the answer, whatever its status; of one that is no success its words may be missing.

        Its status says enough: a ban is one although its body breaks off or never comes. Raises UpstreamTimeout,
        UpstreamUnavailable, UpstreamBadData when it or its headers are too large and UpstreamGarbled when it cannot be
        unpacked.
        """
        refusal: Answer | None = None
        try:
            async with (
                asyncio.timeout(deadline.left_s) as timeout,
                self._http.stream(
                    request.method,
                    base_url + request.path,
                    params=request.params,
                    json=request.json,
                    headers=request.headers,
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers.items()}
                if response.status_code == 200:
                    return Answer(200, headers, await self._read(response, most_bytes))
                refusal = Answer(response.status_code, headers, b"")
                timeout.reschedule(min(deadline.ends_at, asyncio.get_running_loop().time() + REFUSAL_S))
                try:
                    return replace(refusal, body=await self._read(response, MAX_REFUSAL_BYTES))
                except UpstreamBadData:
                    return refusal
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            if refusal is not None:
                return refusal
            raise self._failure(error, deadline) from error
        except asyncio.CancelledError:
            if refusal is not None:
                await self._tell(refusal)
            raise

    def _failure(self, error: Exception, deadline: Deadline) -> UpstreamError:
        if isinstance(error, httpx2.ConnectTimeout):
            return UpstreamTimeout(self._exchange, CONNECT_S)
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            return UpstreamTimeout(self._exchange, deadline.length_s)
        if isinstance(error, httpx2.InvalidURL):
            return UpstreamUnavailable(self._exchange, f"cannot be reached: its address is none ({error})")
        if isinstance(error, httpx2.ConnectError):
            return UpstreamUnavailable(self._exchange, f"cannot be reached: {why_unreachable(error)}")
        return UpstreamUnavailable(self._exchange, f"the connection broke off ({type(error).__name__})")

    async def _read(self, response: httpx2.Response, most_bytes: int) -> bytes:
        """The body, unpacked here and not by the library: it would unpack a bomb before its size is known."""
        # each has a colon, a blank and a line's end besides
        if sum(len(name) + len(value) + 4 for name, value in response.headers.raw) > MAX_HEAD_BYTES:
            raise UpstreamBadData(self._exchange, f"the answer's headers are larger than {MAX_HEAD_BYTES} bytes")
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip"}:
            raise UpstreamGarbled(self._exchange, "the answer is compressed in a way that was not asked for")
        unpacking = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        parts: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            for part in [chunk] if unpacking is None else self._unpack(unpacking, chunk):
                parts.append(part)
                size += len(part)
                if size > most_bytes:
                    raise UpstreamBadData(self._exchange, f"the answer is larger than {most_bytes} bytes")
                if len(part) == _STEP_BYTES:
                    await asyncio.sleep(0)  # others have their turn while a large one is unpacked
        if unpacking is not None and not unpacking.eof:
            raise UpstreamGarbled(self._exchange, "the answer's compressed part breaks off")
        if unpacking is not None and unpacking.unused_data:
            raise UpstreamGarbled(self._exchange, _GOES_ON)
        return b"".join(parts)

    def _unpack(self, unpacking: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
        """What is packed in `chunk`, in parts of at most _STEP_BYTES: a bomb is large from its first bytes on."""
        if unpacking.eof:
            raise UpstreamGarbled(self._exchange, _GOES_ON)
        try:
            part = unpacking.decompress(chunk, _STEP_BYTES)
            yield part
            while len(part) == _STEP_BYTES:  # there may be more, even if all of `chunk` is read
                part = unpacking.decompress(unpacking.unconsumed_tail, _STEP_BYTES)
                yield part
        except zlib.error as error:
            raise UpstreamGarbled(self._exchange, "the answer's compression is broken") from error


def why_unreachable(error: BaseException) -> str:
    """Why there is no connection, told without an address: the exception at the bottom knows."""
    while (beneath := error.__cause__ or error.__context__) is not None:
        error = beneath
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), type(error).__name__)


_REASONS = (
    (socket.gaierror, "its name cannot be resolved (is there internet, is DNS right?)"),
    (ConnectionRefusedError, "nothing listens there"),
    (ssl.SSLError, "its certificate is not accepted"),
)
