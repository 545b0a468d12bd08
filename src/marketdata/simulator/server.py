"""The simulator as an HTTP server: for the command, and for tests that want exchanges on a real socket."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from marketdata.core.clock import Clock
from marketdata.simulator.app import create_app
from marketdata.simulator.controls import Controls
from marketdata.simulator.sources import Sources
from marketdata.simulator.wire import Connection


def server_config(
    sources: Sources, clock: Clock, controls: Controls | None = None, *, host: str = "127.0.0.1", port: int = 9000
) -> uvicorn.Config:
    """How uvicorn serves a simulator: each exchange sends `Date` and `Server` itself, so uvicorn does not."""
    return uvicorn.Config(
        create_app(sources, clock, controls),
        http=Connection,
        host=host,
        port=port,
        date_header=False,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="off",
    )


async def serve(
    sources: Sources, clock: Clock, controls: Controls | None = None, *, host: str = "127.0.0.1", port: int = 9000
) -> None:
    """Serve until the process is told to stop."""
    await _Service(server_config(sources, clock, controls, host=host, port=port)).serve()


class _Service(uvicorn.Server):
    """A server that a signal ends in order; uvicorn's own raises it again and so cuts short what is to be closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals from here on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


class _Server(uvicorn.Server):
    """A server inside another program, whose signals are its own business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def running_simulator(
    sources: Sources, clock: Clock, controls: Controls | None = None, *, port: int = 0
) -> AsyncIterator[str]:
    """A simulator on this machine while the block runs; gives its base URL, without a slash at the end.

    The exchanges' base URLs are it with `/binance`, `/hyperliquid` and `/coinbase`. `controls`: the faults and the
    journal to use, for a test to hold on to. `port`: 0 is a free one; a test that lets an exchange come back names it.
    """
    # Named as TCP, else asyncio leaves Nagle's algorithm on and each answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        host, port = listening.getsockname()
        server = _Server(server_config(sources, clock, controls, host=host, port=port))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            await server.listening.wait()
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            await serving
