"""The headers that every good answer to a GET has, and its 304, as the OpenAPI document describes them."""

from collections.abc import Mapping
from typing import Any, Final

type Document = dict[str, Any]

_TAGS: Final = ("Cache-Control", "ETag", "Vary")
_TIMED: Final = ("Server-Timing",)
_CACHED: Final = ("Age", "Cache-Status")

DELIVERY_HEADERS: Final[Mapping[str, Document]] = {
    "Cache-Control": {
        "description": "`private, max-age=86400`: candles of a range that is over and settled. `private, no-cache`: all"
        " else that needs a token; keep it, and ask with its tag. `public, max-age=300`: what needs none. `no-store`:"
        " what is of the moment.",
        "required": True,
        "schema": {"type": "string"},
        "example": "private, no-cache",
    },
    "ETag": {
        "description": "A strong tag: equal data has an equal one, each format and coding its own. Sent back as"
        " `If-None-Match` it is answered with 304 as long as nothing has changed.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}(-zstd|-gzip)?"$'},
        "example": '"e2383ce2d74d08ec191db7931f477728"',
    },
    "Vary": {
        "description": "What of a request the answer depends on.",
        "required": True,
        "schema": {"type": "string"},
        "example": "Accept-Encoding",
    },
    "Server-Timing": {
        "description": "Where its time went, ms: `upstream`, the exchanges; `db`, the database; `app`, neither.",
        "required": True,
        "schema": {"type": "string"},
        "example": "upstream;dur=61.30, app;dur=0.84",
    },
    "Cache-Status": {
        "description": "Whether an exchange was asked for it (RFC 9211): `fwd=miss`; `fwd=miss; collapsed`, by calls"
        " that others had under way; `hit`, it was in memory.",
        "schema": {"type": "string"},
        "example": "marketdata; fwd=miss",
    },
    "Age": {
        "description": "Seconds since the exchange was asked; of metadata, since the oldest listing in it was read.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 0,
    },
}


def describe_delivery(document: Document) -> None:
    """Add to `document`, whose operations are complete, what all answers to a GET have in common."""
    document["components"].setdefault("headers", {}).update(DELIVERY_HEADERS)
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        responses = methods["get"]["responses"]
        good = responses["200"].setdefault("headers", {})
        if path.startswith(("/health/", "/v1/admin/")):  # never kept, so neither tagged nor compressed
            good.update(_references("Cache-Control", *_TIMED))
            continue
        is_of_exchange = path.startswith("/v1/candles/") or "Age" in good
        names = (*_TAGS, *_TIMED, *(_CACHED if is_of_exchange else ()))
        good.update(_references(*names))
        responses["304"] = {
            "description": "Nothing has changed since the answer whose tag `If-None-Match` names.",
            "headers": {**_references(*names), "X-Request-ID": good["X-Request-ID"]},
        }
        methods["get"]["responses"] = dict(sorted(responses.items()))


def _references(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
