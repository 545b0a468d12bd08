"""Access tokens that were revoked before their time, each kept until it would have ended anyway."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.audit import Actor, record
from marketdata.store.changes import tell_access
from marketdata.store.tables import REVOKED_TOKENS


async def revoke_token(
    connection: AsyncConnection, jti: str, client_id: str, expires_at_ms: int, now_ms: int, *, by: Actor
) -> None:
    """Revoke a client's token, which would be believed until `expires_at_ms`."""
    await connection.execute(
        insert(REVOKED_TOKENS)
        .values(jti=jti, client_id=client_id, revoked_at=now_ms, expires_at=expires_at_ms)
        .on_conflict_do_nothing()
    )
    await tell_access(connection)
    await record(connection, now_ms, "token.revoked", by, subject=client_id, details={"jti": jti})


async def list_revoked_tokens(connection: AsyncConnection, now_ms: int) -> frozenset[str]:
    """The `jti` of each that would be believed else."""
    rows = await connection.execute(select(REVOKED_TOKENS.c.jti).where(REVOKED_TOKENS.c.expires_at > now_ms))
    return frozenset(rows.scalars())


async def forget_ended_tokens(connection: AsyncConnection, now_ms: int) -> None:
    """Remove those that nobody would believe any more."""
    await connection.execute(delete(REVOKED_TOKENS).where(REVOKED_TOKENS.c.expires_at <= now_ms))
