"""What clients' processes have taken of their limits in the present minute, by the database's clock."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.limits import Amounts, Kind
from marketdata.store.listen import Listener

_KINDS: Final[Mapping[str, Kind]] = {"candles": "candles", "requests": "requests"}
"""In the order in which rows are locked."""

# the clock is read once a row is locked, and once for all that is written into it, so that no two takings are in doubt
# about which minute it is; a clock that is set back by less than a second changes no minute
_TAKE: Final = text("""
    INSERT INTO rate_windows AS held (client_id, kind, window_start, granted)
    SELECT client_id, kind, date_trunc('minute', clock_timestamp()), greatest(0, amount)
    FROM api_clients, (VALUES ('candles', CAST(:candles AS bigint)), ('requests', CAST(:requests AS bigint)))
        AS asked (kind, amount)
    WHERE client_id = :client_id ORDER BY kind
    ON CONFLICT (client_id, kind) DO UPDATE SET (window_start, granted) = (
        SELECT minute, greatest(0, CASE WHEN held.window_start = minute THEN held.granted ELSE 0 END
            + CASE held.kind WHEN 'candles' THEN CAST(:candles AS bigint) ELSE CAST(:requests AS bigint) END)
        FROM (
            SELECT CASE WHEN held.window_start > now AND held.window_start <= now + interval '1 second'
                THEN held.window_start ELSE date_trunc('minute', now) END AS minute
            FROM (SELECT clock_timestamp() AS now OFFSET 0) AS clock OFFSET 0
        ) AS present
    )
    RETURNING kind, CAST(extract(epoch FROM window_start) * 1000 AS bigint), granted,
        CAST(extract(epoch FROM window_start + interval '1 minute' - clock_timestamp()) AS float)
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


async def take(connection: AsyncConnection, client_id: str, amounts: Amounts) -> PresentMinute | None:
    """Add `amounts` (less than 0: take back) to what the client has taken in the present minute.

    Returns that minute with what is taken of each kind; a kind that came into an earlier minute is left out. None:
    there is no such client. Waits for others that take for the same client.
    """
    values = {"client_id": client_id, "requests": amounts.get("requests", 0), "candles": amounts.get("candles", 0)}
    rows = list(await connection.execute(_TAKE, values))
    if not rows:
        return None
    # from the first row to the last it may have become another minute
    newest = max(start_ms for _, start_ms, _, _ in rows)
    return _minute(
        (start_ms, left_s, client_id, kind, taken) for kind, start_ms, taken, left_s in rows if start_ms == newest
    )


async def look(listener: Listener) -> PresentMinute:
    """The present minute with what all clients have taken in it. Raises DatabaseUnavailable."""
    return _minute(await (await listener.ask(_PRESENT)).fetchall())


def _minute(rows: Iterable[tuple[int, float, str | None, str, int]]) -> PresentMinute:
    """`rows`: the minute's beginning and how long it goes on, in each; a client, what and how much."""
    rows = list(rows)
    minute = PresentMinute(rows[0][0], min(left_s for _, left_s, _, _, _ in rows))
    for _, _, client_id, kind, granted in rows:
        if client_id is not None:
            minute.taken[client_id][_KINDS[kind]] = granted
    return minute
