import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.budget.rule import Rule
from marketdata.core.exchanges import get_adapter
from marketdata.core.models import Budget

MINUTE_MS = 60_000
T0 = 1767225600000  # the beginning of a minute
BINANCE, HYPERLIQUID, COINBASE = (
    Rule(get_adapter(name).capabilities.budget) for name in ("binance_futures", "hyperliquid", "coinbase")
)


@pytest.mark.parametrize(
    "rule,limit,api_limit,block,window_s",
    [(BINANCE, 1920, 1728, 96, 60), (HYPERLIQUID, 960, 864, 48, 60), (COINBASE, 12, 10, 1, 1.5)],
)
def test_four_fifths_of_the_limit_a_tenth_of_it_for_the_syncer(
    rule: Rule, limit: int, api_limit: int, block: int, window_s: float
) -> None:
    assert (rule.limit, rule.api_limit, rule.block, rule.window_s) == (limit, api_limit, block, window_s)


def test_many_who_wait_may_be_leased_a_quarter() -> None:
    assert [rule.most_blocks for rule in (BINANCE, HYPERLIQUID, COINBASE)] == [480, 240, 3]


def test_the_smallest_limit_still_lets_one_through() -> None:
    rule = Rule(Budget(limit=1, window_s=1, window="sliding"))
    assert (rule.limit, rule.api_limit, rule.block) == (1, 1, 1)
    assert rule.most_blocks == 0
    assert rule.share_limit == 0  # but none without books: it cannot be divided


def test_a_call_may_be_late_by_its_deadline_or_a_twelfth_of_a_short_window() -> None:
    assert [rule.arrival_s for rule in (BINANCE, HYPERLIQUID, COINBASE)] == [5, 5, 0]
    assert Rule(Budget(limit=40, window_s=3, window="sliding")).arrival_s == 0.25
    assert Rule(Budget(limit=40, window_s=3600, window="sliding")).arrival_s == 5
    assert [rule.lease_s for rule in (BINANCE, HYPERLIQUID)] == [1, 1]
    assert COINBASE.lease_s == pytest.approx(0.3)
    assert [rule.patience_s for rule in (BINANCE, HYPERLIQUID, COINBASE)] == [0, 0, 2.5]


def test_in_any_window_a_request_counts_from_its_latest_arrival_on() -> None:
    assert HYPERLIQUID.counts_for_s(None) == HYPERLIQUID.counts_for_s(T0) == 65
    assert HYPERLIQUID.counts_for_s(None, 1.0) == 66
    assert COINBASE.counts_for_s(None, 0.3) == pytest.approx(1.8)


def test_a_fixed_window_of_unknown_time_is_any_window() -> None:
    assert BINANCE.counts_for_s(None, 1.0) == 66


@pytest.mark.parametrize(
    "into_ms,spendable_s,counts_for_s",
    [
        (0, 0, 60.5),
        (10_000, 0, 50.5),
        (54_499, 0, 6.001),
        (54_500, 0, 66),  # it may arrive in the next minute, too
        (59_999, 0, 60.501),
        (53_499, 1, 7.001),
        (53_500, 1, 67),
    ],
)
def test_in_a_minute_of_the_clock_it_counts_to_the_end_and_near_the_border_to_that_of_the_next(
    into_ms: int, spendable_s: float, counts_for_s: float
) -> None:
    assert BINANCE.counts_for_s(T0 + into_ms, spendable_s) == pytest.approx(counts_for_s, abs=1e-9)


@pytest.mark.parametrize(
    "into_ms,age_s,counts_for_s",
    [
        (30_000, 1, 30.5),
        (700, 0.1, 59.8),  # sent in this minute
        (1500, 0.999, 59.0),
        (1500, 1.001, None),  # sent, perhaps, in the last one
        (59_499, 0, 1.001),
        (59_500, 0, None),  # the minute may be over by now
    ],
)
def test_a_report_counts_to_the_end_of_its_window(into_ms: int, age_s: float, counts_for_s: float | None) -> None:
    assert BINANCE.report_counts_for_s(T0 + into_ms, age_s) == pytest.approx(counts_for_s, abs=1e-9)


def test_a_report_of_any_window_counts_for_one() -> None:
    assert BINANCE.report_counts_for_s(None, 0) == HYPERLIQUID.report_counts_for_s(T0, 0) == 60


@given(st.integers(0, 3 * MINUTE_MS), st.floats(-0.5, 0.5), st.floats(0, 1), st.floats(0, 5))
def test_it_counts_at_least_until_the_window_ends_in_which_it_arrives(
    into_ms: int, error_s: float, spent_after_s: float, under_way_s: float
) -> None:
    """However wrong, within half a second, the exchange's time is thought to be."""
    true_ms = T0 + into_ms
    counts_until_s = true_ms / 1000 + BINANCE.counts_for_s(round(true_ms + error_s * 1000), 1.0)
    arrives_s = true_ms / 1000 + spent_after_s + under_way_s
    assert counts_until_s >= (arrives_s // 60 + 1) * 60 - 0.002
