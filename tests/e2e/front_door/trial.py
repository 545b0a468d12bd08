"""A client of its own for each trial, and what two API processes say of its token until both have learned."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from marketdata.core.clock import SystemClock
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from tests.e2e.budget.installation import Service
from tests.e2e.front_door.front import Front

PROMISED_S = 5.0
"""Within this time a change counts in every process."""

PATH = "/v1/exchanges"
_CLOCK = SystemClock()


@dataclass
class Answered:
    """What a process said."""

    status: int
    document: Any

    @property
    def code(self) -> str:
        """`ok`, or the problem's code."""
        return "ok" if self.status in {200, 201} else str(self.document["code"])


async def ask(
    api: Service,
    method: str,
    path: str,
    *,
    token: str | None = None,
    auth: tuple[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    document: object = None,
) -> Answered:
    """One request, with a token or by HTTP Basic."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x"]
    body = b""
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if auth is not None:
        lines.append(f"Authorization: Basic {b64encode(':'.join(auth).encode()).decode()}")
    if form is not None:
        body = urlencode(form).encode()
        lines.append("Content-Type: application/x-www-form-urlencoded")
    if document is not None:
        body = json.dumps(document).encode()
        lines.append("Content-Type: application/json")
    lines.append(f"Content-Length: {len(body)}")
    status, answer = await api.ask("\r\n".join(lines) + "\r\n\r\n" + body.decode())
    return Answered(status, json.loads(answer) if answer else None)


@dataclass
class Trial:
    """A client, its secret and a token, of which both processes know."""

    front: Front
    database: Database
    admin_token: str
    client_id: str
    secret: str
    token: str

    @property
    def auth(self) -> tuple[str, str]:
        return self.client_id, self.secret

    @property
    def secret_id(self) -> str:
        return self.secret.split("_")[1]

    async def grant(self, api: int = 0, secret: str | None = None) -> Answered:
        """Ask a process for a token."""
        form = {"grant_type": "client_credentials"}
        auth = (self.client_id, secret or self.secret)
        return await ask(self.front.apis[api], "POST", "/v1/token", auth=auth, form=form)

    async def administer(self, method: str, path: str = "", document: object = None) -> Answered:
        """Do something to the client as an admin, at one of the processes."""
        path = f"/v1/admin/clients/{self.client_id}{path}"
        answer = await ask(self.front.apis[0], method, path, token=self.admin_token, document=document)
        assert answer.code == "ok", answer
        return answer

    async def said(self, path: str = PATH) -> list[str]:
        """What each process says of the token now."""
        return [(await ask(api, "GET", path, token=self.token)).code for api in self.front.apis]


async def begin_trial(front: Front, database: Database, admin_token: str) -> Trial:
    """With a new client, whose token both processes take; what was guessed in other trials does not count in it."""
    async with database.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM guesses")
        scopes = ("metadata:read", "candles:read")
        client, secret = await create_client(connection, "trial", scopes, _CLOCK.now_ms())
    trial = Trial(front, database, admin_token, client.client_id, secret, "")
    trial.token = (await trial.grant()).document["access_token"]
    async with asyncio.timeout(PROMISED_S):
        while await trial.said() != ["ok", "ok"]:
            await asyncio.sleep(0.01)
    return trial


async def until_refused(
    said: Callable[[], Awaitable[list[str]]], refusal: str, since: float, patience_s: float = 30.0
) -> float:
    """How long after `since` the last process still let the token in, seconds; then neither does ever again."""
    last = since
    while time.monotonic() < since + patience_s:
        now = time.monotonic()
        codes = await said()
        assert set(codes) <= {"ok", refusal}, codes
        if "ok" not in codes:
            break
        last = now
        await asyncio.sleep(0.005)
    for _ in range(3):
        assert set(await said()) == {refusal}
    return last - since


@asynccontextmanager
async def open_access(front: Front) -> AsyncIterator[tuple[Database, str]]:
    """The front's database, and the token of an admin."""
    database = Database(front.url)
    try:
        async with database.transaction() as connection:
            admin, secret = await create_client(connection, "admin", ("admin",), _CLOCK.now_ms())
        form, auth = {"grant_type": "client_credentials"}, (admin.client_id, secret)
        answer = await ask(front.apis[0], "POST", "/v1/token", auth=auth, form=form)
        token: str = answer.document["access_token"]
        async with asyncio.timeout(PROMISED_S):
            while (await ask(front.apis[0], "GET", "/v1/admin/clients", token=token)).code != "ok":
                await asyncio.sleep(0.01)
        yield database, token
    finally:
        await database.dispose()
