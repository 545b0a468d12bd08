"""`marketdata sync`: one sync now, and what it changed; or a quarantined listing let through."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from marketdata.cli.database import open_store
from marketdata.cli.failures import FAILED, needs
from marketdata.cli.settings import read_settings
from marketdata.core.clock import SystemClock
from marketdata.core.errors import AlreadyRunning, DatabaseUnavailable, NotQuarantined, UnknownExchange
from marketdata.core.models import ExchangeId
from marketdata.core.settings import ExchangeSettings, load_exchange_settings

if TYPE_CHECKING:
    from rich.console import Console

    from marketdata.store.events import Event
    from marketdata.store.syncs import SyncRun
    from marketdata.syncer.rules import GuardRules
    from marketdata.syncer.service import Syncer

_MOST_NAMES = 30
"""Of a long list so many are shown; `/v1/syncs/{run}` has it whole."""

_MARKS = {"listed": "+", "delisted": "-", "relisted": "+"}
_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "red"}


def sync(
    exchange: Annotated[
        list[str] | None,
        typer.Option(help="Sync this exchange only; give it again for more.", show_default=False),
    ] = None,
    accept: Annotated[
        int | None,
        typer.Option(
            metavar="RUN",
            min=1,
            help="Sync the exchange of this quarantined run, and trust what differed in its listing.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Sync the metadata of the exchanges once, now, and print what changed; done only if all of them succeeded."""
    with needs("syncer"):
        from rich.console import Console

        from marketdata.syncer.service import open_syncer
        from marketdata.syncer.settings import GuardSettings
    settings = _only(read_settings(load_exchange_settings), exchange)
    rules = read_settings(GuardSettings)
    console = Console(highlight=False)
    with open_store() as url:

        async def do() -> bool:
            async with open_syncer(url, settings, SystemClock()) as syncer:
                with console.status("asking the exchanges") if console.is_terminal else nullcontext():
                    return await _sync_all(syncer, rules, accept, console)

        if not asyncio.run(do()):
            raise typer.Exit(FAILED)


def _only(settings: ExchangeSettings, asked: list[str] | None) -> ExchangeSettings:
    """The settings for the exchanges asked for, by default all. Raises UnknownExchange."""
    unknown = [one for one in asked or () if one not in settings.exchanges]
    if unknown:
        raise UnknownExchange(settings.exchanges)
    return settings.model_copy(update={"exchanges": tuple(map(ExchangeId, asked))}) if asked else settings


async def _sync_all(syncer: "Syncer", rules: "GuardRules", accept: int | None, console: "Console") -> bool:
    """Whether all succeeded; each is printed as soon as it is known. Raises NotQuarantined."""
    from marketdata.syncer.sync import get_quarantined

    accepted, chosen = None, range(len(syncer.fetchers))
    if accept is not None:
        accepted = await get_quarantined(syncer.database, accept)
        exchanges = [fetcher.adapter.exchange for fetcher in syncer.fetchers]
        if accepted.exchange not in exchanges:
            raise NotQuarantined(f"run {accept} is of {accepted.exchange}, not of {', '.join(exchanges)}")
        chosen = range(exchanges.index(ExchangeId(accepted.exchange)), len(exchanges))[:1]
    syncs = (_sync_one(syncer, number, rules, accepted, console) for number in chosen)
    return all(await asyncio.gather(*syncs))


async def _sync_one(
    syncer: "Syncer", number: int, rules: "GuardRules", accepted: "SyncRun | None", console: "Console"
) -> bool:
    from marketdata.store.events import list_changes
    from marketdata.syncer.loop import how_to_accept
    from marketdata.syncer.sync import sync_exchange

    fetcher = syncer.fetchers[number]
    exchange = fetcher.adapter.exchange
    try:
        run = await sync_exchange(syncer.database, fetcher, SystemClock(), rules, accepted=accepted)
        async with syncer.database.transaction() as connection:
            changes = await list_changes(connection, exchange, run.read_at) if run.read_at and run.runs == 1 else []
    except (AlreadyRunning, DatabaseUnavailable) as error:
        _print_failure(console, exchange, str(error))
        return False
    if run.outcome == "quarantined":
        _print_failure(console, exchange, f"its listing is quarantined: {run.error_detail}; {how_to_accept(run)}")
        _print_shift(console, run)
        return False
    if run.outcome != "succeeded":
        _print_failure(console, exchange, run.error_detail or run.outcome)
        return False
    _print_run(console, run, changes)
    return True


def _print_failure(console: "Console", exchange: str, detail: str) -> None:
    from rich.text import Text

    told = detail.removeprefix(f"{exchange}: ")
    console.print(Text.assemble((f"{exchange}: ", "bold"), ("not synced: ", "red"), told), soft_wrap=True)


def _print_shift(console: "Console", run: "SyncRun") -> None:
    """What an operator looks at before accepting."""
    if run.report.quarantined is not None:
        lines = [("!", f"{what}: {_listed(names)}") for what, names in run.report.quarantined if names]
        _print_lines(console, [*lines, ("!", f"payload: {run.payload_bytes} bytes, SHA-256 {run.payload_sha256}")])


def _listed(names: Sequence[str] | int) -> str:
    if isinstance(names, int):
        return str(names)
    more = f" … and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{len(names)}: {' '.join(names[:_MOST_NAMES])}{more}"


def _print_run(console: "Console", run: "SyncRun", changes: "Sequence[Event]") -> None:
    from rich.text import Text

    from marketdata.syncer.loop import summary

    console.print(Text.assemble((f"{run.exchange}: ", "bold"), summary(run)), soft_wrap=True)
    told = [change for change in changes if not change.initial]
    lines = [_told(list(of_one)) for _, of_one in groupby(told, lambda change: change.symbol or change.interval)]
    lines += [("!", f"refused {refusal.exchange_symbol}: {refusal.reason}") for refusal in run.report.refused]
    if run.report.missing:
        lines.append(("!", f"missing, not delisted yet, {_listed(run.report.missing)}"))
    if run.report.clashes:
        lines.append(("!", f"clashing names, {_listed([clash.symbol for clash in run.report.clashes])}"))
    if run.report.unclassified:
        lines.append(("!", f"bases that look multiplied, not classified: {', '.join(run.report.unclassified)}"))
    _print_lines(console, lines)


def _print_lines(console: "Console", lines: Sequence[tuple[str, str]]) -> None:
    from rich.text import Text

    for mark, told in lines:
        console.print(Text.assemble("  ", (mark, _COLOURS[mark]), " ", told), soft_wrap=True)


def _told(events: "Sequence[Event]") -> tuple[str, str]:
    """What changed about one instrument or interval in one line, with its mark."""
    kind = next((event.type for event in events if event.type != "field_changed"), "changed")
    what = [
        f"{event.field or 'status'} {_value(event.old)} → {_value(event.new)}"
        for event in events
        if event.old is not None or event.field is not None
    ]
    name = events[0].symbol or f"interval {events[0].interval}"
    is_interval = events[0].symbol is None and kind != "changed"
    told = f"{name} {kind.replace('_', ' ')}"
    return _MARKS.get(kind, "~"), told if is_interval or not what else f"{told}: {', '.join(what)}"


def _value(value: object) -> str:
    return "-" if value is None else str(value)
