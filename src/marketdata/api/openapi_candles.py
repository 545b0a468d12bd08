"""The candle endpoints in the OpenAPI document: FastAPI knows nothing of them."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from marketdata.api.answers import NUMBERS, ORDERS, TIME_FORMATS, CandleAnswer, CandleRow
from marketdata.api.auth import SECURITY_SCHEME
from marketdata.api.formats import FORMATS
from marketdata.api.openapi import Document, problems
from marketdata.api.openapi_formats import ccxt_schemas, formats_content, formats_headers
from marketdata.api.parameters import EXCHANGE_TEXT, INTERVAL_TEXT, SYMBOL_TEXT, TIME_SCHEMA, TIME_TEXT
from marketdata.api.problems import PROBLEMS
from marketdata.core.models import Interval
from marketdata.store.scopes import CANDLES_READ

_COMPONENTS: Final = "#/components/schemas/"


def candle_operations(max_limit: int, default_limit: int) -> Document:
    """The operations by path."""
    path = "/v1/candles/{exchange}/{symbol}/{interval}"
    return {path: {"get": _candles(max_limit, default_limit)}, f"{path}/latest": {"get": _latest()}}


def candle_schemas() -> Document:
    """The schemas that they refer to, by name."""
    _, schemas = msgspec.json.schema_components([CandleAnswer[CandleRow]], ref_template=f"{_COMPONENTS}{{name}}")
    return {**schemas, **ccxt_schemas(schemas)}


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
            _query("start", TIME_SCHEMA, f"Inclusive. {TIME_TEXT}", "2026-01-01T00:00:00Z"),
            _query(
                "end", TIME_SCHEMA, f"Exclusive; without it now, by the exchange's clock. {TIME_TEXT}", 1767229200000
            ),
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
        _path("exchange", {"type": "string"}, EXCHANGE_TEXT, "binance_futures"),
        _path("symbol", {"type": "string"}, SYMBOL_TEXT, "BTC-USDT-PERP"),
        _path("interval", {"type": "string", "enum": list(Interval)}, INTERVAL_TEXT, "1h"),
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
    return {
        "tags": ["candles"],
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "parameters": [*place, *parameters],
        "responses": {"200": success, **problems(*shared, *codes)},
        "security": [{SECURITY_SCHEME: [CANDLES_READ]}],
    }


def _path(name: str, schema: Document, description: str, example: str) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {**schema, "examples": [example]},
        "description": description,
    }


def _query(name: str, schema: Mapping[str, object], description: str, example: object = None) -> Document:
    shown = schema if example is None else {**schema, "examples": [example]}
    return {"name": name, "in": "query", "required": False, "schema": shown, "description": description}
