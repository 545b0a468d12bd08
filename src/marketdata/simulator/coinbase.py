"""Coinbase Exchange as a simulated exchange: the public market data of https://api.exchange.coinbase.com.

https://docs.cdp.coinbase.com/exchange/reference
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Protocol

from marketdata.simulator.answers import Answer, Asked, Rows, SymbolUnknownError, joined, json_body

_GRANULARITIES = {"60": 60, "300": 300, "900": 900, "3600": 3600, "21600": 21_600, "86400": 86_400}
_MOST_STEPS, _DEFAULT_ROWS = 300, 350

NOT_FOUND = "NotFound"
TOO_WIDE = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"
UNSUPPORTED = "Unsupported granularity"

HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json; charset=utf-8",
    "Access-Control-Allow-Headers": "Content-Type, Accept, cb-session, cb-fp, cb-form-factor",
    "Access-Control-Allow-Methods": "GET,POST,DELETE,PUT",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "cb-before, cb-after, cb-gdpr",
    "Access-Control-Max-Age": "7200",
    "Cf-Cache-Status": "DYNAMIC",
    "Server": "cloudflare",
    "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    "X-Dns-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Xss-Protection": "1; mode=block",
}
_ADVANCED_TRADE = "/api/v3/brokerage/"
"""The other API, whose paths want a key."""
_UNAUTHORIZED = Answer(401, b"Unauthorized\n", {**HEADERS, "Content-Type": "text/plain; charset=utf-8"})


class CoinbaseSource(Protocol):
    """Where the data come from: the simulated market or recordings."""

    def products(self, now_ms: int) -> bytes:
        """The body of the list of products."""
        ...

    def product(self, product_id: str, now_ms: int) -> bytes:
        """The body of one product. Raises SymbolUnknownError."""
        ...

    def currencies(self, now_ms: int) -> bytes:
        """The body of the list of currencies."""
        ...

    def candles(self, product_id: str, granularity_s: int, now_ms: int) -> Rows:
        """The candles of a product. Raises SymbolUnknownError."""
        ...


class _RefusedError(Exception):
    """A request that the exchange refuses, by its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Coinbase:
    """The exchange's HTTP side."""

    def __init__(self, source: CoinbaseSource) -> None:
        """Answers from `source`."""
        self._source = source

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request; paths and product ids are case-sensitive."""
        if asked.path.startswith(_ADVANCED_TRADE):
            return _UNAUTHORIZED
        try:
            body, cache = self._body(asked)
        except SymbolUnknownError:
            return refusal(404, NOT_FOUND)
        except _RefusedError as refused:
            return refusal(refused.status, refused.message)
        return Answer(200, body, {**HEADERS, "Cache-Control": cache, "Etag": _etag(body), "Accept-Ranges": "bytes"})

    def _body(self, asked: Asked) -> tuple[bytes, str]:
        """The body of a good answer, and how long it may be kept."""
        if asked.method != "GET":
            raise _RefusedError(405, "Method not allowed")
        match asked.path.split("/")[1:]:
            case ["time"]:
                return _time(asked.now_ms), "no-cache"
            case ["currencies"]:
                return self._source.currencies(asked.now_ms), "public, max-age=5"
            case ["products"]:
                return self._source.products(asked.now_ms), "public, max-age=5"
            case ["products", product_id]:
                return self._source.product(product_id, asked.now_ms), "public, max-age=5"
            case ["products", product_id, "candles"]:
                return self._candles(product_id, asked.query, asked.now_ms), "public, max-age=300, must-revalidate"
            case ["accounts" | "fees" | "fills" | "orders", *_]:
                raise _RefusedError(401, "CB-ACCESS-KEY header is required")
            case _:
                raise _RefusedError(404, NOT_FOUND)

    def _candles(self, product_id: str, query: Mapping[str, str], now_ms: int) -> bytes:
        """Buckets from `start` to `end`, both included, newest first; one of the two alone is ignored."""
        granularity_s = _GRANULARITIES.get(query.get("granularity", "60"))
        if granularity_s is None:
            raise _RefusedError(400, UNSUPPORTED)
        rows = self._source.candles(product_id, granularity_s, now_ms)
        start, end = query.get("start"), query.get("end")
        if not start or not end:
            return joined(rows(0, now_ms, _DEFAULT_ROWS, newest=True)[::-1])
        start_ms, end_ms = _moment_ms("start", start), _moment_ms("end", end)
        if start_ms > end_ms:
            raise _RefusedError(400, "start must be before end")
        if end_ms - start_ms > _MOST_STEPS * granularity_s * 1000:
            raise _RefusedError(400, TOO_WIDE)
        return joined(rows(start_ms, end_ms, _DEFAULT_ROWS, newest=False)[::-1])


def _moment_ms(name: str, text: str) -> int:
    """A time given as ISO 8601, UTC where it says no zone, or as unix seconds."""
    try:
        if text.replace(".", "", 1).isdigit():
            return int(float(text) * 1000)
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _RefusedError(400, f"invalid {name}") from None


def _time(now_ms: int) -> bytes:
    """The time as text and as float seconds."""
    iso = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json_body({"iso": iso, "epoch": now_ms / 1000})


def refusal(status: int, message: str) -> Answer:
    """An answer that says no; a cache asks for it each time, and never keeps it."""
    body = json_body({"message": message})
    headers = {"Cache-Control": "no-store", "Cf-Cache-Status": "MISS", "Etag": _etag(body)}
    return Answer(status, body, {**HEADERS, **headers})


def _etag(body: bytes) -> str:
    """What the exchange knows an answer by: a weak tag of its length and digest."""
    digest = b64encode(blake2b(body, digest_size=20).digest()).decode().rstrip("=")
    return f'W/"{len(body):x}-{digest}"'
