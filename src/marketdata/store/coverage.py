"""What was found of the range that an exchange serves, and when."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.coverage import Coverage
from marketdata.core.models import Interval
from marketdata.store.tables import COVERAGE


@dataclass(frozen=True, slots=True)
class Observation:
    """A coverage and when it was looked for."""

    coverage: Coverage
    observed_at: int
    """Epoch ms."""


async def get_coverage(connection: AsyncConnection, symbol_id: int, interval: Interval) -> Observation | None:
    """The last observation of an instrument (its row) and interval; None: there is none."""
    query = select(COVERAGE).where(COVERAGE.c.symbol_id == symbol_id, COVERAGE.c.interval == interval)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Observation(Coverage(row.first_open_time, row.last_open_time, row.method, row.calls), row.observed_at)


async def upsert_coverage(
    connection: AsyncConnection, symbol_id: int, interval: Interval, observed: Observation
) -> None:
    """Keep an observation in place of the one before."""
    found = {**msgspec.structs.asdict(observed.coverage), "observed_at": observed.observed_at}
    statement = insert(COVERAGE).values(symbol_id=symbol_id, interval=interval, **found)
    replacing = {name: statement.excluded[name] for name in found}
    await connection.execute(statement.on_conflict_do_update(constraint=COVERAGE.primary_key, set_=replacing))
