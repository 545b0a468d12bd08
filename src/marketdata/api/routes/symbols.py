"""Instruments: lists of them, one of them, and finding them by any name."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response, Security
from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from marketdata.api.catalogue import Search
from marketdata.api.cursor import bad_cursor, seal, unseal
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, ListPage, whole
from marketdata.api.openapi import GENERATION, access_problems, headers, problems
from marketdata.api.parameters import TIME_SCHEMA, AsOf, ExchangePath, SymbolPath, parse_limit
from marketdata.api.problems import Problem
from marketdata.api.search import lateness, rank, read_words, suggest
from marketdata.api.timestamps import parse_timestamp, to_rfc3339
from marketdata.core.models import ExchangeId, Kind, Status, Symbol
from marketdata.core.naming import canonical_spelling
from marketdata.store.scopes import METADATA_READ
from marketdata.store.symbols import StoredSymbol
from marketdata.store.syncs import Reading

SYMBOLS_PATH: Final = "/v1/symbols"

MAX_LIMIT: Final = 1000

_OF_THEN: Final = ("naive-timestamp", "as-of-before-history", "metadata-not-ready", "database-unavailable")

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
    q: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=100,
            description="Words as people type them, in any case: each must fit an asset, a name of the instrument,"
            " former ones too, its dex, its kind (`perp`, `swap`, `future`, `spot`) or its exchange. Best first: a word"
            " is the base or the symbol, begins it, is in it, is elsewhere; of equals those that trade first, delisted"
            " ones last.",
            examples=["btc perp"],
        ),
    ] = None
    updated_since: Annotated[
        int | None,
        BeforeValidator(partial(parse_timestamp, "updated_since")),
        PlainSerializer(to_rfc3339, when_used="unless-none"),
        WithJsonSchema({**TIME_SCHEMA, "examples": [1767225600000]}),
        Field(
            description="Only those of which anything changed then or later, as far as we saw: a new one, a name, a"
            " status, a tick size, missing from a listing. Epoch milliseconds, or RFC 3339 with a zone."
        ),
    ] = None
    as_of: AsOf = None
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LIMIT, description="Most instruments in one answer."),
        BeforeValidator(partial(parse_limit, most=MAX_LIMIT)),
    ] = 100
    cursor: Annotated[str | None, Field(description="From `page.next`; it stands alone.")] = None

    def keep(self, row: StoredSymbol) -> bool:
        """Whether they let the instrument through, but for `q`."""
        symbol = row.symbol
        return (
            (self.kind is None or symbol.kind is self.kind)
            and (self.status is None or symbol.status is self.status)
            and _is_same_asset(self.base, symbol.base_asset)
            and _is_same_asset(self.quote, symbol.quote_asset)
            and _is_same_asset(self.settle, symbol.settle_asset)
            and (self.updated_since is None or (row.changed_at or 0) >= self.updated_since)
        )


Place = tuple[int, int, str, str]
"""What a list is ordered by: how well it fits the search and whether it trades (without a search all are equal),
exchange, symbol."""


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor freezes: the filters as a query has them, what was known, the place of the last one before it."""

    filters: dict[str, str]
    readings: dict[ExchangeId, Reading]
    after: Place


@router.get(
    "/symbols",
    operation_id="listSymbols",
    summary="List instruments",
    response_model=Listed[Symbol],
    responses={
        **problems("limit-too-large", "bad-cursor", "unknown-exchange", *_OF_THEN),
        **headers("Link", *GENERATION),
    },
)
async def list_symbols(
    request: Request, services: ServicesNeeded, filters: Annotated[SymbolFilters, Query()]
) -> Response:
    """All instruments ever seen, ordered by exchange and symbol, or by how well they fit `q`.

    Filters narrow; `page.next` goes on, with what was known at the first page: a sync in between changes nothing in the
    pages to come. `page.complete` is false while an exchange that the filters allow has not been read yet, or had not
    at `as_of`.
    """
    secret = services.tokens.sealing_secret
    if filters.cursor is None:
        after: Place | None = None
        search = await services.moments.search(filters.exchange, filters.as_of)
    else:
        if len(request.query_params) > 1:
            raise bad_cursor("A cursor stands alone: it holds all the other parameters of its first page.")
        rest = unseal(secret, SYMBOLS_PATH, filters.cursor, Rest)
        filters, after = SymbolFilters.model_validate(rest.filters), rest.after
        search = await services.moments.reopen(filters.exchange, rest.readings)
    listed = [*islice(_matching(search, filters, after), filters.limit + 1)]
    shown = listed[: filters.limit]
    following = None
    if len(listed) > filters.limit:
        query = {name: str(value) for name, value in filters.model_dump(mode="json", exclude_none=True).items()}
        readings = {exchange: known.reading for exchange, known in search.known.items()}
        cursor = seal(secret, SYMBOLS_PATH, Rest(query, readings, shown[-1][0]))
        following = f"{request.scope.get('root_path', '')}{SYMBOLS_PATH}?cursor={cursor}"
    page = ListPage(count=len(shown), limit=filters.limit, complete=search.is_complete, next=following)
    body = b'{"data":[%b],"page":%b}' % (b",".join(json for _, json in shown), page.model_dump_json().encode())
    answer = Response(body, headers=search.headers(services.clock.now_ms()), media_type="application/json")
    if following is not None:
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer


