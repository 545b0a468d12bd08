"""The audit log: what was done about access, by whom, and what was refused. Lines are added and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.models import EpochMs
from marketdata.store.tables import AUDIT_LOG

_AUDIT_LOCK: Final = 0x41554454
"""Held from the first id that a transaction takes to its commit: ids are seen in their order."""

Outcome = Literal["done", "refused"]

ACTIONS: Final[Mapping[str, str]] = {
    "token.issued": "A client has got an access token.",
    "token.refused": "Somebody was refused one.",
    "token.revoked": "A client has revoked an access token, or tried to revoke somebody else's.",
    "client.created": "A client was made, with its first secret.",
    "client.updated": "A client's name, scopes, limits or expiry were changed.",
    "client.disabled": "A client was disabled.",
    "client.rotated": "A client was given a new secret.",
    "secret.revoked": "A secret was ended before its time.",
    "key.created": "A signing key was made.",
    "key.rotated": "The next key signs from now on, and the one before is retired.",
    "key.revoked": "Nothing that a key has signed is believed any more.",
    "guard.overridden": "An operator has let a quarantined listing through.",
    "admin.read": "An admin has looked at clients or at this log.",
    "admin.refused": "A client without the scope `admin` has asked for what takes it.",
}
"""Every action with what it means."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something."""

    name: str | None
    """A client's id, `operator` or `platform`; None: somebody who could not say who they are."""
    address: str | None = None
    """Where the request came from."""
    request_id: str | None = None


OPERATOR: Final = Actor("operator")
"""Whoever runs the command on the machine."""

PLATFORM: Final = Actor("platform")
"""What is done by itself, such as the rotation of keys when it is due."""


class AuditEntry(BaseModel):
    """A line of the audit log."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[int, Field(description="Grows by the order in which lines become known; with holes.")]
    at: EpochMs
    action: Annotated[str, Field(json_schema_extra={"enum": list(ACTIONS)}, description="What was done or tried.")]
    outcome: Outcome
    actor: Annotated[
        str | None,
        Field(
            description="Who: a client's id, `operator` (the command line), `platform` (by itself); null: somebody who"
            " could not be told."
        ),
    ]
    subject: Annotated[str | None, Field(description="To what: a client's id, a key's, an exchange's.")]
    address: Annotated[str | None, Field(description="From which address, of requests.")]
    request_id: Annotated[str | None, Field(description="Of which request, as in its `X-Request-ID`.")]
    details: Annotated[dict[str, JsonValue], Field(description="What else is known. Never a secret or a token.")]


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which lines; None: all."""

    since_ms: int | None = None
    """Of then or later."""
    action: str | None = None
    actor: str | None = None
    subject: str | None = None


_FIELDS: Final = tuple(AuditEntry.model_fields)


async def record(
    connection: AsyncConnection,
    now_ms: int,
    action: str,
    by: Actor,
    *,
    subject: str | None = None,
    outcome: Outcome = "done",
    details: Mapping[str, object] | None = None,
) -> None:
    """Add a line, in the transaction of what it tells of.

    All others who add one wait until this transaction is over, so it is the last thing in it. Raises ValueError for an
    action that is none of ACTIONS.
    """
    if action not in ACTIONS:
        raise ValueError(action)
    await connection.execute(select(func.pg_advisory_xact_lock(_AUDIT_LOCK, 0)))
    await connection.execute(
        insert(AUDIT_LOG).values(
            at=now_ms,
            action=action,
            outcome=outcome,
            actor=by.name,
            subject=subject,
            address=by.address,
            request_id=by.request_id,
            details=details or {},
        )
    )


async def newest_entry_id(connection: AsyncConnection) -> int:
    """The id of the newest line, 0 before the first. All that have this id or a smaller one are there to be read."""
    return int(await connection.scalar(select(func.coalesce(func.max(AUDIT_LOG.c.id), 0))) or 0)


async def list_entries(
    connection: AsyncConnection,
    filters: AuditFilters,
    *,
    after_id: int = 0,
    up_to_id: int,
    limit: int,
    newest_first: bool = False,
) -> list[AuditEntry]:
    """The oldest `limit` lines with `after_id < id ≤ up_to_id`, in the order of their ids; or the newest, against it.

    `up_to_id`: from `newest_entry_id`, asked before.
    """
    query = (
        select(*(AUDIT_LOG.c[name] for name in _FIELDS))
        .where(AUDIT_LOG.c.id > after_id, AUDIT_LOG.c.id <= up_to_id)
        .order_by(AUDIT_LOG.c.id.desc() if newest_first else AUDIT_LOG.c.id)
        .limit(limit)
    )
    if filters.since_ms is not None:
        query = query.where(AUDIT_LOG.c.at >= filters.since_ms)
    for name in ("action", "actor", "subject"):
        if (wanted := getattr(filters, name)) is not None:
            query = query.where(AUDIT_LOG.c[name] == wanted)
    return [AuditEntry.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]
