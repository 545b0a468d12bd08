import asyncio
from typing import Any, override

import pytest

from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable, UpstreamBanned, UpstreamRateLimited
from marketdata.core.exchanges import get_adapter
from marketdata.core.models import Budget, ExchangeId
from tests.core.budget.books import Books, Process

T0 = 1767225600000  # the beginning of a minute
WINDOW = Budget(limit=100, window_s=60, window="sliding")
MINUTE = Budget(limit=100, window_s=60, window="fixed")
BUCKET = get_adapter("coinbase").capabilities.budget


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


class Unhurried(ManualClock):
    """Lets all others get as far as they can before it moves."""

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        await super().sleep(seconds)


def make(clock: ManualClock, budget: Budget = WINDOW, **more: Any) -> ExchangeBudget:
    one = ExchangeBudget(ExchangeId("some"), budget, clock, **more)
    one.exchange_time = clock.now_ms
    return one


async def refusal(budget: ExchangeBudget, weight: int) -> float | None:
    """The wait that a caller is told, who is not served."""
    with pytest.raises(UpstreamRateLimited) as caught:
        await budget.spend(weight)
    return caught.value.retry_after_s


async def test_alone_it_spends_the_allowance_and_then_says_how_long(clock: ManualClock) -> None:
    budget = make(clock)
    assert (budget.limit, budget.window_s, budget.used) == (80, 60, 0)
    await budget.spend(49)
    clock.advance(20_000)
    await budget.spend(31)
    assert budget.used == 80
    assert await refusal(budget, 1) == await refusal(budget, 49) == 45
    assert await refusal(budget, 50) == 65
    assert clock.now_ms() == T0 + 20_000  # nobody waited
    clock.advance(45_000)
    assert budget.used == 31
    await budget.spend(49)
    assert budget.used == 80


async def test_a_minute_s_budget_is_there_again_when_the_minute_has_surely_begun(clock: ManualClock) -> None:
    budget = make(clock, MINUTE)
    clock.advance(30_000)
    await budget.spend(80)
    assert await refusal(budget, 1) == 30.5
    clock.advance(30_499)
    assert await refusal(budget, 1) == pytest.approx(0.001)
    clock.advance(1)
    await budget.spend(80)


async def test_what_is_more_than_the_whole_allowance_is_never_asked(clock: ManualClock) -> None:
    assert await refusal(make(clock), 81) is None


async def test_the_pace_of_a_bucket_is_waited_for_in_turn_and_the_rest_refused_at_once() -> None:
    clock = Unhurried(T0)
    budget, served = make(clock, BUCKET), []

    async def ask(number: int) -> None:
        await budget.spend(1)
        served.append((number, clock.now_ms() - T0))

    outcomes = await asyncio.gather(*(ask(number) for number in range(40)), return_exceptions=True)
    assert served == [(number, 0) for number in range(12)] + [(number, 1500) for number in range(12, 24)]
    refused = outcomes[24:]
    assert all(isinstance(one, UpstreamRateLimited) and one.retry_after_s == 3 for one in refused)


async def test_a_caller_s_patience_is_counted_from_when_it_came(clock: ManualClock) -> None:
    budget = make(clock, Budget(limit=5, window_s=1, window="bucket", burst=10))  # 8 in two seconds
    for _ in range(8):
        await budget.spend(1)
        clock.advance(100)
    await asyncio.gather(*(budget.spend(1) for _ in range(8)))
    assert clock.now_ms() == T0 + 2700
    assert await refusal(make(clock, Budget(limit=1, window_s=3, window="bucket", burst=1)), 2) is None


async def test_one_who_gives_up_waiting_leaves_its_place_to_the_next(clock: ManualClock) -> None:
    budget = make(clock, BUCKET)
    await budget.spend(12)
    first, second = asyncio.create_task(budget.spend(12)), asyncio.create_task(budget.spend(1))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert budget.used == 1


async def test_two_and_a_half_seconds_are_waited_and_no_more(clock: ManualClock) -> None:
    quick, slow = (make(clock, Budget(limit=2, window_s=1, window="bucket", burst=burst)) for burst in (5, 6))
    for budget in (quick, slow):
        await budget.spend(4)
    assert await refusal(slow, 1) == 3
    await quick.spend(1)
    assert clock.now_ms() == T0 + 2500


async def test_a_wait_that_the_clock_cannot_tell_is_a_thousandth_of_a_second(clock: ManualClock) -> None:
    budget = make(clock, Budget(limit=10_000, window_s=1, window="bucket", burst=10_004))
    await budget.spend(8003)
    clock.advance(1000)  # 0.4 ms too early
    await budget.spend(1)
    assert clock.now_ms() == T0 + 1001


