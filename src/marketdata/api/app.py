"""The application: endpoints, error documents and the surroundings of every request, put together."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from marketdata import __version__
from marketdata.api.access import AccessFollower
from marketdata.api.audit import Seldom
from marketdata.api.auth import Tokens
from marketdata.api.catalogue import Catalogue
from marketdata.api.cors import Cors
from marketdata.api.delivery import Delivery
from marketdata.api.docs import add_docs
from marketdata.api.envelope import Envelope
from marketdata.api.guessing import Slowed
from marketdata.api.limits import Limits
from marketdata.api.moments import Moments
from marketdata.api.openapi_document import complete
from marketdata.api.problems import handle
from marketdata.api.record import waiting_for
from marketdata.api.routes import admin, audit, coverage, events, exchanges, health, history, operations, symbols, token
from marketdata.api.routes.candles import DEFAULT_LIMIT, MAX_LIMIT, candle_routes
from marketdata.api.services import Services
from marketdata.api.settings import ApiSettings
from marketdata.api.upkeep import keep_up_for_ever
from marketdata.core.clock import Clock
from marketdata.core.fetch import Fetcher
from marketdata.core.limits import OwnRates, RatePool
from marketdata.core.models import ExchangeId
from marketdata.core.settings import SYNC_INTERVAL_S
from marketdata.store.engine import Database

_DESCRIPTION = """\
Exact candles and metadata of crypto exchanges, in one canonical form.

Prices, volumes and sizes are decimal text, digit for digit what the exchange sent; times are epoch milliseconds, UTC.
Nothing is computed, filled or cut silently. Errors are problem documents (RFC 9457) with a stable `code`.

Get an access token from `POST /v1/token`, or press *Authorize* here, with a client id and secret.
"""


class Application(FastAPI):
    """FastAPI with the candle endpoints in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), MAX_LIMIT, DEFAULT_LIMIT)
        return self.openapi_schema


def create_app(
    database: Database,
    fetchers: Mapping[ExchangeId, Fetcher],
    clock: Clock,
    settings: ApiSettings,
    *,
    sync_interval_s: float = SYNC_INTERVAL_S,
    rates: RatePool | None = None,
) -> Application:
    """The API over its collaborators, which the caller opens and closes; `sync_interval_s` is the syncer's.

    `rates`: what counts clients' requests for all processes; None: this process is the only one.

    While the server runs it (ASGI lifespan), it follows what is new in the database; without a lifespan, as in a test,
    `app.state.services.refresh()` does so once.
    """
    catalogue, tokens = Catalogue(tuple(fetchers)), Tokens(clock, settings.token_ttl)
    services = Services(
        database=database,
        fetchers=fetchers,
        clock=clock,
        settings=settings,
        sync_interval_s=sync_interval_s,
        tokens=tokens,
        access=AccessFollower(tokens, clock),
        catalogue=catalogue,
        moments=Moments(database, catalogue, clock),
        limits=Limits(
            rates or OwnRates(clock),
            clock,
            partial(_limits_of, tokens, settings),
            settings.requests_at_once,
        ),
        slowed=Slowed(clock),
        seldom=Seldom(clock),
    )
    database.around_transaction = partial(waiting_for, "db")
    app = Application(
        title="Market Data Platform",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=_follow_database,
        # from the outside in: whatever happens is answered; other origins are let in; what is good is sent well
        middleware=[
            Middleware(Envelope, clock=clock),
            *([Middleware(Cors, origins=settings.cors_origins)] if settings.cors_origins else []),
            Middleware(Delivery),
        ],
        # whatever else is raised passes on to the Envelope, which answers it in the same way
        exception_handlers={HTTPException: handle, RequestValidationError: handle},
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.services = services
    app.router.routes.extend(candle_routes())  # first, because routes are tried in turn
    # `…/history` before any symbol
    for module in (token, exchanges, history, symbols, coverage, events, operations, admin, audit, health):
        app.include_router(module.router)
    add_docs(app)
    return app


def _limits_of(tokens: Tokens, settings: ApiSettings, client_id: str) -> tuple[int, int]:
    """The requests and candles that a client may have in a minute: its own limits, else the installation's."""
    client = None if tokens.held is None else tokens.held.clients.get(client_id)
    requests, candles = (None, None) if client is None else (client.requests_per_minute, client.candles_per_minute)
    return requests or settings.requests_per_minute, candles or settings.candles_per_minute


@asynccontextmanager
async def _follow_database(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    app.openapi()  # takes half a second, in which nobody waits yet
    await services.refresh()
    following = [
        asyncio.create_task(services.keep_refreshing()),
        asyncio.create_task(services.access.follow(services.database.url)),
        asyncio.create_task(services.limits.keep(services.database)),
        asyncio.create_task(keep_up_for_ever(services.database, services.clock, services.settings.key_lifetime)),
    ]
    try:
        yield
    finally:
        for one in following:
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one
