import pytest

from marketdata.api.app import create_app
from marketdata.api.services import Freshness, Services
from marketdata.core.models import ExchangeId, Source
from marketdata.store.engine import Database
from marketdata.store.installation import claim_source
from marketdata.store.syncs import NewSyncRun, Shift, SyncReport, SyncRun, record_run
from tests.api.conftest import NOW_MS, Api, problem
from tests.api.worlds import sync
from tests.listings import instrument

COINBASE = ExchangeId("coinbase")


async def add_run(database: Database, outcome: str, error_code: str | None = None) -> SyncRun:
    run = NewSyncRun.model_validate(
        {
            "exchange": COINBASE,
            "started_at": NOW_MS - 1500,
            "finished_at": NOW_MS,
            "outcome": outcome,
            "generation": 1,
            "listed": 1,
            "added": 1,
            "error_code": error_code,
            "error_detail": error_code and f"in words: {error_code}",
            "report": {"refused": [{"exchange_symbol": "BAD-USD", "reason": "no id"}]},
        }
    )
    async with database.transaction() as connection:
        return await record_run(connection, run)


async def test_exchanges_say_what_they_can_be_asked_and_how_fresh_they_are(api: Api) -> None:
    api.clock.advance(10_000)
    body = (await api.get("/v1/exchanges")).json()
    assert [one["exchange"] for one in body["data"]] == ["binance_futures", "hyperliquid", "coinbase"]
    one = (await api.get("/v1/exchanges/coinbase")).json()
    assert one == body["data"][2]
    assert (one["last_sync_at"], one["age_s"], one["is_stale"]) == (NOW_MS, 10.0, False)
    assert next(iter(one)) == "exchange"
    assert one["rows_per_call"] == 300
    assert one["intervals"][3] == {"interval": "1h", "token": "3600", "anchor": "epoch", "offset_ms": 0}
    assert one["columns"]["quote_volume"] == {"published": False, "unit": None}
    assert set(one["budget"]) == {"limit", "window_s", "window", "burst"}
    assert problem(await api.get("/v1/exchanges/mtgox"))["code"] == "unknown-exchange"


async def test_intervals(api: Api) -> None:
    every = (await api.get("/v1/intervals")).json()["data"]
    assert {row["exchange"] for row in every} == {"binance_futures", "hyperliquid", "coinbase"}
    coinbase = (await api.get("/v1/intervals?exchange=coinbase")).json()["data"]
    assert [row["interval"] for row in coinbase] == ["1m", "5m", "15m", "1h", "6h", "1d"]
    of_one = (await api.get("/v1/intervals?symbol=btc-usd")).json()["data"]
    assert of_one == coinbase
    assert list(of_one[0]) == ["exchange", "interval", "token", "anchor", "offset_ms"]
    assert problem(await api.get("/v1/intervals?symbol=nothing"))["code"] == "unknown-symbol"
    assert problem(await api.get("/v1/intervals?exchange=nothing"))["code"] == "unknown-exchange"


async def test_syncs(api: Api, database: Database) -> None:
    await add_run(database, "succeeded")
    await add_run(database, "failed", "upstream-timeout")
    body = (await api.get("/v1/syncs?exchange=coinbase&limit=2")).json()
    assert [run["outcome"] for run in body["data"]] == ["failed", "succeeded"]
    assert body["data"][1]["duration_s"] == 1.5
    assert body["data"][1]["report"]["refused"] == [{"exchange_symbol": "BAD-USD", "reason": "no id"}]
    assert body["page"] == {"count": 2, "limit": 2, "complete": True, "next": None}
    assert len((await api.get("/v1/syncs?limit=1&exchange=coinbase")).json()["data"]) == 1
    others = (await api.get("/v1/syncs?exchange=hyperliquid")).json()["data"]
    assert [(run["exchange"], run["outcome"]) for run in others] == [("hyperliquid", "succeeded")]
    assert problem(await api.get("/v1/syncs?limit=101")) == {
        "status": 400,
        "code": "limit-too-large",
        "detail": "`limit` is at most 100.",
        "parameter": "limit",
        "max": 100,
    }


@pytest.mark.parametrize(
    "outcome,error_code,condition",
    [
        ("succeeded", None, "ok"),
        ("quarantined", "listing-quarantined", "quarantined"),
        ("failed", "upstream-timeout", "unreachable"),
        ("failed", "upstream-unavailable", "unreachable"),
        ("failed", "upstream-bad-data", "degraded"),
    ],
)
async def test_the_condition_of_an_exchange(
    api: Api, database: Database, outcome: str, error_code: str | None, condition: str
) -> None:
    run = await add_run(database, outcome, error_code)
    await api.services.refresh()
    body = (await api.get("/v1/status")).json()
    (coinbase,) = (one for one in body["exchanges"] if one["exchange"] == "coinbase")
    assert coinbase == {
        "exchange": "coinbase",
        "base_url": "http://127.0.0.1:9",
        "source": "simulated",
        "condition": condition,
        "detail": None if error_code is None else f"in words: {error_code}",
        "quarantined_run": run.id if condition == "quarantined" else None,
        "generation": 1,
        "listings": 1,
        "last_sync_at": NOW_MS,
        "age_s": 0.0,
        "banned_until": None,
        "budget": {"limit": 12, "used": 0, "window_s": 1.5},
    }


