"""Candles: plain endpoints that return bytes, because this is what is asked most; `openapi.py` describes them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from marketdata.api.admission import admit, visit_of
from marketdata.api.answers import NUMBERS, ORDERS, TIME_FORMATS, Origin, Page
from marketdata.api.caching import candle_caching
from marketdata.api.cursor import bad_cursor, seal, unseal
from marketdata.api.encode import Form, encode_candles
from marketdata.api.formats import CONTENT_TYPES, check_form, choose_format
from marketdata.api.parameters import parse_choice, parse_flag, parse_limit, read_query
from marketdata.api.plain import PlainRoute
from marketdata.api.problems import Problem
from marketdata.api.record import waiting_for
from marketdata.api.services import Services
from marketdata.api.timestamps import parse_timestamp
from marketdata.core.candles import CandlePage, CandleRange, CandleWarning, get_candles
from marketdata.core.exchanges.adapter import CandleQuery, ExchangeAdapter
from marketdata.core.models import Interval, Symbol
from marketdata.store.scopes import CANDLES_READ

CANDLES_PATH: Final = "/v1/candles/{exchange}/{symbol:path}/{interval}"
LATEST_PATH: Final = f"{CANDLES_PATH}/latest"

MAX_LIMIT: Final = 5000
DEFAULT_LIMIT: Final = 500

LATEST_PARAMETERS: Final = ("include_partial", "include_prelisting", "numbers", "time_format", "format")
CANDLES_PARAMETERS: Final = ("start", "end", "limit", "order", *LATEST_PARAMETERS, "cursor")

_REPLACED: Final = CandleWarning(
    "not-served-by-exchange",
    "the exchange gave this instrument's symbol to another instrument and serves only that one",
)


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """Everything that decides an answer; a cursor freezes it."""

    range: CandleRange
    form: Form


def candle_routes() -> list[PlainRoute]:
    """The routes, the more special one first: a symbol may hold `/`."""
    return [PlainRoute(LATEST_PATH, get_latest), PlainRoute(CANDLES_PATH, get_range)]


async def get_range(request: Request) -> Response:
    """`GET /v1/candles/{exchange}/{symbol}/{interval}`."""
    services, symbol, interval = await _place(request)
    values = read_query(request.scope["query_string"], CANDLES_PARAMETERS)
    bound_to = f"candles {symbol.exchange} {symbol.exchange_symbol} {interval}"
    if "cursor" not in values:
        asked = Asked(_range(symbol, interval, values), _form(request, values))
        return await _answer(services, request, symbol, asked, bound_to)
    if len(values) > 1:
        raise bad_cursor("A cursor stands alone: it holds all the other parameters of its first page.")
    asked = unseal(services.tokens.sealing_secret, bound_to, values["cursor"], Asked)
    return await _answer(services, request, symbol, asked, bound_to)


async def get_latest(request: Request) -> Response:
    """`GET /v1/candles/{exchange}/{symbol}/{interval}/latest`."""
    services, symbol, interval = await _place(request)
    values = read_query(request.scope["query_string"], LATEST_PARAMETERS)
    asked = Asked(_range(symbol, interval, {"limit": "1", **values}), _form(request, values))
    return await _answer(services, request, symbol, asked, "")


async def _place(request: Request) -> tuple[Services, Symbol, Interval]:
    """What the path means, for a caller who may know."""
    services: Services = request.app.state.services
    await admit(request.scope, services, (CANDLES_READ,))
    path: Mapping[str, str] = request.scope["path_params"]
    symbol = services.catalogue.symbol(path["exchange"], path["symbol"])
    return services, symbol, services.interval(symbol, path["interval"])


def _range(symbol: Symbol, interval: Interval, values: Mapping[str, str]) -> CandleRange:
    start_ms = parse_timestamp("start", values["start"]) if "start" in values else None
    end_ms = parse_timestamp("end", values["end"]) if "end" in values else None
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise Problem(
            "invalid-range", "`start` is inclusive, `end` exclusive: `start` must be earlier.", parameter="start"
        )
    return CandleRange(
        exchange_symbol=symbol.exchange_symbol,
        interval=interval,
        start_ms=start_ms,
        end_ms=end_ms,
        limit=parse_limit(values["limit"], MAX_LIMIT) if "limit" in values else DEFAULT_LIMIT,
        order=parse_choice("order", values.get("order", "asc"), ORDERS),
        include_partial=parse_flag("include_partial", values.get("include_partial", "false")),
        include_prelisting=parse_flag("include_prelisting", values.get("include_prelisting", "false")),
    )


def _form(request: Request, values: Mapping[str, str]) -> Form:
    chosen = choose_format(values.get("format"), ",".join(request.headers.getlist("accept")))
    numbers = parse_choice("numbers", values.get("numbers", "string"), NUMBERS)
    time_format = parse_choice("time_format", values.get("time_format", "ms"), TIME_FORMATS)
    check_form(chosen, values)
    return Form(chosen, numbers, time_format)


async def _answer(services: Services, request: Request, symbol: Symbol, asked: Asked, bound_to: str) -> Response:
    visit = visit_of(request.scope)
    await visit.reserve_candles(asked.range.limit)
    fetcher = services.fetcher(symbol)
    instruments = services.catalogue.of(symbol.exchange)  # while the symbol is of this snapshot
    with waiting_for("upstream"):
        kind = await services.check_source(symbol)
        if instruments.is_replaced(symbol):
            found = CandlePage([], complete=False, next=None, gaps=[], warnings=[_REPLACED])
        else:
            found = await get_candles(fetcher, asked.range)
    visit.serve_candles(len(found.candles))
    following = None
    headers = candle_caching(fetcher.adapter.capabilities, asked.range, found, services.clock.now_ms())
    if found.next is not None:
        cursor = seal(services.tokens.sealing_secret, bound_to, msgspec.structs.replace(asked, range=found.next))
        path = f"/v1/candles/{symbol.exchange}/{quote(symbol.symbol, safe='')}/{asked.range.interval}"
        following = f"{request.scope.get('root_path', '')}{path}?cursor={cursor}"
        headers["Link"] = f'<{following}>; rel="next"'
    page = Page(len(found.candles), asked.range.limit, asked.range.order, found.complete, following)
    origin = Origin(kind, _endpoint(fetcher.adapter, asked.range))
    body, more = encode_candles(
        found, page, symbol, instruments.volume_unit(symbol), asked.range.interval, origin, asked.form
    )
    return Response(body, headers={"Content-Type": CONTENT_TYPES[asked.form.format], **headers, **more})


def _endpoint(adapter: ExchangeAdapter, asked: CandleRange) -> str:
    """Which of the exchange's endpoints answers, without the parameters."""
    request = adapter.candles_request(CandleQuery(asked.exchange_symbol, asked.interval, 0, 1, 1))
    return f"{request.method} {request.path}"
