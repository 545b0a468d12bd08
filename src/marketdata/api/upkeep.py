"""What is due now and then about access: a new signing key, and the end of what nobody needs any more."""

import logging
from typing import Final

from marketdata.api.keys import ROTATION, make_key
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.audit import PLATFORM
from marketdata.store.engine import Database
from marketdata.store.guesses import forget_old_guesses
from marketdata.store.keys import rotate_keys
from marketdata.store.revoked_tokens import forget_ended_tokens

logger = logging.getLogger(__name__)

UPKEEP_S: Final = 60.0


async def keep_up(database: Database, clock: Clock, key_lifetime_s: int) -> None:
    """Do what is due now; of several processes at once one does it. Raises DatabaseUnavailable."""
    now_ms = clock.now_ms()
    async with database.transaction() as connection:
        await forget_ended_tokens(connection, now_ms)
        await forget_old_guesses(connection, now_ms)
    async with database.transaction() as connection:
        await rotate_keys(
            connection,
            lambda: make_key(now_ms),
            now_ms,
            ROTATION,
            due_before_ms=now_ms - key_lifetime_s * 1000,
            by=PLATFORM,
        )


async def keep_up_for_ever(database: Database, clock: Clock, key_lifetime_s: int) -> None:
    """Do what is due again and again; while the database is away, nothing is."""
    while True:
        await clock.sleep(UPKEEP_S)
        try:
            await keep_up(database, clock, key_lifetime_s)
        except DatabaseUnavailable:
            continue  # it is told of by those who need it
        except Exception:
            # a defect must not end it: the next time may succeed
            logger.exception("defect in the upkeep of access")
