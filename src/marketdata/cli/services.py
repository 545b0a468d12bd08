"""`marketdata api`, `marketdata syncer`, `marketdata simulate`: one service each, what the containers run."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from msgspec import DecodeError

from marketdata.cli.database import open_store
from marketdata.cli.failures import FAILED, fail, needs
from marketdata.cli.settings import SimulatorSettings, read_settings
from marketdata.core.clock import SystemClock
from marketdata.core.errors import AlreadyRunning, InvalidSetting
from marketdata.core.settings import load_exchange_settings

SIMULATOR_PORT = 9000


def api() -> None:
    """Serve the API until it is stopped; requests under way are finished."""
    with needs("api"):
        from marketdata.api.loop import Loop
        from marketdata.api.server import serve
        from marketdata.api.settings import ApiSettings
    settings = read_settings(ApiSettings)
    exchanges = read_settings(load_exchange_settings)
    free_port(settings.host, settings.port)
    with open_store("api") as url:
        _run_until_stopped(serve(url, exchanges, settings, SystemClock()), Loop)


def syncer(
    health: Annotated[bool, typer.Option("--health", help="Only say whether a running syncer does its work.")] = False,
) -> None:
    """Sync the exchanges' metadata again and again until it is stopped."""
    if health:
        _check_syncer()
        return
    with needs("syncer"):
        from marketdata.syncer.service import serve
        from marketdata.syncer.settings import GuardSettings
    settings = read_settings(load_exchange_settings)
    rules = read_settings(GuardSettings)
    with open_store("syncer") as url:
        _run_until_stopped(serve(url, settings, rules, SystemClock()))


def _check_syncer() -> None:
    """Return if the exchanges are synced as often as they should be, else say which are not and exit."""
    with needs("syncer"):
        from marketdata.store.opening import open_database
        from marketdata.store.settings import DatabaseSettings
        from marketdata.syncer.health import list_neglected
    settings = read_settings(load_exchange_settings)
    with open_database(read_settings(DatabaseSettings)) as url:
        neglected = list_neglected(url, settings, SystemClock())
    if neglected:
        fail(f"no syncer has tried to sync {', '.join(neglected)} for too long")
        raise typer.Exit(FAILED)


def simulate(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = SIMULATOR_PORT,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; else MARKETDATA_HOST or 127.0.0.1.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 1,
    recorded: Annotated[
        Path | None,
        typer.Option(
            help="Serve the recordings in this folder instead.", exists=True, file_okay=False, show_default=False
        ),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="How the exchanges behave: NAME,switch=value,…; a wrong one lists all.",
            show_default=False,
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="Play a fault: KIND,name=value,…; `list` shows all kinds. Repeatable.",
            show_default=False,
        ),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begin at this time, ISO 8601 or epoch ms; else now.", show_default=False),
    ] = None,
) -> None:
    """Simulate the exchanges' public HTTP APIs, under /binance, /hyperliquid and /coinbase, until it is stopped."""
    with needs("simulator"):
        import uvloop

        from marketdata.simulator.clock import SteeredClock, parse_moment_ms
        from marketdata.simulator.controls import Controls
        from marketdata.simulator.fault_kinds import describe_kinds
        from marketdata.simulator.faults import Faults
        from marketdata.simulator.presets import scenario_of
        from marketdata.simulator.recorded import recorded as read_recordings
        from marketdata.simulator.server import serve
        from marketdata.simulator.sources import simulated
    if "list" in (fault or ()):
        typer.echo(describe_kinds())
        return
    clock = SteeredClock(SystemClock())
    with _told_of("--fault", ValueError):
        controls = Controls(Faults(fault or (), seed))
    with _told_of("--now", ValueError):
        if now is not None:
            clock.set(parse_moment_ms(now))
    if scenario is not None and recorded is not None:
        raise typer.BadParameter("recordings are as they are", param_hint="--scenario")
    with _told_of("--scenario", ValueError):
        behaviour = scenario_of(scenario or "usual")
    host = host or read_settings(SimulatorSettings).host
    free_port(host, port)
    if recorded is None:
        sources = simulated(seed, behaviour)
    else:
        with _told_of("--recorded", OSError, LookupError, DecodeError, saying="no recordings can be read there: "):
            sources = read_recordings(recorded)
    _run_until_stopped(serve(sources, clock, controls, host=host, port=port), uvloop.new_event_loop)


@contextmanager
def _told_of(option: str, *errors: type[Exception], saying: str = "") -> Iterator[None]:
    """What goes wrong is the option's fault, and said to be."""
    try:
        yield
    except errors as error:
        raise typer.BadParameter(f"{saying}{error}", param_hint=option) from None


def free_port(host: str, port: int) -> int:
    """`port`, being free on `host`; for 0 one that is. Raises AlreadyRunning, InvalidSetting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AlreadyRunning(f"port {port} of {host} is taken; choose another one") from None
            raise InvalidSetting("MARKETDATA_HOST", f"cannot listen on {host} port {port}: {error.strerror}") from None
        free: int = tried.getsockname()[1]
        return free


def _run_until_stopped(
    service: Coroutine[None, None, None], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run a service that ends in order on SIGINT or SIGTERM."""
    # until the service takes the signals itself; as the first process of a container it would otherwise not get them
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        asyncio.run(service, loop_factory=loop_factory)
