"""What is done now and then: keys that change by themselves, and an end to what nobody needs."""

import asyncio

from marketdata.api.upkeep import keep_up
from marketdata.core.clock import ManualClock
from marketdata.store.guesses import begin_attempt, end_attempt
from tests.api.conftest import NOW_MS, Api
from tests.api.test_access import code

LIFETIME_S = 3600


async def signing(api: Api) -> str:
    await api.services.refresh()
    return next(key.kid for key in api.services.tokens.access.keys if key.signs)


async def test_a_key_signs_as_long_as_it_is_set_and_its_tokens_go_on(api: Api, clock: ManualClock) -> None:
    database, token, first = api.services.database, api.token(), await signing(api)
    clock.advance(LIFETIME_S * 1000)
    await keep_up(database, clock, LIFETIME_S)
    assert await signing(api) == first
    clock.advance(1)
    await asyncio.gather(*(keep_up(database, clock, LIFETIME_S) for _ in range(3)))
    assert await signing(api) != first
    assert len(api.services.tokens.access.keys) == 3
    clock.set(NOW_MS)
    assert await code(api, token) is None
    assert await code(api, api.token()) is None


async def test_what_nobody_needs_is_removed(api: Api, clock: ManualClock) -> None:
    database = api.services.database
    async with database.transaction() as connection:
        attempt = await begin_attempt(connection, "x", "192.0.2.1", NOW_MS, is_expected=False)
        await end_attempt(connection, attempt, NOW_MS, is_right=False)
        await connection.exec_driver_sql(
            "INSERT INTO revoked_tokens SELECT n::text, %s, now(), to_timestamp(%s) + n * interval '1 hour'"
            " FROM generate_series(1, 2) AS n",
            (api.client_id, NOW_MS // 1000),
        )
    left = []
    for hours in (0, 1, 10):
        clock.set(NOW_MS + hours * 3_600_000)
        await keep_up(database, clock, 365 * 86_400)
        async with database.transaction() as connection:
            row = await connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM revoked_tokens), (SELECT count(*) FROM guesses)"
            )
            left.append(tuple(row.one()))
    assert left == [(2, 1), (1, 1), (0, 0)]
