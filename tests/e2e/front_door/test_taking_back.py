"""What was taken back is taken by no process after 5 s, however it was taken back; 100 trials of each kind."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from marketdata.core.clock import SystemClock
from marketdata.store.clients import disable_client
from marketdata.store.engine import Database
from tests.cli.command import marketdata
from tests.e2e.front_door.front import Front, running_front
from tests.e2e.front_door.trial import PROMISED_S, Trial, ask, begin_trial, open_access, until_refused
from tests.store.test_engine import hung

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = pytest.param(100, marks=pytest.mark.long)

World = tuple[Front, Database, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Two processes and an admin."""
    folder = tmp_path_factory.mktemp("front")
    async with (
        running_front(folder, requests_per_minute="10000000", requests_at_once="1000") as front,
        open_access(front) as (database, admin_token),
    ):
        yield front, database, admin_token


async def disabled(trial: Trial) -> str:
    await trial.administer("POST", "/disable")
    return "invalid-token"


async def disabled_by_the_command(trial: Trial) -> str:
    """As the command does, which tells no process but the database."""
    async with trial.database.transaction() as connection:
        await disable_client(connection, trial.client_id, SystemClock().now_ms())
    return "invalid-token"


async def token_revoked(trial: Trial) -> str:
    answer = await ask(trial.front.apis[1], "POST", "/v1/token/revoke", auth=trial.auth, form={"token": trial.token})
    assert (answer.status, answer.document) == (200, None)
    return "invalid-token"


async def secret_revoked(trial: Trial) -> str:
    await trial.administer("POST", f"/secrets/{trial.secret_id}/revoke")
    return "invalid-token"


async def rotated_with_revocation(trial: Trial) -> str:
    await trial.administer("POST", "/rotate", {"revoke": True})
    return "invalid-token"


async def scope_reduced(trial: Trial) -> str:
    await trial.administer("PATCH", "", {"scopes": ["candles:read"]})
    return "insufficient-scope"


async def expired(trial: Trial) -> str:
    ends_ms = SystemClock().now_ms() + 300
    await trial.administer("PATCH", "", {"expires_at": ends_ms})
    await asyncio.sleep(max(0.0, (ends_ms - SystemClock().now_ms()) / 1000))
    return "invalid-token"


KINDS: tuple[Callable[[Trial], Awaitable[str]], ...] = (
    disabled,
    disabled_by_the_command,
    token_revoked,
    secret_revoked,
    rotated_with_revocation,
    scope_reduced,
    expired,
)


@pytest.mark.parametrize("trials", [2, LONG])
@pytest.mark.parametrize("take_back", KINDS, ids=lambda kind: kind.__name__)
async def test_a_token_is_taken_no_longer(
    world: World, take_back: Callable[[Trial], Awaitable[str]], trials: int
) -> None:
    latest = []
    for _ in range(trials):
        trial = await begin_trial(*world)
        refusal = await take_back(trial)
        latest.append(await until_refused(trial.said, refusal, time.monotonic()))
    print(f"{take_back.__name__}: {trials} trials, taken at most {max(latest) * 1000:.0f} ms longer")
    assert max(latest) <= PROMISED_S


@pytest.mark.parametrize("trials", [2, LONG])
async def test_a_secret_lets_nobody_in_any_more(world: World, trials: int) -> None:
    """Of a disabled client, a revoked secret, an expired client: at once, for each token is asked of the database."""
    for number in range(trials):
        for take_back in (disabled, secret_revoked, expired):
            trial = await begin_trial(*world)
            await take_back(trial)
            assert (await trial.grant(number % 2)).code == "invalid-client"


@pytest.mark.parametrize("trials", [2, LONG])
async def test_one_thing_is_not_taken_for_another(world: World, trials: int) -> None:
    for number in range(trials):
        trial = await begin_trial(*world)
        api, form = trial.front.apis[number % 2], {"grant_type": "client_credentials"}
        jti_as_secret = (trial.client_id, trial.token.split(".")[2])
        for auth in ((trial.client_id, trial.token), jti_as_secret, (trial.token, trial.secret), ("", trial.secret)):
            assert (await ask(api, "POST", "/v1/token", auth=auth, form=form)).code == "invalid-client"
        for token in (trial.secret, trial.client_id, f"{trial.client_id}:{trial.secret}"):
            assert (await ask(api, "GET", "/v1/exchanges", token=token)).code == "invalid-token"
        for kind in ("refresh_token", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
            answer = await ask(api, "POST", "/v1/token", auth=trial.auth, form={"grant_type": kind, "a": trial.token})
            assert answer.code == "unsupported-grant-type"


async def _publish_next(front: Front) -> None:
    """Let the next key count as published for long, once both processes show it."""
    with psycopg.connect(front.url, autocommit=True) as connection:
        (kid,) = connection.execute("SELECT kid FROM signing_keys WHERE signs_from IS NULL").fetchone() or ("",)
        async with asyncio.timeout(PROMISED_S):
            for api in front.apis:
                while kid not in str((await ask(api, "GET", "/.well-known/jwks.json")).document):
                    await asyncio.sleep(0.01)
        connection.execute("UPDATE signing_keys SET created_at = created_at - interval '10 s' WHERE kid = %s", (kid,))


async def test_without_the_database_what_was_taken_back_stays_so_and_the_rest_goes_on(world: World) -> None:
    good, gone = await begin_trial(*world), await begin_trial(*world)
    refusal = await token_revoked(gone)
    await until_refused(gone.said, refusal, time.monotonic())
    with hung(gone.front.cluster):
        began = time.monotonic()
        while time.monotonic() < began + PROMISED_S + 1:
            assert await good.said() == ["ok", "ok"]
            assert await gone.said() == [refusal] * 2
            await asyncio.sleep(0.2)
        assert (await good.grant()).code == "database-unavailable"
    async with asyncio.timeout(60):
        while (await good.grant()).code != "ok":
            await asyncio.sleep(0.1)
    refusal = await disabled_by_the_command(good)
    assert await until_refused(good.said, refusal, time.monotonic()) <= PROMISED_S


@pytest.mark.parametrize("trials", [1, LONG])
async def test_what_a_revoked_key_signed(world: World, trials: int, tmp_path: Path) -> None:
    """The last one here: the admin's token is void, too."""
    latest = []
    for _ in range(trials):
        trial = await begin_trial(*world)
        await _publish_next(trial.front)
        result = marketdata(tmp_path, "keys", "rotate", "--revoke", database_url=trial.front.url)
        assert (result.returncode, result.stderr) == (0, "")
        latest.append(await until_refused(trial.said, "invalid-token", time.monotonic()))
        async with open_access(trial.front) as (_, admin_token):
            await begin_trial(trial.front, trial.database, admin_token)
    print(f"key revoked: {trials} trials, taken at most {max(latest) * 1000:.0f} ms longer")
    assert max(latest) <= PROMISED_S
