"""That what is written in two technologies says the same."""

import dataclasses
import random
from collections.abc import Iterable, Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, insert, select
from sqlalchemy.pool import NullPool

from marketdata.core.models import Symbol
from marketdata.store import tables
from marketdata.store.clients import ApiClient
from marketdata.store.engine import Database, driver_url
from marketdata.store.exchanges import ExchangeState
from marketdata.store.keys import SigningKey
from marketdata.store.syncs import SyncRun


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with create_engine(driver_url(postgres_url), poolclass=NullPool).connect() as connection:
        yield connection


def test_symbol_columns_are_the_fields_of_the_canonical_model() -> None:
    beside = {"base", "identity", "replaced_at", "missing_since", "missing_since_listing", "changed_at"}
    assert {column.name for column in tables.SYMBOLS.columns} - beside == set(Symbol.model_fields)


def test_symbol_columns_are_nullable_where_the_fields_are() -> None:
    for name, field in Symbol.model_fields.items():
        optional = type(None) in getattr(field.annotation, "__args__", ())
        if name not in {"id", "last_seen_at"}:
            assert tables.SYMBOLS.c[name].nullable == optional, name


@pytest.mark.parametrize(
    "fields,table",
    [
        ([field.name for field in dataclasses.fields(ApiClient)], tables.API_CLIENTS),
        ([field.name for field in dataclasses.fields(ExchangeState)], tables.EXCHANGES),
        ([field.name for field in dataclasses.fields(SigningKey)], tables.SIGNING_KEYS),
        (SyncRun.model_fields, tables.SYNC_RUNS),
    ],
)
def test_other_columns(fields: Iterable[str], table: Table) -> None:
    assert {column.name for column in table.columns} == set(fields)


def test_models_and_migrations_agree(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    assert compare_metadata(context, tables.Row.metadata) == []


def test_checks_of_models_and_migrations_agree(connection: Connection) -> None:
    """Alembic does not compare checks."""
    declared = MetaData()
    for table in tables.Row.metadata.sorted_tables:
        table.to_metadata(declared, schema="declared")
    connection.exec_driver_sql("CREATE SCHEMA declared")
    declared.create_all(connection)
    found: dict[str, set[tuple[str, str, str]]] = {"public": set(), "declared": set()}
    rows = connection.exec_driver_sql(
        "SELECT n.nspname, r.relname, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c"
        " JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = c.connamespace"
        " WHERE r.relname <> 'alembic_version' UNION ALL"
        " SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes WHERE tablename <> 'alembic_version'"
    )
    for schema, table, name, definition in rows:
        if schema in found:
            found[schema].add((table, name, definition.replace(f"{schema}.", "")))
    assert found["public"] == found["declared"]
    assert len(found["public"]) > 30


async def test_numbers_keep_their_digits_and_times_their_milliseconds(database: Database) -> None:
    numbers = random.Random(7)
    digits = ["0.10", "0.00000001", "0", "1000000", "0.000000000000000001", "123456789012345678901234567890.10", "-0.5"]
    digits += [f"{numbers.randrange(10**9)}.{numbers.randrange(10**9):09}" for _ in range(100)]
    times = [-1, 0, 1, 999, 1767225600001, 4133404800000] + [numbers.randrange(4 * 10**12) for _ in range(101)]
    probe = Table("probe", MetaData(), Column("number", tables.Decimals), Column("time", tables.EpochMs))
    async with database.transaction() as connection:
        await connection.run_sync(probe.metadata.create_all)
        await connection.execute(
            insert(probe), [{"number": number, "time": time} for number, time in zip(digits, times, strict=True)]
        )
        rows = (await connection.execute(select(probe.c.number, probe.c.time))).all()
        beyond = (await connection.execute(select(probe.c.time).where(probe.c.time > 4133404799999))).scalars().all()
    assert [tuple(row) for row in rows] == list(zip(digits, times, strict=True))
    assert beyond == [4133404800000]
