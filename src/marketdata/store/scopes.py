"""What an API client can be allowed to do. Imports no database, so that every command can name the scopes."""

from collections.abc import Mapping
from typing import Final

METADATA_READ: Final = "metadata:read"
CANDLES_READ: Final = "candles:read"
ADMIN: Final = "admin"

SCOPES: Final[Mapping[str, str]] = {
    METADATA_READ: "Read exchanges, symbols, intervals, syncs and the platform's status.",
    CANDLES_READ: "Read candles.",
    ADMIN: "Manage API clients.",
}
"""Every scope with what it allows."""
