"""`marketdata keys`: what access tokens are signed with."""

import asyncio
from math import ceil
from typing import Annotated

import typer

from marketdata.cli.database import in_store
from marketdata.cli.failures import needs
from marketdata.cli.printed import iso, print_rows
from marketdata.core.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="List and change the keys that sign access tokens.")


@app.command("list", epilog="Example: marketdata keys list --json")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys, newest first: the next one, the one that signs, and those whose tokens may still live."""
    from marketdata.store.keys import list_keys

    rows = [
        {
            "kid": key.kid,
            "state": (
                "revoked" if key.revoked_at else "next" if key.is_next else "signing" if key.signs else "retired"
            ),
            "created": iso(key.created_at),
            "signs_from": iso(key.signs_from),
            "retired": iso(key.retired_at),
            "revoked": iso(key.revoked_at),
        }
        for key in in_store(list_keys)
    ]
    print_rows(
        rows, {"kid": "key id", "state": "state", "created": "created", "signs_from": "signs from"}, as_json=as_json
    )


@app.command(epilog="Examples: marketdata keys rotate\n\nmarketdata keys rotate --revoke")
def rotate(
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Within 5 seconds, take no token that was signed before.")
    ] = False,
) -> None:
    """Let the next key sign from now on; tokens that were signed before stay good until they expire."""
    with needs("api"):
        from marketdata.api.keys import ROTATION, make_key
        from marketdata.store.keys import rotate_keys
    clock = SystemClock()

    def attempt() -> int:
        now_ms = clock.now_ms()
        return in_store(
            lambda connection: rotate_keys(connection, lambda: make_key(now_ms), now_ms, ROTATION, revoke=revoke)
        )

    while wait_ms := attempt():
        typer.echo(f"waiting {ceil(wait_ms / 1000)} s, until every process knows the next key", err=True)
        asyncio.run(clock.sleep(wait_ms / 1000))
    typer.echo("the next key signs from now on" + ("; what was signed before is void" if revoke else ""))
