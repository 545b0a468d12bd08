"""`marketdata up`: the whole platform in one process group, stopped as a whole by Ctrl-C."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from marketdata.cli.failures import needs
from marketdata.cli.services import free_port
from marketdata.cli.settings import read_settings

_DEMO_DATA_DIR = Path(".marketdata-demo")
"""Where the demo keeps its data unless told, so that it never meets live data."""


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Simulate the exchanges, too, and use those; needs no internet.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port of the API; else MARKETDATA_PORT or 8000.", show_default=False),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address of the API; else MARKETDATA_HOST or 127.0.0.1.", show_default=False)
    ] = None,
) -> None:
    """Run the whole platform: database, migrations, syncer and API, until Ctrl-C.

    The first start prints a client id and secret; every start prints a curl line that answers with candles as pasted.
    """
    with needs("all"):
        from marketdata.api.settings import ApiSettings
        from marketdata.cli.platform import Platform
        from marketdata.store.opening import open_database
        from marketdata.store.settings import DatabaseSettings
    database, api = read_settings(DatabaseSettings), read_settings(ApiSettings)
    if demo and "data_dir" not in database.model_fields_set:
        database = database.model_copy(update={"data_dir": _DEMO_DATA_DIR})
    host, port = host or api.host, api.port if port is None else port
    # a service manager's SIGTERM is a person's Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), open_database(database, "up") as url:
        api = api.model_copy(update={"host": host, "port": free_port(host, port)})
        platform = Platform(url, database, api, demo=demo)
        asyncio.run(platform.run())
