from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.budget import SHARE, BudgetLedger
from marketdata.core.clock import ManualClock
from marketdata.core.exchanges import registry
from marketdata.core.models import Budget

T0 = 1767225600000


def test_a_fixed_window_is_the_clock_s_minute() -> None:
    clock = ManualClock(T0 + 50_000)
    ledger = BudgetLedger(Budget(limit=100, window_s=60, window="fixed"), clock)
    assert ledger.spend(80) == 0
    assert ledger.spend(1) == 10
    assert ledger.used == 80
    clock.advance(10_000)
    assert ledger.used == 0
    assert ledger.spend(80) == 0


def test_a_sliding_window_forgets_what_is_a_minute_old() -> None:
    clock = ManualClock(T0)
    ledger = BudgetLedger(Budget(limit=100, window_s=60, window="sliding"), clock)
    assert ledger.spend(50) == 0
    clock.advance(20_000)
    assert ledger.spend(30) == 0
    assert ledger.spend(20) == 40
    clock.advance(40_000)
    assert ledger.spend(20) == 0


def test_what_is_larger_than_the_whole_budget_is_asked_alone() -> None:
    ledger = BudgetLedger(Budget(limit=10, window_s=60, window="sliding"), ManualClock(T0))
    assert ledger.spend(50) == 0
    assert ledger.spend(1) > 0


@given(
    st.sampled_from([adapter.capabilities.budget for adapter in registry().values()]),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 120)), max_size=60),
)
def test_no_window_ever_holds_more_than_the_share(budget: Budget, asked: list[tuple[int, int]]) -> None:
    clock = ManualClock(T0)
    ledger = BudgetLedger(budget, clock)
    booked: list[tuple[int, int]] = []
    for pause_ms, wanted in asked:
        weight = min(wanted, 8)
        clock.advance(pause_ms)
        wait_s = ledger.spend(weight)
        if wait_s:
            clock.advance(round(wait_s * 1000) + 1)
            assert ledger.spend(weight) == 0
        booked.append((clock.now_ms(), weight))
    window_ms = round((budget.burst or budget.limit) / budget.limit * budget.window_s * 1000)
    for moment, _ in booked:
        if budget.window == "fixed":
            inside = [weight for time, weight in booked if time // 60_000 == moment // 60_000]
        else:
            inside = [weight for time, weight in booked if moment - window_ms < time <= moment]
        assert sum(inside) <= (budget.burst or budget.limit) * SHARE