async def test_in_line_it_counts_what_all_before_have_asked_for() -> None:
    budget = make(Unhurried(T0), BUCKET)
    await budget.spend(12)
    first = asyncio.create_task(budget.spend(3))
    await asyncio.sleep(0)
    assert await refusal(budget, 12) == 3  # in 1.5 s there is room for 9 more
    await first


async def test_several_calls_are_refused_before_any_is_spent_when_not_all_would_be_served(clock: ManualClock) -> None:
    budget = make(clock)
    await budget.spend(30)
    budget.check_room(50)
    clock.advance(5000)
    with pytest.raises(UpstreamRateLimited) as caught:
        budget.check_room(51)
    assert (caught.value.retry_after_s, budget.used) == (60, 30)
    await budget.silence(UpstreamRateLimited(ExchangeId("some"), 7))
    with pytest.raises(UpstreamRateLimited):
        budget.check_room(1)


async def test_several_calls_may_fill_a_bucket_more_than_once() -> None:
    budget = make(Unhurried(T0), BUCKET)
    budget.check_room(24)  # twelve now and twelve in a second and a half
    with pytest.raises(UpstreamRateLimited) as caught:
        budget.check_room(25)
    assert caught.value.retry_after_s is None  # waiting does not help
    await budget.spend(12)
    waiting = asyncio.create_task(budget.spend(5))
    await asyncio.sleep(0)
    budget.check_room(7)
    with pytest.raises(UpstreamRateLimited) as caught:
        budget.check_room(8)
    assert caught.value.retry_after_s == 3
    budget.check_room(0)  # all of them are under way
    await waiting


async def test_several_calls_are_refused_where_a_process_has_no_share_at_all(clock: ManualClock) -> None:
    shareless = Books(clock).process()
    shareless.processes, shareless.is_reachable = 1000, False
    budget = make(clock, BUCKET, pool=shareless)
    with pytest.raises(UpstreamRateLimited) as caught:
        budget.check_room(2)
    assert caught.value.retry_after_s is None
    shareless.processes = 2
    budget.check_room(10)  # five now and five in a second and a half
    with pytest.raises(UpstreamRateLimited) as caught:
        budget.check_room(11)
    assert caught.value.retry_after_s is None


async def test_while_nothing_is_asked_nothing_is_refused(clock: ManualClock) -> None:
    budget = make(clock, MINUTE)
    budget.exchange_time = lambda: None
    await budget.spend(80)
    budget.exchange_time = clock.now_ms
    budget.check_room(0)


async def test_a_silence_is_kept_and_told(clock: ManualClock) -> None:
    budget = make(clock)
    await budget.silence(UpstreamRateLimited(ExchangeId("some"), 7))
    assert await refusal(budget, 1) == 7
    assert budget.banned_until_ms is None
    clock.advance(7000)
    await budget.spend(1)


async def test_a_ban_is_counted_in_the_exchange_s_time(clock: ManualClock) -> None:
    budget = make(clock)
    budget.exchange_time = lambda: clock.now_ms() + 600_000  # the local clock is ten minutes slow
    await budget.silence(UpstreamBanned(ExchangeId("some"), T0 + 600_000 + 30_000))
    assert budget.banned_until_ms == T0 + 30_500
    clock.advance(30_499)
    with pytest.raises(UpstreamBanned) as caught:
        await budget.spend(1)
    assert caught.value.until_ms == T0 + 30_500
    clock.advance(1)
    await budget.spend(1)
    banned_until_ms: int | None = budget.banned_until_ms
    assert banned_until_ms is None


async def test_without_the_exchange_s_time_a_ban_is_counted_in_ours(clock: ManualClock) -> None:
    budget = make(clock)
    budget.exchange_time = lambda: None
    await budget.silence(UpstreamBanned(ExchangeId("some"), T0 + 300_000))
    assert budget.banned_until_ms == T0 + 300_500


async def test_a_ban_s_own_answer_may_tell_the_exchange_s_time(clock: ManualClock) -> None:
    budget = make(clock)
    budget.exchange_time = lambda: None
    await budget.silence(UpstreamBanned(ExchangeId("some"), T0 + 600_000), T0 + 570_000)
    assert budget.banned_until_ms == T0 + 30_500


async def test_those_who_wait_hear_of_a_silence(clock: ManualClock) -> None:
    budget = make(clock, BUCKET)
    await budget.spend(12)
    waiting = asyncio.create_task(budget.spend(1))
    await asyncio.sleep(0)
    await budget.silence(UpstreamBanned(ExchangeId("some"), None))
    with pytest.raises(UpstreamBanned):
        await waiting


