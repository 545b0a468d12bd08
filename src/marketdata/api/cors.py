"""Cross-origin requests of browsers (the Fetch standard's CORS), for origins that are named one by one.

Tokens travel in a header that scripts set themselves, so no credentials of the browser are ever asked for.
"""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from marketdata.api.record import record_of

_EXPOSED: Final = (
    b"Age, Cache-Status, ETag, Link, Marketdata-Complete, Marketdata-Gaps, Marketdata-Generation, Marketdata-Meta,"
    b" Marketdata-Page, Marketdata-Warnings, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, X-Request-ID"
)

_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, If-None-Match, X-Request-ID"),
    (b"access-control-max-age", b"7200"),
    (b"cache-control", b"no-store"),
)

_VARY: Final = (b"vary", b"Origin")


class Cors:
    """Pure ASGI middleware inside the Envelope; there is none where no origin is allowed."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        """`origins`: exactly as browsers write them."""
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight of an allowed origin; say with every other answer whether its page may read it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = record_of(scope).headers
        headers.append(_VARY)
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        if len(origins) == 1 and origins[0] in self._origins:
            headers += [(b"access-control-allow-origin", origins[0]), (b"access-control-expose-headers", _EXPOSED)]
            if scope["method"] == "OPTIONS" and _asks_before(scope):
                await send({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)


def _asks_before(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])
