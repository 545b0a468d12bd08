"""Managing API clients, for those who may."""

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from fastapi.security import SecurityScopes

from marketdata.api.admin_models import (
    Client,
    ClientChange,
    ClientWithSecret,
    HourOfUse,
    NewClient,
    Nothing,
    Rotation,
    describe_client,
)
from marketdata.api.audit import actor_of
from marketdata.api.auth import Caller
from marketdata.api.bodies import describe_body, read_body
from marketdata.api.dependencies import CLIENT_CREDENTIALS, ServicesNeeded, check_query, get_caller, never_keep
from marketdata.api.lists import Listed, whole
from marketdata.api.openapi import access_problems, problems
from marketdata.api.problems import Problem
from marketdata.api.services import Services
from marketdata.core.errors import DatabaseUnavailable, UnknownClient
from marketdata.store import client_secrets, clients
from marketdata.store.audit import record
from marketdata.store.scopes import ADMIN
from marketdata.store.usage import first_hour, list_usage

CLIENTS_PATH: Final = "/v1/admin/clients"


async def get_admin(
    request: Request,
    services: ServicesNeeded,
    needed: SecurityScopes,
    described: Annotated[object, Security(CLIENT_CREDENTIALS)],
) -> Caller:
    """Who asks, and may; whoever has a good token and may not is written down, once a minute."""
    try:
        return await get_caller(request, services, needed, described)
    except Problem as problem:
        if problem.code == "insufficient-scope":
            await _note_refusal(request, services)
        raise


async def _note_refusal(request: Request, services: Services) -> None:
    caller, what = services.tokens.authorize(request.scope["headers"], ()), request.scope["route"].operation_id
    if services.seldom.is_due("admin.refused", caller.client_id, what):
        actor, told = actor_of(request, caller.client_id), {"operation": what}
        with suppress(DatabaseUnavailable):  # the refusal stands all the same
            async with services.database.transaction() as connection:
                now_ms = services.clock.now_ms()
                await record(connection, now_ms, "admin.refused", actor, outcome="refused", details=told)


Admin = Annotated[Caller, Security(get_admin, scopes=[ADMIN])]


async def note_reading(request: Request, services: ServicesNeeded, caller: Admin) -> None:
    """Write down that an admin looks at something, once a minute for each kind of thing."""
    what = request.scope["route"].operation_id
    if request.method == "GET" and services.seldom.is_due("admin.read", caller.client_id, what):
        async with services.database.transaction() as connection:
            actor = actor_of(request, caller.client_id)
            await record(connection, services.clock.now_ms(), "admin.read", actor, details={"operation": what})


router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(note_reading), Depends(check_query), Depends(never_keep)],
    responses=access_problems(),
)

ClientId = Annotated[
    str,
    Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="The client's id, `mdc_…`.", examples=["mdc_0123456789abcdef"]),
]
SecretId = Annotated[
    str, Path(pattern="^[0-9A-Za-z]{8}$", description="The 8 characters after `mds_`.", examples=["Ab3dE6gH"])
]

_CHANGING: Final = ("invalid-request", "too-large", "database-unavailable")
_ITSELF: Final = "; another admin can do it, and the command `marketdata clients` on the machine."


@router.post(
    "/clients",
    operation_id="createClient",
    summary="Make a client",
    status_code=201,
    responses=problems(*_CHANGING),
    openapi_extra=describe_body(NewClient, {"name": "charts", "scopes": ["metadata:read", "candles:read"]}),
)
async def create_client(
    request: Request, response: Response, services: ServicesNeeded, caller: Admin
) -> ClientWithSecret:
    """Make a client. The answer holds its secret, which is shown this once and not kept.

    Any scope can be given, `admin` too: who may manage clients may make others who may.
    """
    wanted, now_ms = await read_body(request, NewClient), services.clock.now_ms()
    wanted.check_expiry(now_ms)
    async with services.database.transaction() as connection:
        client, secret = await clients.create_client(
            connection,
            wanted.name,
            wanted.scopes,
            now_ms,
            wanted.expires_at,
            requests_per_minute=wanted.requests_per_minute,
            candles_per_minute=wanted.candles_per_minute,
            by=actor_of(request, caller.client_id),
        )
        told = describe_client(client, await client_secrets.list_secrets(connection, client.client_id), now_ms)
    await services.take_over_access()
    response.headers["Location"] = f"{request.scope.get('root_path', '')}{CLIENTS_PATH}/{client.client_id}"
    return ClientWithSecret(**told.model_dump(), client_secret=secret)


@router.get(
    "/clients",
    operation_id="listClients",
    summary="List clients",
    responses=problems("database-unavailable"),
)
async def list_clients(services: ServicesNeeded) -> Listed[Client]:
    """All clients, oldest first, with the ids of their secrets; secrets themselves are not kept."""
    now_ms = services.clock.now_ms()
    async with services.database.transaction() as connection:
        found, secrets = await clients.list_clients(connection), await client_secrets.list_secrets(connection)
    return whole([describe_client(client, secrets, now_ms) for client in found])


@router.get(
    "/clients/{client_id}",
    operation_id="getClient",
    summary="Get one client",
    responses=problems("not-found", "database-unavailable"),
)
async def get_client(services: ServicesNeeded, client_id: ClientId) -> Client:
    """One client, with the ids of its secrets, those that are over too."""
    return await _describe(services, client_id)