async def test_a_quarantine_lasts_until_a_sync_succeeds(api: Api, database: Database) -> None:
    conditions = []
    for outcome in ("quarantined", "quarantined", "succeeded"):
        run = await add_run(database, outcome, "listing-quarantined" if outcome == "quarantined" else None)
        await api.services.refresh()
        body = (await api.get("/v1/status")).json()
        (coinbase,) = (one for one in body["exchanges"] if one["exchange"] == "coinbase")
        conditions.append((coinbase["condition"], coinbase["quarantined_run"] == run.id))
    assert conditions == [("quarantined", True), ("quarantined", True), ("ok", False)]


async def test_status_of_what_is_stale_or_mixed_says_why(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def source(*_: object) -> Source:
        return Source.SIMULATED

    api.clock.advance(10_000_000)
    one, *_ = (await api.get("/v1/status")).json()["exchanges"]
    assert (one["condition"], one["detail"]) == ("stale", "no sync has succeeded since 2026-01-01T00:00:00Z")
    monkeypatch.setattr("marketdata.core.fetch.Fetcher.source", source)
    async with database.transaction() as connection:
        await claim_source(connection, Source.LIVE, NOW_MS)
    await api.services.refresh()
    one, *_ = (await api.get("/v1/status")).json()["exchanges"]
    assert one["condition"] == "degraded"
    assert one["detail"] == "the instruments held are live, and its address serves what is simulated"


async def test_syncs_tell_what_they_changed(empty_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api = empty_api
    await sync(api, 0, instrument())
    await sync(api, 1, instrument())
    await sync(api, 2, instrument(tick_size="0.01"), instrument("ETHUSDT", "ETH"))
    await sync(api, 2, instrument("ETHUSDT", "ETH"), exchange=COINBASE)  # at the same instant
    await sync(api, 4, instrument("XUSDT", "X"), exchange=COINBASE)

    async def told() -> list[tuple[str, int, list[str], bool]]:
        runs = (await api.get("/v1/syncs")).json()["data"]
        return [
            (run["exchange"], run["runs"], [change["type"] for change in run["changes"]], run["changes_complete"])
            for run in runs
        ]

    assert await told() == [
        ("coinbase", 1, ["delisted", "listed"], True),
        ("coinbase", 1, [], False),
        ("binance_futures", 1, ["field_changed", "listed"], True),
        ("binance_futures", 1, [], True),
        ("binance_futures", 1, [], False),
    ]
    monkeypatch.setattr("marketdata.api.routes.operations._MOST_CHANGES", 1)
    assert (await told())[0] == ("coinbase", 1, ["delisted"], False)


async def test_status_before_any_sync(empty_api: Api) -> None:
    body = (await empty_api.get("/v1/status")).json()
    assert {(one["condition"], one["detail"], one["last_sync_at"], one["age_s"]) for one in body["exchanges"]} == {
        ("stale", "it has never been synced", None, None)
    }
    assert (await empty_api.http.get("/health/live")).json() == {"status": "live"}


async def test_metadata_is_stale_after_three_of_the_syncer_s_intervals(api: Api) -> None:
    created = api.services
    app = create_app(created.database, created.fetchers, api.clock, created.settings, sync_interval_s=60)
    services: Services = app.state.services
    await services.refresh()
    for age_s, is_stale in ((180, False), (181, True)):
        api.clock.set(NOW_MS + age_s * 1000)
        assert services.freshness(COINBASE) == Freshness(NOW_MS, age_s, is_stale)


async def test_long_lists_of_a_run_are_whole_in_that_run_alone(api: Api, database: Database) -> None:
    names = tuple(f"S{number}-USD" for number in range(300))
    report = SyncReport(missing=names, quarantined=Shift(missing=names, new=names[:5], nameless=7))
    async with database.transaction() as connection:
        run = await record_run(
            connection,
            NewSyncRun(
                exchange=COINBASE,
                started_at=NOW_MS,
                finished_at=NOW_MS,
                outcome="quarantined",
                generation=1,
                report=report,
            ),
        )
    listed = (await api.get("/v1/syncs?exchange=coinbase")).json()["data"][0]
    assert listed["report_complete"] is False
    assert listed["report"]["missing"] == listed["report"]["quarantined"]["missing"] == list(names[:100])
    assert (listed["report"]["quarantined"]["new"], listed["report"]["quarantined"]["nameless"]) == (list(names[:5]), 7)
    one = (await api.get(f"/v1/syncs/{run.id}")).json()
    assert (one["report_complete"], one["report"]["quarantined"]["missing"]) == (True, list(names))
    assert problem(await api.get(f"/v1/syncs/{run.id + 1}"))["code"] == "not-found"


async def test_a_quarantine_is_told_although_the_exchange_is_away_since(api: Api, database: Database) -> None:
    quarantined = await add_run(database, "quarantined", "listing-quarantined")
    await add_run(database, "failed", "upstream-unavailable")
    await api.services.refresh()
    (coinbase,) = (one for one in (await api.get("/v1/status")).json()["exchanges"] if one["exchange"] == "coinbase")
    assert (coinbase["condition"], coinbase["quarantined_run"]) == ("unreachable", quarantined.id)
