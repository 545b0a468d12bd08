"""Bring the schema to a version; several processes may try at once, one after the other does it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.engine import driver_url, first_words

_LOCK = 0x4D69677261746573
_WAIT = "60s"


def migrate(url: str) -> bool:
    """Bring the schema to the newest version. Returns whether it was not there yet; blocks meanwhile.

    Raises DatabaseUnavailable.
    """
    return _change(url, lambda config: command.upgrade(config, "head"))


def downgrade(url: str, revision: str = "base") -> bool:
    """Bring the schema back to `revision`, by default to nothing; data goes with its tables."""
    return _change(url, lambda config: command.downgrade(config, revision))


def is_newest(url: str) -> bool:
    """Whether the schema is the newest that this version knows; changes nothing. Raises DatabaseUnavailable."""
    with _connect(url) as connection:
        return _version(connection) == ScriptDirectory.from_config(_config(connection)).get_current_head()


def _change(url: str, change: Callable[[Config], None]) -> bool:
    with _connect(url) as connection:
        # held until the connection is closed; whoever waited here finds the work done
        connection.execute(select(func.pg_advisory_lock(_LOCK)))
        connection.commit()
        before = _version(connection)
        change(_config(connection))
        return _version(connection) != before


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = create_engine(
        driver_url(url),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "options": f"-c lock_timeout={_WAIT}"},
    )
    try:
        with engine.connect() as connection:
            yield connection
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable(first_words(error)) from error


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _folder() -> Path:
    """The migrations: beside this module in an installed wheel, at the top of a working copy."""
    installed = Path(__file__).with_name("migrations")
    return installed if installed.is_dir() else Path(__file__).parents[3] / "migrations"


def _version(connection: Connection) -> str | None:
    version = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return version
