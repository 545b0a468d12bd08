import pytest

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamError,
    UpstreamFailure,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.fetch.retry import RetryBudget, is_doubtful, is_worth_retrying
from marketdata.core.models import ExchangeId

X = ExchangeId("x")


def test_in_the_long_run_there_is_one_retry_to_ten_calls() -> None:
    budget = RetryBudget()
    retries = 0
    for _ in range(1000):
        budget.earn()
        retries += budget.spend()
    assert retries == 105 - 1  # five were saved at the start; the last tenths are not a whole one


def test_nothing_is_saved_beyond_five() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(
    "error,is_worth",
    [
        (UpstreamUnavailable(X, "down"), True),
        (UpstreamGarbled(X, "cut short"), True),
        (UpstreamUnavailable(X, "down", 3.0), False),
        (UpstreamBadData(X, "high below low", 1), False),
        (UpstreamTimeout(X, 5), False),
        (UpstreamFailure(X, 400), False),
        (UpstreamRefused(X, "unknown"), False),
        (UpstreamRefused(X, "unknown, or a fault", is_certain=False), True),
        (UpstreamRateLimited(X, None), False),
        (UpstreamBanned(X, None), False),
        (UpstreamBlocked(X, 451), False),
    ],
)
def test_only_what_may_change_by_itself_is_worth_it(error: UpstreamError, is_worth: bool) -> None:  # noqa: FBT001
    assert is_worth_retrying(error) is is_worth


@pytest.mark.parametrize(
    "first, is_certain, doubts",
    [
        (UpstreamGarbled(X, "cut"), False, True),
        (UpstreamGarbled(X, "cut"), True, False),
        (UpstreamRefused(X, "null", is_certain=False), False, False),
    ],
)
def test_a_refusal_that_may_be_a_fault_counts_when_it_is_repeated(
    first: UpstreamError, is_certain: bool, doubts: bool  # noqa: FBT001
) -> None:
    assert is_doubtful(UpstreamRefused(X, "null", is_certain=is_certain), first) is doubts
