"""Every kind of secret is sent where it belongs and where it does not, while the database is killed and hangs; none
of them is in a log line, an answer, or the audit log."""

import asyncio
import base64
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from sqlalchemy import make_url

from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.migrate import migrate
from marketdata.store.secrets import Secret
from tests.cli.command import MARKETDATA, environment, marketdata
from tests.e2e.budget.installation import Service, free_port
from tests.store.test_engine import hung, processes

PASSWORD = "canary-0f3b6e5a-password"
GRANT = {"grant_type": "client_credentials"}


class Logged(Service):
    """A service whose log is kept, every line of it."""

    log: Path

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [MARKETDATA, *self.arguments],
                env=environment(**self.settings),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@dataclass
class Scene:
    """A process that may be asked, its log, and all the secrets that there are."""

    url: str
    """Of the database, with its password."""
    cluster: Path
    folder: Path
    api: Logged
    http: httpx2.AsyncClient
    client_id: str = ""
    secrets: dict[str, str] = field(default_factory=lambda: {"database password": PASSWORD})
    """By what each is."""
    answers: list[str] = field(default_factory=list)
    """Those that have no secret to tell."""

    def run(self, *arguments: str) -> str:
        """What a command prints; what it says beside it counts as an answer."""
        result = marketdata(self.folder, *arguments, database_url=self.url)
        self.answers.append(result.stderr)
        return result.stdout

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets['token']}"}

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.client_id, "client_secret": self.secrets["client secret"]}

    async def ask(self, method: str, path: str, **more: Any) -> None:
        """Ask something that has no secret for an answer."""
        with suppress(httpx2.TransportError):
            answer = await self.http.request(method, path, **more)
            self.answers.append(f"{answer.headers} {answer.text}")

    def written(self) -> dict[str, str]:
        """All that is to be looked through."""
        with psycopg.connect(self.url) as connection:
            lines = connection.execute("SELECT to_jsonb(line)::text FROM audit_log AS line").fetchall()
        return {
            "the log": self.api.log.read_text(),
            "the answers": "\n".join(self.answers),
            "the audit log": "\n".join(line for (line,) in lines),
        }


def leaks(secrets: dict[str, str], text: str) -> list[str]:
    """Which secrets are in a text, in any of the forms in which one would write them."""
    return [name for name, secret in secrets.items() if any(form in text for form in forms(secret))]


def forms(secret: str) -> Iterator[str]:
    raw = bytes.fromhex(secret) if len(secret) == 64 else secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield repr(raw)[2:-1]
    yield raw.hex()
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")


@asynccontextmanager
async def scene(folder: Path, url: str, cluster: Path) -> AsyncIterator[Scene]:
    """The process, with no exchange that answers."""
    port = free_port()
    nowhere = {f"{name}_url": "http://127.0.0.1:9" for name in ("binance_futures", "hyperliquid", "coinbase")}
    api = Logged(("api",), {"database_url": url, "port": str(port), **nowhere}, port)
    api.log = folder / "api.log"
    api.start()
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
            made = Scene(url, cluster, folder, api, http)
            async with asyncio.timeout(60):
                while await _status(http) != 200:
                    await asyncio.sleep(0.05)
            yield made
    finally:
        api.kill(signal.SIGTERM)


async def _status(http: httpx2.AsyncClient) -> int:
    with suppress(httpx2.TransportError):
        return (await http.get("/.well-known/jwks.json")).status_code
    return 0


async def make_secrets(made: Scene) -> None:
    """One of each kind."""
    scopes = [word for scope in ("admin", "metadata:read", "candles:read") for word in ("--scope", scope)]
    client = json.loads(made.run("clients", "create", "bot", *scopes, "--json"))
    made.client_id = client["client_id"]
    made.secrets["first secret"] = client["client_secret"]
    renewed = json.loads(made.run("clients", "rotate", made.client_id, "--json"))
    made.secrets["client secret"] = renewed["client_secret"]
    made.secrets["wrong secret"] = Secret.make().text
    for name in ("token", "revoked token"):
        answer = await made.http.post("/v1/token", data={**GRANT, **made.credentials})
        made.secrets[name] = answer.json()["access_token"]
    await made.ask("POST", "/v1/token/revoke", data={"token": made.secrets["revoked token"], **made.credentials})
    with psycopg.connect(made.url) as connection:
        keys = connection.execute("SELECT 'key ' || kid, encode(private_key, 'hex') FROM signing_keys").fetchall()
        sealing = connection.execute("SELECT 'sealing secret', encode(secret, 'hex') FROM sealing_secrets").fetchall()
    made.secrets |= dict([*keys, *sealing])
    assert len(made.secrets) == 9


