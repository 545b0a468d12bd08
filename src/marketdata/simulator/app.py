"""The simulator's application: three exchanges under their prefixes, and what it says of itself."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from marketdata import __version__
from marketdata.core.clock import Clock
from marketdata.simulator.answers import Asked, http_date
from marketdata.simulator.sources import Sources
from marketdata.simulator.venues import Venue, venues


def create_app(sources: Sources, clock: Clock) -> Starlette:
    """The exchanges under `/binance`, `/hyperliquid` and `/coinbase`, and `GET /_control/about`."""

    async def about(_: Request) -> Response:
        now_ms = clock.now_ms()
        return JSONResponse(
            {
                "source": sources.kind,
                "seed": sources.seed,
                "version": __version__,
                "now_ms": now_ms,
                "symbols": dict(sources.counts(now_ms)),
            }
        )

    doors = [
        Route(f"/{venue.prefix}/{{path:path}}", _Door(venue, clock, sources.scenario.skew_ms), name=venue.prefix)
        for venue in venues(sources)
    ]
    app = Starlette(routes=[Route("/_control/about", about), *doors])
    app.router.redirect_slashes = False
    return app


class _Door:
    """Where every request to one exchange comes in and every answer goes out."""

    def __init__(self, venue: Venue, clock: Clock, skew_ms: int) -> None:
        self._venue = venue
        self._clock = clock
        self._skew_ms = skew_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        now_ms = self._clock.now_ms() + self._skew_ms
        asked = Asked(
            method=request.method,
            path="/" + request.path_params["path"],
            query=request.query_params,
            body=await request.body(),
            now_ms=now_ms,
            headers=dict(request.headers),
            raw_query=request.url.query,
        )
        limits = self._venue.limits
        answer = limits.admit(asked) or self._venue.exchange.answer(asked)
        charge = limits.settle(asked, answer)
        # The exchange's own clock, not the server's: where there is no time endpoint, this header is the time.
        headers = {**answer.headers, **charge.headers, "Date": http_date(now_ms)}
        await Response(answer.body, answer.status, headers)(scope, receive, send)
