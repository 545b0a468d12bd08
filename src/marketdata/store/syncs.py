"""What became of each sync."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.models import EpochMs, ExchangeId, Refusal
from marketdata.store.tables import SYNC_RUNS


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SymbolChange(_Model):
    """What a sync found different about one instrument."""

    symbol: Annotated[str, Field(description="Its canonical name after the sync.")]
    exchange_symbol: str
    change: Literal["listed", "delisted", "relisted", "replaced", "changed"]
    fields: Annotated[
        Mapping[str, tuple[object, object]], Field(description="Field → value before and after, for those that differ.")
    ] = Field(default_factory=dict)


class Clash(_Model):
    """Two instruments that want one canonical name: who has it, and what the other is called instead."""

    symbol: Annotated[str, Field(description="The other's name.", examples=["IDOL-USDT-PERP~IDOL"])]
    beside: Annotated[str, Field(description="The name that both want.", examples=["IDOL-USDT-PERP"])]


class SyncReport(_Model):
    """The details of a sync, beside its counts."""

    changes: tuple[SymbolChange, ...] = ()
    refused: Annotated[tuple[Refusal, ...], Field(description="Rows that could not be read, and why.")] = ()
    clashes: Annotated[tuple[Clash, ...], Field(description="Names that two instruments want.")] = ()
    unclassified: Annotated[
        tuple[str, ...], Field(description="Exchange symbols that look multiplied and are not in our table.")
    ] = ()
    base_mismatches: Annotated[
        tuple[str, ...], Field(description="Exchange symbols whose base asset field disagrees with their name.")
    ] = ()
    unknown_words: Annotated[
        Mapping[str, int], Field(description="`field=word` → count, for words of the exchange that are new to us.")
    ] = Field(default_factory=dict)


class NewSyncRun(_Model):
    """A sync that has ended, with the counts of what it did."""

    exchange: str
    started_at: EpochMs
    finished_at: EpochMs
    outcome: Annotated[
        Literal["succeeded", "refused", "failed"],
        Field(description="`refused`: the listing must not be applied; `failed`: there was no usable listing."),
    ]
    generation: Annotated[int, Field(description="The exchange's generation after the sync.")]
    listed: Annotated[int, Field(description="Instruments in the listing.")] = 0
    added: int = 0
    changed: int = 0
    delisted: int = 0
    relisted: int = 0
    refused: int = 0
    clashes: int = 0
    unclassified: int = 0
    report: SyncReport = SyncReport()
    error_code: Annotated[str | None, Field(description="Why it did not succeed, as a problem code.")] = None
    error_detail: str | None = None


class SyncRun(NewSyncRun):
    """A sync that has ended, as it is stored."""

    id: int


async def insert_run(connection: AsyncConnection, run: NewSyncRun) -> int:
    """Record a sync of a known exchange; returns its id."""
    stored = await connection.execute(insert(SYNC_RUNS).values(run.model_dump(mode="json")).returning(SYNC_RUNS.c.id))
    return int(stored.scalar_one())


async def list_runs(connection: AsyncConnection, *, exchange: ExchangeId | None = None, limit: int) -> list[SyncRun]:
    """The newest `limit` runs, newest first, of one exchange or of all."""
    query = select(SYNC_RUNS).order_by(SYNC_RUNS.c.id.desc()).limit(limit)
    if exchange is not None:
        query = query.where(SYNC_RUNS.c.exchange == exchange)
    return [SyncRun.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]


async def last_runs(connection: AsyncConnection) -> dict[ExchangeId, SyncRun]:
    """The newest run of each exchange, which says how the exchange is."""
    one_each = distinct_on(SYNC_RUNS.c.exchange)
    newest = select(SYNC_RUNS).ext(one_each).order_by(SYNC_RUNS.c.exchange, SYNC_RUNS.c.id.desc())
    runs = [SyncRun.model_validate(dict(row)) for row in (await connection.execute(newest)).mappings()]
    return {ExchangeId(run.exchange): run for run in runs}