async def misuse(made: Scene) -> None:
    """Send every secret to every place where a caller could put it."""
    for secret in list(made.secrets.values()):
        written = quote(secret, safe="")
        basic = {"Authorization": f"Basic {base64.b64encode(f'{made.client_id}:{secret}'.encode()).decode()}"}
        clients = "/v1/admin/clients"
        wrong = {**made.credentials, "client_secret": secret + "x"}
        await made.ask("GET", "/v1/exchanges", headers={"Authorization": f"Bearer {secret}x"})
        await made.ask("GET", "/v1/exchanges", headers={"Authorization": secret})
        await made.ask("GET", "/v1/exchanges", headers=basic)
        await made.ask("GET", f"/v1/exchanges?token={written}", headers=made.bearer)
        await made.ask("GET", f"/v1/exchanges?{written}", headers=made.bearer)
        await made.ask("GET", f"/v1/exchanges/{written}", headers=made.bearer)
        await made.ask("GET", f"/v1/candles/coinbase/{written}/1h", headers=made.bearer)
        await made.ask("GET", f"/{written}")
        await made.ask("GET", "/v1/events", params={"cursor": secret, "symbol": secret}, headers=made.bearer)
        await made.ask("GET", "/v1/events", params={"cursor": secret}, headers=made.bearer)
        await made.ask("GET", "/v1/syncs", headers={**made.bearer, "Cookie": secret, "X-Forwarded-For": secret})
        await made.ask("POST", "/v1/token", data={"grant_type": secret, **made.credentials})
        await made.ask("POST", "/v1/token", data={**GRANT, "scope": secret, **made.credentials})
        await made.ask("POST", "/v1/token", data={**GRANT, **wrong})
        await made.ask("POST", "/v1/token", data={**GRANT, **wrong, "client_id": secret})
        await made.ask("POST", "/v1/token", data={**GRANT, secret: secret})
        await made.ask("POST", "/v1/token", json=wrong)
        await made.ask("POST", f"/v1/token?client_secret={written}", data=GRANT)
        await made.ask("POST", "/v1/token/revoke", data={"token": f"{secret}x", **made.credentials})
        await made.ask("POST", clients, json={"name": {secret: secret}}, headers=made.bearer)
        await made.ask("POST", clients, json={secret: 1, "name": "x"}, headers=made.bearer)
        await made.ask("POST", clients, json={"name": "x", "scopes": [secret]}, headers=made.bearer)
        await made.ask("POST", clients, content=secret, headers={**made.bearer, "Content-Type": "application/json"})
        await made.ask("PATCH", f"{clients}/{written}", json={"name": "x"}, headers=made.bearer)
        await made.ask("POST", f"{clients}/{made.client_id}/secrets/{written}/revoke", headers=made.bearer)
        await made.ask("GET", "/v1/admin/audit", params={"actor": secret}, headers=made.bearer)
    made.run("clients", "disable", made.secrets["client secret"])
    made.run("clients", "update", made.client_id, "--expires", made.secrets["token"])


async def test_no_secret_is_told_to_anybody_else(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, ("fsync=off",)).use() as bare:
        migrate(bare)
        url = make_url(bare).set(password=PASSWORD).render_as_string(hide_password=False)
        async with scene(tmp_path, url, tmp_path / "postgres") as made:
            await make_secrets(made)
            await misuse(made)
            with hung(made.cluster):
                await asyncio.gather(
                    made.ask("POST", "/v1/token", data={**GRANT, **made.credentials}),
                    made.ask("GET", "/v1/syncs", headers=made.bearer),
                    made.ask("GET", "/v1/admin/clients", headers=made.bearer),
                )
            for process in processes(made.cluster)[1:]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            for _ in range(20):
                await made.ask("GET", "/v1/syncs", headers=made.bearer)
                await made.ask("GET", "/v1/candles/coinbase/BTC-USD/1h", headers=made.bearer)
                await asyncio.sleep(0.1)
            written = made.written()
        written["the log"] = made.api.log.read_text()
    for where, text in written.items():
        assert len(text) > 1000, where
        assert leaks(made.secrets, text) == [], where
    for line in written["the log"].splitlines():
        json.loads(line)


@pytest.mark.parametrize("name", ["token", "database password", "sealing secret"])
def test_a_leak_is_seen(name: str) -> None:
    """Negative control: in each form."""
    secrets = {"token": "eyJhbGciOi.x.y", "database password": PASSWORD, "sealing secret": "ab" * 32}
    for form in forms(secrets[name]):
        assert leaks(secrets, f"line with {form} in it") == [name]
    assert leaks(secrets, "a line like any other") == []
