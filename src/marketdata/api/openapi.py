"""The OpenAPI document: how errors are described, and what FastAPI cannot derive by itself: the candle endpoints."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from marketdata.api.answers import NUMBERS, ORDERS, TIME_FORMATS, CandleAnswer, CandleRow
from marketdata.api.auth import SECURITY_SCHEME
from marketdata.api.formats import FORMATS
from marketdata.api.openapi_formats import ccxt_schemas, formats_content, formats_headers
from marketdata.api.problems import MEDIA_TYPE, PROBLEMS
from marketdata.core.models import Interval
from marketdata.store.scopes import CANDLES_READ

type Document = dict[str, Any]

_COMPONENTS: Final = "#/components/schemas/"
_ALWAYS: Final = ("invalid-parameter", "unknown-parameter", "invalid-request", "internal-error")
_ACCESS: Final = ("missing-token", "invalid-token", "expired-token", "insufficient-scope", "rate-limited")

PROBLEM_SCHEMA: Final[Document] = {
    "type": "object",
    "title": "Problem",
    "description": "An error, RFC 9457. Beside the members named here it may hold others that help to mend it.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Where the code is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "`urn:uuid:` and the request id."},
        "code": {"type": "string", "enum": list(PROBLEMS)},
        "request_id": {"type": "string", "description": "As in the header `X-Request-ID`; our log has it too."},
        "parameter": {"type": "string", "description": "Which parameter is meant."},
        "supported": {"type": "array", "items": {"type": "string"}, "description": "What it may be."},
        "did_you_mean": {"type": "array", "items": {"type": "string"}},
        "max": {"type": "integer", "description": "The largest value allowed."},
        "history_from": {"type": "integer", "description": "Since when anything is known, epoch milliseconds."},
        "retry_after": {"type": "integer", "description": "Seconds, as in the header `Retry-After`."},
        "error": {"type": "string", "description": "RFC 6749's word, at the token endpoint."},
        "error_description": {"type": "string", "description": "The detail, at the token endpoint."},
    },
}

_HEADERS: Final[Document] = {
    "Link": {"schema": {"type": "string"}, "description": 'The next page, as in `page.next`, with `rel="next"`.'},
    "Marketdata-Generation": {
        "schema": {"type": "string"},
        "description": "Of which generation of each exchange the answer is, a dictionary as in RFC 9651; a generation"
        " ends with the first sync that changes what is told of the exchange.",
        "example": "binance_futures=12, coinbase=3",
    },
    "Age": {
        "schema": {"type": "integer"},
        "description": "Seconds since the listings were read that the answer is from; of several since the oldest.",
    },
}

GENERATION: Final = ("Marketdata-Generation", "Age")
"""The headers of an answer that says of which generation it is."""


def problems(*codes: str) -> dict[int | str, Document]:
    """The error responses of an operation that may end with `codes`, grouped by status."""
    return _described({*codes, *_ALWAYS})


def headers(*names: str) -> dict[int | str, Document]:
    """The headers of a good answer, by name."""
    return {200: {"headers": {name: _HEADERS[name] for name in names}}}


def access_problems() -> dict[int | str, Document]:
    """The error responses of every operation that needs an access token."""
    return _described(set(_ACCESS))


def _described(codes: set[str]) -> dict[int | str, Document]:
    by_status: dict[int | str, list[str]] = {}
    for code in PROBLEMS:
        if code in codes:
            by_status.setdefault(PROBLEMS[code][0], []).append(f"`{code}`")
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{_COMPONENTS}Problem"}}}
    return {status: {"description": ", ".join(at), "content": content} for status, at in by_status.items()}


def complete(document: Document, max_limit: int, default_limit: int) -> Document:
    """`document` with the candle endpoints and all that is referred to."""
    _, candle_schemas = msgspec.json.schema_components([CandleAnswer[CandleRow]], ref_template=f"{_COMPONENTS}{{name}}")
    schemas = document["components"]["schemas"]
    schemas |= {**candle_schemas, **ccxt_schemas(candle_schemas), "Problem": PROBLEM_SCHEMA}
    # FastAPI's own form of validation errors, which is never answered here
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    path = "/v1/candles/{exchange}/{symbol}/{interval}"
    document["paths"] |= {
        path: {"get": _candles(max_limit, default_limit)},
        f"{path}/latest": {"get": _latest()},
    }
    return document


def _candles(max_limit: int, default_limit: int) -> Document:
    return _operation(
        "listCandles",
        "Get candles",
        "Candles with `start ≤ open_time < end`, closed ones only by default.\n\n"
        "With `limit` only, or nothing: the newest, ascending. With `start`: from there upward; `order=desc` with both:"
        " the last ones, newest first. With `end` only: the last ones before it, ascending.\n\n"
        "A longer range goes on through `page.next`, a path with query, also as a `Link` header; null when the range is"
        " exhausted. A page may hold fewer rows than `limit`, or none, and still have a next one. Nothing is filled:"
        " missing candles are reported in `meta.gaps`. Equal data gives equal bytes.\n\n"
        f"{_FORMATS_TEXT}",
        [
            _query("start", {"type": "string"}, f"Inclusive. {_TIME}", example="2026-01-01T00:00:00Z"),
            _query("end", {"type": "string"}, f"Exclusive; without it now, by the exchange's clock. {_TIME}"),
            _query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": max_limit, "default": default_limit},
                "Most candles in one answer; the exchange's own page size does not matter.",
            ),
            _query("order", {"type": "string", "enum": ORDERS, "default": "asc"}, "By open time."),
            *_shared_parameters(),
            _query("cursor", {"type": "string"}, "From `page.next`; it stands alone and holds all other parameters."),
        ],
        ("naive-timestamp", "invalid-range", "limit-too-large", "bad-cursor"),
    )


def _latest() -> Document:
    return _operation(
        "getLatestCandle",
        "Get the newest candle",
        "The newest closed candle, or the forming one with `include_partial=true`, in the envelope of all candles;"
        " at most one row. Looks back a bounded way; the warning `search-bounded` says when that found nothing.\n\n"
        f"{_FORMATS_TEXT}",
        _shared_parameters(),
        (),
    )


_FORMATS_TEXT: Final = (
    "By `format` or `Accept`: `json`; `csv` and `ndjson`, a candle on each line, the last two columns those of the page"
    " (`page_complete`, `page_is_last`: whether it is whole, and whether the range is exhausted), everything else in"
    " the headers `Link` and `Marketdata-…`; `ccxt`, the rows `[ms, open, high, low, close, volume]` as numbers in the"
    " envelope of JSON. All hold the same digits. Errors are problem documents in every format."
)

_TIME: Final = (
    "Epoch milliseconds (never seconds), or RFC 3339 with a zone; in a URL `+` is written `%2B`. From 1970 to 9999."
)


def _shared_parameters() -> list[Document]:
    return [
        _query("include_partial", {"type": "boolean", "default": False}, "The candle that is still forming, too."),
        _query(
            "include_prelisting",
            {"type": "boolean", "default": False},
            "The candles, too, that the exchange makes up for the time before an instrument's first traded day (see"
            " `makes_up_prelisting` of `/v1/exchanges`). Without it they are left out, with the warning"
            " `prelisting-omitted`.",
        ),
        _query(
            "numbers",
            {"type": "string", "enum": NUMBERS, "default": "string"},
            "`string`: exact decimal text; `number`: the same digits as JSON numbers, which most readers round. CSV has"
            " no types: both are the same there. `ccxt` is always `number`.",
        ),
        _query(
            "time_format",
            {"type": "string", "enum": TIME_FORMATS, "default": "ms"},
            "`ms`: epoch milliseconds; `iso`: RFC 3339 with `Z`. `ccxt` is always `ms`.",
        ),
        _query(
            "format",
            {"type": "string", "enum": FORMATS, "default": "json"},
            "Goes before the `Accept` header, if given. A cursor keeps the format of its first page.",
        ),
    ]


def _operation(
    operation_id: str, summary: str, description: str, parameters: Sequence[Document], codes: Sequence[str]
) -> Document:
    place = [
        _path("exchange", {"type": "string"}, "An exchange of `/v1/exchanges`.", "binance_futures"),
        _path(
            "symbol",
            {"type": "string"},
            "The exchange's own symbol exactly as spelled, else ours in any case; percent-encoded: `PURR%2FUSDC`.",
            "BTC-USDT-PERP",
        ),
        _path(
            "interval",
            {"type": "string", "enum": list(Interval)},
            "One that the exchange offers; `m` minute, `M` month.",
            "1h",
        ),
    ]
    shared = (
        "unknown-exchange",
        "unknown-symbol",
        "unsupported-interval",
        "unsupported-format",
        "metadata-not-ready",
        *(code for code in PROBLEMS if code.startswith("upstream-")),
    )
    success = {"description": "Candles in the asked order.", "content": formats_content(), "headers": formats_headers()}
    errors = {**access_problems(), **problems(*shared, *codes)}
    return {
        "tags": ["candles"],
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "parameters": [*place, *parameters],
        "responses": {"200": success, **{str(status): errors[status] for status in sorted(errors, key=str)}},
        "security": [{SECURITY_SCHEME: [CANDLES_READ]}],
    }


def _path(name: str, schema: Document, description: str, example: str) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": description,
        "example": example,
    }


def _query(name: str, schema: Document, description: str, **more: str) -> Document:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description, **more}
