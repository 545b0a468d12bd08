"""What became of each sync. Syncs in a row that all came to the same share one record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.models import EpochMs, ExchangeId, Refusal
from marketdata.store.tables import EXCHANGES, SYNC_RUNS


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Reading:
    """A listing that was read and applied: what an exchange was known to have until the next one."""

    generation: int
    """The exchange's generation from then on."""
    at_ms: int
    """When it was read, epoch ms."""


class Clash(_Model):
    """Two instruments that want one canonical name: who has it, and what the other is called instead."""

    symbol: Annotated[str, Field(description="The other's name.", examples=["IDOL-USDT-PERP~IDOL"])]
    beside: Annotated[str, Field(description="The name that both want.", examples=["IDOL-USDT-PERP"])]


class Shift(_Model):
    """How a listing differs from what is known, as exchange symbols; what the guard judges."""

    missing: Annotated[tuple[str, ...], Field(description="Known, and not in this listing.")] = ()
    replaced: Annotated[tuple[str, ...], Field(description="Known as another instrument.")] = ()
    delisted: Annotated[tuple[str, ...], Field(description="Newly said to be delisted.")] = ()
    unknown: Annotated[tuple[str, ...], Field(description="Newly of a status that is unknown.")] = ()
    new: Annotated[tuple[str, ...], Field(description="Not known, or known as delisted and gone.")] = ()
    unreadable: Annotated[tuple[str, ...], Field(description="Whose row cannot be read, and was not accepted so.")] = ()
    nameless: Annotated[int, Field(description="Rows that cannot be read and have no symbol.")] = 0


class SyncReport(_Model):
    """The details of a sync, beside its counts."""

    refused: Annotated[tuple[Refusal, ...], Field(description="Rows that could not be read, and why.")] = ()
    missing: Annotated[
        tuple[str, ...], Field(description="Names of those that the listing lacks and that are not delisted yet.")
    ] = ()
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
    quarantined: Annotated[
        Shift | None, Field(description="Of a quarantined listing: how it differs from what is known.")
    ] = None


class NewSyncRun(_Model):
    """A sync that has ended, with the counts of what it did."""

    exchange: str
    started_at: EpochMs
    finished_at: EpochMs
    read_at: Annotated[EpochMs | None, Field(description="When the listing was read; null where there was none.")] = (
        None
    )
    outcome: Annotated[
        Literal["succeeded", "quarantined", "failed"],
        Field(
            description="`quarantined`: the listing cannot be trusted and was not applied; `failed`: there was no"
            " usable listing."
        ),
    ]
    generation: Annotated[int, Field(description="The exchange's generation after the sync.")]
    listed: Annotated[int, Field(description="Instruments in the listing.")] = 0
    added: int = 0
    changed: int = 0
    delisted: int = 0
    relisted: int = 0
    missing: Annotated[
        int, Field(description="Not in the listing, and not missing for long enough to be delisted.")
    ] = 0
    refused: int = 0
    clashes: int = 0
    unclassified: int = 0
    payload_sha256: Annotated[
        str | None, Field(description="SHA-256 of all answers that make up the listing, one after the other.")
    ] = None
    payload_bytes: int | None = None
    report: SyncReport = SyncReport()
    accepted_run: Annotated[int | None, Field(description="The quarantined run that an operator let through.")] = None
    error_code: Annotated[str | None, Field(description="Why it did not succeed, as a problem code.")] = None
    error_detail: str | None = None


class SyncRun(NewSyncRun):
    """One sync, or several in a row that all came to the same; the times without `first` are those of the last."""

    id: int
    runs: Annotated[int, Field(description="How many they were.")]
    first_started_at: EpochMs
    first_read_at: EpochMs | None


_OF_EACH = frozenset({"started_at", "finished_at", "read_at", "payload_sha256", "payload_bytes"})
"""What differs although two syncs came to the same."""


