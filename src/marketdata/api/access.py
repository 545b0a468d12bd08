"""What is known of clients and keys, kept up to date from the database: a change counts in every process in seconds."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from marketdata.api.auth import Tokens
from marketdata.api.keys import BELIEVED_MS, make_key
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.access import get_access
from marketdata.store.changes import ACCESS_CHANNEL, get_access_version
from marketdata.store.engine import Database
from marketdata.store.keys import ensure_keys
from marketdata.store.listen import listen
from marketdata.store.sealing import ensure_sealing_secret

logger = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""How long a change may go unnoticed of which the telling was lost."""

DEADLINE_S: Final = 2.0
"""The most that a look may take; with the time between two looks it is less than the 5 s that are promised."""

RETRY_S: Final = 0.5

_AGAIN_S: Final = 0.1
"""How seldom it is looked for the sake of a single token."""


class AccessFollower:
    """Tells `tokens` of every change."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        """Nothing is read yet."""
        self._tokens = tokens
        self._clock = clock
        self._reading = asyncio.Lock()
        self._is_following = True
        self._again_from = 0.0

    async def look_again(self, database: Database) -> None:
        """Look whether something has changed of which nobody has told yet, unless that was done a moment ago."""
        now = self._clock.monotonic()
        if now >= self._again_from:
            self._again_from = now + _AGAIN_S
            with suppress(DatabaseUnavailable):
                await self.refresh(database)

    async def refresh(self, database: Database) -> None:
        """Take over what has changed, making the first keys. Raises DatabaseUnavailable, keeping what is held."""
        async with self._reading:
            async with database.transaction(DEADLINE_S) as connection:
                version = await get_access_version(connection)
            held = self._tokens.held
            if held is not None and held.version == version and held.is_complete:
                return
            await self._read(database)
            if not self._tokens.access.is_complete:
                await self._complete(database)
                await self._read(database)

    async def _read(self, database: Database) -> None:
        async with database.transaction(DEADLINE_S, of_one_instant=True) as connection:
            self._tokens.use(await get_access(connection, self._clock.now_ms(), BELIEVED_MS))

    async def _complete(self, database: Database) -> None:
        """Make what a new installation lacks."""
        now_ms = self._clock.now_ms()
        async with database.transaction() as connection:
            await ensure_keys(connection, lambda: make_key(now_ms))
            await ensure_sealing_secret(connection, now_ms)

    async def follow(self, url: str) -> None:
        """Refresh for ever: at once when somebody tells of a change, and every LOOK_S in any case.

        On connections of its own, so that it waits for no request.
        """
        database = Database(url, deadline_s=DEADLINE_S, pool_size=1)
        try:
            while True:
                try:
                    await self._follow(database)
                except DatabaseUnavailable as error:
                    if self._is_following:
                        logger.warning("going by what is known of clients and keys: %s", error)
                    self._is_following = False
                except Exception:
                    # a defect must not end the following: the next look may succeed
                    logger.exception("defect while reading clients and keys")
                await self._clock.sleep(RETRY_S)
        finally:
            await database.dispose()

    async def _follow(self, database: Database) -> None:
        """Refresh as long as the database can be listened to. Raises DatabaseUnavailable."""
        try:
            async with listen(database.url, ACCESS_CHANNEL, connect_s=DEADLINE_S, deadline_s=DEADLINE_S) as listener:
                while True:
                    await self.refresh(database)
                    self._is_following = True
                    await listener.wait(LOOK_S)
        except DatabaseUnavailable:
            await self.refresh(database)  # it can be away for listeners alone
            raise
