"""`marketdata sync`: one sync now."""

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from marketdata.cli.database import open_store
from marketdata.cli.failures import FAILED, needs
from marketdata.cli.settings import read_settings
from marketdata.core.clock import SystemClock
from marketdata.core.errors import AlreadyRunning, DatabaseUnavailable, UnknownExchange
from marketdata.core.models import ExchangeId
from marketdata.core.settings import ExchangeSettings, load_exchange_settings

if TYPE_CHECKING:
    from rich.console import Console

    from marketdata.store.syncs import NewSyncRun, SymbolChange
    from marketdata.syncer.service import Syncer

_MARKS = {"listed": "+", "delisted": "-", "relisted": "+", "replaced": "-", "changed": "~"}
_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "red"}


def sync(
    exchange: Annotated[
        list[str] | None,
        typer.Option(help="Sync this exchange only; give it again for more.", show_default=False),
    ] = None,
) -> None:
    """Sync the metadata of the exchanges once, now, and print what changed; done only if all of them succeeded."""
    with needs("syncer"):
        from rich.console import Console

        from marketdata.syncer.service import open_syncer
    settings = _only(read_settings(load_exchange_settings), exchange)
    console = Console(highlight=False)
    with open_store() as url:

        async def do() -> bool:
            async with open_syncer(url, settings, SystemClock()) as syncer:
                with console.status("asking the exchanges") if console.is_terminal else nullcontext():
                    return await _sync_all(syncer, console)

        if not asyncio.run(do()):
            raise typer.Exit(FAILED)


def _only(settings: ExchangeSettings, asked: list[str] | None) -> ExchangeSettings:
    """The settings for the exchanges asked for, by default all. Raises UnknownExchange."""
    unknown = [one for one in asked or () if one not in settings.exchanges]
    if unknown:
        raise UnknownExchange(settings.exchanges)
    return settings.model_copy(update={"exchanges": tuple(map(ExchangeId, asked))}) if asked else settings


async def _sync_all(syncer: "Syncer", console: "Console") -> bool:
    """Whether all succeeded; each is printed as soon as it is known."""
    outcomes = await asyncio.gather(*(_sync_one(syncer, number, console) for number in range(len(syncer.fetchers))))
    return all(outcomes)


async def _sync_one(syncer: "Syncer", number: int, console: "Console") -> bool:
    from marketdata.syncer.sync import sync_exchange

    fetcher = syncer.fetchers[number]
    try:
        run = await sync_exchange(syncer.database, fetcher, SystemClock())
    except (AlreadyRunning, DatabaseUnavailable) as error:
        _print_failure(console, fetcher.adapter.exchange, str(error))
        return False
    if run.outcome != "succeeded":
        _print_failure(console, run.exchange, run.error_detail or run.outcome)
        return False
    _print_run(console, run)
    return True


def _print_failure(console: "Console", exchange: str, detail: str) -> None:
    from rich.text import Text

    told = detail.removeprefix(f"{exchange}: ")
    console.print(Text.assemble((f"{exchange}: ", "bold"), ("not synced: ", "red"), told), soft_wrap=True)


def _print_run(console: "Console", run: "NewSyncRun") -> None:
    from rich.text import Text

    from marketdata.syncer.loop import summary

    console.print(Text.assemble((f"{run.exchange}: ", "bold"), summary(run)), soft_wrap=True)
    is_first = run.added == run.listed
    lines = [] if is_first else [(_MARKS[change.change], _told(change)) for change in run.report.changes]
    lines += [("!", f"refused {refusal.exchange_symbol}: {refusal.reason}") for refusal in run.report.refused]
    if run.report.clashes:
        lines.append(("!", f"clashing names: {', '.join(clash.symbol for clash in run.report.clashes)}"))
    if run.report.unclassified:
        lines.append(("!", f"bases that look multiplied, not classified: {', '.join(run.report.unclassified)}"))
    for mark, told in lines:
        console.print(Text.assemble("  ", (mark, _COLOURS[mark]), " ", told), soft_wrap=True)


def _told(change: "SymbolChange") -> str:
    """One change in one line."""
    if change.change == "listed":
        return f"{change.symbol} listed"
    left_out = {"delisted_at", "listed"} if change.change != "changed" else {"delisted_at"}
    fields = ", ".join(
        f"{name} {_value(old)} → {_value(new)}" for name, (old, new) in change.fields.items() if name not in left_out
    )
    return f"{change.symbol} {change.change}: {fields}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
