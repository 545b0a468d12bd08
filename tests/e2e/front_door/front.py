"""The platform's front as it runs: API processes over a database server that may be hurt, exchanges simulated."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from marketdata.store.clients import create_client
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.engine import Database
from marketdata.store.migrate import migrate
from tests.cli.command import marketdata
from tests.e2e.budget.installation import Service, free_port, make_token
from tests.e2e.front_door.callers import Callers

_PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}


@dataclass
class Front:
    """What runs, and callers for it."""

    url: str
    """Of the database."""
    cluster: Path
    """The data directory of its server."""
    apis: list[Service]
    callers: Callers


@asynccontextmanager
async def running_front(
    folder: Path, options: Sequence[str] = (), *, processes: int = 2, **settings: str
) -> AsyncIterator[Front]:
    """All of it, synced; `options`: of the database server. Nothing of it is left after the block."""
    with ExitStack() as opened:
        url = opened.enter_context(EmbeddedPostgres(folder, ("fsync=off", *options)).use())
        migrate(url)
        simulator = Service(("simulate", "--port", str(port := free_port())), {}, port)
        opened.callback(simulator.kill)
        simulator.start()
        given = {
            "database_url": url,
            "token_ttl": "86400",
            "requests_per_minute": "1000000",
            "requests_at_once": "1000",
            **{f"{name}_url": f"http://127.0.0.1:{port}/{prefix}" for name, prefix in _PREFIXES.items()},
            **settings,
        }
        synced: subprocess.CompletedProcess[str] = marketdata(folder, "sync", **given)
        assert synced.returncode == 0, synced.stderr
        apis = [Service(("api",), {**given, "port": str(number)}, number) for number in _ports(processes)]
        for api in apis:
            opened.callback(api.kill)
            api.start()
        for api in apis:
            await api.ready()
        database = Database(url)
        async with database.transaction() as connection:
            client, secret = await create_client(connection, "caller", ("candles:read", "metadata:read"), 1)
        await database.dispose()
        token = await make_token(url, apis[0])
        yield Front(url, folder / "postgres", apis, Callers(apis, (client.client_id, secret), token))


def _ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]
