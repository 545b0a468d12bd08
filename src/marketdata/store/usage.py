"""What clients have asked for, by the hour."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, Text, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or_update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from marketdata.store.tables import API_CLIENTS, CLIENT_USAGE, timestamp

_COUNTS = ("requests", "candles", "limited")
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Usage:
    """What one client asked for in one hour."""

    client_id: str
    hour: int
    """When the hour began, epoch ms."""
    requests: int
    """All with a good token, refused ones included."""
    candles: int
    """Those that were served."""
    limited: int
    """Requests that were refused as too many."""


async def get_transaction(connection: AsyncConnection) -> str:
    """What the present transaction is called, by which `is_done` knows it later."""
    return str(await connection.scalar(select(func.pg_current_xact_id().cast(Text))))


async def is_done(connection: AsyncConnection, transaction: str) -> bool | None:
    """Whether a transaction that was not seen to end was committed; None: it has not ended yet.

    Of one so old that nobody knows, as a server's life goes, it is said that it was.
    """
    status: Literal["committed", "aborted", "in progress"] | None = await connection.scalar(
        select(func.pg_xact_status(func.xid8(literal(transaction, Text))))
    )
    return None if status == "in progress" else status != "aborted"


async def add_usage(connection: AsyncConnection, usage: Sequence[Usage]) -> None:
    """Add to what is stored; each client and hour at most once in `usage`. A client that is not stored is left out."""
    types: dict[str, TypeEngine[Any]] = {"client_id": Text(), "hour": BigInteger()}
    types |= {name: BigInteger() for name in _COUNTS}
    given = func.jsonb_to_recordset(literal([asdict(one) for one in usage], JSONB)).table_valued(
        *(column(name, type_) for name, type_ in types.items()), name="given"
    )
    given = given.render_derived(with_types=True)
    counted = (
        select(given.c.client_id, timestamp(given.c.hour), *(given.c[name] for name in _COUNTS))
        .where(given.c.client_id.in_(select(API_CLIENTS.c.client_id)))
        .order_by(given.c.client_id, given.c.hour)  # two that write at once must not wait for each other
    )
    added = insert_or_update(CLIENT_USAGE).from_select(["client_id", "hour", *_COUNTS], counted)
    await connection.execute(
        added.on_conflict_do_update(
            constraint=CLIENT_USAGE.primary_key,
            set_={name: CLIENT_USAGE.c[name] + added.excluded[name] for name in _COUNTS},
        )
    )


def first_hour(now_ms: int, hours: int) -> int:
    """When the first of so many hours began of which the last is under way, epoch ms."""
    return now_ms - now_ms % _HOUR_MS - (hours - 1) * _HOUR_MS


async def list_usage(
    connection: AsyncConnection, client_id: str | None = None, *, since_ms: int | None = None, limit: int = 1000
) -> list[Usage]:
    """The newest hours first; of all clients or of one, of the hours from `since_ms` on, at most `limit` of them."""
    stored = CLIENT_USAGE.c
    chosen = select(CLIENT_USAGE).order_by(stored.hour.desc(), stored.client_id).limit(limit)
    if client_id is not None:
        chosen = chosen.where(stored.client_id == client_id)
    if since_ms is not None:
        chosen = chosen.where(stored.hour >= timestamp(literal(since_ms, BigInteger)))
    return [Usage(**row) for row in (await connection.execute(chosen)).mappings()]
