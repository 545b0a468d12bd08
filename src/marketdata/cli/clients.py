"""`marketdata clients`: who may ask the API."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from marketdata.cli.database import in_store
from marketdata.cli.failures import FAILED, fail
from marketdata.core.clock import SystemClock
from marketdata.store.scopes import CANDLES_READ, METADATA_READ, SCOPES

if TYPE_CHECKING:
    from rich.table import Table

DEFAULT_SCOPES = (CANDLES_READ, METADATA_READ)
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

app = typer.Typer(no_args_is_help=True, help="Create, list, disable and rotate the API's clients.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClientId = Annotated[str, typer.Argument(help="The client's id, `mdc_…`.", show_default=False)]


@app.command(
    epilog="Examples: marketdata clients create my-bot\n\n"
    "marketdata clients create ci --scope metadata:read --expires 30d --json"
)
def create(
    name: Annotated[str, typer.Argument(help="What you call it.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"What it may do, one of {', '.join(SCOPES)}; give it again for more.", show_default=False),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it ends: a duration such as 12h or 90d, or a time such as 2027-01-01T00:00:00Z."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a client and print its secret, which is shown this once; it may read candles and metadata unless told."""
    from marketdata.store.clients import create_client

    scopes = tuple(dict.fromkeys(scope or DEFAULT_SCOPES))
    for one in scopes:
        if one not in SCOPES:
            raise typer.BadParameter(f"no such scope; choose from {', '.join(SCOPES)}", param_hint="--scope")
    if not name.strip():
        raise typer.BadParameter("a client needs a name", param_hint="NAME")
    now_ms = SystemClock().now_ms()
    expires_at = None if expires is None else parse_expiry(expires, now_ms)
    client, secret = in_store(lambda connection: create_client(connection, name.strip(), scopes, now_ms, expires_at))
    _print_secret(client.client_id, secret, scopes, as_json=as_json)


@app.command("list", epilog="Example: marketdata clients list --json")
def list_all(as_json: Json = False) -> None:
    """List all clients, oldest first; secrets are not kept, so they cannot be shown."""
    from rich.console import Console

    from marketdata.store.clients import list_clients_with_use

    now_ms = SystemClock().now_ms()
    rows = [
        {
            "client_id": client.client_id,
            "name": client.name,
            "scopes": list(client.scopes),
            "state": "active" if client.is_active(now_ms) else "disabled" if client.disabled_at else "expired",
            "created": _iso(client.created_at),
            "expires": _iso(client.expires_at),
            "last_used": _iso(last_used_at),
        }
        for client, last_used_at in in_store(list_clients_with_use)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(_table(rows))
    else:
        for row in rows:
            typer.echo("\t".join(map(_cell, row.values())))


@app.command(epilog="Example: marketdata clients disable mdc_0123456789abcdef")
def disable(client_id: ClientId) -> None:
    """Disable a client for good; it gets no more tokens, and those that it has end within their time."""
    from marketdata.store.clients import disable_client

    now_ms = SystemClock().now_ms()
    if not in_store(lambda connection: disable_client(connection, client_id, now_ms)):
        _no_such_client()
    typer.echo(f"{client_id} is disabled")


@app.command(epilog="Example: marketdata clients rotate mdc_0123456789abcdef --json")
def rotate(client_id: ClientId, as_json: Json = False) -> None:
    """Give a client a new secret and print it; the one before goes on until it is changed over, older ones end."""
    from marketdata.store.clients import get_client, rotate_client

    now_ms = SystemClock().now_ms()
    secret = in_store(lambda connection: rotate_client(connection, client_id, now_ms))
    client = in_store(lambda connection: get_client(connection, client_id))
    if secret is None or client is None:
        _no_such_client()
    else:
        _print_secret(client_id, secret, client.scopes, as_json=as_json)


def parse_expiry(text: str, now_ms: int) -> int:
    """The time that a user means by `90d`, `12h`, `30m` or an RFC 3339 time with its zone, epoch ms.

    Raises typer.BadParameter for anything else and for the past.
    """
    duration = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if duration:
        expires_ms = now_ms + int(duration[1]) * _UNIT_MS[duration[2]]
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise typer.BadParameter(
                "give 12h, 90d or a time such as 2027-01-01T00:00:00Z", param_hint="--expires"
            ) from None
        if moment.tzinfo is None:
            raise typer.BadParameter("a time needs its zone, such as Z at its end", param_hint="--expires")
        expires_ms = round(moment.timestamp() * 1000)
    if expires_ms <= now_ms:
        raise typer.BadParameter("that is in the past", param_hint="--expires")
    return expires_ms


def _print_secret(client_id: str, secret: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"client_id": client_id, "client_secret": secret, "scopes": list(scopes)}))
        return
    typer.echo(f"client id      {client_id}")
    typer.echo(f"client secret  {secret}")
    typer.echo(f"scopes         {' '.join(scopes)}")
    if sys.stdout.isatty():
        typer.secho("The secret is shown this once.", dim=True)


def _no_such_client() -> None:
    fail("there is no client of this id; `marketdata clients list` shows all")
    raise typer.Exit(FAILED)


def _iso(time_ms: int | None) -> str | None:
    if time_ms is None:
        return None
    return datetime.fromtimestamp(time_ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def _table(rows: Sequence[Mapping[str, object]]) -> "Table":
    """For a person: whole ids, times to the day."""
    from rich.table import Table

    table = Table("client id", "name", "scopes", "state", "expires", "last used", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        expires, last_used = (_cell(row[name])[:10] for name in ("expires", "last_used"))
        table.add_row(*(_cell(row[name]) for name in ("client_id", "name", "scopes", "state")), expires, last_used)
    return table


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "-" if value is None else str(value)
