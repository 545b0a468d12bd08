"""Rows of an answer and candles of the truth, in a form in which they can be compared."""

from collections.abc import Sequence
from typing import Any

from marketdata.core.models import Candle
from tests.e2e.truth.expected import COLUMNS


def values(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """All columns of an answer's rows."""
    return [[row[name] for name in COLUMNS] for row in rows]


def columns(candles: Sequence[Candle]) -> list[list[Any]]:
    """The same of candles."""
    return [[getattr(candle, name) for name in COLUMNS] for candle in candles]
