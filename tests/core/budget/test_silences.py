import pytest

from marketdata.core.budget.pool import Silence
from marketdata.core.budget.silences import Silences
from marketdata.core.errors import UpstreamBanned, UpstreamRateLimited
from marketdata.core.models import ExchangeId

NAME = ExchangeId("binance_futures")
T0 = 1767225600000


def limited(retry_after_s: float | None = None) -> UpstreamRateLimited:
    return UpstreamRateLimited(NAME, retry_after_s)


def test_a_refusal_that_says_how_long_is_taken_at_its_word() -> None:
    silences = Silences()
    assert silences.left_s("limited", 0.0) == 0
    assert silences.begin(limited(7.5), 100.0, T0, T0) == ("limited", Silence(107.5, 7.5))
    assert [silences.left_s("limited", now) for now in (100.0, 107.0, 107.5, 200.0)] == [7.5, 0.5, 0, 0]
    assert silences.left_s("banned", 100.0) == 0


def test_refusals_that_go_on_are_met_with_longer_and_longer_silences() -> None:
    silences, now, lengths = Silences(), 0.0, []
    for _ in range(6):
        begun = silences.begin(limited(), now, T0, T0)
        assert begun is not None
        lengths.append(begun[1].length_s)
        now = begun[1].until + 59.9
    assert lengths == [5, 10, 20, 40, 60, 60]
    begun = silences.begin(limited(), now + 0.1, T0, T0)  # a minute without a refusal: that is a new one
    assert begun == ("limited", Silence(now + 5.1, 5))


def test_a_refusal_at_the_end_of_a_silence_goes_on_and_one_long_after_is_a_new_one() -> None:
    silences = Silences()
    silences.begin(limited(), 0.0, T0, T0)
    assert silences.begin(limited(), 5.0, T0, T0) == ("limited", Silence(15.0, 10.0))
    assert silences.begin(limited(), 1000.0, T0, T0) == ("limited", Silence(1005.0, 5.0))


def test_a_wait_of_nothing_is_as_good_as_none() -> None:
    assert Silences().begin(limited(0.0), 0.0, T0, T0) == ("limited", Silence(5.0, 5.0))


def test_a_short_wait_that_was_told_is_no_reason_for_shorter_ones() -> None:
    silences = Silences()
    silences.begin(limited(1.0), 0.0, T0, T0)
    assert silences.begin(limited(), 2.0, T0, T0) == ("limited", Silence(7.0, 5.0))


def test_refusals_that_were_on_their_way_say_nothing_new() -> None:
    silences = Silences()
    silences.begin(limited(), 0.0, T0, T0)
    assert [silences.begin(limited(), now, T0, T0) for now in (0.0, 1.0, 4.5)] == [None] * 3
    assert silences.begin(limited(4.0), 1.0, T0, T0) is None  # it is the same time
    assert silences.begin(limited(3.0), 1.0, T0, T0) is None  # a shorter time never cuts a longer one short
    assert silences.left_s("limited", 1.0) == 4
    assert silences.begin(limited(6.0), 1.0, T0, T0) == ("limited", Silence(7.0, 6.0))


@pytest.mark.parametrize(
    "until_ms,length_s",
    [(T0 + 100_000, 100.5), (T0 + 250, 0.75), (None, 120), (T0 - 250, 0.25), (T0 - 500, 120), (T0 - 5000, 120)],
)
def test_a_ban_lasts_until_the_exchange_s_own_time_and_a_little_more(until_ms: int | None, length_s: float) -> None:
    begun = Silences().begin(UpstreamBanned(NAME, until_ms), 50.0, T0, T0 + 3_600_000)
    assert begun == ("banned", Silence(50 + length_s, length_s))


@pytest.mark.parametrize("until_ms,length_s", [(T0 + 100_000, 120), (T0 + 200_000, 200.5), (T0 - 1, 120), (None, 120)])
def test_where_the_exchange_s_time_is_unknown_a_ban_is_not_the_shortest(until_ms: int | None, length_s: float) -> None:
    begun = Silences().begin(UpstreamBanned(NAME, until_ms), 50.0, None, T0)
    assert begun == ("banned", Silence(50 + length_s, length_s))


def test_what_others_were_told_is_kept_too_where_it_is_longer() -> None:
    silences = Silences()
    silences.begin(UpstreamBanned(NAME, None), 0.0, T0, T0)
    silences.learn({"banned": Silence(100.0, 50.0), "limited": Silence(20.0, 20.0)})
    assert (silences.left_s("banned", 0.0), silences.left_s("limited", 0.0)) == (120, 20)
    silences.learn({"banned": Silence(130.0, 50.0)})
    assert silences.left_s("banned", 0.0) == 130
    assert silences.begin(limited(), 30.0, T0, T0) == ("limited", Silence(70.0, 40.0))  # twice what the others had


def test_an_absurd_time_is_not_believed() -> None:
    begun = Silences().begin(limited(999_999), 0.0, T0, T0)
    assert begun == ("limited", Silence(900.0, 900.0))
    begun = Silences().begin(UpstreamBanned(NAME, 9_999_999_999_999), 0.0, T0, T0)
    assert begun == ("banned", Silence(259_200.0, 259_200.0))
    begun = Silences().begin(UpstreamBanned(NAME, None, 999_999), 0.0, T0, T0)
    assert begun == ("banned", Silence(259_200.0, 259_200.0))


@pytest.mark.parametrize("wait_s,length_s", [(30.0, 30.0), (1.0, 1.0), (0.0, 120.0)])
def test_a_ban_may_tell_how_long_it_takes_instead_of_until_when(wait_s: float, length_s: float) -> None:
    for exchange_ms in (T0, None):
        begun = Silences().begin(UpstreamBanned(NAME, None, wait_s), 0.0, exchange_ms, T0)
        assert begun == ("banned", Silence(length_s, length_s))


@pytest.mark.parametrize(
    "until_ms,wait_s,length_s",
    [
        (T0 + 300_000, 60.0, 300.5),
        (T0 + 300_000, 600.0, 600.0),
        (T0 + 30_000, 0.0, 30.5),
        (T0 - 5000, 60.0, 60.0),
        (T0 - 5000, 0.0, 120.0),
        (T0 + 300_000, 999_999.0, 259_200.0),
    ],
)
def test_a_ban_that_tells_both_lasts_the_longer_time(until_ms: int, wait_s: float, length_s: float) -> None:
    begun = Silences().begin(UpstreamBanned(NAME, until_ms, wait_s), 0.0, T0, T0 + 86_400_000)
    assert begun == ("banned", Silence(length_s, length_s))


@pytest.mark.parametrize("wait_s,length_s", [(30.0, 30.0), (600.0, 600.0), (0.0, 300.5)])
def test_how_long_is_believed_rather_than_an_end_by_our_own_clock(wait_s: float, length_s: float) -> None:
    begun = Silences().begin(UpstreamBanned(NAME, T0 + 300_000, wait_s), 0.0, None, T0)
    assert begun == ("banned", Silence(length_s, length_s))
