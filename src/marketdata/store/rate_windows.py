"""What clients' processes have taken of their limits in the present minute, by the database's clock."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.limits import Amounts, Kind
from marketdata.store.listen import Listener

_KINDS: Final[Mapping[str, Kind]] = {"candles": "candles", "requests": "requests"}

# rows are locked in one order, so that none wait for each other; the clock is read once a row is locked, and once for
# all that is written into it, so that no two takings are in doubt about which minute it is; a clock that is set back by
# less than a second changes no minute
_TAKE: Final = text("""
    INSERT INTO rate_windows AS held (client_id, kind, window_start, granted)
    SELECT client_id, kind, date_trunc('minute', clock_timestamp()), amount
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (client_id text, kind text, amount bigint)
    JOIN api_clients USING (client_id)
    ORDER BY client_id, kind
    ON CONFLICT (client_id, kind) DO UPDATE SET (window_start, granted) = (
        SELECT minute, greatest(0, CASE WHEN held.window_start = minute THEN held.granted ELSE 0 END + excluded.granted)
        FROM (
            SELECT CASE WHEN held.window_start > now AND held.window_start <= now + interval '1 second'
                THEN held.window_start ELSE date_trunc('minute', now) END AS minute
            FROM (SELECT clock_timestamp() AS now OFFSET 0) AS clock OFFSET 0
        ) AS present
    )
    RETURNING CAST(extract(epoch FROM window_start) * 1000 AS bigint),
        CAST(extract(epoch FROM window_start + interval '1 minute' - clock_timestamp()) AS float),
        client_id, kind, granted
""")

_PRESENT: Final = """
    SELECT CAST(extract(epoch FROM minute) * 1000 AS bigint),
        CAST(extract(epoch FROM minute + interval '1 minute' - clock_timestamp()) AS float), client_id, kind, granted
    FROM (SELECT date_trunc('minute', clock_timestamp()) AS minute OFFSET 0) AS present
    LEFT JOIN rate_windows ON window_start = minute
"""


@dataclass(slots=True)
class PresentMinute:
    """A minute of the database's clock."""

    start_ms: int
    left_s: float
    """For how long it goes on."""
    taken: defaultdict[str, dict[Kind, int]] = field(default_factory=lambda: defaultdict(dict))
    """What is taken in it, by client."""


async def take(connection: AsyncConnection, amounts: Mapping[str, Amounts]) -> PresentMinute | None:
    """Add to what clients have taken in the present minute; less than 0 takes back.

    Returns that minute with what is taken in it by each client. What came into an earlier minute, and a client that
    there is not, is left out; None: so it is with all. Waits for others that take for the same clients.
    """
    asked = [
        {"client_id": client_id, "kind": kind, "amount": amount}
        for client_id, by_kind in amounts.items()
        for kind, amount in by_kind.items()
    ]
    rows = [tuple(row) for row in await connection.execute(_TAKE, {"asked": json.dumps(asked)})]
    # from the first row to the last it may have become another minute
    return _minute([row for row in rows if row[0] == max(row[0] for row in rows)]) if rows else None


async def look(listener: Listener) -> PresentMinute:
    """The present minute with what all clients have taken in it. Raises DatabaseUnavailable."""
    return _minute(await (await listener.ask(_PRESENT)).fetchall())


def _minute(rows: Sequence[Sequence[Any]]) -> PresentMinute:
    """`rows`: in each the minute's beginning and how long it goes on; a client, what and how much, or nothing."""
    minute = PresentMinute(rows[0][0], min(left_s for _, left_s, *_ in rows))
    for _, _, client_id, kind, granted in rows:
        if client_id is not None:
            minute.taken[client_id][_KINDS[kind]] = granted
    return minute
