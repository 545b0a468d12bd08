"""The command as a whole: help everywhere, a version, and failures that are told in one line."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marketdata import __version__
from marketdata.cli.main import app
from marketdata.cli.settings import SimulatorSettings, read_settings
from marketdata.core.errors import InvalidSetting
from tests.cli.command import MARKETDATA, environment, marketdata

COMMANDS = [
    (),
    ("up",),
    ("api",),
    ("syncer",),
    ("sync",),
    ("migrate",),
    ("simulate",),
    ("clients",),
    ("clients", "create"),
    ("clients", "list"),
    ("clients", "disable"),
    ("clients", "rotate"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], prog_name="marketdata")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.strip().startswith(" ".join(("Usage: marketdata", *command)))
    assert command in {(), ("clients",)} or "Example" in result.stdout


def test_exit_statuses_are_told() -> None:
    told = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "Exit status: 0 done; 1 failed; 2 wrong usage" in told


def test_the_version(tmp_path: Path) -> None:
    result = marketdata(tmp_path, "--version")
    assert (result.returncode, result.stdout) == (0, f"marketdata {__version__}\n")


@pytest.mark.parametrize(
    "command, setting, value, told",
    [
        (("api",), "PORT", "many", "must be a whole number"),
        (("up",), "TOKEN_TTL", "1", "must be at least 10. It is an environment variable or a line in .env"),
        (("syncer",), "EXCHANGES", "atlantis", "choose from binance_futures, hyperliquid, coinbase"),
        (("syncer",), "SYNC_INTERVAL", "nan", "must be a number"),
        (("syncer",), "SYNC_INTERVAL", "0.5", "must be at least 1"),
        (("api",), "SYNC_INTERVAL", "86401", "must be at most 86400"),
        (("sync",), "COINBASE_URL", "ftp://a", "must be http:// or https://"),
        (("api",), "DRAIN", "60", "must be at most 8"),
        (("up",), "TRUSTED_PROXIES", "proxy", "must be addresses or networks like 10.0.0.7"),
        (("migrate",), "DATABASE_URL", "postgresql://me:changeme-hush@host/name", "its password is a placeholder"),
        (("api",), "TOKEN_TLL", "900", "there is no such setting; did you mean MARKETDATA_TOKEN_TTL?"),
        (("syncer",), "KRAKEN_URL", "http://127.0.0.1:1", "there is no such setting; "),
        (("migrate",), "DATABASE_URL", "mysql://me:hush@host/name", "must begin with postgresql://"),
        (("api",), "HOST", "192.0.2.1", "cannot listen on 192.0.2.1"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    command: tuple[str, ...], setting: str, value: str, told: str, tmp_path: Path
) -> None:
    result = marketdata(tmp_path, *command, **{setting: value})
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: MARKETDATA_{setting}: {told}")
    assert result.stderr.count("\n") == 1
    assert "hush" not in result.stderr


def test_a_misspelt_setting_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nmarketdata_sync_intervall=60\n")
    result = marketdata(tmp_path, "sync")
    assert result.returncode == 2
    assert (
        "MARKETDATA_SYNC_INTERVALL: there is no such setting; did you mean MARKETDATA_SYNC_INTERVAL?" in result.stderr
    )


def test_what_others_put_into_the_environment_is_no_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARKETDATA_RECORDED", "somewhere")
    monkeypatch.setenv("MARKETDATA_API_SERVICE_HOST", "10.0.0.1")  # as Kubernetes does for each service
    monkeypatch.setenv("MARKETDATA_API_SERVICE_PORT_HTTP", "8000")
    monkeypatch.setenv("MARKETDATA_API_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("MARKETDATA_API_PORT_8000_TCP_ADDR", "10.0.0.1")
    assert read_settings(SimulatorSettings).host == "127.0.0.1"
    monkeypatch.setenv("MARKETDATA_API_PORT", "8000")
    with pytest.raises(InvalidSetting, match="MARKETDATA_API_PORT: there is no such setting"):
        read_settings(SimulatorSettings)


def test_a_setting_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MARKETDATA_PORT=many\n")
    assert "MARKETDATA_PORT" in marketdata(tmp_path, "api").stderr


@pytest.mark.parametrize(
    "command", [("clients", "list"), ("sync",), ("migrate",), ("syncer", "--health")], ids=" ".join
)
def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    result = marketdata(tmp_path, *command, database_url="postgresql://me:hush@127.0.0.1:9/name")
    assert (result.returncode, result.stdout) == (4, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "hush" not in result.stderr


@pytest.mark.parametrize(
    "extra, module, command",
    [
        ("api", "uvloop", ("api",)),
        ("simulator", "starlette", ("simulate",)),
        ("syncer", "sqlalchemy", ("syncer",)),
        ("all", "alembic", ("migrate",)),
    ],
)
def test_what_is_not_installed_is_named(extra: str, module: str, command: tuple[str, ...], tmp_path: Path) -> None:
    """As in an image that holds another service: the module is hidden by one that cannot be imported."""
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module named {module}', name='{module}')\n")
    result = subprocess.run(
        [MARKETDATA, *command],
        env=environment() | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"error: this command needs {module}, which is not installed: install market-data-platform[{extra}]\n"
    )
