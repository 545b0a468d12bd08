"""A short part of `test_long.py`, with the same real processes."""

import asyncio

from marketdata.core.fetch.transport import MAX_AT_ONCE
from tests.e2e.budget.installation import ALLOWED, TWENTY_TIMES, fake_exchanges, running_installation

STRAGGLING_S = 1.0
"""How late a call may come after a ban was told: it was under way, or its process had not heard of the ban yet."""


async def test_neither_overload_nor_a_ban_nor_a_kill_makes_us_ask_too_much(postgres_url: str) -> None:
    with fake_exchanges(skew_s=17.3, takes_s=(0.05, 0.3)) as fakes:
        async with running_installation(postgres_url, fakes) as installation:
            installation.rows["binance_futures"] = (100,)
            callers = asyncio.create_task(installation.load({"binance_futures": 10, "hyperliquid": 3}, seconds=1e6))
            await fakes.control("/_silence")
            lasts_s = 4 + installation.started_in_s
            late = await installation.ban(lasts_s, installation.apis[0], at_once=MAX_AT_ONCE + 8, is_cut=True)
            callers.cancel()
            assert all(seconds <= STRAGGLING_S for seconds in late)
            assert installation.outcomes["binance_futures", "upstream-banned"] > 0

            installation.rows["binance_futures"] = (100, 5000)
            await installation.load(TWENTY_TIMES, seconds=5)
            report = await fakes.control()
    print(report, installation.outcomes)
    assert report["refused"] == {"binance": 0, "hyperliquid": 1, "coinbase": 0}  # the one that was ordered
    assert all(seconds <= STRAGGLING_S for seconds in report["stragglers"])
    for exchange, allowed in ALLOWED.items():
        assert 0 < max(report["counted"][exchange]) <= allowed
        assert installation.outcomes[exchange, "ok"] > 0
        assert installation.outcomes[exchange, "upstream-rate-limited"] > 0
