"""The one call with which a command gets its database."""

from collections.abc import Iterator
from contextlib import contextmanager

from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.locks import Service
from marketdata.store.settings import DatabaseSettings


@contextmanager
def open_database(settings: DatabaseSettings, service: Service | None = None) -> Iterator[str]:
    """The URL of the database, for as long as the block lasts: the one that is set, else of the embedded server.

    Blocks, so enter it before the event loop runs. With `service`, the place of that service on an embedded server's
    data directory is held as well. Raises DatabaseUnavailable, and AlreadyRunning when the place is taken.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    else:
        with EmbeddedPostgres(settings.data_dir).use(service) as url:
            yield url
