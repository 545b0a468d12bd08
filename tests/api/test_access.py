"""What was taken back is no longer believed, also of a token that was verified a moment ago."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.api.access import AccessFollower
from marketdata.api.auth import Tokens
from marketdata.core.clock import ManualClock, SystemClock
from marketdata.store.client_secrets import revoke_secret
from marketdata.store.clients import create_client, disable_client, rotate_client, update_client
from marketdata.store.engine import Database
from tests.api.conftest import NOW_MS, Api, problem

PATH = "/v1/exchanges"


async def change(api: Api, work: Callable[[AsyncConnection], Awaitable[object]]) -> None:
    """Do something to the database, and let the API take it over."""
    async with api.services.database.transaction() as connection:
        await work(connection)
    await api.services.access.refresh(api.services.database)


async def code(api: Api, token: str, path: str = PATH) -> str | None:
    """The code of the refusal; None: it is let in."""
    answer: httpx2.Response = await api.get(path, token=token)
    return None if answer.status_code == 200 else str(problem(answer)["code"])


async def test_a_token_of_a_disabled_client(api: Api) -> None:
    token = api.token()
    assert await code(api, token) is None
    await change(api, lambda connection: disable_client(connection, api.client_id, NOW_MS))
    assert await code(api, token) == "invalid-token"


async def test_a_token_falls_with_its_secret(api: Api) -> None:
    before = api.token()
    await change(api, lambda connection: rotate_client(connection, api.client_id, NOW_MS + 1))
    after = api.token()
    assert [await code(api, token) for token in (before, after)] == [None, None]
    await change(api, lambda connection: revoke_secret(connection, api.client_id, api.secret_id, NOW_MS))
    assert [await code(api, token) for token in (before, after)] == ["invalid-token", None]


async def test_an_expired_secret_leaves_the_tokens_that_were_got_before(api: Api) -> None:
    token = api.token()
    await change(
        api,
        lambda connection: connection.exec_driver_sql(
            "WITH told AS (UPDATE access_state SET version = version + 1)"
            " UPDATE client_secrets SET expires_at = to_timestamp(%s)",
            (NOW_MS / 1000,),
        ),
    )
    assert await code(api, token) is None


async def test_a_token_with_the_secret_of_another_client(api: Api) -> None:
    async with api.services.database.transaction() as connection:
        other, _ = await create_client(connection, "other", ("metadata:read",), NOW_MS)
    await api.services.refresh()
    token = api.services.tokens.issue(other.client_id, ("metadata:read",), api.secret_id)
    assert await code(api, token) == "invalid-token"


@pytest.mark.parametrize("secret_id", ["unknown1", ""])
async def test_a_token_of_no_secret(api: Api, secret_id: str) -> None:
    token = api.services.tokens.issue(api.client_id, ("metadata:read",), secret_id)
    assert await code(api, token) == "invalid-token"


async def test_a_token_of_a_client_who_is_not_known(api: Api) -> None:
    token = api.services.tokens.issue("mdc_unknown", ("metadata:read",), api.secret_id)
    assert await code(api, token) == "invalid-token"
    with pytest.raises(LookupError):
        api.services.tokens.issue("mdc_unknown", ("metadata:read",))


async def test_a_client_expires_to_the_millisecond(api: Api, clock: ManualClock) -> None:
    token = api.token()
    await change(
        api,
        lambda connection: update_client(connection, api.client_id, {"expires_at": NOW_MS + 5000}, NOW_MS),
    )
    clock.set(NOW_MS + 4999)
    assert await code(api, token) is None
    clock.set(NOW_MS + 5000)
    assert await code(api, token) == "invalid-token"


async def test_a_scope_that_its_client_no_longer_has(api: Api) -> None:
    token = api.token("metadata:read", "candles:read")
    await change(
        api,
        lambda connection: update_client(connection, api.client_id, {"scopes": ("candles:read",)}, NOW_MS),
    )
    assert await code(api, token) == "insufficient-scope"
    assert await code(api, token, "/v1/candles/nowhere/X/1h") == "unknown-exchange"


async def test_a_scope_that_its_token_does_not_have_is_not_lent_by_its_client(api: Api) -> None:
    assert await code(api, api.token("candles:read")) == "insufficient-scope"


async def test_following_takes_a_change_over_at_once_and_goes_on_without_the_database(
    database: Database, postgres_url: str
) -> None:
    clock = SystemClock()
    tokens = Tokens(clock, 900)
    following = asyncio.create_task(AccessFollower(tokens, clock).follow(postgres_url))
    try:
        await until(lambda: tokens.can_issue)
        async with database.transaction() as connection:
            client, _ = await create_client(connection, "bot", ("metadata:read",), clock.now_ms())
        await until(lambda: client.client_id in tokens.access.clients)
        token = tokens.issue(client.client_id, ("metadata:read",))
        async with database.transaction() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert tokens.verify(token).client_id == client.client_id
        async with database.transaction() as connection:
            await disable_client(connection, client.client_id, clock.now_ms())
        await until(lambda: not tokens.access.clients[client.client_id].is_active(clock.now_ms()))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_change_of_which_the_telling_was_lost_is_found(database: Database, postgres_url: str) -> None:
    clock = SystemClock()
    tokens = Tokens(clock, 900)
    following = asyncio.create_task(AccessFollower(tokens, clock).follow(postgres_url))
    try:
        await until(lambda: tokens.can_issue)
        async with database.transaction() as connection:
            version = tokens.access.version
            await connection.exec_driver_sql("UPDATE access_state SET version = version + 1")
        await until(lambda: tokens.access.version == version + 1)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Return when it has come true."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