@router.patch(
    "/clients/{client_id}",
    operation_id="updateClient",
    summary="Change a client",
    responses=problems("not-found", *_CHANGING),
    openapi_extra=describe_body(ClientChange, {"candles_per_minute": 100_000}),
)
async def update_client(request: Request, services: ServicesNeeded, caller: Admin, client_id: ClientId) -> Client:
    """Change what the body holds; the rest stays. `null` takes a limit or an expiry away.

    Within 5 seconds the client's tokens are worth what it then may. A client cannot take `admin` from itself or let
    itself expire.
    """
    change, now_ms = await read_body(request, ClientChange), services.clock.now_ms()
    change.check_expiry(now_ms)
    changes = change.changes()
    if client_id == caller.client_id:
        if ADMIN not in changes.get("scopes", (ADMIN,)):
            raise Problem("invalid-request", f"A client cannot take `admin` from itself{_ITSELF}")
        if changes.get("expires_at") is not None:
            raise Problem("invalid-request", f"A client cannot let itself expire{_ITSELF}")
    async with services.database.transaction() as connection:
        await clients.update_client(connection, client_id, changes, now_ms, by=actor_of(request, caller.client_id))
    await services.take_over_access()
    return await _describe(services, client_id)


@router.post(
    "/clients/{client_id}/disable",
    operation_id="disableClient",
    summary="Disable a client",
    responses=problems("not-found", *_CHANGING),
)
async def disable_client(request: Request, services: ServicesNeeded, caller: Admin, client_id: ClientId) -> Client:
    """Disable a client for good. Within 5 seconds none of its tokens is taken. A client cannot disable itself."""
    await read_body(request, Nothing)
    if client_id == caller.client_id:
        raise Problem("invalid-request", f"A client cannot disable itself{_ITSELF}")
    async with services.database.transaction() as connection:
        await clients.disable_client(
            connection, client_id, services.clock.now_ms(), by=actor_of(request, caller.client_id)
        )
    await services.take_over_access()
    return await _describe(services, client_id)


@router.post(
    "/clients/{client_id}/rotate",
    operation_id="rotateClient",
    summary="Give a client a new secret",
    responses=problems("not-found", *_CHANGING),
    openapi_extra=describe_body(Rotation, {"revoke": True}),
)
async def rotate_client(
    request: Request, services: ServicesNeeded, caller: Admin, client_id: ClientId
) -> ClientWithSecret:
    """Give a client a new secret, shown this once. The one before goes on, older ones end; with `revoke` all do."""
    rotation, now_ms = await read_body(request, Rotation), services.clock.now_ms()
    rotation.check_expiry(now_ms)
    async with services.database.transaction() as connection:
        secret = await clients.rotate_client(
            connection,
            client_id,
            now_ms,
            rotation.expires_at,
            revoke=rotation.revoke,
            by=actor_of(request, caller.client_id),
        )
    await services.take_over_access()
    told = await _describe(services, client_id)
    return ClientWithSecret(**told.model_dump(), client_secret=secret)


@router.post(
    "/clients/{client_id}/secrets/{secret_id}/revoke",
    operation_id="revokeSecret",
    summary="Revoke a secret",
    responses=problems("not-found", *_CHANGING),
)
async def revoke_secret(
    request: Request,
    services: ServicesNeeded,
    caller: Admin,
    client_id: ClientId,
    secret_id: SecretId,
) -> Client:
    """End one secret of a client. Within 5 seconds no token that was got with it is taken.

    A client cannot revoke the secret by which it got the token that it asks with: it would be locked out.
    """
    await read_body(request, Nothing)
    if client_id == caller.client_id and secret_id == caller.token.secret_id:
        raise Problem("invalid-request", f"A client cannot revoke the secret that it came in with{_ITSELF}")
    async with services.database.transaction() as connection:
        actor = actor_of(request, caller.client_id)
        await client_secrets.revoke_secret(connection, client_id, secret_id, services.clock.now_ms(), by=actor)
    await services.take_over_access()
    return await _describe(services, client_id)


@router.get(
    "/clients/{client_id}/usage",
    operation_id="getClientUsage",
    summary="See what a client used",
    responses=problems("not-found", "database-unavailable"),
)
async def get_client_usage(
    services: ServicesNeeded,
    client_id: ClientId,
    hours: Annotated[int, Query(ge=1, le=8784, description="How many hours back, this one included.")] = 24,
) -> Listed[HourOfUse]:
    """What a client asked for, hour by hour, the newest first; hours in which it asked for nothing are left out.

    Every process writes what it has counted every few seconds.
    """
    since_ms = first_hour(services.clock.now_ms(), hours)
    async with services.database.transaction() as connection:
        if await clients.get_client(connection, client_id) is None:
            raise UnknownClient
        used = await list_usage(connection, client_id, since_ms=since_ms, limit=hours)
    return whole(
        [HourOfUse(hour=one.hour, requests=one.requests, candles=one.candles, limited=one.limited) for one in used]
    )


async def _describe(services: Services, client_id: str) -> Client:
    """Raises UnknownClient."""
    async with services.database.transaction() as connection:
        client, secrets = await clients.get_client(connection, client_id), await client_secrets.list_secrets(
            connection, client_id
        )
    if client is None:
        raise UnknownClient
    return describe_client(client, secrets, services.clock.now_ms())
