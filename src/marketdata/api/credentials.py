"""Who asks at the token endpoints: client id and secret, from the form or by HTTP Basic (RFC 6749, section 2.3.1)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request

from marketdata.api.audit import actor_of
from marketdata.api.guessing import place_of
from marketdata.api.problems import Problem
from marketdata.api.record import record_of
from marketdata.api.services import Services
from marketdata.store.audit import Actor, record
from marketdata.store.client_secrets import list_secrets, record_use
from marketdata.store.clients import ApiClient, get_client
from marketdata.store.guesses import begin_attempt, end_attempt
from marketdata.store.secrets import Secret

FORM: Final = "application/x-www-form-urlencoded"

_MAX_FIELDS: Final = 20
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

CREDENTIALS: Final[Mapping[str, Any]] = {
    "client_id": {"type": "string", "description": "Here or by HTTP Basic."},
    "client_secret": {"type": "string", "format": "password", "description": "Here or by HTTP Basic."},
}
"""The fields of the form, as JSON Schema."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A client that has proved who it is."""

    client: ApiClient
    secret_id: str
    actor: Actor


async def read_form(request: Request) -> dict[str, str]:
    """The form's fields; an empty one counts as left out (RFC 6749, section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Problem("invalid-request", f"The body is a form: {FORM}.")
    try:
        pairs = parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Problem("invalid-request", "The body is not a form that can be read.") from None
    form = {name: value for name, value in pairs if value}
    if len({name for name, _ in pairs}) != len(pairs):
        raise Problem("invalid-request", "A field of the form is given more than once.")
    return form


def read_credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
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


async def authenticate(request: Request, services: Services, client_id: str, secret: str) -> Authenticated:
    """The client that has this id and secret, unless somebody has guessed too much.

    Raises Problem `invalid-client`, `rate-limited`, and DatabaseUnavailable. Only a secret with the id of a live one of
    the client is compared; whatever else is wrong, the same is done and answered, so that nobody learns what it was.
    """
    given = Secret.parse(secret)
    if given is None or not _CLIENT_ID.fullmatch(client_id):
        raise _invalid_client()
    place = place_of(None if request.client is None else request.client.host)
    async with services.slowed.turn_of(place):
        wait_s: float = services.slowed.wait_s(client_id, place, given.id)
        if not wait_s:
            found = await _compare(request, services, client_id, given, place)
            if isinstance(found, Authenticated):
                record_of(request.scope).client_id = client_id
                return found
            services.slowed.note_wrong(place)
            wait_s = found
    if not wait_s:
        raise _invalid_client()
    services.slowed.remember(client_id, place, given.id, wait_s=wait_s)
    raise Problem(
        "rate-limited",
        "Too many wrong secrets came from here, or for this client; wait as long as `Retry-After` says.",
        retry_after=max(1, ceil(wait_s)),
    )


async def _compare(
    request: Request, services: Services, client_id: str, given: Secret, place: str
) -> Authenticated | float:
    """The client, or how many seconds it has to wait before another try; 0: none, it was wrong."""
    now_ms = services.clock.now_ms()
    async with services.database.transaction() as connection:
        client = await get_client(connection, client_id)
        stored = await list_secrets(connection, client_id)
        expected = next((one for one in stored if one.secret_id == given.id and one.is_live(now_ms)), None)
        if client is None or not client.is_active(now_ms):
            expected = None
        attempt = await begin_attempt(connection, client_id, place, now_ms, is_expected=expected is not None)
        refusal = "slowed" if attempt.wait_s else "wrong-secret"
        if not attempt.wait_s:
            is_right = expected is not None and expected.is_same(given)
            await end_attempt(connection, attempt, now_ms, is_right=is_right)
            if is_right and client is not None:
                await record_use(connection, given.id, now_ms)
                return Authenticated(client, given.id, actor_of(request, client_id))
        known = None if client is None else client_id
        actor = actor_of(request, None)
        if services.seldom.is_due("token.refused", refusal, known, place):
            await record(
                connection,
                now_ms,
                "token.refused",
                actor,
                subject=known,
                outcome="refused",
                details={"reason": refusal},
            )
    return attempt.wait_s


def _invalid_client(
    detail: str = "Client id and secret do not belong to a client that may come in.",
) -> Problem:
    return Problem("invalid-client", detail, headers={"WWW-Authenticate": 'Basic realm="marketdata"'})
