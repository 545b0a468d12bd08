"""When each exchange was last tried, for a health check: a process of its own, every few seconds.

It asks through the driver alone, because to import SQLAlchemy costs many times what the question does.
"""

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress

import psycopg

from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import ExchangeId

_LAST_RUNS = """
    SELECT exchange, (extract(epoch FROM finished_at) * 1000)::bigint
    FROM exchanges CROSS JOIN LATERAL (
        SELECT finished_at FROM sync_runs WHERE sync_runs.exchange = exchanges.exchange ORDER BY id DESC LIMIT 1
    ) AS newest
"""


def last_attempts(url: str, deadline_s: float = 5.0) -> Mapping[ExchangeId, int]:
    """When the newest sync of each exchange ended, epoch ms, however it did; none where there is no schema yet.

    `deadline_s`: the most that connecting may take, and then the answer. Raises DatabaseUnavailable.
    """
    url, timeout_s = url.replace("postgresql+psycopg://", "postgresql://", 1), max(2, round(deadline_s))
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=timeout_s) as connection:
            watchdog = threading.Timer(deadline_s, _hang_up, [connection])
            watchdog.daemon = True
            watchdog.start()
            try:
                return {ExchangeId(exchange): ended_ms for exchange, ended_ms in connection.execute(_LAST_RUNS)}
            finally:
                watchdog.cancel()
    except psycopg.errors.UndefinedTable:
        return {}
    except psycopg.Error as error:
        # the driver quotes parts of a URL that it cannot read, and they may be its password
        told = str(error).partition("\n")[0] if isinstance(error, psycopg.OperationalError) else type(error).__name__
        raise DatabaseUnavailable(f"the database is not available: {told}") from error


def _hang_up(connection: psycopg.Connection) -> None:
    """Shut its socket down, so that who waits on it learns of its end."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
