"""`marketdata keys` and `marketdata audit`, on a real database."""

import json
from pathlib import Path

import psycopg

from tests.cli.command import marketdata


def test_keys_take_turns_and_it_is_written_down(postgres_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[str, str]:
        result = marketdata(tmp_path, *arguments, database_url=postgres_url)
        assert result.returncode == 0, result.stderr
        return result.stdout, result.stderr

    def age() -> None:
        """As if the next key had been published for long."""
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE signing_keys SET created_at = created_at - interval '9.5 s'")

    assert run("keys", "list", "--json")[0] == "[]\n"
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "INSERT INTO signing_keys (kid, algorithm, private_key, created_at, signs_from) VALUES"
            " ('first', 'EdDSA', 'x', now() - interval '1 h', now() - interval '1 h'),"
            " ('second', 'EdDSA', 'x', now() - interval '9 s', NULL)"
        )
    told, waited = run("keys", "rotate")
    assert told == "the next key signs from now on\n"
    assert waited in {"waiting 1 s, until every process knows the next key\n", ""}
    assert [(key["kid"], key["state"]) for key in json.loads(run("keys", "list", "--json")[0])][1:] == [
        ("second", "signing"),
        ("first", "retired"),
    ]
    age()
    assert run("keys", "rotate", "--revoke")[0] == "the next key signs from now on; what was signed before is void\n"
    states = [line.split("\t")[1] for line in run("keys", "list")[0].splitlines()]
    assert states == ["next", "signing", "revoked", "revoked"]

    lines = json.loads(run("audit", "--json")[0])
    assert [line["action"] for line in lines] == ["key.created", "key.rotated"] * 2 + ["key.revoked"] * 2
    assert [line["subject"] for line in lines[-2:]] == ["second", "first"]
    assert {line["actor"] for line in lines} == {"operator"}
    newest = run("audit", "--limit", "1")[0].splitlines()
    assert [line.split("\t")[2:6] for line in newest] == [["key.revoked", "done", "operator", "first"]]
    assert run("audit", "--since", "2035-01-01T00:00:00Z")[0] == ""
    assert len(run("audit", "--since", "1h")[0].splitlines()) == len(lines)


def test_wrong_usage(postgres_url: str, tmp_path: Path) -> None:
    for wrong in (("--since", "soon"), ("--since", "2027-01-01"), ("--limit", "0")):
        assert marketdata(tmp_path, "audit", *wrong, database_url=postgres_url).returncode == 2
