"""Instruments: lists of them, one of them, and finding them by any name."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response, Security
from pydantic import BaseModel, BeforeValidator, Field

from marketdata.api.catalogue import Search
from marketdata.api.cursor import bad_cursor, seal, unseal
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, ListPage, whole
from marketdata.api.openapi import access_problems, problems
from marketdata.api.parameters import parse_limit
from marketdata.core.models import Kind, Status, Symbol
from marketdata.core.naming import canonical_spelling
from marketdata.store.scopes import METADATA_READ

SYMBOLS_PATH: Final = "/v1/symbols"

MAX_LIMIT: Final = 1000

router = APIRouter(
    prefix="/v1",
    tags=["symbols"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)


Asset = Annotated[str, Field(min_length=1)]


class SymbolFilters(BaseModel):
    """Which instruments to list. Asset names are compared without regard to case."""

    exchange: Annotated[str | None, Field(description="Only this exchange.", examples=["binance_futures"])] = None
    kind: Annotated[Kind | None, Field(description="Only this kind.")] = None
    base: Annotated[Asset | None, Field(description="Only this base asset, without multiplier.", examples=["BTC"])] = (
        None
    )
    quote: Annotated[Asset | None, Field(description="Only this quote asset.", examples=["USDT"])] = None
    settle: Annotated[Asset | None, Field(description="Only what settles in this asset.", examples=["USDC"])] = None
    status: Annotated[Status | None, Field(description="Only this status; without it all, delisted ones too.")] = None
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LIMIT, description="Most instruments in one answer."),
        BeforeValidator(partial(parse_limit, most=MAX_LIMIT)),
    ] = 100
    cursor: Annotated[str | None, Field(description="From `page.next`; it stands alone.")] = None

    def keep(self, symbol: Symbol) -> bool:
        """Whether they let `symbol` through."""
        return (
            (self.kind is None or symbol.kind is self.kind)
            and (self.status is None or symbol.status is self.status)
            and _is_same_asset(self.base, symbol.base_asset)
            and _is_same_asset(self.quote, symbol.quote_asset)
            and _is_same_asset(self.settle, symbol.settle_asset)
        )


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor freezes: the filters as a query has them, exchange and symbol of the last instrument before it."""

    filters: dict[str, str]
    after: tuple[str, str]


@router.get(
    "/symbols",
    operation_id="listSymbols",
    summary="List instruments",
    response_model=Listed[Symbol],
    responses=problems("limit-too-large", "bad-cursor", "unknown-exchange", "metadata-not-ready"),
)
async def list_symbols(
    request: Request, services: ServicesNeeded, filters: Annotated[SymbolFilters, Query()]
) -> Response:
    """All instruments ever seen, ordered by exchange and symbol; filters narrow, `page.next` goes on.

    `page.complete` is false while an exchange that the filters allow has not been read yet.
    """
    secrets = services.tokens.cursor_secrets()
    after: tuple[str, str] | None = None
    if filters.cursor is not None:
        if len(request.query_params) > 1:
            raise bad_cursor("A cursor stands alone: it holds all the other parameters of its first page.")
        rest = unseal(secrets, SYMBOLS_PATH, filters.cursor, Rest)
        filters, after = SymbolFilters.model_validate(rest.filters), rest.after
    search = services.catalogue.search(filters.exchange)
    listed = [*islice(_matching(search, filters, after), filters.limit + 1)]
    shown = listed[: filters.limit]
    following = None
    if len(listed) > filters.limit:
        last = shown[-1][0]
        query = {name: str(value) for name, value in filters.model_dump(mode="json", exclude_none=True).items()}
        rest = Rest(query, (last.exchange, last.symbol))
        cursor = seal(secrets[0], SYMBOLS_PATH, rest)
        following = f"{request.scope.get('root_path', '')}{SYMBOLS_PATH}?cursor={cursor}"
    page = ListPage(count=len(shown), limit=filters.limit, complete=search.is_complete, next=following)
    body = b'{"data":[%b],"page":%b}' % (b",".join(json for _, json in shown), page.model_dump_json().encode())
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return Response(body, headers=headers, media_type="application/json")


def _matching(search: Search, filters: SymbolFilters, after: tuple[str, str] | None) -> Iterator[tuple[Symbol, bytes]]:
    """Symbols with their JSON, by exchange and symbol, from behind `after`."""
    for instruments in search.instruments.values():
        for symbol in instruments.symbols:
            if (after is None or (symbol.exchange, symbol.symbol) > after) and filters.keep(symbol):
                yield symbol, instruments.encoded[symbol.symbol]


def _is_same_asset(wanted: str | None, asset: str | None) -> bool:
    return wanted is None or (asset is not None and canonical_spelling(asset) == canonical_spelling(wanted))


@router.get(
    "/symbols/{exchange}/{symbol:path}",
    operation_id="getSymbol",
    summary="Get one instrument",
    response_model=Symbol,
    responses=problems("unknown-exchange", "unknown-symbol", "metadata-not-ready"),
)
async def get_symbol(services: ServicesNeeded, exchange: str, symbol: str) -> Response:
    """By the exchange's own symbol exactly as spelled, else by our symbol in any case, else by a former one.

    Percent-encode what a path cannot hold: `PURR/USDC` is `PURR%2FUSDC`.
    """
    found = services.catalogue.symbol(exchange, symbol)
    return Response(services.catalogue.of(exchange).encoded[found.symbol], media_type="application/json")


@router.get(
    "/resolve",
    operation_id="resolve",
    summary="Find instruments by any name",
    responses=problems("unknown-exchange", "metadata-not-ready"),
)
async def resolve(
    services: ServicesNeeded,
    name: Annotated[
        str, Query(min_length=1, max_length=200, description="Our symbol, the exchange's, or ccxt's; in any case.")
    ],
    exchange: Annotated[str | None, Query(description="Only on this exchange.")] = None,
) -> Listed[Symbol]:
    """Every instrument that goes by this name, its `exchange:symbol` id and former symbols included; perhaps none.

    Exchanges are searched whose instruments have been read. If these are not all, `page.complete` is false, and nothing
    found is `metadata-not-ready`.
    """
    search = services.catalogue.search(exchange)
    found = [symbol for instruments in search.instruments.values() for symbol in instruments.matches(name)]
    if not found:
        search.check_absence()
    return whole(found, complete=search.is_complete)
