"""What the endpoints work with, kept up to date from the database."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from marketdata.api.access import AccessFollower
from marketdata.api.audit import Seldom
from marketdata.api.auth import Tokens
from marketdata.api.catalogue import Catalogue
from marketdata.api.guessing import Slowed
from marketdata.api.limits import Limits
from marketdata.api.moments import Moments
from marketdata.api.problems import Problem
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable, UnsupportedInterval
from marketdata.core.fetch import Fetcher
from marketdata.core.fetch.flight import Flights
from marketdata.core.models import ExchangeId, Interval, Source, Symbol
from marketdata.store.coverage import Observation
from marketdata.store.engine import Database
from marketdata.store.exchanges import SYNCS_CHANNEL
from marketdata.store.listen import listen

logger = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How long news in the database may go unnoticed of which nothing was told, or of which the telling was lost."""

RETRY_S: Final = 1.0
"""How long until the database is listened to again after it was away."""

_LISTEN_DEADLINE_S: Final = 5.0

SOURCE_AGE_S: Final = 5.0
"""How long an answer of a simulator about whose data it serves is believed."""

STALE_INTERVALS: Final = 3
"""Metadata is stale when this many sync intervals have passed without a success."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old an exchange's metadata is."""

    last_sync_at: int | None
    """Epoch ms; None: it was never read."""
    age_s: float | None
    is_stale: bool


@dataclass(slots=True)
class Services:
    """The collaborators of one API process."""

    database: Database
    fetchers: Mapping[ExchangeId, Fetcher]
    clock: Clock
    settings: ApiSettings
    sync_interval_s: float
    tokens: Tokens
    access: AccessFollower
    """Keeps what `tokens` goes by up to date."""
    catalogue: Catalogue
    moments: Moments
    limits: Limits
    slowed: Slowed
    """Who has guessed too many secrets."""
    seldom: Seldom
    """What was written into the audit log a moment ago."""
    database_is_up: bool = field(default=False)
    """Whether the last look into the database succeeded."""
    is_stopping: bool = field(default=False)
    """Whether this process will end and wants no new requests."""
    probes: Flights[tuple[int, Interval], Observation] = field(default_factory=Flights)
    """The searches for a coverage that are under way, by the instrument's row and interval."""

    @property
    def database_condition(self) -> Literal["ok", "unreachable"]:
        """How the database is, as clients are told."""
        return "ok" if self.database_is_up else "unreachable"

    def stop(self) -> None:
        """This process will end: it is not ready any more, though it still answers."""
        self.is_stopping = True

    def fetcher(self, symbol: Symbol) -> Fetcher:
        """What asks the exchange of an instrument."""
        return self.fetchers[ExchangeId(symbol.exchange)]

    def interval(self, symbol: Symbol, name: str) -> Interval:
        """The interval of that name, which the exchange of an instrument offers; else UnsupportedInterval."""
        offered = [spec.interval for spec in self.fetcher(symbol).adapter.capabilities.intervals]
        if name not in offered:
            raise UnsupportedInterval(ExchangeId(symbol.exchange), tuple(offered))
        return Interval(name)

    async def check_source(self, symbol: Symbol) -> Source:
        """Whose data the exchange of an instrument serves, before it is asked for any.

        Raises Problem `metadata-not-ready` when the instruments held are of another source, and UpstreamError.
        """
        kind = await self.fetcher(symbol).source(SOURCE_AGE_S)
        held = self.catalogue.snapshot.source
        if kind is not held:
            # simulated instruments must not be taken for those of the live exchange, nor the other way round
            raise Problem(
                "metadata-not-ready",
                f"The instruments held are {held} and {symbol.exchange} is {kind}: nothing is mixed; see `/v1/status`.",
            )
        return kind

    def freshness(self, exchange: ExchangeId) -> Freshness:
        """How old the metadata of `exchange` is."""
        state = self.catalogue.snapshot.states.get(exchange)
        if state is None or state.last_synced_at is None:
            return Freshness(None, None, is_stale=True)
        age_s = max(0, self.clock.now_ms() - state.last_synced_at) / 1000
        return Freshness(state.last_synced_at, age_s, age_s > STALE_INTERVALS * self.sync_interval_s)

    async def refresh(self) -> None:
        """Take over what is new in the database; without it, go on with what is held."""
        try:
            await self.access.refresh(self.database)
            await self.catalogue.refresh(self.database)
        except DatabaseUnavailable as error:
            if self.database_is_up:
                logger.warning("serving from memory: %s", error)
            self.database_is_up = False
        else:
            self.database_is_up = True

    async def keep_refreshing(self) -> None:
        """Refresh for ever: at once when a sync tells that it has ended, and now and then in any case."""
        while True:
            try:
                await self._follow()
            except Exception:
                # a defect must not end the following: what is held is served on, and the next look may succeed
                logger.exception("defect while refreshing from the database")
            await self.clock.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Refresh as long as the database can be listened to."""
        try:
            async with listen(
                self.database.url, SYNCS_CHANNEL, connect_s=_LISTEN_DEADLINE_S, deadline_s=_LISTEN_DEADLINE_S
            ) as listener:
                while True:
                    await self.refresh()
                    await listener.wait(LOOK_S)
        except DatabaseUnavailable:
            await self.refresh()  # it can be away for listeners alone

    async def take_over_access(self) -> None:
        """Go at once by what this process has just changed about access; if that fails, within seconds."""
        with suppress(DatabaseUnavailable):
            await self.access.refresh(self.database)

    async def ensure_keys(self) -> None:
        """Make sure that tokens can be issued, also right after a start without the database.

        Raises DatabaseUnavailable when no key is held and none can be read.
        """
        if not self.tokens.can_issue:
            await self.access.refresh(self.database)
