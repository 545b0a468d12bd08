"""The feed, as those read it who follow it."""

import asyncio

import pytest

from marketdata.core.models import EventType
from marketdata.store.events import NewEvent, insert_events
from tests.api.conftest import NOW_MS, Api, problem
from tests.api.worlds import BINANCE, COINBASE, HOUR_MS, sync
from tests.listings import instrument

BTC = instrument()
ETH = instrument("ETHUSDT", "ETH")


@pytest.fixture
async def lived(empty_api: Api) -> Api:
    """An API whose exchanges have been synced a few times."""
    await sync(empty_api, 0, BTC, ETH)
    await sync(empty_api, 1, instrument(tick_size="0.01"), ETH)
    await sync(empty_api, 2, ETH, exchange=COINBASE)
    await sync(empty_api, 3, ETH)
    await sync(empty_api, 4, BTC, ETH)
    return empty_api


async def told(api: Api, query: str = "") -> list[tuple[str, str, str | None]]:
    body = (await api.get(f"/v1/events?{query}")).json()
    return [(one["exchange"], one["type"], one["exchange_symbol"]) for one in body["data"]]


HISTORY = [
    ("binance_futures", "listed", "BTCUSDT"),
    ("binance_futures", "listed", "ETHUSDT"),
    ("binance_futures", "field_changed", "BTCUSDT"),
    ("coinbase", "listed", "ETHUSDT"),
    ("binance_futures", "delisted", "BTCUSDT"),
    ("binance_futures", "relisted", "BTCUSDT"),
    ("binance_futures", "field_changed", "BTCUSDT"),
]


async def test_what_happened_in_its_order(lived: Api) -> None:
    body = (await lived.get("/v1/events")).json()
    assert [(one["exchange"], one["type"], one["exchange_symbol"]) for one in body["data"]] == HISTORY
    assert body["data"][2] == {
        "id": body["data"][2]["id"],
        "exchange": "binance_futures",
        "observed_at": NOW_MS + HOUR_MS,
        "generation": 2,
        "initial": False,
        "type": "field_changed",
        "symbol": "BTC-USDT-PERP",
        "exchange_symbol": "BTCUSDT",
        "interval": None,
        "field": "tick_size",
        "old": "0.10",
        "new": "0.01",
    }
    assert [one["initial"] for one in body["data"]] == [True, True, False, True, False, False, False]
    assert body["page"] == {
        "count": 7,
        "limit": 100,
        "complete": False,  # hyperliquid has not been read
        "next": None,
        "newest_id": body["data"][-1]["id"],
    }
    assert (await lived.get("/v1/events?exchange=coinbase")).json()["page"]["complete"] is True


@pytest.mark.parametrize(
    "query,expected",
    [
        ("exchange=coinbase", [3]),
        ("exchange=hyperliquid", []),
        ("type=delisted", [4]),
        ("type=delisted,relisted", [4, 5]),
        ("type=interval_added", []),
        ("exchange=binance_futures&symbol=ETHUSDT", [1]),
        ("exchange=binance_futures&symbol=btc-usdt-perp&type=field_changed", [2, 6]),
        (f"since={NOW_MS + HOUR_MS}", [2, 3, 4, 5, 6]),
        (f"since={NOW_MS + HOUR_MS + 1}", [3, 4, 5, 6]),
        ("since=2026-01-01T03:00:00Z", [4, 5, 6]),
        ("since=0", [0, 1, 2, 3, 4, 5, 6]),
        ("since=2999-01-01T00:00:00Z", []),
    ],
)
async def test_filters(lived: Api, query: str, expected: list[int]) -> None:
    assert await told(lived, query) == [HISTORY[at] for at in expected]


async def test_since_an_event_come_those_after_it(lived: Api) -> None:
    ids = [one["id"] for one in (await lived.get("/v1/events")).json()["data"]]
    for at, identity in enumerate(ids):
        assert await told(lived, f"since={identity}") == HISTORY[at + 1 :]


async def test_what_happened_under_former_names_comes_too(empty_api: Api) -> None:
    api = empty_api
    await sync(api, 0, BTC)
    await sync(api, 1, instrument(base="XBT"))
    for name in ("BTC-USDT-PERP", "BTC-USDT-PERP~260101"):
        body = (await api.get(f"/v1/events?exchange=binance_futures&symbol={name}")).json()
        assert [(one["type"], one["symbol"]) for one in body["data"]] == [
            ("listed", "BTC-USDT-PERP"),
            ("field_changed", "BTC-USDT-PERP~260101"),
            ("delisted", "BTC-USDT-PERP~260101"),
        ]
    body = (await api.get("/v1/events?exchange=binance_futures&symbol=BTCUSDT")).json()
    assert [(one["type"], one["symbol"]) for one in body["data"]] == [("listed", "XBT-USDT-PERP")]


