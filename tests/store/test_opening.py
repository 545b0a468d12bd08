from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from marketdata.core.errors import AlreadyRunning
from marketdata.store.opening import open_database
from marketdata.store.settings import DatabaseSettings


def test_given_url_is_taken_as_it_is(tmp_path: Path) -> None:
    settings = DatabaseSettings(database_url=SecretStr("postgresql://u:p@nowhere/d"), data_dir=tmp_path / "data")
    with open_database(settings, "up") as url, open_database(settings, "up") as again:
        assert url == again == "postgresql://u:p@nowhere/d"
    assert not (tmp_path / "data").exists()


def test_embedded_server_without_a_url(tmp_path: Path) -> None:
    settings = DatabaseSettings(database_url=None, data_dir=tmp_path / "data")
    with open_database(settings, "up") as url:
        with open_database(settings) as joined:
            assert joined == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(AlreadyRunning), open_database(settings, "api"):
            pass
