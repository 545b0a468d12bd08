"""What clients read from the simulator's listings is what our API says of every instrument, at several moments."""

from datetime import UTC, datetime
from typing import Any

import pytest

from marketdata.core.models import ExchangeId
from marketdata.syncer.sync import sync_exchange
from tests.clients.case import EXCHANGES
from tests.clients.conftest import Sides
from tests.clients.explained import MARKETS, ExplainedField
from tests.clients.markets import FIELDS, Difference, differences
from tests.e2e.platform import Platform

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="module")]

MOMENTS = {
    "2025-03-15T12:34": dict.fromkeys(FIELDS, "trading"),
    "2025-03-19T12:00": {"coinbaseexchange": "pre_trading"},
    "2025-03-22T20:30": {"coinbaseexchange": "halted"},
    "2025-03-22T22:00": {"coinbaseexchange": "cancel_only"},
    "2025-03-27T17:30": {"binanceusdm": "halted"},
    "2025-03-27T18:30": {"binanceusdm": "cancel_only", "binance-sdk": "cancel_only"},
    "2025-03-28T08:30": {"binanceusdm": "settling", "binance-sdk": "settling"},
    "2025-03-28T10:00": {"binanceusdm": "delisted", "binance-sdk": "delisted"},
}
"""When the clients are asked, in the order of time, and a status that the exchange's listing then has."""


@pytest.fixture(scope="module")
def shown() -> set[ExplainedField]:
    """The explained differences that were seen so far."""
    return set()


async def symbols(platform: Platform) -> list[dict[str, Any]]:
    """All of ours."""
    found: list[dict[str, Any]] = []
    following: str | None = "/v1/symbols?limit=1000"
    while following is not None:
        document = await platform.read(following)
        found += document["data"]
        following = document["page"]["next"]
    return found


def explain(difference: Difference) -> list[ExplainedField]:
    return [
        one
        for one in MARKETS
        if (one.client, one.field) == (difference.client, difference.field)
        and one.shows(difference.symbol, difference.theirs)
    ]


@pytest.mark.parametrize("moment, client", [(moment, client) for moment in MOMENTS for client in MOMENTS[moment]])
async def test_a_client_lists_what_we_list(sides: Sides, shown: set[ExplainedField], moment: str, client: str) -> None:
    now_ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000
    sides.clock.set(max(now_ms, sides.clock.now_ms()))
    sides.pass_time()
    exchange = ExchangeId(EXCHANGES[client])
    await sync_exchange(sides.platform.database, sides.platform.fetchers[exchange], sides.clock)
    await sides.platform.services.refresh()
    ours = [symbol for symbol in await symbols(sides.platform) if symbol["exchange"] == exchange]
    assert MOMENTS[moment][client] in {symbol["status"] for symbol in ours}
    markets = await sides.clients.ask(client, "markets")
    assert isinstance(markets, list), markets
    explained = [(difference, explain(difference)) for difference in differences(client, ours, markets)]
    assert [str(difference) for difference, entries in explained if len(entries) != 1] == []
    shown.update(*(entries for _, entries in explained))


async def test_every_explained_difference_is_seen(shown: set[ExplainedField]) -> None:
    assert [one for one in MARKETS if one not in shown] == []
