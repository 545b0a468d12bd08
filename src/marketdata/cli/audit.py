"""`marketdata audit`: what was done about access, by whom, and what was refused."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from marketdata.cli.database import in_store
from marketdata.cli.printed import iso, print_rows
from marketdata.cli.times import parse_since
from marketdata.core.clock import SystemClock

if TYPE_CHECKING:
    from marketdata.store.audit import AuditEntry


def audit(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most lines.")] = 50,
    since: Annotated[
        str | None,
        typer.Option(help="Only what happened since: 12h or 7d ago, or a time such as 2027-01-01T00:00:00Z."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the audit log, its newest lines, in their order."""
    from marketdata.store.audit import AuditFilters, list_entries, newest_entry_id

    filters = AuditFilters(since_ms=None if since is None else parse_since(since, SystemClock().now_ms()))

    async def read(connection: Any) -> "list[AuditEntry]":  # noqa: ANN401
        newest_id = await newest_entry_id(connection)
        return await list_entries(connection, filters, up_to_id=newest_id, limit=limit, newest_first=True)

    rows = [{"at": iso(entry.at), **entry.model_dump(exclude={"at"})} for entry in reversed(in_store(read))]
    shown = {"at": "at", "action": "action", "outcome": "outcome", "actor": "by", "subject": "of", "address": "from"}
    print_rows(rows, shown, as_json=as_json)
