"""`/_control`: what steers a simulator from outside, and what it tells of itself. All of it is JSON."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from marketdata import __version__
from marketdata.simulator.answers import json_body
from marketdata.simulator.clock import SteeredClock
from marketdata.simulator.control_requests import (
    ClockChange,
    Foreign,
    Selection,
    Trouble,
    WrongRequestError,
    exchange_id,
    timed,
)
from marketdata.simulator.controls import Controls
from marketdata.simulator.fault_kinds import GROUPS
from marketdata.simulator.faults import WrongFaultError, check_route
from marketdata.simulator.listing_changes import ListingChange, WrongListingChangeError
from marketdata.simulator.listings import Listings
from marketdata.simulator.outages import Outage, Outages
from marketdata.simulator.sources import Sources
from marketdata.simulator.troubles import WrongTroubleError
from marketdata.simulator.venues import Venue

type _Endpoint = Callable[[Request], Awaitable[object]]


class Control:
    """The endpoints of one simulator."""

    def __init__(self, sources: Sources, venues: Iterable[Venue], clock: SteeredClock, controls: Controls) -> None:
        """Steer what a simulator consists of."""
        self._sources = sources
        self._venues = {venue.exchange_id: venue for venue in venues}
        self._clock = clock
        self._faults = controls.faults
        self._journal = controls.journal
        self._endpoints: Mapping[str, Mapping[str, tuple[_Endpoint, str]]] = {
            "": {"GET": (self._list, "this list")},
            "/about": {"GET": (self._about, "what is served here, and its time")},
            "/scenario": {"GET": (self._scenario, "the switches of what is served")},
            "/clock": {
                "GET": (self._get_clock, "the time, epoch ms, and its rate"),
                "POST": (self._set_clock, '{"now_ms": …} sets, {"advance_ms": …} moves, {"rate": 0} freezes, 1 runs'),
            },
            "/outages": {
                "GET": (self._get_outages, "when exchanges are off"),
                "POST": (self._add_outages, 'one {"exchange": …, "from": …, "until": …}, whole minutes, or a list'),
                "DELETE": (self._clear_outages, "none, those of the scenario neither"),
            },
            "/listings": {
                "GET": (self._get_listings, "what is planned to become of listed instruments"),
                "POST": (
                    self._add_listings,
                    'one {"exchange": …, "symbol": …, "change": …, "to": …, "from": …, "until": …}, or a list',
                ),
                "DELETE": (self._clear_listings, "they are as they were announced"),
            },
            "/limits": {
                "GET": (self._get_limits, "what the exchanges have counted of this address, refused and banned"),
                "POST": (self._use_limits, '{"exchange": …, "foreign": …}: another program used so much'),
            },
            "/troubles": {
                "GET": (self._get_troubles, "the troubles that exchanges are in, and all that there are"),
                "POST": (self._set_trouble, '{"exchange": …, "trouble": …}; null: it is well'),
                "DELETE": (self._clear_troubles, "all are well"),
            },
            "/journal": {
                "GET": (self._get_journal, "requests: ?exchange= &route= &symbol= &since={id} &limit="),
                "DELETE": (self._clear_journal, "forget them; ids go on"),
            },
            "/faults": {
                "GET": (self._get_faults, "the planted faults, and how often each was met and played"),
                "POST": (self._add_faults, 'plant: "KIND,name=value,…", {"kind": …}, or a list of such'),
                "DELETE": (self._clear_faults, "take all out"),
            },
            "/faults/{id:int}": {"DELETE": (self._remove_fault, "take one out")},
            "/faults/kinds": {"GET": (self._get_kinds, "all kinds there are, and what each takes")},
        }

    @property
    def routes(self) -> list[Route]:
        """All of them, and an answer for what is none."""
        every = ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]
        paths = [*self._endpoints, "/{path:path}"]
        return [Route(f"/_control{path}", self._door(path), methods=every) for path in paths]

    def _door(self, path: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return _json(await self._endpoint(path, request.method)(request))
            except WrongRequestError as error:
                return _json({"error": str(error)}, error.status)
            except (WrongFaultError, WrongListingChangeError, WrongTroubleError, msgspec.DecodeError) as error:
                return _json({"error": str(error)}, 400)

        return answer

    def _endpoint(self, path: str, method: str) -> _Endpoint:
        methods = self._endpoints.get(path)
        if methods is None:
            raise WrongRequestError("there is nothing; GET /_control lists what there is", 404)
        if method not in methods:
            raise WrongRequestError(f"this takes {' and '.join(methods)}", 405)
        return methods[method][0]

    async def _list(self, _: Request) -> object:
        return {
            "endpoints": [
                f"{method} /_control{path.replace(':int', '')}: {meaning}"
                for path, methods in self._endpoints.items()
                for method, (_, meaning) in methods.items()
            ]
        }

    async def _about(self, _: Request) -> object:
        now_ms = self._clock.now_ms()
        return {
            "source": self._sources.kind,
            "seed": self._sources.seed,
            "version": __version__,
            "now_ms": now_ms,
            "symbols": dict(self._sources.counts(now_ms)),
        }

    async def _scenario(self, _: Request) -> object:
        return asdict(self._sources.scenario)

    async def _get_clock(self, _: Request) -> object:
        return {"now_ms": self._clock.now_ms(), "rate": self._clock.rate}

    async def _set_clock(self, request: Request) -> object:
        change = msgspec.json.decode(await request.body(), type=ClockChange)
        try:
            now_ms = self._clock.now_ms() if change.now_ms is None else change.now_ms
            if change.now_ms is not None or change.advance_ms:
                self._clock.set(now_ms + change.advance_ms)  # in one step: what is wrong changes nothing
        except ValueError as error:
            raise WrongRequestError(str(error)) from None
        if change.rate is not None:
            self._clock.run(change.rate)
        return await self._get_clock(request)

    async def _get_outages(self, _: Request) -> object:
        return {"outages": list(self._outages())}

    async def _add_outages(self, request: Request) -> object:
        outages = self._outages()
        for outage in timed(await request.body(), Outage):
            outages.add(outage)
        return await self._get_outages(request)

    async def _clear_outages(self, request: Request) -> object:
        self._outages().clear()
        return await self._get_outages(request)

    def _outages(self) -> Outages:
        if self._sources.outages is None:
            raise WrongRequestError("recordings are as they are, without outages")
        return self._sources.outages

    async def _get_listings(self, _: Request) -> object:
        return {"changes": list(self._listings())}

    async def _add_listings(self, request: Request) -> object:
        self._listings().add(*timed(await request.body(), ListingChange))
        return await self._get_listings(request)

    async def _clear_listings(self, request: Request) -> object:
        self._listings().clear()
        return await self._get_listings(request)

    def _listings(self) -> Listings:
        if self._sources.listings is None:
            raise WrongRequestError("recordings are as they are, without planned changes")
        return self._sources.listings

    async def _get_limits(self, _: Request) -> object:
        return {"limits": {exchange: venue.limits.usage for exchange, venue in self._venues.items()}}

    async def _use_limits(self, request: Request) -> object:
        use = msgspec.json.decode(await request.body(), type=Foreign)
        now_ms = self._clock.now_ms() + self._sources.scenario.skew_ms
        self._venues[exchange_id(use.exchange)].limits.add_foreign(use.foreign, now_ms)
        return await self._get_limits(request)

    async def _get_troubles(self, _: Request) -> object:
        return {
            "troubles": {
                exchange: {"trouble": venue.exchange.trouble, "known": venue.exchange.known}
                for exchange, venue in self._venues.items()
            }
        }

    async def _set_trouble(self, request: Request) -> object:
        wanted = msgspec.json.decode(await request.body(), type=Trouble)
        self._venues[exchange_id(wanted.exchange)].exchange.suffer(wanted.trouble)
        return await self._get_troubles(request)

    async def _clear_troubles(self, request: Request) -> object:
        for venue in self._venues.values():
            venue.exchange.suffer(None)
        return await self._get_troubles(request)

    async def _get_journal(self, request: Request) -> object:
        wanted = msgspec.convert(dict(request.query_params), Selection, strict=False)
        if wanted.exchange is not None:
            exchange_id(wanted.exchange)
        if wanted.route is not None:
            check_route(wanted.route)
        entries = self._journal.entries(**msgspec.structs.asdict(wanted))
        return {"entries": entries, "last_id": self._journal.last_id}

    async def _clear_journal(self, _: Request) -> object:
        self._journal.clear()
        return {"entries": [], "last_id": self._journal.last_id}

    async def _get_faults(self, _: Request) -> object:
        return {"faults": list(self._faults)}

    async def _add_faults(self, request: Request) -> object:
        given: Any = msgspec.json.decode(await request.body(), type=str | dict[str, Any] | list[str | dict[str, Any]])
        return {"faults": self._faults.add(*(given if isinstance(given, list) else [given]))}

    async def _clear_faults(self, _: Request) -> object:
        self._faults.clear()
        return {"faults": []}

    async def _remove_fault(self, request: Request) -> object:
        planted_id: int = request.path_params["id"]
        if not self._faults.remove(planted_id):
            raise WrongRequestError(f"no fault has the id {planted_id}; GET /_control/faults lists them", 404)
        return {"faults": list(self._faults)}

    async def _get_kinds(self, _: Request) -> object:
        return {
            group: [{"kind": kind.name, "meaning": kind.meaning, "takes": kind.defaults} for kind in kinds]
            for group, kinds in GROUPS.items()
        }


def _json(body: object, status: int = 200) -> Response:
    return Response(json_body(body) + b"\n", status, media_type="application/json")