async def test_exchanges_that_are_not_served_are_not_told_of(lived: Api) -> None:
    lived.services.catalogue.exchanges = (COINBASE,)
    assert await told(lived) == [HISTORY[3]]


@pytest.mark.parametrize(
    "query,code,parameter",
    [
        ("symbol=BTCUSDT", "invalid-parameter", "symbol"),
        ("exchange=binance_futures&symbol=nothing", "unknown-symbol", "symbol"),
        ("exchange=hyperliquid&symbol=BTC", "metadata-not-ready", None),
        ("exchange=nothing", "unknown-exchange", "exchange"),
        ("type=nothing", "invalid-parameter", "type"),
        ("type=", "invalid-parameter", "type"),
        ("type=listed,", "invalid-parameter", "type"),
        ("since=", "invalid-parameter", "since"),
        ("since=-1", "invalid-parameter", "since"),
        ("since=yesterday", "invalid-parameter", "since"),
        ("since=2026-01-01", "naive-timestamp", "since"),
        ("limit=1001", "limit-too-large", "limit"),
        ("cursor=AAAA", "bad-cursor", "cursor"),
    ],
)
async def test_refusals(lived: Api, query: str, code: str, parameter: str | None) -> None:
    refusal = problem(await lived.get(f"/v1/events?{query}"))
    assert (refusal["code"], refusal.get("parameter")) == (code, parameter)


async def test_seconds_are_no_id_that_anybody_gave_out(lived: Api) -> None:
    newest = (await lived.get("/v1/events")).json()["page"]["newest_id"]
    for since in (newest + 1, NOW_MS // 1000, 99_999_999_999):
        assert problem(await lived.get(f"/v1/events?since={since}")) == {
            "status": 400,
            "code": "invalid-parameter",
            "detail": f"No event has such an id yet: the newest is {newest}. A time is epoch milliseconds, not seconds;"
            " an id is of the database that gave it out.",
            "parameter": "since",
            "max": newest,
        }
    assert (await lived.get(f"/v1/events?since={newest}")).json()["data"] == []


async def test_pages_go_on_without_end(lived: Api) -> None:
    answer = await lived.get("/v1/events?exchange=binance_futures&limit=3")
    page = answer.json()["page"]
    assert answer.headers["link"] == f'<{page["next"]}>; rel="next"'
    assert page["newest_id"] == answer.json()["data"][-1]["id"]
    second = (await lived.get(page["next"])).json()
    assert second["page"]["next"] is None
    assert len(second["data"]) == 3
    await sync(lived, 5, ETH)
    again = (await lived.get(page["next"])).json()
    assert [one["type"] for one in again["data"]] == [one["type"] for one in second["data"]]
    third = (await lived.get(again["page"]["next"])).json()
    assert [one["type"] for one in third["data"]] == ["delisted"]
    assert problem(await lived.get(f"{page['next']}&limit=3"))["code"] == "bad-cursor"


async def test_a_full_last_page_has_no_next_one(lived: Api) -> None:
    body = (await lived.get("/v1/events?exchange=binance_futures&type=listed&limit=2")).json()
    newest = (await lived.get("/v1/events?exchange=coinbase")).json()["page"]["newest_id"]
    assert (body["page"]["count"], body["page"]["next"]) == (2, None)
    assert body["page"]["newest_id"] == newest > body["data"][-1]["id"]


async def test_the_feed_before_any_event(empty_api: Api) -> None:
    body = (await empty_api.get("/v1/events?since=0")).json()
    assert body == {"data": [], "page": {"count": 0, "limit": 100, "complete": False, "next": None, "newest_id": 0}}


async def test_pollers_see_every_event_once_and_in_order_during_writes(lived: Api) -> None:
    many, each = 25, 4

    async def write(exchange: str, offset: int) -> None:
        for number in range(many):
            events = [
                NewEvent(type=EventType.STATUS_CHANGED, symbol="ETH-USDT-PERP", new=f"{exchange}{offset} {number} {at}")
                for at in range(each)
            ]
            async with lived.services.database.transaction() as connection:
                given = BINANCE if exchange == "binance_futures" else COINBASE
                await insert_events(connection, given, events, observed_at_ms=number, generation=9, initial=False)

    writing = asyncio.gather(*(write(str(one), at) for at in range(2) for one in (BINANCE, COINBASE)))

    async def poll(limit: int) -> list[int]:
        seen: list[int] = []
        since = 0
        while True:
            is_last = writing.done()
            following: str | None = f"/v1/events?type=status_changed&since={since}&limit={limit}"
            while following is not None:
                body = (await lived.get(following)).json()
                seen += [one["id"] for one in body["data"]]
                since, following = body["page"]["newest_id"], body["page"]["next"]
            if is_last:
                return seen

    polled = await asyncio.gather(*(poll(limit) for limit in (1, 2, 7, 1000)))
    await writing
    assert len(polled[0]) == 4 * many * each
    assert polled[0] == sorted(set(polled[0]))
    assert all(seen == polled[0] for seen in polled)
