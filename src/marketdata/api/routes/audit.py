"""The audit log, for admins."""

from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from marketdata.api.cursor import bad_cursor, seal, unseal
from marketdata.api.dependencies import ServicesNeeded, check_query, never_keep
from marketdata.api.openapi import access_problems, headers, problems
from marketdata.api.parameters import SINCE_SCHEMA, parse_choice, parse_limit
from marketdata.api.problems import Problem
from marketdata.api.routes.admin import note_reading
from marketdata.api.timestamps import FIRST_TIME, parse_since
from marketdata.store.audit import ACTIONS, AuditEntry, AuditFilters, list_entries, newest_entry_id

AUDIT_PATH: Final = "/v1/admin/audit"
MAX_LIMIT: Final = 1000

router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(note_reading), Depends(check_query), Depends(never_keep)],
    responses=access_problems(),
)


class AuditQuery(BaseModel):
    """Which lines to list."""

    action: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "enum": list(ACTIONS), "examples": ["client.created"]}),
        Field(description="Only this action. " + " ".join(f"`{name}`: {told}" for name, told in ACTIONS.items())),
    ] = None
    actor: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Only what this client did, or `operator`, or `platform`.",
            examples=["mdc_0123456789abcdef"],
        ),
    ] = None
    subject: Annotated[
        str | None,
        Field(
            max_length=64, description="Only what was done to this client or key.", examples=["mdc_0123456789abcdef"]
        ),
    ] = None
    since: Annotated[
        str | None,
        WithJsonSchema({**SINCE_SCHEMA, "examples": ["2026-01-01T00:00:00Z"]}),
        Field(
            description="A line's id: the lines after it, such as `page.newest_id` of the answer before. Or a time,"
            f" epoch milliseconds or RFC 3339 with a zone. A whole number below {FIRST_TIME} is an id. Without it from"
            " the first line on.",
        ),
    ] = None
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LIMIT, description="Most lines in one answer."),
        BeforeValidator(partial(parse_limit, most=MAX_LIMIT)),
    ] = 100
    cursor: Annotated[str | None, Field(description="From `page.next`; it stands alone.")] = None


class AuditPage(BaseModel):
    """Where an answer stands in the log."""

    count: Annotated[int, Field(description="How many lines this answer holds.")]
    limit: Annotated[int, Field(description="How many were asked for at most.")]
    next: Annotated[
        str | None, Field(description="Path and query of the next page; null: there is nothing more for now.")
    ]
    newest_id: Annotated[
        int,
        Field(
            description="Up to which line this answer tells all that the filters let through; `since` with it asks for"
            " what came after. 0 before the first line."
        ),
    ]


class AuditLog(BaseModel):
    """Lines, oldest first."""

    data: list[AuditEntry]
    page: AuditPage


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor freezes."""

    filters: AuditFilters
    limit: int
    after_id: int


@router.get(
    "/audit",
    operation_id="listAudit",
    summary="Read the audit log",
    responses={
        **problems("naive-timestamp", "limit-too-large", "bad-cursor", "database-unavailable"),
        **headers("Link"),
    },
)
async def list_audit(
    request: Request, response: Response, services: ServicesNeeded, asked: Annotated[AuditQuery, Query()]
) -> AuditLog:
    """What was done about access and by whom, and what was refused, by id: oldest first. Nothing is ever changed.

    To follow: ask with `since`, go through `page.next` while it is not null, then ask again now and then with
    `since=` the last `page.newest_id`. Of what comes in floods, refused secrets and looks of admins, each process
    writes one line in a minute for each subject and reason.
    """
    secret = services.tokens.sealing_secret
    if asked.cursor is None:
        rest = _read(asked)
    else:
        if len(request.query_params) > 1:
            raise bad_cursor("A cursor stands alone: it holds all the other parameters of its first page.")
        rest = unseal(secret, AUDIT_PATH, asked.cursor, Rest)
    async with services.database.transaction() as connection:
        newest_id = await newest_entry_id(connection)
        if rest.after_id > newest_id:
            raise Problem(
                "invalid-parameter",
                f"No line has such an id yet: the newest is {newest_id}. A time is epoch milliseconds, not seconds.",
                parameter="since",
                max=newest_id,
            )
        found = await list_entries(
            connection, rest.filters, after_id=rest.after_id, up_to_id=newest_id, limit=rest.limit + 1
        )
    shown, following = found[: rest.limit], None
    if len(found) > rest.limit:
        newest_id = shown[-1].id
        cursor = seal(secret, AUDIT_PATH, msgspec.structs.replace(rest, after_id=newest_id))
        following = f"{request.scope.get('root_path', '')}{AUDIT_PATH}?cursor={cursor}"
        response.headers["Link"] = f'<{following}>; rel="next"'
    page = AuditPage(count=len(shown), limit=rest.limit, next=following, newest_id=newest_id)
    return AuditLog(data=shown, page=page)


def _read(asked: AuditQuery) -> Rest:
    """What the filters mean. Raises Problem."""
    after_id, since_ms = (0, None) if asked.since is None else parse_since(asked.since, "a line's id")
    action = None if asked.action is None else parse_choice("action", asked.action, list(ACTIONS))
    for name in ("actor", "subject"):
        if "\0" in (getattr(asked, name) or ""):
            raise Problem("invalid-parameter", f"`{name}` is a client's id or a key's.", parameter=name)
    filters = AuditFilters(since_ms=since_ms, action=action, actor=asked.actor, subject=asked.subject)
    return Rest(filters, asked.limit, after_id)
