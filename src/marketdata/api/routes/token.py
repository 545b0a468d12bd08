"""Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4), their end (RFC 7009), and the keys of both."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from marketdata.api.credentials import CREDENTIALS, FORM, authenticate, read_credentials, read_form
from marketdata.api.dependencies import ServicesNeeded, check_query
from marketdata.api.openapi import problems
from marketdata.api.problems import TOKEN_PATH, Problem
from marketdata.api.profile import LEEWAY_S
from marketdata.store.audit import record
from marketdata.store.clients import ApiClient
from marketdata.store.revoked_tokens import revoke_token as store_revoked
from marketdata.store.scopes import SCOPES

router = APIRouter(tags=["access"], dependencies=[Depends(check_query)])

_GRANT_TYPE: Final = "client_credentials"
_SCOPE: Final = "|".join(SCOPES)


def _form(required: str, value: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A request body, as OpenAPI describes it."""
    example = {required: value, "client_id": "mdc_0123456789abcdef", "client_secret": "mds_…"}
    schema = {
        "type": "object",
        "required": [required],
        "properties": {**fields, **CREDENTIALS},
        "additionalProperties": {"type": "string", "description": "Ignored (RFC 6749, section 3.2)."},
    }
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema, "example": example}}}}


class AccessToken(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: Annotated[str, Field(description="A JWT by RFC 9068; send it as `Authorization: Bearer`.")]
    token_type: Annotated[str, Field(examples=["Bearer"])] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: Annotated[int, Field(description="Seconds.")]
    scope: Annotated[str, Field(description="What the token covers, separated by spaces.")]


class KeySet(BaseModel):
    """RFC 7517."""

    keys: list[dict[str, str]]


@router.post(
    TOKEN_PATH,
    operation_id="createToken",
    summary="Get an access token",
    responses=problems(
        "invalid-request",
        "unsupported-grant-type",
        "invalid-scope",
        "invalid-client",
        "rate-limited",
        "too-large",
        "database-unavailable",
    ),
    openapi_extra=_form(
        "grant_type",
        _GRANT_TYPE,
        {
            "grant_type": {"type": "string", "enum": [_GRANT_TYPE]},
            "scope": {
                "type": "string",
                "pattern": f"^({_SCOPE})( ({_SCOPE}))*$",
                "description": "Separated by spaces; without it all of the client's.",
                "examples": ["metadata:read candles:read"],
            },
        },
    ),
)
async def create_token(request: Request, response: Response, services: ServicesNeeded) -> AccessToken:
    """OAuth 2.0 client credentials, in the form or by HTTP Basic.

    The token ends with its time, and before that when it is revoked, when the secret is revoked by which it was got, or
    when the client is disabled; of its scopes those count that the client still has. Too many wrong secrets, from one
    address or for one client, and the next ones have to wait.

    Errors are problem documents that also carry RFC 6749's `error` and `error_description`.
    """
    form = await read_form(request)
    client_id, secret = read_credentials(request, form)
    if "grant_type" not in form:
        raise Problem("invalid-request", "`grant_type` is required.", parameter="grant_type")
    if form["grant_type"] != _GRANT_TYPE:
        raise Problem(
            "unsupported-grant-type", f"`grant_type` is {_GRANT_TYPE}.", parameter="grant_type", supported=[_GRANT_TYPE]
        )
    who = await authenticate(request, services, client_id, secret)
    scopes = _choose_scopes(who.client, form.get("scope", ""))
    await services.ensure_keys()
    token = services.tokens.issue(client_id, scopes, who.secret_id)
    async with services.database.transaction() as connection:
        told = {"secret_id": who.secret_id, "scopes": scopes}
        await record(connection, services.clock.now_ms(), "token.issued", who.actor, subject=client_id, details=told)
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(access_token=token, expires_in=services.tokens.ttl_s, scope=" ".join(scopes))


@router.post(
    f"{TOKEN_PATH}/revoke",
    operation_id="revokeToken",
    summary="Revoke an access token",
    response_class=Response,
    responses=problems("invalid-request", "invalid-client", "rate-limited", "too-large", "database-unavailable"),
    openapi_extra=_form(
        "token",
        "eyJ…",
        {
            "token": {"type": "string", "description": "The access token that shall end."},
            "token_type_hint": {"type": "string", "description": "Not needed: all tokens are access tokens."},
        },
    ),
)
async def revoke_token(request: Request, services: ServicesNeeded) -> Response:
    """RFC 7009: end an access token of the client that asks, within 5 seconds everywhere.

    The answer is the same and empty for a token that was revoked, has expired, or is none of ours, and for one of
    another client, which is left as it is: so nobody learns of a token whether it is good.
    """
    form = await read_form(request)
    client_id, secret = read_credentials(request, form)
    if "token" not in form:
        raise Problem("invalid-request", "`token` is required.", parameter="token")
    who = await authenticate(request, services, client_id, secret)
    await services.ensure_keys()
    token, now_ms = services.tokens.read(form["token"]), services.clock.now_ms()
    if token is not None:
        async with services.database.transaction() as connection:
            if token.client_id == client_id:
                ends_at_ms = (token.expires_s + LEEWAY_S) * 1000
                await store_revoked(connection, token.jti, client_id, ends_at_ms, now_ms, by=who.actor)
            else:
                told = {"jti": token.jti}
                await record(
                    connection,
                    now_ms,
                    "token.revoked",
                    who.actor,
                    outcome="refused",
                    subject=token.client_id,
                    details=told,
                )
        await services.take_over_access()
    return Response(headers={"Cache-Control": "no-store"})


@router.get(
    "/.well-known/jwks.json",
    operation_id="getKeys",
    summary="Get the public signing keys",
    responses=problems("database-unavailable"),
)
async def get_keys(services: ServicesNeeded) -> KeySet:
    """The keys that verify our access tokens, as an RFC 7517 key set: the next one and those before among them."""
    await services.ensure_keys()
    return KeySet(keys=services.tokens.public_keys())


def _choose_scopes(client: ApiClient, asked: str) -> list[str]:
    """The asked scopes, or all of the client's; always in our order."""
    wanted = set(asked.split()) or set(client.scopes)
    if not wanted <= set(client.scopes):
        raise Problem(
            "invalid-scope",
            f"This client may have {', '.join(client.scopes)}.",
            parameter="scope",
            supported=list(client.scopes),
        )
    return [scope for scope in SCOPES if scope in wanted]
