"""`marketdata clients`, on a real database."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer

from marketdata.cli.times import parse_expiry
from marketdata.store.client_secrets import list_secrets
from marketdata.store.clients import get_client, list_clients
from marketdata.store.engine import Database
from marketdata.store.secrets import Secret
from tests.cli.command import marketdata

NOW_MS = 1_767_225_600_000


async def test_a_client_from_its_making_to_its_end(database: Database, postgres_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = marketdata(tmp_path, "clients", *arguments, database_url=postgres_url)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    made = json.loads(run("create", "my bot", "--expires", "30d", "--json"))
    assert list(made) == ["client_id", "client_secret", "scopes"]
    assert made["scopes"] == ["candles:read", "metadata:read"]
    async with database.transaction() as connection:
        client = await get_client(connection, made["client_id"])
    assert client is not None
    assert await holds(database, made)
    assert client.expires_at == client.created_at + 30 * 86_400_000

    told = run("create", "other", "--scope", "admin", "--scope", "metadata:read").split("\n")
    assert [line.split()[:2] for line in told[:2]] == [["client", "id"], ["client", "secret"]]
    assert told[2].split() == ["scopes", "admin", "metadata:read"]

    lines = [line.split("\t") for line in run("list").splitlines()]
    assert [line[1:4] for line in lines] == [
        ["my bot", "candles:read metadata:read", "active"],
        ["other", "admin metadata:read", "active"],
    ]
    assert made["client_secret"] not in run("list", "--json")

    renewed = json.loads(run("rotate", made["client_id"], "--json"))
    async with database.transaction() as connection:
        client = await get_client(connection, made["client_id"])
    assert client is not None
    assert await holds(database, renewed)
    assert await holds(database, made)

    changed = json.loads(run("update", made["client_id"], "--scope", "admin", "--candles-per-minute", "5000"))
    assert (changed["scopes"], changed["candles_per_minute"]) == (["admin"], 5000)
    changed = json.loads(run("update", made["client_id"], "--candles-per-minute", "default", "--expires", "never"))
    assert (changed["candles_per_minute"], changed["expires"]) == (None, None)

    second = renewed["client_secret"].split("_")[1]
    assert run("revoke-secret", made["client_id"], second) == f"secret {second} of {made['client_id']} is revoked\n"
    assert not await holds(database, renewed)
    third = json.loads(run("rotate", made["client_id"], "--revoke", "--expires", "1d", "--json"))
    assert await holds(database, third)
    assert not await holds(database, made)
    shown = json.loads(run("show", made["client_id"]))
    assert [secret["state"] for secret in shown["secrets"]] == ["live", "revoked", "revoked"]
    assert shown["secrets"][0]["expires"] is not None
    assert json.loads(run("list", "--json"))[0]["secrets"] == [third["client_secret"].split("_")[1]]

    assert run("disable", made["client_id"]) == f"{made['client_id']} is disabled\n"
    refused = marketdata(tmp_path, "clients", "rotate", made["client_id"], database_url=postgres_url)
    assert (refused.returncode, refused.stderr) == (1, "error: the client is disabled for good; create another one\n")
    assert [client["state"] for client in json.loads(run("list", "--json"))] == ["disabled", "active"]


def test_what_a_client_used(postgres_url: str, tmp_path: Path) -> None:
    made = json.loads(marketdata(tmp_path, "clients", "create", "x", "--json", database_url=postgres_url).stdout)
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "INSERT INTO client_usage SELECT %s, date_trunc('hour', now()) - n * interval '1 h', n, 10 * n, 100 * n"
            " FROM generate_series(0, 30) AS n",
            (made["client_id"],),
        )

    def run(*arguments: str) -> list[str]:
        result = marketdata(tmp_path, "clients", "usage", made["client_id"], *arguments, database_url=postgres_url)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.splitlines()

    assert len(run()) == 24
    assert [line.split("\t")[1:] for line in run("--hours", "2")] == [["0", "0", "0"], ["1", "10", "100"]]
    assert [one["candles"] for one in json.loads("".join(run("--hours", "3", "--json")))] == [0, 10, 20]


async def holds(database: Database, told: dict[str, Any]) -> bool:
    """Whether the secret that was printed is a live one of its client."""
    given = Secret.parse(told["client_secret"])
    assert given is not None
    async with database.transaction() as connection:
        stored = await list_secrets(connection, told["client_id"])
    return any(one.is_same(given) and one.revoked_at is None for one in stored)


@pytest.mark.parametrize("command", ["disable", "rotate", "show", "usage"])
def test_a_client_that_is_not_there(command: str, postgres_url: str, tmp_path: Path) -> None:
    result = marketdata(tmp_path, "clients", command, "mdc_nobody", database_url=postgres_url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: there is no client of this id; the list of clients shows all\n"


async def test_wrong_usage_makes_no_client(database: Database, postgres_url: str, tmp_path: Path) -> None:
    for wrong in (("x", "--scope", "all"), ("x", "--expires", "soon"), (" ",), ()):
        result = marketdata(tmp_path, "clients", "create", *wrong, database_url=postgres_url)
        assert result.returncode == 2
    for change in ((), ("--requests-per-minute", "0"), ("--candles-per-minute", "many"), ("--expires", "soon")):
        result = marketdata(tmp_path, "clients", "update", "mdc_1", *change, database_url=postgres_url)
        assert result.returncode == 2
    async with database.transaction() as connection:
        assert await list_clients(connection) == []


@pytest.mark.parametrize(
    "text, expires_ms",
    [
        ("90m", NOW_MS + 5_400_000),
        ("12h", NOW_MS + 43_200_000),
        ("7d", NOW_MS + 604_800_000),
        ("2027-01-01T00:00:00Z", 1_798_761_600_000),
        ("2027-01-01T01:00:00+01:00", 1_798_761_600_000),
    ],
)
def test_an_expiry_is_a_duration_or_a_time(text: str, expires_ms: int) -> None:
    assert parse_expiry(text, NOW_MS) == expires_ms


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "7 days", "2027-01-01", "2027-01-01T00:00:00", "2025-01-01T00:00:00Z"]
)
def test_an_expiry_that_cannot_be(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_expiry(text, NOW_MS)