def _matching(search: Search, filters: SymbolFilters, after: Place | None) -> Iterator[tuple[Place, bytes]]:
    """Where each instrument stands that the filters let through, and its JSON, in order, from behind `after`."""
    words = None if filters.q is None else _words(filters.q)
    found = _ranked(search, filters, words) if words else _plain(search, filters)
    for place, json in found:
        if after is None or place > after:
            yield place, json


def _plain(search: Search, filters: SymbolFilters) -> Iterator[tuple[Place, bytes]]:
    for exchange, known in search.known.items():
        for row in known.instruments.rows:
            if filters.keep(row):
                yield (0, 0, exchange, row.symbol.symbol), known.instruments.encoded[row.symbol.symbol]


def _ranked(search: Search, filters: SymbolFilters, words: Sequence[str]) -> Iterator[tuple[Place, bytes]]:
    found = []
    for exchange, known in search.known.items():
        for row, spellings in zip(known.instruments.rows, known.instruments.spellings, strict=True):
            if filters.keep(row) and (fit := rank(spellings, words)) is not None:
                place = (fit, lateness(row.symbol), str(exchange), row.symbol.symbol)
                found.append((place, known.instruments.encoded[row.symbol.symbol]))
    yield from sorted(found)


def _words(text: str) -> Sequence[str]:
    words = read_words(text)
    if not words:
        raise Problem("invalid-parameter", "`q` has neither a letter nor a digit in it.", parameter="q")
    return words


def _is_same_asset(wanted: str | None, asset: str | None) -> bool:
    return wanted is None or (asset is not None and canonical_spelling(asset) == canonical_spelling(wanted))


@router.get(
    "/symbols/{exchange}/{symbol:path}",
    operation_id="getSymbol",
    summary="Get one instrument",
    response_model=Symbol,
    responses={**problems("unknown-exchange", "unknown-symbol", *_OF_THEN), **headers(*GENERATION)},
)
async def get_symbol(
    services: ServicesNeeded, exchange: ExchangePath, symbol: SymbolPath, as_of: Annotated[AsOf, Query()] = None
) -> Response:
    """By the exchange's own symbol exactly as spelled, else by our symbol in any case, else by a former one.

    Percent-encode what a path cannot hold: `PURR/USDC` is `PURR%2FUSDC`. With `as_of` by the names that it had then.
    """
    search = await services.moments.search(exchange, as_of)
    (known,) = search.known.values()
    body = known.symbol(symbol).model_dump_json()  # one of a moment that may never be asked for again
    return Response(body, headers=search.headers(services.clock.now_ms()), media_type="application/json")


class Resolved(Listed[Symbol]):
    """The instruments that go by a name."""

    did_you_mean: Annotated[
        list[str], Field(description="Where none does: the ids of at most five that are spelt alike, likeliest first.")
    ]


@router.get(
    "/resolve",
    operation_id="resolve",
    summary="Find instruments by any name",
    responses={**problems("unknown-exchange", *_OF_THEN), **headers(*GENERATION)},
)
async def resolve(
    services: ServicesNeeded,
    response: Response,
    name: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            description="Our symbol, the exchange's, or ccxt's; in any case.",
            examples=["BTC/USDT:USDT"],
        ),
    ],
    exchange: Annotated[str | None, Query(description="Only on this exchange.", examples=["binance_futures"])] = None,
    as_of: Annotated[AsOf, Query()] = None,
) -> Resolved:
    """Every instrument that goes by this name, its `exchange:symbol` id and former symbols included; perhaps none.

    Exchanges are searched whose instruments have been read. If these are not all, `page.complete` is false, and nothing
    found is `metadata-not-ready`. With `as_of` names mean what they meant then, and exchanges that had not been read
    are left out.
    """
    search = await services.moments.search(exchange, as_of)
    found = [symbol for instruments in search.instruments for symbol in instruments.matches(name)]
    if not found and as_of is None:
        search.check_absence()
    response.headers.update(search.headers(services.clock.now_ms()))
    near = [] if found else [symbol.id for symbol in suggest(search.instruments, name)]
    return Resolved(**dict(whole(found, complete=search.is_complete)), did_you_mean=near)
