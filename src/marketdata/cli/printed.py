"""How a command prints a list: a table on a terminal, lines of tab-separated columns elsewhere, JSON on request."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import typer


def print_rows(rows: Sequence[Mapping[str, object]], shown: Mapping[str, str], *, as_json: bool) -> None:
    """Print `rows`; a table has the columns `shown`, each with its heading, the first of them never cut."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(map(_cell, row.values())))
        return
    table = Table(*shown.values(), box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in shown))
    console.print(table)


def iso(time_ms: int | None) -> str | None:
    """A time to the second, RFC 3339 with `Z`."""
    if time_ms is None:
        return None
    return datetime.fromtimestamp(time_ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case list():
            return " ".join(map(_cell, value)) or "-"
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
