"""From when until when an exchange serves the candles of an instrument."""

import logging
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, BeforeValidator, Field

from marketdata.api.answers import TimeFormat
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.openapi import access_problems, problems
from marketdata.api.parameters import ExchangePath, IntervalPath, SymbolPath, parse_whole
from marketdata.api.problems import PROBLEMS
from marketdata.api.record import waiting_for
from marketdata.api.services import Services
from marketdata.api.timestamps import to_rfc3339
from marketdata.core.coverage import Coverage, CoverageMethod, find_coverage
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import Interval, Symbol
from marketdata.store.coverage import Observation, get_coverage, upsert_coverage
from marketdata.store.scopes import METADATA_READ

logger = logging.getLogger(__name__)

MOST_AGE_S: Final = 86_400
DEFAULT_AGE_S: Final = 3600

_DATABASE_S: Final = 1.0
"""How long the answer, which does not need the database, waits for it."""

_MS_PER_S: Final = 1000

router = APIRouter(
    prefix="/v1",
    tags=["symbols"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)

_Time = int | str
_TIME_TEXT: Final = "Epoch ms, UTC; RFC 3339 with `time_format=iso`."


class CoverageAnswer(BaseModel):
    """The first and the last candle that an exchange serves of an instrument, and how and when that was found."""

    exchange: str
    symbol: str
    exchange_symbol: str
    interval: Interval
    first_open_time: Annotated[
        _Time | None, Field(description=f"The open time of the first closed candle; null: see `method`. {_TIME_TEXT}")
    ]
    last_open_time: Annotated[
        _Time | None, Field(description="The open time of the last candle that had closed when it was looked for.")
    ]
    method: Annotated[
        CoverageMethod,
        Field(
            description="`first-row`: the exchange named its first candle; both null: it has none.\n\n"
            "`kept-rows`: it gave all that it keeps; both null: that is nothing.\n\n"
            "`bisection`: looked for in windows of its longest interval, in each as many candles as one call returns;"
            " a whole such window before `first_open_time` is empty, but candles before a longer rest would not be"
            " found; both null: nothing in the newest window with candles has closed.\n\n"
            "`search-bounded`: the calls were spent; what is null is not known.\n\n"
            "`refused`: the exchange lists the instrument and does not serve its candles.\n\n"
            "`replaced`: it gave the instrument's symbol to another instrument and serves only that one."
        ),
    ]
    exact: Annotated[
        bool, Field(description="False where, by its `method`, an earlier candle may have been missed or not found.")
    ]
    calls: Annotated[
        int,
        Field(
            description="How many requests for candles it took, without the one for the first traded day of an"
            " instrument that has candles made up for the time before, which is remembered."
        ),
    ]
    observed_at: Annotated[_Time, Field(description=f"When it was looked for. {_TIME_TEXT}")]


@router.get(
    "/coverage/{exchange}/{symbol:path}/{interval}",
    operation_id="getCoverage",
    summary="Get the range of candles that the exchange serves",
    responses=problems(
        "unknown-exchange",
        "unknown-symbol",
        "unsupported-interval",
        "metadata-not-ready",
        "database-unavailable",
        *(code for code in PROBLEMS if code.startswith("upstream-")),
    ),
)
async def get_coverage_of(
    services: ServicesNeeded,
    exchange: ExchangePath,
    symbol: SymbolPath,
    interval: IntervalPath,
    max_age: Annotated[
        int,
        Query(
            ge=0,
            le=MOST_AGE_S,
            description="Seconds: an observation that is not older is given again; without one the exchange is asked.",
        ),
        BeforeValidator(partial(parse_whole, "max_age", least=0, most=MOST_AGE_S)),
    ] = DEFAULT_AGE_S,
    time_format: Annotated[TimeFormat, Query(description="`ms`: epoch milliseconds; `iso`: RFC 3339 with `Z`.")] = "ms",
) -> CoverageAnswer:
    """The first and the last closed candle that the exchange still serves, found by asking it a few times.

    The instrument as in the path of candles, percent-encoded: `PURR%2FUSDC`. Costs the exchange's budget at most 20
    calls, mostly one or two, and about ten where wide ranges are rejected; what was found is kept. Candles that an
    exchange makes up for the time before the first traded day do not count. That nothing is served is no error: both
    ends are null, and `method` says why.
    """
    found = services.catalogue.symbol(exchange, symbol)
    instruments = services.catalogue.of(exchange)
    asked = services.interval(found, interval)
    if instruments.is_replaced(found):
        observed = Observation(Coverage(None, None, "replaced", 0), services.clock.now_ms())
    else:
        observed = await _observe(services, found, instruments.row_id(found), asked, max_age)

    def written(time_ms: int) -> int | str:
        return to_rfc3339(time_ms) if time_format == "iso" else time_ms

    coverage = observed.coverage
    first_ms, last_ms = coverage.first_open_time, coverage.last_open_time
    return CoverageAnswer(
        exchange=found.exchange,
        symbol=found.symbol,
        exchange_symbol=found.exchange_symbol,
        interval=asked,
        first_open_time=None if first_ms is None else written(first_ms),
        last_open_time=None if last_ms is None else written(last_ms),
        method=coverage.method,
        exact=coverage.is_exact,
        calls=coverage.calls,
        observed_at=written(observed.observed_at),
    )


async def _observe(services: Services, symbol: Symbol, row_id: int, interval: Interval, max_age_s: int) -> Observation:
    """The observation that is kept, if it is young enough, else a new one, which all share who want it now."""
    kept = await _read(services, symbol, row_id, interval)
    if kept is not None and 0 <= services.clock.now_ms() - kept.observed_at < max_age_s * _MS_PER_S:
        return kept
    with waiting_for("upstream"):
        await services.check_source(symbol)
        return await services.probes.join((row_id, interval), lambda: _probe(services, symbol, row_id, interval))


async def _probe(services: Services, symbol: Symbol, row_id: int, interval: Interval) -> Observation:
    """Ask the exchange, and keep what it shows."""
    observed_at = services.clock.now_ms()
    coverage = await find_coverage(services.fetcher(symbol), symbol.exchange_symbol, interval)
    observed = Observation(coverage, observed_at)
    try:
        async with services.database.transaction(_DATABASE_S) as connection:
            await upsert_coverage(connection, row_id, interval, observed)
    except DatabaseUnavailable as error:
        logger.warning("the coverage of %s at %s is not kept: %s", symbol.id, interval, error)
    return observed


async def _read(services: Services, symbol: Symbol, row_id: int, interval: Interval) -> Observation | None:
    try:
        async with services.database.transaction(_DATABASE_S) as connection:
            return await get_coverage(connection, row_id, interval)
    except DatabaseUnavailable as error:
        logger.warning("the coverage kept of %s at %s cannot be read: %s", symbol.id, interval, error)
        return None
