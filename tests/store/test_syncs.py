from marketdata.core.models import ExchangeId, Refusal
from marketdata.store.engine import Database
from marketdata.store.exchanges import upsert_exchange
from marketdata.store.syncs import (
    Clash,
    NewSyncRun,
    SymbolChange,
    SyncReport,
    SyncRun,
    insert_run,
    last_runs,
    list_runs,
)

COINBASE, HYPERLIQUID = ExchangeId("coinbase"), ExchangeId("hyperliquid")


def run(exchange: ExchangeId, started_at: int = 1767225600001) -> NewSyncRun:
    return NewSyncRun(
        exchange=exchange,
        started_at=started_at,
        finished_at=started_at + 1234,
        outcome="succeeded",
        generation=3,
        listed=573,
        refused=1,
        report=SyncReport(
            changes=(
                SymbolChange(
                    symbol="BTC-USD",
                    exchange_symbol="BTC-USD",
                    change="changed",
                    fields={"tick_size": ("0.10", "0.01"), "min_notional": (None, "1")},
                ),
            ),
            refused=(Refusal(exchange_symbol=None, reason="no id"),),
            clashes=(Clash(symbol="IDOL-USDT-PERP~IDOL", beside="IDOL-USDT-PERP"),),
            unknown_words={"status=odd": 2},
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
        given = [run(COINBASE), failed, run(COINBASE, 1767225900000)]
        stored = [SyncRun(**dict(one), id=await insert_run(connection, one)) for one in given]
        assert await list_runs(connection, limit=10) == stored[::-1]
        assert await list_runs(connection, limit=1) == [stored[2]]
        assert await list_runs(connection, exchange=COINBASE, limit=10) == [stored[2], stored[0]]
        assert await last_runs(connection) == {COINBASE: stored[2], HYPERLIQUID: stored[1]}
