"""What tests of several rooms share: a real PostgreSQL, and a fresh database of it for each test."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import make_url

from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.engine import Database
from marketdata.store.migrate import migrate

_NUMBERS = itertools.count(1)
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


# where others wait for the outcome, the same tests try the same examples each time; elsewhere new ones are looked for
settings.register_profile("repeatable", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--renew`: write the contract's files anew instead of only comparing with them."""
    parser.addoption("--renew", action="store_true", help="write the examples and docs/openapi.json anew")


@pytest.fixture
def renew(request: pytest.FixtureRequest) -> bool:
    """Whether files that are compared with are written anew."""
    return bool(request.config.getoption("--renew"))


@dataclass(frozen=True)
class Postgres:
    """A server with a migrated template database."""

    url: str

    def make_database(self, template: str = "migrated") -> str:
        """The URL of a new database, a copy of `template` (`template0`: an empty one)."""
        name = f"test_{next(_NUMBERS)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Remove a database that `make_database` made; sixty of them are a gigabyte."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The server of this test session, with the newest schema in the database `migrated`."""
    folder: Path = tmp_path_factory.mktemp("postgres")
    with EmbeddedPostgres(folder, _FAST).use() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE migrated")
        migrate(make_url(url).set(database="migrated").render_as_string(hide_password=False))
        yield Postgres(url)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a migrated database that is this test's alone."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a database without any table, this test's alone."""
    url = postgres.make_database("template0")
    yield url
    postgres.drop_database(url)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A migrated database that is this test's alone."""
    database = Database(postgres_url)
    yield database
    await database.dispose()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded answers of the real exchanges; without it the test is skipped."""
    folder = os.environ.get("MARKETDATA_RECORDED")
    if not folder:
        pytest.skip("set MARKETDATA_RECORDED to a folder of recorded answers")
    return Path(folder)
