"""Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4), and the keys that verify them."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from marketdata.api.dependencies import ServicesNeeded, check_query
from marketdata.api.openapi import problems
from marketdata.api.problems import TOKEN_PATH, Problem
from marketdata.api.services import Services
from marketdata.store.clients import ApiClient, get_client, list_secrets, record_use
from marketdata.store.scopes import SCOPES
from marketdata.store.secrets import Secret

router = APIRouter(tags=["access"], dependencies=[Depends(check_query)])

_GRANT_TYPE: Final = "client_credentials"
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 20
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCOPE: Final = "|".join(SCOPES)
_REQUEST_BODY: Final[Mapping[str, Any]] = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": [_GRANT_TYPE]},
                    "client_id": {"type": "string", "description": "Here or by HTTP Basic."},
                    "client_secret": {"type": "string", "format": "password", "description": "Here or by HTTP Basic."},
                    "scope": {
                        "type": "string",
                        "pattern": f"^({_SCOPE})( ({_SCOPE}))*$",
                        "description": "Separated by spaces; without it all of the client's.",
                        "examples": ["metadata:read candles:read"],
                    },
                },
                "additionalProperties": {"type": "string", "description": "Ignored (RFC 6749, section 3.2)."},
            }
        }
    },
}


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
        "too-large",
        "database-unavailable",
    ),
    openapi_extra={"requestBody": _REQUEST_BODY},
)
async def create_token(request: Request, response: Response, services: ServicesNeeded) -> AccessToken:
    """OAuth 2.0 client credentials, in the form or by HTTP Basic.

    Errors are problem documents that also carry RFC 6749's `error` and `error_description`.
    """
    form = await _read_form(request)
    client_id, secret = _read_credentials(request, form)
    if "grant_type" not in form:
        raise Problem("invalid-request", "`grant_type` is required.", parameter="grant_type")
    if form["grant_type"] != _GRANT_TYPE:
        raise Problem(
            "unsupported-grant-type", f"`grant_type` is {_GRANT_TYPE}.", parameter="grant_type", supported=[_GRANT_TYPE]
        )
    client, secret_id = await _authenticate(services, client_id, secret)
    scopes = _choose_scopes(client, form.get("scope", ""))
    await services.ensure_keys()
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(
        access_token=services.tokens.issue(client.client_id, scopes, secret_id),
        expires_in=services.tokens.ttl_s,
        scope=" ".join(scopes),
    )


@router.get(
    "/.well-known/jwks.json",
    operation_id="getKeys",
    summary="Get the public signing keys",
    responses=problems("database-unavailable"),
)
async def get_keys(services: ServicesNeeded) -> KeySet:
    """The keys that verify our access tokens, as an RFC 7517 key set."""
    await services.ensure_keys()
    return KeySet(keys=services.tokens.public_keys())


async def _read_form(request: Request) -> dict[str, str]:
    """The form's fields; an empty one counts as left out (RFC 6749, section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Problem("invalid-request", f"The body is a form: {_FORM}.")
    try:
        pairs = parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Problem("invalid-request", "The body is not a form that can be read.") from None
    form = {name: value for name, value in pairs if value}
    if len({name for name, _ in pairs}) != len(pairs):
        raise Problem("invalid-request", "A field of the form is given more than once.")
    return form


def _read_credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret, from the form or by HTTP Basic, where both are form-encoded first."""
    header = request.headers.get("authorization")
    if header is None:
        if "client_id" not in form or "client_secret" not in form:
            raise _invalid_client("Send client id and secret by HTTP Basic, or as `client_id` and `client_secret`.")
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise Problem("invalid-request", "Credentials come by HTTP Basic or in the form, not both.")
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, ValueError):
        raise _invalid_client() from None
    client_id, _, secret = (unquote_plus(part) for part in text.partition(":"))
    if form.get("client_id", client_id) != client_id:
        raise Problem(
            "invalid-request", "`client_id` in the form is another than by HTTP Basic.", parameter="client_id"
        )
    return client_id, secret


async def _authenticate(services: Services, client_id: str, secret: str) -> tuple[ApiClient, str]:
    """The client, and the id of the secret by which it came in."""
    now_ms = services.clock.now_ms()
    given = Secret.parse(secret)
    if given is not None and _CLIENT_ID.fullmatch(client_id):
        async with services.database.transaction() as connection:
            client = await get_client(connection, client_id)
            stored = await list_secrets(connection, client_id)
            known = any(one.is_live(now_ms) and one.is_same(given) for one in stored)
            if client is not None and known and client.is_active(now_ms):
                await record_use(connection, given.id, now_ms)
                return client, given.id
    raise _invalid_client()


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


def _invalid_client(
    detail: str = "Client id and secret do not belong to a client that may come in.",
) -> Problem:
    return Problem(
        "invalid-client",
        detail,
        headers={"WWW-Authenticate": 'Basic realm="marketdata"'},
    )
