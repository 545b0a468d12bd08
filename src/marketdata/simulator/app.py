"""The simulator's application: three exchanges under their prefixes, and what it says of itself."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from marketdata import __version__
from marketdata.core.clock import Clock
from marketdata.simulator.answers import Asked, Exchange, http_date
from marketdata.simulator.binance_futures import BinanceFutures
from marketdata.simulator.coinbase import Coinbase
from marketdata.simulator.hyperliquid import Hyperliquid
from marketdata.simulator.sources import Sources


def create_app(sources: Sources, clock: Clock) -> Starlette:
    """The exchanges under `/binance`, `/hyperliquid` and `/coinbase`, and `GET /_control/about`."""
    exchanges: dict[str, Exchange] = {
        "binance": BinanceFutures(sources.binance),
        "hyperliquid": Hyperliquid(sources.hyperliquid),
        "coinbase": Coinbase(sources.coinbase),
    }

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
        Route(f"/{prefix}/{{path:path}}", _Door(exchange, clock, sources.scenario.skew_ms), name=prefix)
        for prefix, exchange in exchanges.items()
    ]
    app = Starlette(routes=[Route("/_control/about", about), *doors])
    app.router.redirect_slashes = False
    return app


class _Door:
    """Where every request to one exchange comes in and every answer goes out."""

    def __init__(self, exchange: Exchange, clock: Clock, skew_ms: int) -> None:
        self._exchange = exchange
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
        )
        answer = self._exchange.answer(asked)
        # The exchange's own clock, not the server's: where there is no time endpoint, this header is the time.
        headers = {**answer.headers, "Date": http_date(now_ms)}
        await Response(answer.body, answer.status, headers)(scope, receive, send)