async def record_run(connection: AsyncConnection, run: NewSyncRun) -> SyncRun:
    """Record a sync of a known exchange, with the one before if that came to the same; gives the record."""
    row = run.model_dump(mode="json")
    for last in await list_runs(connection, exchange=ExchangeId(run.exchange), limit=1):
        if all(value == getattr(last, name) for name, value in run if name not in _OF_EACH):
            again = {**{name: row[name] for name in _OF_EACH}, "runs": last.runs + 1}
            await connection.execute(update(SYNC_RUNS).where(SYNC_RUNS.c.id == last.id).values(again))
            return last.model_copy(update=again)
    new = {**row, "runs": 1, "first_started_at": run.started_at, "first_read_at": run.read_at}
    stored = await connection.execute(insert(SYNC_RUNS).values(new).returning(SYNC_RUNS.c.id))
    return SyncRun.model_validate({**new, "id": stored.scalar_one()})


async def get_run(connection: AsyncConnection, run_id: int) -> SyncRun | None:
    """The run of that id, if there is one."""
    row = (await connection.execute(select(SYNC_RUNS).where(SYNC_RUNS.c.id == run_id))).mappings().one_or_none()
    return None if row is None else SyncRun.model_validate(dict(row))


async def get_last_accepted(connection: AsyncConnection, exchange: ExchangeId) -> SyncRun | None:
    """The newest run of `exchange` that was applied because an operator trusted its listing."""
    return await _newest(
        connection, exchange, SYNC_RUNS.c.outcome == "succeeded", SYNC_RUNS.c.accepted_run.is_not(None)
    )


HAD_A_LISTING = SYNC_RUNS.c.outcome != "failed"
"""Of a run whose listing was applied or quarantined."""


async def get_last_judged(connection: AsyncConnection, exchange: ExchangeId) -> SyncRun | None:
    """The newest run of `exchange` that had a listing, applied or quarantined."""
    return await _newest(connection, exchange, HAD_A_LISTING)


async def _newest(connection: AsyncConnection, exchange: ExchangeId, *where: ColumnElement[bool]) -> SyncRun | None:
    query = select(SYNC_RUNS).where(SYNC_RUNS.c.exchange == exchange, *where).order_by(SYNC_RUNS.c.id.desc()).limit(1)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else SyncRun.model_validate(dict(row))


async def get_reading(connection: AsyncConnection, exchange: ExchangeId, at_ms: int) -> Reading | None:
    """The last listing of `exchange` that was applied and read until `at_ms` (epoch ms), as far as it is kept.

    Of several syncs in a row that came to the same, the first and the last are kept. None: there was none yet.
    """
    began_at = EXCHANGES.c.first_synced_at
    query = (
        select(SYNC_RUNS.c.generation, began_at, SYNC_RUNS.c.first_read_at, SYNC_RUNS.c.read_at)
        .join_from(SYNC_RUNS, EXCHANGES)
        .where(SYNC_RUNS.c.exchange == exchange, SYNC_RUNS.c.outcome == "succeeded")
        # runs are kept from before the memory began, too
        .where(began_at <= at_ms, SYNC_RUNS.c.first_read_at <= at_ms)
        .order_by(SYNC_RUNS.c.id.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    generation, *kept = row
    return Reading(generation, max(time_ms for time_ms in kept if time_ms <= at_ms))


async def list_runs(connection: AsyncConnection, *, exchange: ExchangeId | None = None, limit: int) -> list[SyncRun]:
    """The newest `limit` runs, newest first, of one exchange or of all."""
    query = select(SYNC_RUNS).order_by(SYNC_RUNS.c.id.desc()).limit(limit)
    if exchange is not None:
        query = query.where(SYNC_RUNS.c.exchange == exchange)
    return [SyncRun.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]


async def last_runs(connection: AsyncConnection, *where: ColumnElement[bool]) -> dict[ExchangeId, SyncRun]:
    """The newest run of each exchange, which says how the exchange is; however many there are, a few rows are read.

    `where`: the newest of which this holds.
    """
    of_one = (
        select(SYNC_RUNS).where(SYNC_RUNS.c.exchange == EXCHANGES.c.exchange, *where).order_by(SYNC_RUNS.c.id.desc())
    )
    newest = of_one.limit(1).lateral("newest")
    rows = await connection.execute(select(newest).select_from(EXCHANGES.join(newest, true())))
    runs = [SyncRun.model_validate(dict(row)) for row in rows.mappings()]
    return {ExchangeId(run.exchange): run for run in runs}
