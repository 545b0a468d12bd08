"""What counts against each exchange's limit, and until when nobody asks: one installation's books.

All times are the database's, the one clock that all processes have in common; here they are seconds from its now.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Float, cast, delete, extract, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.budget import Role, SilenceKind
from marketdata.core.budget.silences import MEMORY_S
from marketdata.core.models import ExchangeId
from marketdata.store.tables import BUDGET_BOOKINGS, BUDGET_SILENCES, ROLES

_BOOKS_LOCK = 0x42554447
"""First half of the advisory lock of an exchange's books; the second is the exchange."""

_ROLES: Mapping[str, Role | None] = {"api": "api", "syncer": "syncer", "foreign": None}
_KINDS: Mapping[str, SilenceKind] = {"limited": "limited", "banned": "banned"}


@dataclass(frozen=True, slots=True)
class Booked:
    """Weight that counts for so many seconds more; `role` None: used by other programs at the same address."""

    role: Role | None
    left_s: float
    weight: int


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody asks for so many seconds more; less than 0: it has ended so long ago."""

    left_s: float
    length_s: float


@dataclass(slots=True)
class Books:
    """All that counts of one exchange."""

    booked: list[Booked] = field(default_factory=list)
    silences: dict[SilenceKind, Silent] = field(default_factory=dict)
    has_ended: bool = False
    """Whether there is something that counts no more."""


async def lock_books(connection: AsyncConnection, exchange: ExchangeId) -> None:
    """Be the only one to change the bookings of `exchange` until the transaction ends; waits for the others."""
    await connection.execute(select(func.pg_advisory_xact_lock(_BOOKS_LOCK, func.hashtext(exchange))))


async def read_books(connection: AsyncConnection, exchange: ExchangeId | None = None) -> Mapping[ExchangeId, Books]:
    """The books of one exchange or of all; an exchange of which nothing is written is left out."""
    books: defaultdict[ExchangeId, Books] = defaultdict(Books)
    column, silence = BUDGET_BOOKINGS.c, BUDGET_SILENCES.c
    # those that end within the same tenth of a second are read as one, up to a tenth late
    left = cast(func.ceil(_left(column.counts_until) * 10) / 10, Float).label("left_s")
    rows = select(column.exchange, column.role, left, cast(func.sum(column.weight), column.weight.type))
    rows = rows.where(*_only(column.exchange, exchange)).group_by(column.exchange, column.role, left)
    for name, role, left_s, weight in await connection.execute(rows):
        if left_s > 0:
            books[ExchangeId(name)].booked.append(Booked(_ROLES[role], left_s, weight))
        else:
            books[ExchangeId(name)].has_ended = True
    silences = select(silence.exchange, silence.kind, _left(silence.silent_until), silence.length_ms)
    for name, kind, left_s, length_ms in await connection.execute(silences.where(*_only(silence.exchange, exchange))):
        books[ExchangeId(name)].silences[_KINDS[kind]] = Silent(left_s, length_ms / 1000)
        books[ExchangeId(name)].has_ended |= left_s <= -MEMORY_S
    return books


async def forget_ended(connection: AsyncConnection) -> None:
    """Remove what counts no more, unless somebody else is about to."""
    bookings, silences = BUDGET_BOOKINGS.c, BUDGET_SILENCES.c
    ended = select(bookings.id).where(bookings.counts_until <= func.clock_timestamp())
    await connection.execute(
        delete(BUDGET_BOOKINGS).where(bookings.id.in_(ended.with_for_update(skip_locked=True).scalar_subquery()))
    )
    # how long the last one was is still of interest when the next one begins soon after
    await connection.execute(delete(BUDGET_SILENCES).where(silences.silent_until <= _from_now(-MEMORY_S)))


async def book(
    connection: AsyncConnection, exchange: ExchangeId, role: Role | None, weight: int, counts_for_s: float
) -> int:
    """Book `weight` for `counts_for_s` from now; `role` None: of other programs. Returns the booking's id."""
    booked = await connection.execute(
        insert(BUDGET_BOOKINGS)
        .values(exchange=exchange, role=role or ROLES[2], weight=weight, counts_until=_from_now(counts_for_s))
        .returning(BUDGET_BOOKINGS.c.id)
    )
    return int(booked.scalar_one())


async def give_back(connection: AsyncConnection, booking: int, spent: int) -> None:
    """Let a booking count for what was spent of it alone."""
    its = BUDGET_BOOKINGS.c.id == booking
    await connection.execute(
        update(BUDGET_BOOKINGS).where(its).values(weight=spent) if spent else delete(BUDGET_BOOKINGS).where(its)
    )


async def keep_silent(
    connection: AsyncConnection, exchange: ExchangeId, kind: SilenceKind, left_s: float, length_s: float
) -> None:
    """Store a silence; one that is stored and ends later stays."""
    given = upsert(BUDGET_SILENCES).values(
        exchange=exchange, kind=kind, silent_until=_from_now(left_s), length_ms=round(length_s * 1000)
    )
    await connection.execute(
        given.on_conflict_do_update(
            constraint=BUDGET_SILENCES.primary_key,
            set_={"silent_until": given.excluded.silent_until, "length_ms": given.excluded.length_ms},
            where=BUDGET_SILENCES.c.silent_until < given.excluded.silent_until,
        )
    )


async def tell(connection: AsyncConnection, channel: str) -> None:
    """Wake all who listen on `channel`, when the transaction is committed."""
    await connection.execute(select(func.pg_notify(channel, "")))


def _left(moment: ColumnElement[int]) -> ColumnElement[float]:
    return cast(extract("epoch", moment - func.clock_timestamp()), Float)


def _from_now(seconds: float) -> ColumnElement[object]:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _only(column: ColumnElement[str], exchange: ExchangeId | None) -> list[ColumnElement[bool]]:
    return [] if exchange is None else [column == exchange]
