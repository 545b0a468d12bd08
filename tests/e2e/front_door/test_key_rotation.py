"""Keys change while callers come: nobody is refused wrongly, and what a key of the past signed is taken by nobody."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from marketdata.core.clock import SystemClock
from tests.cli.command import MARKETDATA, environment
from tests.e2e.front_door.callers import MEMORY, TOKEN
from tests.e2e.front_door.forge import Forge
from tests.e2e.front_door.front import Front, running_front
from tests.e2e.front_door.trial import PROMISED_S, Trial, ask, begin_trial, open_access

SLICE = {MEMORY: 40.0, TOKEN: 4.0}
FULL = {MEMORY: 190.0, TOKEN: 10.0}
"""Together 200 a second."""

_BELIEVED_S = 86_400 + 30 + 10
"""For how long after its retirement a key may have signed something that lives: the longest life, leeway, learning."""


@dataclass
class Renewal:
    """Callers use now an old token, now one that was just got, from either process."""

    front: Front
    kids: set[str] = field(default_factory=set)
    """The keys that have signed tokens since it began."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self) -> None:
        number = 0
        while True:
            number += 1
            form, auth = {"grant_type": "client_credentials"}, self.front.callers.client
            answer = await ask(self.front.apis[number % 2], "POST", "/v1/token", auth=auth, form=form)
            self.front.callers.token = answer.document["access_token"]
            self.kids.add(kid_of(self.front.callers.token))
            await asyncio.sleep(0.2)


def kid_of(token: str) -> str:
    head = token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    return kid


async def rotate(front: Front) -> None:
    """As the command does it, waiting included."""
    process = await asyncio.create_subprocess_exec(
        MARKETDATA,
        "keys",
        "rotate",
        env=environment(database_url=front.url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


async def published(front: Front) -> list[set[str]]:
    """The ids of the keys that each process shows."""
    shown = [(await ask(api, "GET", "/.well-known/jwks.json")).document["keys"] for api in front.apis]
    return [{key["kid"] for key in keys} for keys in shown]


def forged(front: Front, trial: Trial, kid: str) -> bytes:
    """A token that is right in everything, signed now with a key of the past."""
    with psycopg.connect(front.url) as connection:
        (private,) = connection.execute("SELECT private_key FROM signing_keys WHERE kid = %s", (kid,)).fetchone() or (
            b"",
        )
    now_s = SystemClock().now_ms() // 1000
    key = Ed25519PrivateKey.from_private_bytes(bytes(private))
    return Forge(kid, key, trial.client_id, trial.secret_id, now_s).good(scope="metadata:read")


@pytest.mark.parametrize(
    "rotations,rates", [(2, SLICE), pytest.param(20, FULL, marks=pytest.mark.long)], ids=["slice", "long"]
)
async def test_nobody_is_refused_while_keys_change(tmp_path: Path, rotations: int, rates: dict[str, float]) -> None:
    async with (
        running_front(tmp_path, requests_per_minute="10000000", requests_at_once="1000", token_ttl="10") as front,
        open_access(front) as (database, admin_token),
    ):
        renewal = Renewal(front)
        async with front.callers.coming(rates), renewal.running():
            for _ in range(rotations):
                await rotate(front)
                await asyncio.sleep(1)
        told = front.callers.told
        print(f"{rotations} rotations, {len(renewal.kids)} keys have signed: {told}")
        assert len(renewal.kids) >= rotations
        assert {status for counted in told.values() for status in counted} == {"200"}

        now, same = await published(front)
        assert now == same
        assert len(now) == rotations + 2
        trial = await begin_trial(front, database, admin_token)
        with psycopg.connect(front.url) as connection:
            retired = [
                kid for (kid,) in connection.execute("SELECT kid FROM signing_keys WHERE retired_at IS NOT NULL")
            ]
        assert len(retired) == rotations
        tokens = {kid: forged(front, trial, kid).decode() for kid in retired}
        for token in tokens.values():
            assert [(await ask(api, "GET", "/v1/exchanges", token=token)).code for api in front.apis] == ["ok", "ok"]
        await age(front)
        for token in tokens.values():
            said = [(await ask(api, "GET", "/v1/exchanges", token=token)).code for api in front.apis]
            assert said == ["invalid-token"] * 2
        assert await trial.said() == ["ok", "ok"]
        await rotate(front)
        with psycopg.connect(front.url) as connection:
            rows = connection.execute("SELECT count(*) FROM signing_keys WHERE kid = ANY(%s)", (retired,)).fetchone()
        assert rows == (0,), "nothing is left of keys whose tokens are dead"


async def age(front: Front) -> None:
    """Let all retired keys be so old that nothing lives that they signed, and both processes know it."""
    with psycopg.connect(front.url) as connection:
        connection.execute("UPDATE signing_keys SET retired_at = retired_at - %s * interval '1 s'", (_BELIEVED_S,))
        connection.execute("UPDATE access_state SET version = version + 1")
    deadline = time.monotonic() + PROMISED_S
    while any(len(kids) != 2 for kids in await published(front)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.long
async def test_keys_change_by_themselves_when_they_are_due(tmp_path: Path) -> None:
    """The two processes look once a minute; one of them does it."""
    async with running_front(tmp_path, key_lifetime="60") as front:
        with psycopg.connect(front.url) as connection:
            connection.execute(
                "UPDATE signing_keys SET created_at = created_at - interval '1 h',"
                " signs_from = signs_from - interval '1 h'"
            )
        async with asyncio.timeout(180):
            while len((await published(front))[0]) < 3:
                assert (await front.callers.ask(MEMORY)) == "200"
                await asyncio.sleep(0.5)
        with psycopg.connect(front.url) as connection:
            rows = connection.execute("SELECT count(*) FROM audit_log WHERE action = 'key.rotated'").fetchall()
        assert rows == [(1,)]
