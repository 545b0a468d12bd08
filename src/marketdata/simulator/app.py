"""The simulator's application: three exchanges under their prefixes, and what steers it under `/_control`."""

from contextlib import suppress
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from marketdata.core.clock import Clock
from marketdata.simulator.answers import Answer, Asked, http_date
from marketdata.simulator.calls import call_of
from marketdata.simulator.clock import SteeredClock
from marketdata.simulator.control import Control
from marketdata.simulator.controls import Controls
from marketdata.simulator.fault_kinds import KINDS, AnswerKind, WireKind
from marketdata.simulator.fault_scene import Scene
from marketdata.simulator.journal import Entry
from marketdata.simulator.sources import Sources
from marketdata.simulator.venues import Venue, venues
from marketdata.simulator.wire import Wire


def create_app(sources: Sources, clock: Clock, controls: Controls | None = None) -> Starlette:
    """The exchanges under `/binance`, `/hyperliquid` and `/coinbase`, by `clock` until it is steered, and `/_control`.

    Faults of the connection need the server of server.py.
    """
    controls = controls or Controls()
    steered = SteeredClock(clock)
    exchanges = venues(sources)
    doors = [
        Route(
            f"/{venue.prefix}/{{path:path}}",
            _Door(venue, steered, sources.scenario.skew_ms, controls),
            name=venue.prefix,
        )
        for venue in exchanges
    ]
    app = Starlette(routes=[*Control(sources, exchanges, steered, controls).routes, *doors])
    app.router.redirect_slashes = False
    return app


class _Door:
    """Where every request to one exchange comes in and every answer goes out."""

    def __init__(self, venue: Venue, clock: Clock, skew_ms: int, controls: Controls) -> None:
        self._venue = venue
        self._clock = clock
        self._skew_ms = skew_ms
        self._faults = controls.faults
        self._journal = controls.journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked = Asked(
            method=request.method,
            path="/" + request.path_params["path"],
            query=request.query_params,
            body=await request.body(),
            now_ms=self._clock.now_ms() + self._skew_ms,
            headers=dict(request.headers),
            raw_query=scope["query_string"].decode("latin-1"),
        )
        call = call_of(self._venue.exchange_id, asked)
        entry = self._journal.open(call, asked)
        fault = self._faults.choose(call, asked.now_ms)
        answer = self._answer(asked, entry)
        if fault is not None:
            scene = Scene(fault, self._venue, call, asked, answer, scope["raw_path"].decode("latin-1"))
            match KINDS[fault.kind]:
                case WireKind() as kind:
                    await _play(kind, scene, entry, Wire(scope, receive))
                    return
                case AnswerKind() as kind if (spoilt := kind.spoil(scene)) is not None:
                    answer, entry.fault = spoilt, kind.name
        entry.status = answer.status
        await Response(answer.body, answer.status, answer.headers)(scope, receive, send)
        entry.bytes_sent = len(answer.body)

    def _answer(self, asked: Asked, entry: Entry) -> Answer:
        """The exchange's answer, within its limits."""
        limits = self._venue.limits
        answer = limits.admit(asked) or self._venue.exchange.answer(asked)
        charge = limits.settle(asked, answer)
        entry.weight = charge.weight
        # The exchange's own clock, not the server's: where there is no time endpoint, this header is the time.
        return replace(answer, headers={**answer.headers, **charge.headers, "Date": http_date(asked.now_ms)})


async def _play(kind: WireKind, scene: Scene, entry: Entry, wire: Wire) -> None:
    """Play a fault on the wire to its end, or to the other side's."""
    entry.fault = kind.name
    try:
        with suppress(ConnectionError):
            await kind.play(scene, wire)
        await wire.close()
    finally:
        entry.status, entry.bytes_sent = wire.status, wire.body_bytes
