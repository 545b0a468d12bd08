"""The database of a command, and `marketdata migrate`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from marketdata.cli.failures import needs
from marketdata.cli.settings import read_settings
from marketdata.core.errors import DatabaseUnavailable, StoreError

if TYPE_CHECKING:
    from marketdata.store.locks import Service


@contextmanager
def open_store(service: "Service | None" = None) -> Iterator[str]:
    """The URL of the database, with the newest schema, for as long as the block lasts.

    The embedded server's schema is brought up to date; another server's is its operator's business. Raises StoreError.
    A service copes with a database that is away for a while, so for one an unreachable database is no error.
    """
    with needs("all"):
        from marketdata.store.migrate import is_newest, migrate
        from marketdata.store.opening import open_database
        from marketdata.store.settings import DatabaseSettings
    settings = read_settings(DatabaseSettings)
    with open_database(settings, service) as url:
        if settings.database_url is None:
            migrate(url)
        else:
            with suppress(*(() if service is None else (DatabaseUnavailable,))):
                if not is_newest(url):
                    raise StoreError("the database has not the schema of this version: run `marketdata migrate`")
        yield url


def in_store[Result](work: Callable[[Any], Awaitable[Result]]) -> Result:
    """What `work` returns, which is given a connection within a transaction. Raises StoreError."""
    with open_store() as url:
        from marketdata.store.engine import Database

        async def do() -> Result:
            database = Database(url)
            try:
                async with database.transaction() as connection:
                    return await work(connection)
            finally:
                await database.dispose()

        return asyncio.run(do())


def migrate() -> None:
    """Bring the database's schema to the newest version; safe when two run at once."""
    with needs("all"):
        from marketdata.store.migrate import migrate as bring_up_to_date
        from marketdata.store.opening import open_database
        from marketdata.store.settings import DatabaseSettings
    with open_database(read_settings(DatabaseSettings)) as url:
        changed = bring_up_to_date(url)
    typer.echo("the schema is now the newest" if changed else "the schema is the newest already")
