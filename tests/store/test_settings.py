from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from marketdata.store.settings import DatabaseSettings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARKETDATA_DATABASE_URL", "MARKETDATA_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    settings = DatabaseSettings()
    assert settings.database_url is None
    assert settings.data_dir == Path(".marketdata")


def test_environment_before_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MARKETDATA_DATA_DIR=/from/file\nMARKETDATA_DATABASE_URL=\nMARKETDATA_OTHER=1\n")
    assert DatabaseSettings().data_dir == Path("/from/file")
    assert DatabaseSettings().database_url is None
    monkeypatch.setenv("MARKETDATA_DATA_DIR", "/from/environment")
    assert DatabaseSettings().data_dir == Path("/from/environment")


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_password_is_not_shown(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", f"{scheme}://u:hidden@h/d")
    settings = DatabaseSettings()
    assert "hidden" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == f"{scheme}://u:hidden@h/d"


def test_other_databases_are_refused_without_showing_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", "mysql://u:hidden@h/d")
    with pytest.raises(ValidationError, match="must begin with postgresql://") as caught:
        DatabaseSettings()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "password",
    ["changeme", "CHANGE-ME", "change_me_please", "password", "Passw0rd", "<your-password>", "secret", "***", "xxx"],
)
def test_a_placeholder_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", f"postgresql://u:{quote(password)}@h/d")
    with pytest.raises(ValidationError, match="its password is a placeholder") as caught:
        DatabaseSettings()
    assert password not in str(caught.value).replace("its password is", "").replace("make a password", "")


def test_a_placeholder_in_the_environment_of_the_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("PGPASSWORD", "changeme")
    with pytest.raises(ValidationError, match="PGPASSWORD is a placeholder"):
        DatabaseSettings()
    monkeypatch.setenv("PGPASSWORD", "3f9a")
    assert DatabaseSettings().database_url is not None


@pytest.mark.parametrize("password", ["b6a9e1", "Xxenial-7", "secretary!bird", "exchange-rates-4711"])
def test_what_only_looks_like_one_is_taken(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", f"postgresql://u:{quote(password)}@h/d")
    assert DatabaseSettings().database_url is not None
