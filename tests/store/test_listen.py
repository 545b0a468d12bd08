import asyncio
import time

import psycopg
import pytest

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.listen import Presence, listen


async def test_it_wakes_when_somebody_tells_something_and_otherwise_in_time(postgres_url: str) -> None:
    async with listen(postgres_url, "news", connect_s=5, deadline_s=5) as listener:
        waiting = asyncio.create_task(listener.wait(60))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
            await connection.execute("NOTIFY other_news")
            await connection.execute("NOTIFY news")
        await asyncio.wait_for(waiting, 20)
        began = time.monotonic()
        await listener.wait(0.2)
        assert time.monotonic() - began >= 0.2


async def test_what_was_told_between_two_waits_is_not_lost(postgres_url: str) -> None:
    async with listen(postgres_url, "news", connect_s=5, deadline_s=5) as listener:
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
            await connection.execute("NOTIFY news")
        await listener.count(Presence.BUDGETS)
        await asyncio.wait_for(listener.wait(60), 20)


async def test_those_who_listen_are_counted_while_their_connections_stand(postgres_url: str) -> None:
    async with listen(postgres_url, "news", connect_s=5, deadline_s=5, presence=Presence.BUDGETS) as one:
        assert await one.count(Presence.BUDGETS) == 1
        async with listen(postgres_url, "other_news", connect_s=5, deadline_s=5, presence=Presence.BUDGETS) as other:
            assert [await one.count(Presence.BUDGETS), await other.count(Presence.BUDGETS)] == [2, 2]
            async with listen(postgres_url, "news", connect_s=5, deadline_s=5):
                assert await one.count(Presence.BUDGETS) == 2
        async with asyncio.timeout(20):
            while await one.count(Presence.BUDGETS) != 1:
                await asyncio.sleep(0.01)


async def test_a_connection_that_the_server_ends_is_noticed_at_once(postgres_url: str) -> None:
    async with listen(postgres_url, "news", connect_s=5, deadline_s=5) as listener:
        waiting = asyncio.create_task(listener.wait(60))
        await asyncio.sleep(0.1)
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'marketdata' AND datname = current_database()"
            )
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(waiting, 20)
        with pytest.raises(DatabaseUnavailable):
            await listener.count(Presence.BUDGETS)


@pytest.mark.parametrize("url", ["postgresql://u:hidden@127.0.0.1:9/d", "postgresql+psycopg://u:hidden@127.0.0.1:9/d"])
async def test_no_server(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        async with listen(url, "news", connect_s=5, deadline_s=5):
            pass
    assert "hidden" not in str(caught.value)
