"""Whether the syncers of a database do their work; a container asks often, so this imports little."""

from marketdata.core.clock import Clock
from marketdata.core.models import ExchangeId
from marketdata.core.settings import ExchangeSettings
from marketdata.store.attempts import last_attempts

_SYNC_TAKES_S = 60.0
"""The most that one sync takes, beyond the interval, before its syncer counts as stuck."""


def list_neglected(database_url: str, settings: ExchangeSettings, clock: Clock) -> list[ExchangeId]:
    """The exchanges that no syncer has tried to sync for too long: with a running one, none.

    Raises DatabaseUnavailable.
    """
    ended_ms = last_attempts(database_url)
    oldest_ms = clock.now_ms() - round((2 * settings.sync_interval + _SYNC_TAKES_S) * 1000)
    return [exchange for exchange in settings.exchanges if ended_ms.get(exchange, 0) < oldest_ms]
