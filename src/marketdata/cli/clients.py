"""`marketdata clients`: who may ask the API, for what and how much."""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marketdata.cli.database import in_store
from marketdata.cli.printed import iso, print_rows
from marketdata.cli.times import parse_expiry
from marketdata.core.clock import SystemClock
from marketdata.store.scopes import CANDLES_READ, METADATA_READ, SCOPES

if TYPE_CHECKING:
    from marketdata.store.client_secrets import ClientSecret
    from marketdata.store.clients import ApiClient, ClientChanges

DEFAULT_SCOPES = (CANDLES_READ, METADATA_READ)
NEVER, DEFAULT = "never", "default"

app = typer.Typer(no_args_is_help=True, help="Manage the API's clients and their secrets.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClientId = Annotated[str, typer.Argument(help="The client's id, `mdc_…`.", show_default=False)]
Scope = Annotated[
    list[str] | None,
    typer.Option(help=f"What it may do, one of {', '.join(SCOPES)}; give it again for more.", show_default=False),
]
Expires = Annotated[
    str | None,
    typer.Option(help="When it ends: a duration such as 12h or 90d, or a time such as 2027-01-01T00:00:00Z."),
]


@app.command(
    epilog="Examples: marketdata clients create my-bot\n\n"
    "marketdata clients create ci --scope metadata:read --expires 30d --json\n\n"
    "marketdata clients create research --requests-per-minute 600 --candles-per-minute 1000000"
)
def create(
    name: Annotated[str, typer.Argument(help="What you call it.", show_default=False)],
    scope: Scope = None,
    expires: Expires = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="How many requests it may send in a minute; else the usual.")
    ] = None,
    candles_per_minute: Annotated[
        int | None, typer.Option(min=1, help="How many candles it may get in a minute; else the usual.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a client and print its secret, which is shown this once; it may read candles and metadata unless told."""
    from marketdata.store.clients import create_client

    scopes, named = _scopes(scope or DEFAULT_SCOPES), _name(name)
    now_ms = SystemClock().now_ms()
    expires_at = None if expires is None else parse_expiry(expires, now_ms)
    client, secret = in_store(
        lambda connection: create_client(
            connection,
            named,
            scopes,
            now_ms,
            expires_at,
            requests_per_minute=requests_per_minute,
            candles_per_minute=candles_per_minute,
        )
    )
    _print_secret(client.client_id, secret, scopes, as_json=as_json)


@app.command("list", epilog="Example: marketdata clients list --json")
def list_all(as_json: Json = False) -> None:
    """List all clients, oldest first, with the ids of their live secrets; secrets themselves are not kept."""
    from marketdata.store.client_secrets import list_secrets
    from marketdata.store.clients import list_clients

    async def read(connection: Any) -> "tuple[list[ApiClient], list[ClientSecret]]":  # noqa: ANN401
        return await list_clients(connection), await list_secrets(connection)

    now_ms = SystemClock().now_ms()
    clients, secrets = in_store(read)
    rows = []
    for client in clients:
        its = [secret for secret in secrets if secret.client_id == client.client_id]
        used = [secret.last_used_at for secret in its if secret.last_used_at is not None]
        rows.append(
            {
                **_told(client, now_ms),
                "last_used": iso(max(used, default=None)),
                "secrets": [secret.secret_id for secret in its if secret.is_live(now_ms)],
            }
        )
    shown = {"client_id": "client id", "name": "name", "scopes": "scopes", "state": "state", "secrets": "secrets"}
    print_rows(rows, {**shown, "expires": "expires", "last_used": "last used"}, as_json=as_json)


@app.command(epilog="Example: marketdata clients show mdc_0123456789abcdef")
def show(client_id: ClientId) -> None:
    """Print one client and all its secrets, by their ids, as JSON."""
    from marketdata.core.errors import UnknownClient
    from marketdata.store.client_secrets import list_secrets
    from marketdata.store.clients import get_client

    async def read(connection: Any) -> "tuple[ApiClient | None, list[ClientSecret]]":  # noqa: ANN401
        return await get_client(connection, client_id), await list_secrets(connection, client_id)

    now_ms = SystemClock().now_ms()
    client, secrets = in_store(read)
    if client is None:
        raise UnknownClient
    told = [
        {
            "secret_id": secret.secret_id,
            "state": "live" if secret.is_live(now_ms) else "expired" if secret.revoked_at is None else "revoked",
            "created": iso(secret.created_at),
            "expires": iso(secret.expires_at),
            "revoked": iso(secret.revoked_at),
            "last_used": iso(secret.last_used_at),
        }
        for secret in secrets
    ]
    typer.echo(json.dumps({**_told(client, now_ms), "secrets": told}, indent=2, ensure_ascii=False))


@app.command(
    epilog="Examples: marketdata clients update mdc_0123456789abcdef --scope metadata:read\n\n"
    "marketdata clients update mdc_0123456789abcdef --requests-per-minute 600 --expires never"
)
def update(
    client_id: ClientId,
    name: Annotated[str | None, typer.Option(help="What you call it.", show_default=False)] = None,
    scope: Scope = None,
    expires: Annotated[str | None, typer.Option(help=f"As for create, or `{NEVER}`.", show_default=False)] = None,
    requests_per_minute: Annotated[
        str | None, typer.Option(help=f"A number, or `{DEFAULT}` for the usual.", show_default=False)
    ] = None,
    candles_per_minute: Annotated[
        str | None, typer.Option(help=f"A number, or `{DEFAULT}` for the usual.", show_default=False)
    ] = None,
) -> None:
    """Change a client; within 5 seconds its tokens are worth what it then may. `--scope` names all that it may do."""
    from marketdata.store.clients import update_client

    now_ms = SystemClock().now_ms()
    changes: ClientChanges = {}
    if name is not None:
        changes["name"] = _name(name)
    if scope:
        changes["scopes"] = _scopes(scope)
    if expires is not None:
        changes["expires_at"] = None if expires == NEVER else parse_expiry(expires, now_ms)
    if requests_per_minute is not None:
        changes["requests_per_minute"] = _limit(requests_per_minute, "--requests-per-minute")
    if candles_per_minute is not None:
        changes["candles_per_minute"] = _limit(candles_per_minute, "--candles-per-minute")
    if not changes:
        raise typer.BadParameter("say what to change: --name, --scope, --expires or a limit")
    client = in_store(lambda connection: update_client(connection, client_id, changes, now_ms))
    typer.echo(json.dumps(_told(client, now_ms), indent=2, ensure_ascii=False))


@app.command(epilog="Example: marketdata clients disable mdc_0123456789abcdef")
def disable(client_id: ClientId) -> None:
    """Disable a client for good; within 5 seconds none of its tokens is taken."""
    from marketdata.store.clients import disable_client

    now_ms = SystemClock().now_ms()
    in_store(lambda connection: disable_client(connection, client_id, now_ms))
    typer.echo(f"{client_id} is disabled")


@app.command(
    epilog="Examples: marketdata clients rotate mdc_0123456789abcdef --json\n\n"
    "marketdata clients rotate mdc_0123456789abcdef --revoke"
)
def rotate(
    client_id: ClientId,
    expires: Expires = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the others at once, with their tokens.")] = False,
    as_json: Json = False,
) -> None:
    """Give a client a new secret and print it; the one before goes on until it is changed over, older ones end."""
    from marketdata.store.clients import get_client, rotate_client

    now_ms = SystemClock().now_ms()
    expires_at = None if expires is None else parse_expiry(expires, now_ms)

    async def do(connection: Any) -> "tuple[str, ApiClient | None]":  # noqa: ANN401
        secret = await rotate_client(connection, client_id, now_ms, expires_at, revoke=revoke)
        return secret, await get_client(connection, client_id)

    secret, client = in_store(do)
    _print_secret(client_id, secret, () if client is None else client.scopes, as_json=as_json)


@app.command(epilog="Example: marketdata clients revoke-secret mdc_0123456789abcdef Ab3dE6gH")
def revoke_secret(
    client_id: ClientId,
    secret_id: Annotated[str, typer.Argument(help="The 8 characters after `mds_`.", show_default=False)],
) -> None:
    """End one secret of a client; within 5 seconds no token that was got with it is taken."""
    from marketdata.store.client_secrets import revoke_secret as revoke

    now_ms = SystemClock().now_ms()
    in_store(lambda connection: revoke(connection, client_id, secret_id, now_ms))
    typer.echo(f"secret {secret_id} of {client_id} is revoked")


@app.command(epilog="Example: marketdata clients usage mdc_0123456789abcdef --hours 168")
def usage(
    client_id: ClientId,
    hours: Annotated[int, typer.Option(min=1, max=8784, help="How many hours back, this one included.")] = 24,
    as_json: Json = False,
) -> None:
    """List what a client asked for, hour by hour, the newest first; hours without a request are left out."""
    from marketdata.core.errors import UnknownClient
    from marketdata.store.clients import get_client
    from marketdata.store.usage import Usage, first_hour, list_usage

    since_ms = first_hour(SystemClock().now_ms(), hours)

    async def read(connection: Any) -> list[Usage]:  # noqa: ANN401
        if await get_client(connection, client_id) is None:
            raise UnknownClient
        return await list_usage(connection, client_id, since_ms=since_ms, limit=hours)

    rows = [
        {"hour": iso(one.hour), "requests": one.requests, "candles": one.candles, "limited": one.limited}
        for one in in_store(read)
    ]
    shown = {"hour": "hour from", "requests": "requests", "candles": "candles", "limited": "refused as too many"}
    print_rows(rows, shown, as_json=as_json)


def _told(client: "ApiClient", now_ms: int) -> dict[str, object]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "scopes": list(client.scopes),
        "state": "active" if client.is_active(now_ms) else "disabled" if client.disabled_at else "expired",
        "created": iso(client.created_at),
        "expires": iso(client.expires_at),
        "requests_per_minute": client.requests_per_minute,
        "candles_per_minute": client.candles_per_minute,
    }


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise typer.BadParameter("a client needs a name of printable characters", param_hint="NAME")
    return text.strip()


def _scopes(asked: Iterable[str]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(asked))
    for one in scopes:
        if one not in SCOPES:
            raise typer.BadParameter(f"no such scope; choose from {', '.join(SCOPES)}", param_hint="--scope")
    return scopes


def _limit(text: str, option: str) -> int | None:
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:19]) < 2**63):
        raise typer.BadParameter(f"give a number from 1, or `{DEFAULT}`", param_hint=option)
    return int(text)


def _print_secret(client_id: str, secret: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"client_id": client_id, "client_secret": secret, "scopes": list(scopes)}))
        return
    typer.echo(f"client id      {client_id}")
    typer.echo(f"client secret  {secret}")
    typer.echo(f"scopes         {' '.join(scopes)}")
    if sys.stdout.isatty():
        typer.secho("The secret is shown this once.", dim=True)
