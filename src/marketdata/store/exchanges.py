"""The exchanges that are synced, their generation, and the intervals that they offer."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.errors import AlreadyRunning
from marketdata.core.models import ExchangeId, IntervalSpec
from marketdata.store.tables import EXCHANGES, INTERVALS

_SYNC_LOCK = 0x53594E43
"""First half of the advisory lock of an exchange's sync; the second is the exchange."""


@dataclass(frozen=True, slots=True)
class ExchangeState:
    """What the database knows about an exchange as a whole."""

    exchange: ExchangeId
    base_url: str
    generation: int
    """Counts the syncs that changed what clients see of the exchange: who holds an older one reads again."""
    last_synced_at: int | None
    """When its listing was last read successfully, epoch ms."""


async def lock_exchange(connection: AsyncConnection, exchange: ExchangeId) -> None:
    """Hold the right to sync `exchange` until the transaction ends. Raises AlreadyRunning if another sync has it."""
    locked = await connection.scalar(select(func.pg_try_advisory_xact_lock(_SYNC_LOCK, func.hashtext(exchange))))
    if not locked:
        raise AlreadyRunning(f"another sync of {exchange} is running on this database")


async def list_exchanges(connection: AsyncConnection) -> list[ExchangeState]:
    """Every exchange that a sync has tried, by name: one short query, cheap enough to be asked every second."""
    rows = await connection.execute(
        select(EXCHANGES.c.exchange, EXCHANGES.c.base_url, EXCHANGES.c.generation, EXCHANGES.c.last_synced_at).order_by(
            EXCHANGES.c.exchange
        )
    )
    return [ExchangeState(*row) for row in rows]


async def upsert_exchange(connection: AsyncConnection, exchange: ExchangeId, base_url: str) -> None:
    """Make sure that `exchange` is known, with its base URL; writes nothing if it is."""
    given = insert(EXCHANGES).values(exchange=exchange, base_url=base_url)
    await connection.execute(
        given.on_conflict_do_update(
            index_elements=[EXCHANGES.c.exchange],
            set_={"base_url": given.excluded.base_url},
            where=EXCHANGES.c.base_url != given.excluded.base_url,
        )
    )


async def record_sync(connection: AsyncConnection, exchange: ExchangeId, synced_at_ms: int, *, changed: bool) -> int:
    """Note a successful sync; with `changed` the generation goes up. Returns the generation that now holds."""
    stored = await connection.execute(
        update(EXCHANGES)
        .where(EXCHANGES.c.exchange == exchange)
        .values(last_synced_at=synced_at_ms, generation=EXCHANGES.c.generation + int(changed))
        .returning(EXCHANGES.c.generation)
    )
    return int(stored.scalar_one())


async def list_intervals(connection: AsyncConnection, exchange: ExchangeId) -> list[IntervalSpec]:
    """The intervals that `exchange` offers, shortest first."""
    rows = await connection.execute(
        select(INTERVALS.c.interval, INTERVALS.c.token, INTERVALS.c.anchor, INTERVALS.c.offset_ms).where(
            INTERVALS.c.exchange == exchange
        )
    )
    specs = [IntervalSpec.model_validate(dict(row)) for row in rows.mappings()]
    return sorted(specs, key=lambda spec: spec.interval.min_duration_ms)


async def upsert_intervals(connection: AsyncConnection, exchange: ExchangeId, specs: Sequence[IntervalSpec]) -> bool:
    """Make the intervals of `exchange` what `specs` says, others removed. Returns whether anything was written."""
    removed = await connection.execute(
        delete(INTERVALS)
        .where(INTERVALS.c.exchange == exchange, INTERVALS.c.interval.not_in([spec.interval.value for spec in specs]))
        .returning(INTERVALS.c.interval)
    )
    changed = bool(removed.all())
    if specs:
        given = insert(INTERVALS).values([{"exchange": exchange, **spec.model_dump(mode="json")} for spec in specs])
        facts = ("token", "anchor", "offset_ms")
        written = await connection.execute(
            given.on_conflict_do_update(
                constraint=INTERVALS.primary_key,
                set_={name: given.excluded[name] for name in facts},
                where=or_(*(INTERVALS.c[name].is_distinct_from(given.excluded[name]) for name in facts)),
            ).returning(INTERVALS.c.interval)
        )
        changed = bool(written.all()) or changed
    return changed
