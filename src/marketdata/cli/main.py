"""The command `marketdata`."""

import logging
import sys
from typing import Annotated

import typer

from marketdata import __version__
from marketdata.cli import audit, clients, database, keys, services, sync, up
from marketdata.cli.failures import EXIT_STATUSES, Application
from marketdata.logs import configure_logs

_LONG_RUNNING = frozenset({"api", "syncer", "simulate"})

app = Application(
    name="marketdata",
    help="Exact candles and metadata of crypto exchanges, in one canonical form, behind one API.",
    epilog="Every setting is an environment variable or a line in .env; .env.example lists them.\n\n" + EXIT_STATUSES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich" if sys.stdout.isatty() and sys.stderr.isatty() else None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"marketdata {__version__}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings and errors only.")] = False,
    version: Annotated[  # noqa: ARG001 - acts by itself
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Set up the logs: what runs for long tells what it does, the others only what goes wrong."""
    told = context.invoked_subcommand in _LONG_RUNNING and not quiet
    configure_logs(logging.INFO if told else logging.WARNING)


app.command(epilog="Examples: marketdata up\n\nmarketdata up --demo --port 9000")(up.up)
app.command(epilog="Example: MARKETDATA_PORT=9000 marketdata api")(services.api)
app.command(epilog="Examples: MARKETDATA_SYNC_INTERVAL=60 marketdata syncer\n\nmarketdata syncer --health")(
    services.syncer
)
app.command(epilog="Examples: marketdata sync\n\nmarketdata sync --exchange coinbase --exchange hyperliquid")(sync.sync)
app.command(epilog="Example: MARKETDATA_DATABASE_URL=postgresql://me@host/name marketdata migrate")(database.migrate)
app.command(
    epilog="Examples: marketdata simulate --seed 7\n\nmarketdata simulate --recorded ./recordings\n\n"
    "marketdata simulate --fault reset,exchange=coinbase,route=candles,first=3\n\n"
    "marketdata simulate --now 2026-03-15T12:00:00Z --fault status,status=503,chance=0.1\n\n"
    "marketdata simulate --fault list"
)(services.simulate)
app.add_typer(clients.app, name="clients")
app.add_typer(keys.app, name="keys")
app.command(epilog="Examples: marketdata audit --since 24h\n\nmarketdata audit --limit 1000 --json")(audit.audit)
