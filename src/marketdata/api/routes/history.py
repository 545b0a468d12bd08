"""What an instrument was: every version of it that was seen."""

from typing import Annotated

from fastapi import APIRouter, Depends, Security
from pydantic import Field

from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, whole
from marketdata.api.openapi import access_problems, problems
from marketdata.core.models import EpochMs, SymbolState
from marketdata.store.scopes import METADATA_READ
from marketdata.store.symbols import SymbolVersion, list_versions

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


@router.get(
    "/symbols/{exchange}/{symbol:path}/history",
    operation_id="listSymbolVersions",
    summary="List what an instrument was",
    responses=problems("unknown-exchange", "unknown-symbol", "metadata-not-ready", "database-unavailable"),
)
async def list_symbol_versions(services: ServicesNeeded, exchange: str, symbol: str) -> Listed[Version]:
    """Every version of an instrument since its exchange's first sync, oldest first; each begins where another ends.

    The instrument by any name that a path takes today, former ones too. A sync in which nothing about it changed begins
    no version.
    """
    instruments = services.catalogue.of(exchange)
    found = services.catalogue.symbol(exchange, symbol)
    async with services.database.transaction() as connection:
        versions = await list_versions(connection, instruments.row_id(found))
    return whole([_shown(version) for version in versions])


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
