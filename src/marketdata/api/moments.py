"""The metadata as it was known at past moments: read from the versions, and kept while there is room."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from marketdata.api.catalogue import Catalogue, Known, Search, not_read
from marketdata.api.instruments import Instruments
from marketdata.api.problems import Problem
from marketdata.api.timestamps import to_rfc3339
from marketdata.core.clock import Clock
from marketdata.core.fetch.flight import Flights
from marketdata.core.models import ExchangeId
from marketdata.store.engine import Database
from marketdata.store.exchanges import list_exchanges
from marketdata.store.symbols import list_stored_at
from marketdata.store.syncs import Reading, get_reading

_MOST_INSTRUMENTS: Final = 10_000
"""How many instruments are kept in all, six kilobytes each; those of the moment asked for last, if they are more."""


class Moments:
    """What was known at any moment since the first sync."""

    def __init__(self, database: Database, catalogue: Catalogue, clock: Clock) -> None:
        """`catalogue`: what is known now, which is not read again."""
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._loads: Flights[tuple[ExchangeId, int], Instruments] = Flights()
        # the one asked for last is the last; versions that begin later never change what was known at a reading
        self._kept: OrderedDict[tuple[ExchangeId, int], Instruments] = OrderedDict()

    async def search(self, exchange: str | None, at_ms: int | None) -> Search:
        """Where to look for instruments as of `at_ms` (epoch ms; None: now), on one exchange or on all.

        Raises Problem `unknown-exchange`, `invalid-parameter` for a moment to come, `as-of-before-history` when there
        is nowhere to look, or `metadata-not-ready`, and DatabaseUnavailable.
        """
        if at_ms is None:
            return self._catalogue.search(exchange)
        return await self.reopen(exchange, await self.readings(exchange, at_ms))

    async def readings(self, exchange: str | None, at_ms: int) -> dict[ExchangeId, Reading]:
        """By which listing each exchange was known at `at_ms`, of those that had been read; raises as `search` does."""
        allowed = self._catalogue.allowed(exchange)
        if at_ms > self._clock.now_ms():
            raise Problem(
                "invalid-parameter", "`as_of` is in the future: nobody knows what is then.", parameter="as_of"
            )
        async with self._database.transaction(of_one_instant=True) as connection:
            readings = {one: await get_reading(connection, one, at_ms) for one in allowed}
            found = {one: reading for one, reading in readings.items() if reading is not None}
            if found:
                return found
            begins = [
                state.first_synced_at
                for state in await list_exchanges(connection)
                if state.exchange in allowed and state.first_synced_at is not None
            ]
        if not begins:
            raise not_read(allowed)
        raise Problem(
            "as-of-before-history",
            f"What {', '.join(allowed)} had is known here from {to_rfc3339(min(begins))} on, the first sync.",
            parameter="as_of",
            history_from=min(begins),
        )

    async def reopen(self, exchange: str | None, readings: Mapping[ExchangeId, Reading]) -> Search:
        """Where to look for instruments as they were known by `readings`; those that are left out were not known.

        Raises Problem `unknown-exchange` and DatabaseUnavailable.
        """
        known = {one: await self._known(one, readings[one]) for one in sorted(readings)}
        return Search(known, [one for one in self._catalogue.allowed(exchange) if one not in known], is_held=False)

    async def _known(self, exchange: ExchangeId, reading: Reading) -> Known:
        self._catalogue.check_exchange(exchange)
        held = self._catalogue.snapshot.known(exchange)
        if held is not None and held.reading == reading:
            return held
        key = (exchange, reading.at_ms)
        instruments = self._kept.get(key)
        if instruments is None and held is not None and held.reading.generation == reading.generation:
            instruments = held.instruments.seen_at(reading.at_ms)  # syncs since then have changed nothing else
        if instruments is None:
            instruments = await self._loads.join(key, lambda: self._load(exchange, reading.at_ms))
        self._keep(key, instruments)
        return Known(exchange, instruments, reading)

    async def _load(self, exchange: ExchangeId, at_ms: int) -> Instruments:
        async with self._database.transaction() as connection:
            return Instruments(await list_stored_at(connection, exchange, at_ms, at_ms))

    def _keep(self, key: tuple[ExchangeId, int], instruments: Instruments) -> None:
        self._kept[key] = instruments
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and _count(self._kept.values()) > _MOST_INSTRUMENTS:
            self._kept.popitem(last=False)


def _count(kept: Iterable[Instruments]) -> int:
    return sum(len(instruments.rows) for instruments in kept)
