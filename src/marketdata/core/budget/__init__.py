"""How much an exchange may still be asked: one budget per exchange for the whole installation."""

from marketdata.core.budget.exchange import ExchangeBudget
from marketdata.core.budget.pool import Ask, BudgetPool, Held, Known, Lease, Role, Silence, SilenceKind

__all__ = [
    "Ask",
    "BudgetPool",
    "ExchangeBudget",
    "Held",
    "Known",
    "Lease",
    "Role",
    "Silence",
    "SilenceKind",
]