async def test_what_others_at_the_address_use_is_left_to_them(clock: ManualClock) -> None:
    budget = make(clock, MINUTE)
    clock.advance(10_000)
    await budget.spend(10)
    budget.reported(10)
    await budget.spend(10)
    for used in (21, 60):
        budget.reported(used)
        assert budget.used == used
    budget.reported(30)  # an older answer that comes late
    assert budget.used == 60
    await budget.spend(20)
    assert await refusal(budget, 1) == 50.5
    clock.advance(50_500)
    assert budget.used == 0


async def test_a_report_of_another_minute_is_not_believed(clock: ManualClock) -> None:
    budget = make(clock, MINUTE)
    clock.advance(61_000)
    budget.reported(80, sent_at=0.4)
    assert budget.used == 0
    budget.reported(80)  # it may have been sent five seconds ago
    assert budget.used == 0
    budget.reported(80, sent_at=60.6)
    assert budget.used == 80


class TestShared:
    """Several processes of one installation."""

    @pytest.fixture
    def books(self, clock: ManualClock) -> Books:
        return Books(clock)

    async def test_a_block_is_leased_and_spent_without_asking_again(self, clock: ManualClock, books: Books) -> None:
        budget = make(clock, pool=books.process())
        for _ in range(4):
            await budget.spend(1)
        assert books.leases == 1
        assert budget.used == 4
        await budget.spend(1)
        assert books.leases == 2
        await budget.spend(30)  # more than a block
        assert budget.used == 35

    async def test_what_was_not_spent_in_time_is_given_back(self, clock: ManualClock, books: Books) -> None:
        pool = books.process()
        budget = make(clock, pool=pool)
        await budget.spend(1)
        clock.advance(999)
        await budget.spend(1)
        assert (books.leases, budget.used) == (1, 4)
        clock.advance(1)
        pool.look()
        assert budget.used == 2
        await budget.spend(1)
        assert (books.leases, budget.used) == (2, 6)

    async def test_api_callers_leave_a_tenth_to_the_syncer(self, clock: ManualClock, books: Books) -> None:
        one, other = (make(clock, pool=books.process()) for _ in range(2))
        syncer = make(clock, pool=books.process(), role="syncer")
        for _ in range(36):
            await one.spend(1)
            await other.spend(1)
        assert await refusal(one, 1) == await refusal(other, 1) == 66
        await syncer.spend(8)
        assert syncer.used == 80
        assert await refusal(syncer, 1) == 66
        clock.advance(66_000)
        await syncer.spend(80)  # it may use all that is free
        books.processes[0].look()
        assert await refusal(one, 1) == 66

    async def test_those_who_are_refused_cost_no_look(self, clock: ManualClock, books: Books) -> None:
        one, other = (make(clock, pool=books.process()) for _ in range(2))
        await one.spend(70)
        for weight in (50, 40, 3, 50):
            assert await refusal(other, weight) == 66
        assert books.leases == 2
        await other.spend(2)

    async def test_an_open_lease_counts_as_room_for_a_larger_one(self, clock: ManualClock, books: Books) -> None:
        budget = make(clock, pool=books.process())
        await budget.spend(65)
        await budget.spend(3)
        assert budget.used == 69  # one of a block of four is left
        assert await refusal(budget, 5) == 66
        assert books.leases == 2
        await budget.spend(4)
        assert budget.used == 72

    async def test_many_at_once_are_served_in_turn(self, clock: ManualClock, books: Books) -> None:
        budget = make(clock, pool=books.process())
        outcomes = await asyncio.gather(*(budget.spend(1) for _ in range(100)), return_exceptions=True)
        assert outcomes[:72] == [None] * 72
        assert all(isinstance(one, UpstreamRateLimited) and one.retry_after_s == 66 for one in outcomes[72:])
        assert books.leases == 5  # a block for the first, a quarter of the allowance when many wait

    async def test_a_silence_reaches_the_others(self, clock: ManualClock, books: Books) -> None:
        one, other = (make(clock, pool=books.process()) for _ in range(2))
        await other.spend(1)
        await one.silence(UpstreamBanned(ExchangeId("some"), None))
        with pytest.raises(UpstreamBanned):
            await other.spend(1)
        assert other.banned_until_ms == T0 + 120_000
        assert make(clock, pool=books.process()).banned_until_ms == T0 + 120_000

    async def test_before_the_books_were_ever_seen_nothing_is_asked(self, clock: ManualClock, books: Books) -> None:
        books.is_up = False
        budget = make(clock, pool=Process(books))
        with pytest.raises(DatabaseUnavailable):
            await budget.spend(1)
        assert budget.banned_until_ms is None
        assert budget.used == 0

    async def test_without_the_books_each_goes_on_with_an_equal_share(self, clock: ManualClock, books: Books) -> None:
        """Of the allowance but for two blocks, which others may have leased meanwhile."""
        one, other = (make(clock, pool=books.process()) for _ in range(2))
        syncer = make(clock, pool=books.process(), role="syncer")
        books.is_up = False
        for budget in (one, other, syncer):
            for _ in range(24):
                await budget.spend(1)
            assert budget.used == 72
            assert await refusal(budget, 1) == 65
            assert await refusal(budget, 25) is None
        assert books.rows == []

    async def test_without_the_books_each_has_room_for_its_own_share_only(
        self, clock: ManualClock, books: Books
    ) -> None:
        budget, *_ = (make(clock, pool=books.process()) for _ in range(3))
        books.is_up = False
        await budget.spend(20)
        assert await refusal(budget, 5) == 65
        await budget.spend(4)

    async def test_without_the_books_the_line_moves_at_the_pace_of_a_share(self) -> None:
        books = Books(Unhurried(T0))
        budget, *_ = (make(books.clock, BUCKET, pool=books.process()) for _ in range(3))
        books.is_up = False
        books.processes[0].look()
        outcomes = await asyncio.gather(*(budget.spend(1) for _ in range(8)), return_exceptions=True)
        assert outcomes[:6] == [None] * 6
        assert all(
            isinstance(one, UpstreamRateLimited) and one.retry_after_s == pytest.approx(3) for one in outcomes[6:]
        )

    async def test_without_the_books_only_what_was_free_is_shared(self, clock: ManualClock, books: Books) -> None:
        one, other = (make(clock, pool=books.process()) for _ in range(2))
        await one.spend(10)
        clock.advance(6000)
        await other.spend(50)
        books.processes[0].look()
        books.is_up = False
        for budget, process in zip((one, other), books.processes, strict=True):
            process.look()
            await budget.spend(6)
            assert await refusal(budget, 1) == 60
        clock.advance(60_000)
        await one.spend(5)

    async def test_until_shares_begin_only_the_lease_is_spent_and_callers_wait_a_while(
        self, clock: ManualClock, books: Books
    ) -> None:
        books.pause_s = 5.0
        budget = make(clock, pool=books.process())
        await budget.spend(1)
        books.is_up = False
        books.processes[0].look()
        await budget.spend(3)
        clock.advance(500)
        assert await refusal(budget, 30) == 4.5
        clock.advance(600)
        began = clock.monotonic()
        await budget.spend(1)
        assert clock.monotonic() - began == pytest.approx(3.9)
        assert (await refusal(budget, 70) or 0) > 50, "nobody waits for a window"

    async def test_back_at_the_books_it_writes_what_it_used_without_them(
        self, clock: ManualClock, books: Books
    ) -> None:
        one, other = (make(clock, pool=books.process()) for _ in range(2))
        books.is_up = False
        for budget in (one, other):
            await budget.spend(30)
        books.is_up = True
        for process in books.processes * 2:
            process.look()
        assert one.used == other.used == 60
        assert await refusal(one, 13) == 65
        await one.spend(12)

    async def test_a_report_beyond_the_books_is_handed_on(self, clock: ManualClock, books: Books) -> None:
        pool = books.process()
        budget = make(clock, MINUTE, pool=pool)
        clock.advance(10_000)
        await budget.spend(1)
        for used in (3, 4):
            budget.reported(used, sent_at=10.0)
        assert pool.reported == []
        for used in (5, 50):
            budget.reported(used, sent_at=10.0)
        assert pool.reported == [(5, 60.5), (50, 60.5)]

    @pytest.mark.parametrize("used", [80, 81, 100])
    async def test_a_report_that_shows_the_end_stops_it_at_once(
        self, clock: ManualClock, books: Books, used: int
    ) -> None:
        budget = make(clock, MINUTE, pool=books.process())
        clock.advance(10_000)
        await budget.spend(1)
        budget.reported(78, sent_at=10.0)
        await budget.spend(2)
        budget.reported(used, sent_at=10.0)
        assert await refusal(budget, 1) == 50.5
        assert books.leases == 1
        clock.advance(50_500)
        await budget.spend(72)

    async def test_of_a_lease_no_more_is_spent_than_the_exchange_has_left(
        self, clock: ManualClock, books: Books
    ) -> None:
        budget = make(clock, MINUTE, pool=books.process())
        clock.advance(10_000)
        await budget.spend(1)
        for used in (40, 79):
            budget.reported(used, sent_at=10.0)
            await budget.spend(1)
            assert books.leases == 1
        await budget.spend(1)
        assert books.leases == 2

    async def test_one_who_waits_at_the_books_sees_when_they_are_gone(self, clock: ManualClock, books: Books) -> None:
        budget = make(clock, pool=books.process())
        books.is_up = False
        outcomes = await asyncio.gather(*(budget.spend(1) for _ in range(90)), return_exceptions=True)
        assert outcomes[:72] == [None] * 72
        assert all(isinstance(one, UpstreamRateLimited) and one.retry_after_s == 66 for one in outcomes[72:])
