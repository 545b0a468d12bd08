"""`/_control`: what steers a simulator from outside, and what it tells of itself. All of it is JSON."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from marketdata import __version__
from marketdata.simulator.answers import json_body
from marketdata.simulator.calls import EXCHANGES
from marketdata.simulator.clock import SteeredClock, parse_moment_ms
from marketdata.simulator.controls import Controls
from marketdata.simulator.fault_kinds import GROUPS
from marketdata.simulator.faults import WrongFaultError, check_route
from marketdata.simulator.outages import Outage, Outages
from marketdata.simulator.sources import Sources
from marketdata.simulator.troubles import WrongTroubleError
from marketdata.simulator.venues import Venue

type _Endpoint = Callable[[Request], Awaitable[object]]


class _WrongRequestError(ValueError):
    """A request that cannot be done; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _ClockChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is to become of the clock, in this order."""

    now_ms: int | None = None
    advance_ms: int = 0
    rate: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class _Selection(msgspec.Struct, forbid_unknown_fields=True):
    """Which entries of the journal are wanted."""

    exchange: str | None = None
    route: str | None = None
    symbol: str | None = None
    since: int | None = None
    limit: Annotated[int, Meta(ge=0)] = 1000


class _Foreign(msgspec.Struct, forbid_unknown_fields=True):
    """What another program at the same address used."""

    exchange: str
    foreign: Annotated[int, Meta(ge=0)]


class _Trouble(msgspec.Struct, forbid_unknown_fields=True):
    """What an exchange is to be in."""

    exchange: str
    trouble: str | None


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
            except _WrongRequestError as error:
                return _json({"error": str(error)}, error.status)
            except (WrongFaultError, WrongTroubleError, msgspec.DecodeError) as error:
                return _json({"error": str(error)}, 400)

        return answer

    def _endpoint(self, path: str, method: str) -> _Endpoint:
        methods = self._endpoints.get(path)
        if methods is None:
            raise _WrongRequestError("there is nothing; GET /_control lists what there is", 404)
        if method not in methods:
            raise _WrongRequestError(f"this takes {' and '.join(methods)}", 405)
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
        change = msgspec.json.decode(await request.body(), type=_ClockChange)
        try:
            now_ms = self._clock.now_ms() if change.now_ms is None else change.now_ms
            if change.now_ms is not None or change.advance_ms:
                self._clock.set(now_ms + change.advance_ms)  # in one step: what is wrong changes nothing
        except ValueError as error:
            raise _WrongRequestError(str(error)) from None
        if change.rate is not None:
            self._clock.run(change.rate)
        return await self._get_clock(request)

    async def _get_outages(self, _: Request) -> object:
        return {"outages": list(self._outages())}

    async def _add_outages(self, request: Request) -> object:
        given: Any = msgspec.json.decode(await request.body(), type=dict[str, Any] | list[dict[str, Any]])
        outages = self._outages()
        for outage in [_outage(each) for each in (given if isinstance(given, list) else [given])]:
            outages.add(outage)
        return await self._get_outages(request)

    async def _clear_outages(self, request: Request) -> object:
        self._outages().clear()
        return await self._get_outages(request)

    def _outages(self) -> Outages:
        if self._sources.outages is None:
            raise _WrongRequestError("recordings are as they are, without outages")
        return self._sources.outages

    async def _get_limits(self, _: Request) -> object:
        return {"limits": {exchange: venue.limits.usage for exchange, venue in self._venues.items()}}

    async def _use_limits(self, request: Request) -> object:
        use = msgspec.json.decode(await request.body(), type=_Foreign)
        now_ms = self._clock.now_ms() + self._sources.scenario.skew_ms
        self._venues[_exchange_id(use.exchange)].limits.add_foreign(use.foreign, now_ms)
        return await self._get_limits(request)

    async def _get_troubles(self, _: Request) -> object:
        return {
            "troubles": {
                exchange: {"trouble": venue.exchange.trouble, "known": venue.exchange.known}
                for exchange, venue in self._venues.items()
            }
        }

    async def _set_trouble(self, request: Request) -> object:
        wanted = msgspec.json.decode(await request.body(), type=_Trouble)
        self._venues[_exchange_id(wanted.exchange)].exchange.suffer(wanted.trouble)
        return await self._get_troubles(request)

    async def _clear_troubles(self, request: Request) -> object:
        for venue in self._venues.values():
            venue.exchange.suffer(None)
        return await self._get_troubles(request)

    async def _get_journal(self, request: Request) -> object:
        wanted = msgspec.convert(dict(request.query_params), _Selection, strict=False)
        if wanted.exchange is not None:
            _exchange_id(wanted.exchange)
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
            raise _WrongRequestError(f"no fault has the id {planted_id}; GET /_control/faults lists them", 404)
        return {"faults": list(self._faults)}

    async def _get_kinds(self, _: Request) -> object:
        return {
            group: [{"kind": kind.name, "meaning": kind.meaning, "takes": kind.defaults} for kind in kinds]
            for group, kinds in GROUPS.items()
        }


def _outage(given: dict[str, Any]) -> Outage:
    """What was sent, the moments in either form."""
    try:
        given |= {name: parse_moment_ms(str(given[name])) for name in ("from", "until") if name in given}
    except ValueError as error:
        raise _WrongRequestError(str(error)) from None
    outage = msgspec.convert(given, Outage)
    return msgspec.structs.replace(outage, exchange=_exchange_id(outage.exchange))


def _exchange_id(name: str) -> str:
    if name not in EXCHANGES:
        raise _WrongRequestError(f"no exchange is called {name!r}; there are: {', '.join(EXCHANGES)}")
    return EXCHANGES[name]


def _json(body: object, status: int = 200) -> Response:
    return Response(json_body(body) + b"\n", status, media_type="application/json")
