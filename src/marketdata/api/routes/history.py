"""What an instrument was: every version of it that was seen."""

from functools import partial
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response, Security
from pydantic import BeforeValidator, Field

from marketdata.api.cursor import bad_cursor, seal, unseal
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, ListPage
from marketdata.api.openapi import access_problems, headers, problems
from marketdata.api.parameters import ExchangePath, SymbolPath, parse_limit
from marketdata.core.models import EpochMs, SymbolState
from marketdata.store.scopes import METADATA_READ
from marketdata.store.symbols import SymbolVersion, list_versions

MAX_LIMIT: Final = 1000

router = APIRouter(
    prefix="/v1",
    tags=["symbols"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)


class Version(SymbolState):
    """An instrument as it was seen for a while, under the name that it had then."""

    last_seen_at: Annotated[
        EpochMs | None,
        Field(description="The last good sync whose listing had it; null while it was listed: all of them had it."),
    ]
    valid_from: Annotated[EpochMs, Field(description="When the listing was read that first showed it so: observed.")]
    valid_to: Annotated[
        EpochMs | None, Field(description="When the next version was first seen; null: this one still holds.")
    ]
    generation: Annotated[int, Field(description="The exchange's generation that began with this version.")]
    listed: Annotated[
        bool,
        Field(
            description="Whether it was in the exchange's listing. A version that is not, and is not delisted, is of an"
            " instrument that was missing and not for long enough to count as delisted: there is no event of it."
        ),
    ]


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor freezes: the most versions in one answer, and when the last one before it began."""

    limit: int
    after_ms: int


@router.get(
    "/symbols/{exchange}/{symbol:path}/history",
    operation_id="listSymbolVersions",
    summary="List what an instrument was",
    responses={
        **problems(
            "limit-too-large",
            "bad-cursor",
            "unknown-exchange",
            "unknown-symbol",
            "metadata-not-ready",
            "database-unavailable",
        ),
        **headers("Link"),
    },
)
async def list_symbol_versions(
    request: Request,
    response: Response,
    services: ServicesNeeded,
    exchange: ExchangePath,
    symbol: SymbolPath,
    limit: Annotated[
        int,
        Query(ge=1, le=MAX_LIMIT, description="Most versions in one answer."),
        BeforeValidator(partial(parse_limit, most=MAX_LIMIT)),
    ] = MAX_LIMIT,
    cursor: Annotated[str | None, Query(description="From `page.next`; it stands alone.")] = None,
) -> Listed[Version]:
    """Every version of an instrument since its exchange's first sync, oldest first; each begins where another ends.

    The instrument by any name that a path takes today, former ones too. A sync in which nothing about it changed begins
    no version.
    """
    instruments = services.catalogue.of(exchange)
    found = services.catalogue.symbol(exchange, symbol)
    row_id, secret, after_ms = instruments.row_id(found), services.tokens.sealing_secret, -1
    bound_to = f"history {row_id}"
    if cursor is not None:
        if len(request.query_params) > 1:
            raise bad_cursor("A cursor stands alone: it holds all the other parameters of its first page.")
        rest = unseal(secret, bound_to, cursor, Rest)
        limit, after_ms = rest.limit, rest.after_ms
    async with services.database.transaction() as connection:
        versions = await list_versions(connection, row_id, after_ms=after_ms, limit=limit + 1)
    shown, following = versions[:limit], None
    if len(versions) > limit:
        sealed = seal(secret, bound_to, Rest(limit, shown[-1].valid_from))
        path = f"/v1/symbols/{found.exchange}/{quote(found.symbol, safe='')}/history"
        following = f"{request.scope.get('root_path', '')}{path}?cursor={sealed}"
        response.headers["Link"] = f'<{following}>; rel="next"'
    page = ListPage(count=len(shown), limit=limit, complete=True, next=following)
    return Listed(data=[_shown(version) for version in shown], page=page)


def _shown(version: SymbolVersion) -> Version:
    fields = dict(version.stored.symbol)
    if version.stored.listed:
        fields["last_seen_at"] = None
    return Version(
        **fields,
        valid_from=version.valid_from,
        valid_to=version.valid_to,
        generation=version.generation,
        listed=version.stored.listed,
    )
