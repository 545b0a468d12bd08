"""The exchanges that are synced, their generation, and the intervals that they offer and offered."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import BigInteger, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.errors import AlreadyRunning
from marketdata.core.models import ExchangeId, IntervalSpec
from marketdata.store.engine import Database
from marketdata.store.tables import EXCHANGES, INTERVALS, timestamp

SYNCS_CHANNEL = "marketdata_syncs"
"""Where each sync tells that it has ended; the payload is the exchange."""

_SYNC_LOCK = 0x53594E43
"""First half of the advisory lock of an exchange's sync; the second is the exchange."""

_APPLY_LOCK = 0x4150504C
"""The same for the transaction in which a sync is applied."""


@dataclass(frozen=True, slots=True)
class ExchangeState:
    """What the database knows about an exchange as a whole."""

    exchange: ExchangeId
    base_url: str
    generation: int
    """Counts the syncs that changed what clients see of the exchange: who holds an older one reads again."""
    listings: int
    """Counts the listings that were applied, changed or not."""
    first_synced_at: int | None
    """When its first listing was read that was applied, epoch ms: what was before, nobody here knows."""
    last_synced_at: int | None
    """When its last listing was read that was applied, epoch ms."""


@asynccontextmanager
async def syncing(database: Database, exchange: ExchangeId) -> AsyncIterator[None]:
    """Hold the right to sync `exchange` while the block runs, which may take long; nobody else asks it meanwhile.

    It ends with the process, however that ends. Raises AlreadyRunning if another has it, and DatabaseUnavailable.
    """
    async with database.lock(_SYNC_LOCK, exchange) as locked:
        if not locked:
            raise AlreadyRunning(f"another sync of {exchange} is running on this database")
        yield


async def lock_exchange(connection: AsyncConnection, exchange: ExchangeId) -> None:
    """Be alone in applying a sync of `exchange` until the transaction ends. Raises AlreadyRunning."""
    locked = await connection.scalar(select(func.pg_try_advisory_xact_lock(_APPLY_LOCK, func.hashtext(exchange))))
    if not locked:
        raise AlreadyRunning(f"another sync of {exchange} is running on this database")


async def list_exchanges(connection: AsyncConnection) -> list[ExchangeState]:
    """Every exchange that a sync has tried, by name: one short query, cheap enough to be asked every second."""
    columns = (EXCHANGES.c[name] for name in ExchangeState.__dataclass_fields__)
    rows = await connection.execute(select(*columns).order_by(EXCHANGES.c.exchange))
    return [ExchangeState(*row) for row in rows]


async def upsert_exchange(connection: AsyncConnection, exchange: ExchangeId, base_url: str) -> None:
    """Make sure that `exchange` is known, with its base URL; writes nothing if it is."""
    given = insert_or_update(EXCHANGES).values(exchange=exchange, base_url=base_url)
    await connection.execute(
        given.on_conflict_do_update(
            index_elements=[EXCHANGES.c.exchange],
            set_={"base_url": given.excluded.base_url},
            where=EXCHANGES.c.base_url != given.excluded.base_url,
        )
    )


async def record_sync(connection: AsyncConnection, exchange: ExchangeId, synced_at_ms: int, *, changed: bool) -> int:
    """Note a listing that is applied; with `changed` the generation goes up. Returns the generation that now holds."""
    synced_at = timestamp(literal(synced_at_ms, BigInteger))
    stored = await connection.execute(
        update(EXCHANGES)
        .where(EXCHANGES.c.exchange == exchange)
        .values(
            {
                EXCHANGES.c.first_synced_at: func.coalesce(EXCHANGES.c.first_synced_at, synced_at),
                EXCHANGES.c.last_synced_at: synced_at,
                EXCHANGES.c.listings: EXCHANGES.c.listings + 1,
                EXCHANGES.c.generation: EXCHANGES.c.generation + int(changed),
            }
        )
        .returning(EXCHANGES.c.generation)
    )
    return int(stored.scalar_one())


async def tell_synced(connection: AsyncConnection, exchange: ExchangeId) -> None:
    """Let all who listen know of a sync as soon as the transaction is committed."""
    await connection.execute(select(func.pg_notify(SYNCS_CHANNEL, exchange)))


async def list_intervals(
    connection: AsyncConnection, exchange: ExchangeId, at_ms: int | None = None
) -> list[IntervalSpec]:
    """The intervals that `exchange` offers, or was known to offer at `at_ms` (epoch ms), shortest first."""
    query = select(INTERVALS.c.interval, INTERVALS.c.token, INTERVALS.c.anchor, INTERVALS.c.offset_ms).where(
        INTERVALS.c.exchange == exchange
    )
    is_current = INTERVALS.c.valid_to.is_(None)
    if at_ms is None:
        query = query.where(is_current)
    else:
        query = query.where(INTERVALS.c.valid_from <= at_ms, is_current | (INTERVALS.c.valid_to > at_ms))
    specs = [IntervalSpec.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]
    return sorted(specs, key=lambda spec: spec.interval.min_duration_ms)


async def replace_intervals(
    connection: AsyncConnection,
    exchange: ExchangeId,
    gone: Sequence[IntervalSpec],
    come: Sequence[IntervalSpec],
    at_ms: int,
) -> None:
    """Let the intervals `gone` end at `at_ms` (epoch ms) and `come` begin; one that changes is in both."""
    if gone:
        await connection.execute(
            update(INTERVALS)
            .where(INTERVALS.c.exchange == exchange, INTERVALS.c.valid_to.is_(None))
            .where(INTERVALS.c.interval.in_([spec.interval.value for spec in gone]))
            .values(valid_to=at_ms)
        )
    if come:
        rows = [{"exchange": exchange, "valid_from": at_ms, **spec.model_dump(mode="json")} for spec in come]
        await connection.execute(insert(INTERVALS).values(rows))
