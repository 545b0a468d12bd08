from marketdata.core.models import ExchangeId, Refusal
from marketdata.store.engine import Database
from marketdata.store.exchanges import record_sync, upsert_exchange
from marketdata.store.syncs import (
    Clash,
    NewSyncRun,
    Reading,
    Shift,
    SyncReport,
    get_last_accepted,
    get_last_judged,
    get_reading,
    get_run,
    last_runs,
    list_runs,
    record_run,
)

COINBASE, HYPERLIQUID = ExchangeId("coinbase"), ExchangeId("hyperliquid")


def run(exchange: ExchangeId, started_at: int = 1767225600001, listed: int = 573) -> NewSyncRun:
    return NewSyncRun(
        exchange=exchange,
        started_at=started_at,
        finished_at=started_at + 1234,
        read_at=started_at + 1000,
        outcome="succeeded",
        generation=3,
        listed=listed,
        refused=1,
        report=SyncReport(
            refused=(Refusal(exchange_symbol=None, reason="no id"),),
            clashes=(Clash(symbol="IDOL-USDT-PERP~IDOL", beside="IDOL-USDT-PERP"),),
            unknown_words={"status=odd": 2},
            quarantined=Shift(missing=("BTC-USD",), nameless=2),
        ),
    )


async def test_runs_come_back_as_they_were_newest_first(database: Database) -> None:
    failed = NewSyncRun(
        exchange=HYPERLIQUID,
        started_at=1,
        finished_at=2,
        outcome="failed",
        generation=0,
        error_code="upstream-timeout",
        error_detail="no whole answer within 10 s",
    )
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://c")
        await upsert_exchange(connection, HYPERLIQUID, "http://h")
        given = [run(COINBASE), failed, run(COINBASE, 1767225900000, 574)]
        stored = [await record_run(connection, one) for one in given]
        assert [
            NewSyncRun.model_validate(one.model_dump(include=set(NewSyncRun.model_fields))) for one in stored
        ] == given
        assert await list_runs(connection, limit=10) == stored[::-1]
        assert await list_runs(connection, limit=1) == [stored[2]]
        assert await list_runs(connection, exchange=COINBASE, limit=10) == [stored[2], stored[0]]
        assert await last_runs(connection) == {COINBASE: stored[2], HYPERLIQUID: stored[1]}


async def test_syncs_in_a_row_that_come_to_the_same_share_one_record(database: Database) -> None:
    instants = range(1767225600001, 1767235600001, 1_000_000)
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://c")
        await record_sync(connection, COINBASE, instants[0] + 1000, changed=True)
        given = [run(COINBASE, instant).model_copy(update={"payload_sha256": f"{instant}"}) for instant in instants]
        *_, last = [await record_run(connection, one) for one in given]
        other = await record_run(connection, run(COINBASE, 1767245600001, 574))
        assert await list_runs(connection, limit=10) == [other, last]
        assert await get_run(connection, last.id) == last
        assert await get_run(connection, other.id + 1) is None
        assert await get_last_judged(connection, COINBASE) == other
        assert await get_last_judged(connection, HYPERLIQUID) is None
        assert await get_last_accepted(connection, COINBASE) is None
        seen = [
            await get_reading(connection, COINBASE, at)
            for at in (0, 1767225601001, 1767230000000, 1767235600000, 2**42)
        ]
    assert (last.runs, last.first_started_at, last.started_at) == (len(instants), instants[0], instants[-1])
    assert (last.first_read_at, last.read_at) == (instants[0] + 1000, instants[-1] + 1000)
    assert last.payload_sha256 == str(instants[-1])
    kept = [instants[0] + 1000, instants[0] + 1000, instants[-1] + 1000, 1767245601001]
    assert seen == [None, *(Reading(3, at_ms) for at_ms in kept)]


async def test_syncs_from_before_the_memory_began_tell_nothing_of_what_was_known(database: Database) -> None:
    began_at = 1767229999999
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://c")
        await record_run(connection, run(COINBASE, 1767225600001))
        await record_sync(connection, COINBASE, began_at, changed=True)
        assert await get_reading(connection, COINBASE, began_at - 1) is None
        assert await get_reading(connection, COINBASE, began_at + 1) == Reading(3, began_at)


async def test_the_run_that_an_operator_trusted_is_found_again(database: Database) -> None:
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://c")
        first = await record_run(connection, run(COINBASE))
        trusted = run(COINBASE, 1767255600001).model_copy(update={"accepted_run": first.id})
        accepted = await record_run(connection, trusted)
        await record_run(connection, run(COINBASE, 1767256600001, 574))
        assert await get_last_accepted(connection, COINBASE) == accepted
