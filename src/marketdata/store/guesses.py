"""How guessing secrets is slowed: the rule with all its numbers, and the levels, counted by all processes together.

Every wrong secret raises the level of the address that it came from; one that had the id of a live secret raises its
client's, too. Levels sink with time. Who comes with the id of a live secret from an address at which that client was
right of late is let through to be compared, whatever the levels: that is how the owner gets in while others guess. One
wrong secret from there, and the address is like any other.
"""

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.tables import GUESSES_MADE, KNOWN_ADDRESSES

Kind = Literal["client", "address"]


@dataclass(frozen=True, slots=True)
class GuessRule:
    """So many wrong ones in a row, then one in so many seconds."""

    in_a_row: int
    every_s: int

    def level(self, level: float, passed_ms: int) -> float:
        """What is left of a level after a while."""
        return max(0.0, level - max(0, passed_ms) / 1000 / self.every_s)

    def wait_s(self, level: float) -> float:
        """How long until there is room for another wrong one; 0: there is now."""
        return max(0.0, (level + 1 - self.in_a_row) * self.every_s)


RULES: Final[dict[Kind, GuessRule]] = {"client": GuessRule(20, 1200), "address": GuessRule(20, 60)}
"""Of a client at most 20 wrong ones and then 72 a day are compared; from an address 20 and then one a minute count."""

KNOWN_MS: Final = 30 * 86_400_000
"""For how long an address is remembered at which a client was right."""

_KNOWN_EVERY_MS: Final = 3_600_000
_SUNK_MS: Final = max(rule.in_a_row * rule.every_s * 1000 for rule in RULES.values())
_GUESSES_LOCK: Final = 0x47554553
"""First half of the advisory lock of a subject; the second is the subject."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A secret that is about to be compared, or that has no id to compare it with."""

    client_id: str
    place: str
    levels: tuple[tuple[Kind, str, float], ...]
    """Of what it counts at, as they are now; none where they do not matter."""

    @property
    def wait_s(self) -> float:
        """How long to wait before it may be tried; 0: it may be now."""
        return max((RULES[kind].wait_s(level) for kind, _, level in self.levels), default=0.0)


async def begin_attempt(
    connection: AsyncConnection, client_id: str, place: str, now_ms: int, *, is_expected: bool
) -> Attempt:
    """Whether it may be tried, and until the transaction ends nothing else is that counts at the same.

    `place`: the address that it comes from; `is_expected`: it has the id of a live secret of the client.
    """
    if is_expected and await _is_known(connection, client_id, place, now_ms - KNOWN_MS):
        return Attempt(client_id, place, ())
    return Attempt(client_id, place, await _lock_levels(connection, client_id, place, now_ms, is_expected=is_expected))


async def end_attempt(connection: AsyncConnection, attempt: Attempt, now_ms: int, *, is_right: bool) -> None:
    """Let an attempt that was tried count."""
    client_id, place = attempt.client_id, attempt.place
    if is_right:
        await _know(connection, client_id, place, now_ms)
        return
    levels = attempt.levels
    if not levels:
        known = KNOWN_ADDRESSES.c
        await connection.execute(delete(KNOWN_ADDRESSES).where(known.client_id == client_id, known.address == place))
        levels = await _lock_levels(connection, client_id, place, now_ms, is_expected=True)
    for kind, subject, level in levels:
        row = insert(GUESSES_MADE).values(kind=kind, subject=subject, level=level + 1, at=now_ms)
        await connection.execute(
            row.on_conflict_do_update(
                constraint=GUESSES_MADE.primary_key, set_={"level": row.excluded.level, "at": row.excluded.at}
            )
        )


async def forget_old_guesses(connection: AsyncConnection, now_ms: int) -> None:
    """Remove levels that have sunk to nothing, and addresses that nobody was at for too long."""
    await connection.execute(delete(GUESSES_MADE).where(GUESSES_MADE.c.at < now_ms - _SUNK_MS))
    await connection.execute(delete(KNOWN_ADDRESSES).where(KNOWN_ADDRESSES.c.last_seen_at < now_ms - KNOWN_MS))


async def _lock_levels(
    connection: AsyncConnection, client_id: str, place: str, now_ms: int, *, is_expected: bool
) -> tuple[tuple[Kind, str, float], ...]:
    """Always the address first, so that two never wait for each other."""
    subjects: list[tuple[Kind, str]] = [("address", place)]
    if is_expected:
        subjects.append(("client", client_id))
    found = []
    for kind, subject in subjects:
        key = (_GUESSES_LOCK, func.hashtext(f"{kind} {subject}"))
        await connection.execute(select(func.pg_advisory_xact_lock(*key)))
        table = GUESSES_MADE.c
        stored = select(table.level, table.at).where(table.kind == kind, table.subject == subject)
        level, at_ms = (await connection.execute(stored)).one_or_none() or (0.0, now_ms)
        found.append((kind, subject, RULES[kind].level(level, now_ms - at_ms)))
    return tuple(found)


async def _is_known(connection: AsyncConnection, client_id: str, place: str, since_ms: int) -> bool:
    known = KNOWN_ADDRESSES.c
    seen = select(known.last_seen_at).where(
        known.client_id == client_id, known.address == place, known.last_seen_at >= since_ms
    )
    return (await connection.execute(seen)).one_or_none() is not None


async def _know(connection: AsyncConnection, client_id: str, place: str, now_ms: int) -> None:
    """Writes at most once an hour."""
    row = insert(KNOWN_ADDRESSES).values(client_id=client_id, address=place, last_seen_at=now_ms)
    await connection.execute(
        row.on_conflict_do_update(
            constraint=KNOWN_ADDRESSES.primary_key,
            set_={"last_seen_at": row.excluded.last_seen_at},
            where=KNOWN_ADDRESSES.c.last_seen_at < now_ms - _KNOWN_EVERY_MS,
        )
    )
