"""A short part of `test_long.py`, with the same real processes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.migrate import migrate
from tests.e2e.limits.installation import Answers, room, running, tolerance
from tests.store.test_engine import hung

LIMIT = 400
PROCESSES = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A database server that may be hurt: its URL and its cluster."""
    with EmbeddedPostgres(tmp_path, ["fsync=off"]).use() as url:
        migrate(url)
        yield url, tmp_path / "postgres"


async def test_several_processes_let_in_what_one_would_with_and_without_the_database(server: tuple[str, Path]) -> None:
    url, cluster = server
    async with running(url, PROCESSES, requests_per_minute=str(LIMIT)) as installation:
        token = await installation.client()
        minute = await room(8)
        answers = await installation.ask_all(token, 3 * LIMIT)
        print(answers.by_minute)
        assert int(time.time() // 60) == minute, "the machine is too slow for this test"
        assert LIMIT - tolerance(LIMIT, PROCESSES) <= answers.count(200) <= LIMIT
        assert answers.count(200) + answers.count(429) == 3 * LIMIT // 12 * 12

        token, answers = await installation.client(), Answers()
        minute = await room(15)
        for _ in range(20):
            assert await installation.ask(installation.apis[0], token, answers) == 200
        with hung(cluster):
            for api in installation.apis:
                await installation.until_refused(api, token, answers)
        print(answers.by_minute)
        assert int(time.time() // 60) == minute, "the machine is too slow for this test"
        # the minute in which the database is lost may pass the limit by the credit, as docs/limits.md says
        assert LIMIT * 0.8 <= answers.count(200) <= LIMIT + LIMIT // 32
