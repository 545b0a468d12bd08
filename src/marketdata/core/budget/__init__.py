"""How much an exchange may still be asked: one budget per exchange for the whole installation."""

from marketdata.core.budget.exchange import ExchangeBudget
from marketdata.core.budget.ledger import SHARE, BudgetLedger
from marketdata.core.budget.pool import Ask, BudgetPool, Held, Known, Lease, Role, Silence, SilenceKind

__all__ = [
    "SHARE",
    "Ask",
    "BudgetLedger",
    "BudgetPool",
    "ExchangeBudget",
    "Held",
    "Known",
    "Lease",
    "Role",
    "Silence",
    "SilenceKind",
]
