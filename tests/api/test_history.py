"""What an instrument was."""

import pytest

from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import Status
from marketdata.store.engine import Database
from marketdata.syncer.rules import GuardRules
from tests.api.conftest import Api, problem
from tests.api.worlds import sync
from tests.listings import instrument

BTC = instrument()
ETH = instrument("ETHUSDT", "ETH")


async def versions(api: Api, name: str) -> list[dict[str, object]]:
    body = (await api.get(f"/v1/symbols/binance_futures/{name}/history")).json()
    assert body["page"] == {"count": len(body["data"]), "limit": 1000, "complete": True, "next": None}
    data: list[dict[str, object]] = body["data"]
    return data


async def test_every_version_oldest_first(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC, ETH)
    await sync(api, 1, BTC, ETH)  # unchanged: no version
    finer = await sync(api, 2, instrument(tick_size="0.01"), ETH)
    halted = await sync(api, 3, instrument(tick_size="0.01", status=Status.HALTED), ETH)
    gone = await sync(api, 4, ETH)
    back = await sync(api, 5, BTC, ETH)
    told = await versions(api, "BTCUSDT")
    assert [(one["valid_from"], one["valid_to"]) for one in told] == [
        (first, finer),
        (finer, halted),
        (halted, gone),
        (gone, back),
        (back, None),
    ]
    assert [one["tick_size"] for one in told] == ["0.10", "0.01", "0.01", "0.01", "0.10"]
    assert [one["status"] for one in told] == ["trading", "trading", "halted", "delisted", "trading"]
    assert [one["listed"] for one in told] == [True, True, True, False, True]
    assert [one["last_seen_at"] for one in told] == [None, None, None, halted, None]
    assert [one["delisted_at"] for one in told] == [None, None, None, gone, None]
    assert [one["generation"] for one in told] == [1, 2, 3, 4, 5]
    assert {one["first_seen_at"] for one in told} == {first}
    assert [one["valid_from"] for one in await versions(api, "ETHUSDT")] == [first]
    newest = (await api.get("/v1/symbols/binance_futures/BTCUSDT")).json()
    shared = newest.keys() - {"last_seen_at"}
    assert {name: told[-1][name] for name in shared} == {name: newest[name] for name in shared}


async def test_a_version_has_the_name_that_it_had(empty_api: Api) -> None:
    api = empty_api
    await sync(api, 0, BTC)
    await sync(api, 1, instrument(base="XBT"))  # another instrument takes the exchange symbol
    former = await versions(api, "BTC-USDT-PERP")
    assert [one["symbol"] for one in former] == ["BTC-USDT-PERP", "BTC-USDT-PERP~260101"]
    assert former[0]["id"] == "binance_futures:BTC-USDT-PERP"
    assert [one["symbol"] for one in await versions(api, "BTCUSDT")] == ["XBT-USDT-PERP"]
    assert await versions(api, "BTC-USDT-PERP~260101") == former


async def test_missing_and_not_delisted_is_a_version_of_its_own(empty_api: Api) -> None:
    api, patient = empty_api, GuardRules()
    first = await sync(api, 0, BTC, ETH, rules=patient)
    missing = await sync(api, 0.1, ETH, rules=patient)
    told = await versions(api, "BTCUSDT")
    assert [(one["listed"], one["status"], one["last_seen_at"]) for one in told] == [
        (True, "trading", None),
        (False, "trading", first),
    ]
    await sync(api, 0.2, ETH, rules=patient)
    delisted = await sync(api, 1, ETH, rules=patient)
    assert [(one["valid_from"], one["delisted_at"]) for one in await versions(api, "BTCUSDT")] == [
        (first, None),
        (missing, None),
        (delisted, missing),
    ]


async def test_a_symbol_may_hold_a_slash(empty_api: Api) -> None:
    await sync(empty_api, 0, instrument("PURR/USDC", "PURR", quote="USDC"))
    for name in ("PURR%2FUSDC", "PURR/USDC"):
        assert len(await versions(empty_api, name)) == 1
        one = (await empty_api.get(f"/v1/symbols/binance_futures/{name}")).json()
        assert one["exchange_symbol"] == "PURR/USDC"


async def test_what_was_needs_the_database(empty_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await sync(empty_api, 0, BTC)
    path = "/v1/symbols/binance_futures/{}/history"
    assert problem(await empty_api.get(path.format("nothing")))["code"] == "unknown-symbol"

    def fail(*_: object, **__: object) -> object:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(Database, "transaction", fail)
    answer = await empty_api.get(path.format("BTCUSDT"))
    assert problem(answer)["code"] == "database-unavailable"
    assert answer.headers["retry-after"] == "5"


async def test_a_long_history_comes_page_by_page(empty_api: Api) -> None:
    api = empty_api
    for turn in range(5):
        await sync(api, turn, instrument(tick_size=f"0.{turn}"), ETH)
    whole = await versions(api, "BTCUSDT")
    found = []
    following: str | None = "/v1/symbols/binance_futures/BTCUSDT/history?limit=2"
    while following is not None:
        answer = await api.get(following)
        body = answer.json()
        found.append(body["data"])
        following = body["page"]["next"]
        assert answer.headers.get("Link") == (None if following is None else f'<{following}>; rel="next"')
    assert [len(page) for page in found] == [2, 2, 1]
    assert [one for page in found for one in page] == whole
    for wrong in ("limit=0", "limit=1001", "cursor=x"):
        assert problem(await api.get(f"/v1/symbols/binance_futures/BTCUSDT/history?{wrong}"))["status"] == 400
