"""Migrations up, down and up again, and by several processes at once."""

import subprocess
import sys

import psycopg
import pytest

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.migrate import downgrade, is_newest, migrate

MIGRATE = "import sys; from marketdata.store.migrate import migrate; print(migrate(sys.argv[1]))"


def relations(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {
            row[0]
            for row in connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        }


def test_up_down_up(empty_postgres_url: str) -> None:
    assert not is_newest(empty_postgres_url)
    assert migrate(empty_postgres_url)
    assert is_newest(empty_postgres_url)
    first = relations(empty_postgres_url)
    assert "symbols" in first
    assert not migrate(empty_postgres_url)
    assert downgrade(empty_postgres_url)
    assert relations(empty_postgres_url) == {"alembic_version", "alembic_version_pkc"}
    assert migrate(empty_postgres_url)
    assert relations(empty_postgres_url) == first


def test_several_at_once(empty_postgres_url: str) -> None:
    racing = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, empty_postgres_url], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate()[0].strip() for process in racing]
    assert [process.returncode for process in racing] == [0] * 4
    assert sorted(said) == ["False", "False", "False", "True"]


def test_no_server() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        migrate("postgresql://u:hidden@127.0.0.1:9/d")
    assert "hidden" not in str(caught.value)
