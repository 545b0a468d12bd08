"""The keys that sign tokens: one signs, the next is published already, and those before are believed for a while."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.audit import OPERATOR, PLATFORM, Actor, record
from marketdata.store.changes import tell_access
from marketdata.store.tables import SIGNING_KEYS

_KEYS_LOCK = 0x4669727374204B65


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair, by its private half."""

    kid: str
    algorithm: Literal["EdDSA"]
    private_key: bytes = field(repr=False)
    created_at: int
    signs_from: int | None
    """Since when it signs, epoch ms; None: it is the next one."""
    retired_at: int | None = None
    """Since when it signs nothing new, epoch ms; tokens that it signed before stay valid until they expire."""
    revoked_at: int | None = None
    """Since when nothing that it signed is believed, epoch ms."""

    @property
    def signs(self) -> bool:
        """Whether tokens are signed with it now."""
        return self.signs_from is not None and self.retired_at is None and self.revoked_at is None

    @property
    def is_next(self) -> bool:
        """Whether it will sign after the one that does."""
        return self.signs_from is None and self.retired_at is None and self.revoked_at is None


@dataclass(frozen=True, slots=True)
class RotationRule:
    """How keys take turns."""

    published_ms: int
    """How long a key is published before it signs."""
    believed_ms: int
    """How long after its retirement something that it signed may still be believed."""


async def list_keys(connection: AsyncConnection) -> list[SigningKey]:
    """All keys, the newest first."""
    rows = await connection.execute(select(SIGNING_KEYS).order_by(SIGNING_KEYS.c.created_at.desc(), SIGNING_KEYS.c.kid))
    return [SigningKey(**row) for row in rows.mappings()]


async def ensure_keys(connection: AsyncConnection, make: Callable[[], SigningKey]) -> bool:
    """See that one key signs and one is next, made by `make` as keys that sign; whether any was made.

    Of several callers at once one makes them for all.
    """
    held = await _lock_keys(connection)
    made = [] if any(key.signs for key in held) else [make()]
    if not any(key.is_next for key in held):
        made.append(replace(make(), signs_from=None))
    if made:
        await _insert(connection, made, PLATFORM)
    return bool(made)


async def rotate_keys(
    connection: AsyncConnection,
    make: Callable[[], SigningKey],
    now_ms: int,
    rule: RotationRule,
    *,
    revoke: bool = False,
    due_before_ms: int | None = None,
    by: Actor = OPERATOR,
) -> int:
    """Let the next key sign, retire the one that does, make another next one, and remove those of the past.

    Returns 0 when that was done, else how many milliseconds it has to wait: until every process knows the next key.
    `revoke`: let nothing that was signed before be believed; `due_before_ms`: only if the key signs since before then.
    """
    held = await _lock_keys(connection)
    signing = [key for key in held if key.signs]
    if due_before_ms is not None and any((key.signs_from or 0) >= due_before_ms for key in signing):
        return 0
    following = next((key for key in held if key.is_next), None)
    if following is None:
        await _insert(connection, [replace(make(), signs_from=None)], by)
        return rule.published_ms
    wait_ms = following.created_at + rule.published_ms - now_ms
    if wait_ms > 0:
        return wait_ms
    table, before = SIGNING_KEYS, SIGNING_KEYS.c.signs_from.is_not(None)
    await connection.execute(update(table).where(before, table.c.retired_at.is_(None)).values(retired_at=now_ms))
    if revoke:
        await connection.execute(update(table).where(before, table.c.revoked_at.is_(None)).values(revoked_at=now_ms))
    await connection.execute(update(table).where(table.c.kid == following.kid).values(signs_from=now_ms))
    await connection.execute(delete(table).where(table.c.retired_at <= now_ms - rule.believed_ms))
    await _insert(connection, [replace(make(), signs_from=None)], by)
    told = {"retired": [key.kid for key in signing]}
    await record(connection, now_ms, "key.rotated", by, subject=following.kid, details=told)
    if revoke:
        for key in held:
            if key.signs_from is not None and key.revoked_at is None:
                await record(connection, now_ms, "key.revoked", by, subject=key.kid)
    return 0


async def _lock_keys(connection: AsyncConnection) -> list[SigningKey]:
    """All keys, which nobody else changes until the transaction ends."""
    await connection.execute(select(func.pg_advisory_xact_lock(_KEYS_LOCK)))
    return await list_keys(connection)


async def _insert(connection: AsyncConnection, keys: Sequence[SigningKey], by: Actor) -> None:
    for key in keys:
        await connection.execute(insert(SIGNING_KEYS).values(asdict(key)))
    await tell_access(connection)
    for key in keys:
        await record(connection, key.created_at, "key.created", by, subject=key.kid)
