"""Who may do what: every operation of the OpenAPI document for every kind of caller, as the table says."""

from base64 import b64encode
from typing import Final, NamedTuple

import pytest

from marketdata.store.scopes import ADMIN, CANDLES_READ, METADATA_READ, SCOPES
from tests.e2e.front_door.conftest import Door
from tests.e2e.front_door.forge import Forge
from tests.e2e.front_door.operations import REQUESTS, operations
from tests.e2e.front_door.raw import Answer, RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Row(NamedTuple):
    """The status of an operation's answer for each caller."""

    anonymous: int
    no_scope: int
    metadata: int
    candles: int
    admin: int
    every_scope: int
    disabled: int
    """A client with every scope that was disabled after its token was issued."""


OPEN: Final = Row(200, 200, 200, 200, 200, 200, 200)
METADATA: Final = Row(401, 403, 200, 403, 403, 200, 401)
CANDLES: Final = Row(401, 403, 403, 200, 403, 200, 401)
CREDENTIALS: Final = Row(401, 200, 200, 200, 200, 200, 401)
"""Takes client id and secret instead of a token; anonymous: without them."""
ADMINS: Final = Row(401, 403, 403, 403, 200, 200, 401)
CREATED: Final = ADMINS._replace(admin=201, every_scope=201)
NOBODY: Final = ADMINS._replace(admin=404, every_scope=404)
"""For admins alone; the client that the request names is none."""

TABLE: Final = {
    "createToken": CREDENTIALS,
    "revokeToken": CREDENTIALS,
    "getKeys": OPEN,
    "getLiveness": OPEN,
    "getReadiness": OPEN,
    "listExchanges": METADATA,
    "getExchange": METADATA,
    "listIntervals": METADATA,
    "listSymbols": METADATA,
    "getSymbol": METADATA,
    "listSymbolVersions": METADATA,
    "resolve": METADATA,
    "listEvents": METADATA,
    "getCoverage": METADATA,
    "listSyncs": METADATA,
    "getSync": METADATA,
    "getStatus": METADATA,
    "listClients": ADMINS,
    "createClient": CREATED,
    "getClient": NOBODY,
    "updateClient": NOBODY,
    "disableClient": NOBODY,
    "rotateClient": NOBODY,
    "revokeSecret": NOBODY,
    "listAudit": ADMINS,
    "listCandles": CANDLES,
    "getLatestCandle": CANDLES,
}
"""By operation id."""

NEEDED: Final = {
    METADATA: [METADATA_READ],
    CANDLES: [CANDLES_READ],
    ADMINS: [ADMIN],
    CREATED: [ADMIN],
    NOBODY: [ADMIN],
}
SCOPES_OF: Final = {
    "anonymous": (),
    "no_scope": (),
    "metadata": (METADATA_READ,),
    "candles": (CANDLES_READ,),
    "admin": (ADMIN,),
    "every_scope": tuple(SCOPES),
    "disabled": tuple(SCOPES),
}
CODES: Final = {
    401: {"missing-token", "invalid-token", "invalid-client"},
    403: {"insufficient-scope"},
    404: {"not-found"},
}


async def asks(client: RawClient, door: Door, operation: str, caller: str) -> Answer:
    request = REQUESTS[operation]
    forge, secret = (door.disabled, door.disabled_secret) if caller == "disabled" else (door.forge, door.secret)
    headers = []
    if caller != "anonymous":
        headers.append((b"Authorization", _authorization(operation, forge, secret, caller)))
    if request.form is None:
        headers += [(b"Content-Type", b"application/json")] * (request.json is not None)
        return await client.ask(request.path, headers, method=request.method, body=request.json)
    headers.append((b"Content-Type", b"application/x-www-form-urlencoded"))
    form = "&".join(f"{name}={value}" for name, value in request.form.items())
    return await client.ask(request.path, headers, method=request.method, body=form.encode())


def _authorization(operation: str, forge: Forge, secret: str, caller: str) -> bytes:
    if TABLE[operation] is CREDENTIALS:
        return b"Basic " + b64encode(f"{forge.client_id}:{secret}".encode())
    return b"Bearer " + forge.good(scope=" ".join(SCOPES_OF[caller]))


async def test_the_table_has_every_operation_and_no_other(door: Door) -> None:
    described = dict(operations(door.document))
    assert set(TABLE) == set(REQUESTS) == set(described), "an operation without a row is open to nobody knows whom"
    for name, operation in described.items():
        needed = [scope for way in operation.get("security", ()) for scope in way["ClientCredentials"]]
        assert needed == NEEDED.get(TABLE[name], []), name


@pytest.mark.parametrize("caller", Row._fields)
async def test_every_cell_is_as_declared(door: Door, caller: str) -> None:
    async with RawClient(str(door.http.base_url)) as client:
        for operation, row in TABLE.items():
            answer = await asks(client, door, operation, caller)
            expected = row._asdict()[caller]
            assert answer.status == expected, (operation, caller, answer.body)
            if expected >= 400:
                assert answer.json()["code"] in CODES[expected], (operation, caller)
