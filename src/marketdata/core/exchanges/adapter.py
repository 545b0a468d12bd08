"""What an exchange adapter is: a pure translator between the canonical model and one exchange's wire format."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Literal, Protocol

from marketdata.core.errors import (
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamError,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from marketdata.core.models import Candle, Capabilities, Column, ExchangeId, Interval, Kind, Listing

_LONGEST_WAIT_DIGITS = 6
"""A wait of more seconds than that is no answer to believe."""

_LONGEST_OUTAGE_S = 900.0
"""How long at most callers are told to wait for an exchange that says that it is down."""

_PAGE_BYTES = 16_384
_REGION_MARKS = (b"from your country", b"the country or region")  # CloudFront's page; Cloudflare's, error 1009


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to an exchange, as data; the fetcher performs it."""

    method: Literal["GET", "POST"]
    path: str
    """Appended to the base URL."""
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    """What it costs of the exchange's budget, as far as known before the answer."""


@dataclass(frozen=True, slots=True)
class CandleQuery:
    """Candles of one instrument with `start_ms ≤ open_time < end_ms`, at most `limit`."""

    exchange_symbol: str
    interval: Interval
    start_ms: int | None
    """None: as many as `limit` allows before `end_ms`; used only where `wide_range` is `oldest`."""
    end_ms: int
    limit: int
    """At most the exchange's rows per call; a hint where the exchange takes none."""
    is_tail: bool = False
    """Whether the range reaches to where candles still change: no cache on the way may answer for the exchange."""


ListingRequests = Generator[Request, bytes, None]
"""Yields what to ask next and is sent the body of the answer, until the catalogue is whole."""


class ExchangeAdapter(Protocol):
    """Pure translation between the canonical model and one exchange's wire format: no I/O, no clock, no state."""

    exchange: ClassVar[ExchangeId]
    base_url: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def listing_requests(self) -> ListingRequests:
        """What to ask for the whole catalogue, one request after the other."""
        ...

    def parse_listing(self, bodies: Sequence[bytes], known: Mapping[str, Kind]) -> Listing:
        """Read the catalogue from the answers to `listing_requests`, in their order.

        `known`: kinds of the instruments seen before, by exchange symbol, for rows that no longer tell their own.

        Raises UpstreamBadData when an answer as a whole cannot be read; a bad row is refused in the Listing.
        """
        ...

    def candles_request(self, query: CandleQuery) -> Request:
        """The one request that answers `query`; the interval is one of `capabilities.intervals`."""
        ...

    def parse_candles(self, body: bytes, query: CandleQuery) -> list[Candle]:
        """The answer's candles, oldest first, as the exchange sent them: not yet cut to the range, nor validated.

        Raises UpstreamBadData when the answer is not of the documented form or is about another instrument.
        """
        ...

    def time_request(self) -> Request:
        """A cheap request whose answer tells the exchange's time."""
        ...

    def parse_time(self, headers: Mapping[str, str], body: bytes) -> int:
        """The exchange's time from the answer to `time_request`, epoch ms; never later than it really is."""
        ...

    def used_weight(self, headers: Mapping[str, str]) -> int | None:
        """What the exchange says this address has used of its budget's present window; None: it does not say."""
        ...

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError | None:
        """Name the failure that an answer is; None when it is a good answer.

        `headers` have lower-case names. A refused instrument is UpstreamRefused.
        """
        ...


def columns(**units: Literal["base", "quote", "count"]) -> Mapping[str, Column]:
    """The candle columns that are not the same at all exchanges: published in this unit, or not at all."""
    return {name: Column(published=name in units, unit=units.get(name)) for name in _COLUMNS}


_COLUMNS = ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")


def classify_status(
    exchange: ExchangeId, status: int, headers: Mapping[str, str], body: bytes = b""
) -> UpstreamError | None:
    """Name what an HTTP status means at any exchange; an adapter looks at its exchange's own codes first.

    `body`: tells a region that is not served from an address that is not, where a page of the network's edge says so.
    """
    if status == 200:
        return None
    if status == 429:
        return UpstreamRateLimited(exchange, retry_after_s(headers), "it refused the request as one too many (429)")
    if status == 418:
        return UpstreamBanned(exchange, None, retry_after_s(headers))
    if status in {403, 451}:
        is_told = any(mark in body[:_PAGE_BYTES] for mark in _REGION_MARKS)
        return UpstreamBlocked(exchange, status, by_region=is_told or None)
    if status == 503:
        return UpstreamUnavailable(exchange, "says that it is out of service (HTTP status 503)", _outage_s(headers))
    if status == 408 or status >= 500:
        return UpstreamUnavailable(exchange, f"is in trouble (HTTP status {status})", _outage_s(headers))
    return UpstreamFailure(exchange, status)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds of a `Retry-After` header; None where there is none or it is no number."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) <= _LONGEST_WAIT_DIGITS else None


def _outage_s(headers: Mapping[str, str]) -> float | None:
    wait_s = retry_after_s(headers)
    return None if wait_s is None else min(wait_s, _LONGEST_OUTAGE_S)


def date_ms(headers: Mapping[str, str]) -> int | None:
    """The `Date` header, epoch ms; it is cut to seconds, so up to one second early. None where none can be read."""
    try:
        date = datetime.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None
    return int(date.timestamp()) * 1000
