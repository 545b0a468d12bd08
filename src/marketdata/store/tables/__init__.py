"""The tables, as declarative models by aggregate; bulk work goes through SQLAlchemy Core on their `__table__`."""

from marketdata.store.tables.access import ALGORITHMS, API_CLIENTS, SIGNING_KEYS, ApiClientRow, SigningKeyRow
from marketdata.store.tables.budgets import (
    BUDGET_BOOKINGS,
    BUDGET_SILENCES,
    ROLES,
    SILENCES,
    BudgetBookingRow,
    BudgetSilenceRow,
)
from marketdata.store.tables.columns import Decimals, EpochMs, Row, timestamp
from marketdata.store.tables.exchanges import (
    EXCHANGES,
    INSTALLATION,
    INTERVALS,
    ExchangeRow,
    InstallationRow,
    IntervalRow,
)
from marketdata.store.tables.symbols import (
    COVERAGE,
    SYMBOL_VERSIONS,
    SYMBOLS,
    CoverageRow,
    SymbolRow,
    SymbolVersionRow,
)
from marketdata.store.tables.syncs import EVENTS, OUTCOMES, SYNC_RUNS, EventRow, SyncRunRow

__all__ = [
    "ALGORITHMS",
    "API_CLIENTS",
    "BUDGET_BOOKINGS",
    "BUDGET_SILENCES",
    "COVERAGE",
    "EVENTS",
    "EXCHANGES",
    "INSTALLATION",
    "INTERVALS",
    "OUTCOMES",
    "ROLES",
    "SIGNING_KEYS",
    "SILENCES",
    "SYMBOLS",
    "SYMBOL_VERSIONS",
    "SYNC_RUNS",
    "ApiClientRow",
    "BudgetBookingRow",
    "BudgetSilenceRow",
    "CoverageRow",
    "Decimals",
    "EpochMs",
    "EventRow",
    "ExchangeRow",
    "InstallationRow",
    "IntervalRow",
    "Row",
    "SigningKeyRow",
    "SymbolRow",
    "SymbolVersionRow",
    "SyncRunRow",
    "timestamp",
]
