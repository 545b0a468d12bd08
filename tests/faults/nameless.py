"""What becomes of calls to exchanges when the name of one is not resolved; to be run where no network is.

At 127.0.0.1 there is a name server that never answers, or none at all; `well.test` stands in the table of hosts.
What it saw is printed as JSON.

usage: python -m tests.faults.nameless silent|absent
"""

import asyncio
import json
import socket
import sys
import time
from contextlib import suppress

from marketdata.api.loop import Loop
from marketdata.core.clock import SystemClock
from marketdata.core.errors import UpstreamError
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import HOUR_MS, Interval
from tests.fake_exchange import http, read_request
from tests.faults.good import EXCHANGES, asked

T0 = 1767225600000
_TICK_S = 0.005


async def well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An exchange that is well, and wants a new connection for each call."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        head, body = await read_request(reader)
        await http(EXCHANGES["binance_futures"](asked(head, body, "")).body)(writer)
        await writer.drain()
    writer.close()


async def tell(fetcher: Fetcher, number: int) -> tuple[str, float]:
    """The code of one call's outcome, and how long it took."""
    began_s = time.monotonic()
    query = CandleQuery("BTCUSDT", Interval.HOUR_1, T0 + number * HOUR_MS, T0 + (number + 1) * HOUR_MS, 1)
    try:
        await fetcher.candles(query, T0 + 10_000 * HOUR_MS)
    except UpstreamError as error:
        return error.code, time.monotonic() - began_s
    return "ok", time.monotonic() - began_s


async def main(name_server: str) -> None:
    held_up_s = 0.0

    async def watch() -> None:
        nonlocal held_up_s
        while True:
            due_s = time.monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            held_up_s = max(held_up_s, time.monotonic() - due_s)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        if name_server == "silent":
            silent.bind(("127.0.0.1", 53))
        server = await asyncio.start_server(well, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with open_http() as client:
            adapter, clock = get_adapter("binance_futures"), SystemClock()
            nameless = Fetcher(adapter, client, clock, "http://nameless.test")
            good = Fetcher(adapter, client, clock, f"http://well.test:{port}")
            watching = asyncio.create_task(watch())
            lost = [asyncio.create_task(tell(nameless, number)) for number in range(20)]
            served = []
            for number in range(20):
                served.append(await tell(good, number))
                await asyncio.sleep(0.1)
            outcomes = await asyncio.gather(*lost)
            watching.cancel()
        server.close()
        print(json.dumps({"lost": outcomes, "served": served, "held_up_s": held_up_s}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]), loop_factory=Loop)
