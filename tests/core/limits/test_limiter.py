import asyncio
from itertools import pairwise

import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.limits import Limiter, OwnRates
from marketdata.core.limits.limiter import BUSY_S
from marketdata.core.limits.meter import IDLE_S, LEASES
from tests.core.limits.books import Books

BEGIN_MS = 1767225600000  # a minute begins


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN_MS)


@pytest.fixture
def books(clock: ManualClock) -> Books:
    return Books(clock)


async def settle() -> None:
    """Let what is under way end."""
    for _ in range(10):
        await asyncio.sleep(0)


class TestAlone:
    """A process without a pool."""

    async def test_it_has_the_whole_limit_in_each_minute(self, clock: ManualClock) -> None:
        limiter = Limiter(OwnRates(clock), clock, lambda _: (3, 10))
        meter = limiter.meter("c")
        outcomes = [await limiter.take(meter, meter.requests, 1) for _ in range(4)]
        assert outcomes == [None, None, None, 60.0]
        clock.advance(59_999)
        assert await limiter.take(meter, meter.requests, 1) == pytest.approx(0.001)
        clock.advance(1)
        assert await limiter.take(meter, meter.requests, 1) is None
        assert meter.requests.left == 2
        clock.advance(60_000 * 7 + 1)
        assert await limiter.take(meter, meter.requests, 3) is None
        assert meter.ends_at == 60.0 * 9

    async def test_requests_and_candles_are_apart_and_so_are_clients(self, clock: ManualClock) -> None:
        limiter = Limiter(OwnRates(clock), clock, lambda client_id: (3, 10) if client_id == "c" else (1, 1))
        one, other = limiter.meter("c"), limiter.meter("d")
        assert await limiter.take(one, one.candles, 10) is None
        assert await limiter.take(one, one.candles, 1) is not None
        assert await limiter.take(one, one.requests, 3) is None
        assert await limiter.take(other, other.requests, 2) is not None
        assert await limiter.take(other, other.requests, 1) is None
        assert limiter.meter("c") is one

    async def test_those_who_are_gone_are_forgotten(self, clock: ManualClock) -> None:
        limiter = Limiter(OwnRates(clock), clock, lambda _: (3, 10))
        meter = limiter.meter("c")
        clock.advance(90_000)
        await limiter.take(meter, meter.requests, 1)
        clock.advance(119_999)
        await limiter.tick()
        assert limiter.meter("c") is meter
        clock.advance(1)
        await limiter.tick()
        assert limiter.meter("c") is not meter


class TestLeases:
    async def test_a_lease_is_a_part_of_what_is_left_and_is_renewed_before_it_is_spent(self, books: Books) -> None:
        process = books.process()
        assert await process.ask() is None
        assert books.asked == [{"requests": 1200 // LEASES, "candles": 0}]
        meter = process.limiter.meter("c")
        assert meter.requests.left == 36
        for _ in range(17):
            assert await process.ask() is None
        await settle()
        assert len(books.asked) == 1
        assert await process.ask() is None  # half of it is spent
        await settle()
        assert books.asked[1:] == [{"requests": (1200 - 37) // LEASES, "candles": 0}]
        assert meter.requests.left == 18 + 36

    async def test_leases_become_small_so_that_nothing_is_stranded(self, books: Books) -> None:
        one, other = books.process(), books.process()
        assert await one.ask() is None
        taken = await other.ask_for_all()
        assert taken == 1200 - 37
        sizes = [asked["requests"] for asked in books.asked]
        assert sizes[-1] == 1
        assert all(later <= earlier for earlier, later in pairwise(sizes[1:]))
        assert len(sizes) < 180
        assert await one.ask_for_all() == 36

    async def test_nobody_asks_again_for_what_is_used_up(self, books: Books, clock: ManualClock) -> None:
        process = books.process()
        assert await process.ask_for_all() == 1200
        asked = len(books.asked)
        clock.advance(20_000)
        for _ in range(5):
            assert await process.ask() == pytest.approx(40)
        assert len(books.asked) == asked
        clock.advance(40_000)
        assert await process.ask() is None

    async def test_many_who_come_at_once_share_one_question(self, books: Books) -> None:
        process = books.process()
        outcomes = await asyncio.gather(*(process.ask() for _ in range(300)))
        assert outcomes == [None] * 300
        assert books.asked[0] == {"requests": 300, "candles": 0}
        assert len(books.asked) <= 2

    async def test_what_is_left_is_not_asked_for_again(self, books: Books) -> None:
        books.limits["c"] = (40, 1)
        process = books.process()
        assert await process.ask() is None
        meter = process.limiter.meter("c")
        meter.put_back(meter.requests, 3, meter.start_ms)
        assert await process.ask(8) is None
        assert books.asked[1]["requests"] == 5
        assert meter.requests.left == 0
        meter.put_back(meter.requests, 3, meter.start_ms)
        await settle()
        left, rest = meter.requests.left, meter.requests.rest
        assert left & rest
        assert await process.ask(left + rest + 1) == 60
        assert await process.ask(left + rest) is None

    async def test_what_does_not_fit_is_refused_unasked(self, books: Books) -> None:
        process = books.process()
        assert await process.ask(100_001, "candles") == 60
        assert books.asked == []
        assert await process.ask(99_000, "candles") is None
        assert await process.ask(1_001, "candles") == 60
        assert await process.ask(1_000, "candles") is None

    async def test_others_may_have_taken_what_seemed_left(self, books: Books) -> None:
        one, other = books.process(), books.process()
        assert await one.ask(10_000, "candles") is None
        assert await other.ask(85_000, "candles") is None
        assert await one.ask(6_000, "candles") == 60
        meter = one.limiter.meter("c")
        assert (meter.candles.left, meter.candles.rest) == (5_000, 0)
        assert await one.ask(5_000, "candles") is None

    async def test_what_is_put_back_can_be_taken_again_in_the_same_minute(
        self, books: Books, clock: ManualClock
    ) -> None:
        process = books.process()
        assert await process.ask(100_000, "candles") is None
        meter = process.limiter.meter("c")
        meter.put_back(meter.candles, 40_000, meter.start_ms)
        assert await process.ask(40_000, "candles") is None
        reserved_ms = meter.start_ms
        clock.advance(60_000)
        assert await process.ask() is None
        left = meter.candles.left
        meter.put_back(meter.candles, 40_000, reserved_ms)
        assert meter.candles.left == left

    async def test_what_lies_idle_is_given_back(self, books: Books, clock: ManualClock) -> None:
        process = books.process()
        assert await process.ask() is None
        clock.advance(round(IDLE_S * 1000) - 1)
        await process.limiter.tick()
        assert books.taken["c", BEGIN_MS]["requests"] == 37
        clock.advance(1)
        await process.limiter.tick()
        assert books.taken["c", BEGIN_MS]["requests"] == 1
        asked = len(books.asked)
        await process.limiter.tick()
        assert len(books.asked) == asked
        assert await process.ask_for_all() == 1199

    async def test_a_new_minute_is_prepared_for_those_who_ask_all_the_time(
        self, books: Books, clock: ManualClock
    ) -> None:
        process = books.process()
        clock.advance(57_000)
        assert await process.ask(5, "candles") is None
        assert await process.ask() is None
        clock.advance(3_000)
        await process.limiter.tick()
        assert books.taken["c", BEGIN_MS + 60_000] == {"requests": 37, "candles": 3125}
        asked = len(books.asked)
        assert await process.ask(5, "candles") is None
        assert len(books.asked) == asked

    async def test_what_others_take_is_known_after_a_look(self, books: Books) -> None:
        one, other = books.process(), books.process()
        assert await one.ask() is None
        assert await other.ask_for_all() == 1163
        requests = one.limiter.meter("c").requests
        assert requests.rest == 1163
        one.look()
        await one.limiter.tick()
        assert (requests.left, requests.rest) == (36, 0)

    async def test_a_new_limit_counts_from_the_next_round_on(self, books: Books) -> None:
        process = books.process()
        assert await process.ask_for_all() == 1200
        books.limits["c"] = (1300, 1)
        assert await process.ask_for_all() == 100
        books.limits["c"] = (10, 1)
        await process.limiter.tick()
        assert process.limiter.meter("c").requests.rest == 0

    async def test_a_client_of_whom_the_books_do_not_know_gets_nothing(self, books: Books) -> None:
        process = books.process()
        assert await process.ask(client_id="nobody") == 60
        assert len(books.asked) == 1
        assert await process.ask(client_id="nobody") == 60
        assert len(books.asked) == 1

    async def test_who_waits_too_long_may_come_again_soon(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("marketdata.core.limits.limiter.PATIENCE_S", 0.01)
        books.gate = asyncio.Event()
        process = books.process()
        assert await process.ask() == BUSY_S
        assert set(await asyncio.gather(process.ask(), process.ask())) == {BUSY_S}
        assert len(books.asked) == 1
        books.gate.set()
        await settle()
        assert await process.ask() is None
        assert process.limiter.meter("c").requests.waiting == 0
        assert await process.ask_for_all() == 1199

    async def test_a_defect_is_raised_in_those_who_wait(
        self, books: Books, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        process = books.process()

        async def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(process, "take", fail)
        with pytest.raises(ZeroDivisionError):
            await process.ask()
        assert "defect while leasing" in caplog.text


class TestWithoutTheBooks:
    async def lose(self, books: Books) -> None:
        books.is_up = False
        for process in books.processes:
            process.lose()

    async def come_back(self, books: Books) -> None:
        """All reach the books and tell, and then they lease."""
        books.is_up = True
        for process in books.processes:
            process.look()
            await process.limiter.tick()
        for process in books.processes:
            process.settle()

    async def test_each_process_has_its_share(self, books: Books) -> None:
        processes = [books.process() for _ in range(4)]
        await self.lose(books)
        assert [await process.ask_for_all() for process in processes] == [300] * 4
        assert books.asked == []

    async def test_in_the_minute_of_the_loss_it_is_a_share_of_what_was_left(self, books: Books) -> None:
        one, other = books.process(), books.process()
        for _ in range(600):
            assert await one.ask() is None
        await settle()
        leased = books.taken["c", BEGIN_MS]["requests"]
        for process in (one, other):
            process.look()
        await self.lose(books)
        free = 1200 - leased
        share = (free - free // LEASES) // 2
        assert await other.ask_for_all() == share
        assert await one.ask_for_all() == share + leased - 600

    async def test_before_it_is_sure_there_is_as_much_as_one_lease_for_all(self, books: Books) -> None:
        process, _ = books.process(), books.process()
        assert await process.ask() is None
        books.is_up = False
        process.is_reachable = process.can_lease = False
        assert await process.ask_for_all() == 36 + 1200 // LEASES // 2
        assert await process.ask() == BUSY_S
        process.is_alone = True
        free = 1200 - 37
        assert await process.ask_for_all() == (free - free // LEASES) // 2 - 1200 // LEASES // 2
        assert await process.ask() == 60

    async def test_what_was_taken_on_credit_is_told(self, books: Books, clock: ManualClock) -> None:
        process = books.process()
        books.is_up = process.is_reachable = process.can_lease = False
        clock.advance(1_000)
        assert await process.ask_for_all() == 1200 // LEASES
        books.is_up = process.is_reachable = process.can_lease = True
        assert await process.ask_for_all() == 1200 - 1200 // LEASES
        assert books.taken["c", BEGIN_MS]["requests"] == 1200

    async def test_who_is_told_while_waiting_goes_on_with_a_share(self, books: Books) -> None:
        process = books.process()
        books.is_up = False
        assert await process.ask() is None
        assert len(books.asked) == 1
        assert process.limiter.meter("c").is_alone

    async def test_afterwards_what_was_taken_meanwhile_counts_for_all(self, books: Books) -> None:
        one, other = books.process(), books.process()
        await self.lose(books)
        assert await one.ask_for_all() == 600
        for _ in range(100):
            assert await other.ask() is None
        await self.come_back(books)
        assert books.taken["c", BEGIN_MS]["requests"] == 700
        assert await one.ask_for_all() + await other.ask_for_all() == 500

    async def test_of_what_is_left_a_lease_of_each_other_process_is_kept(self, books: Books) -> None:
        processes = [books.process() for _ in range(4)]
        assert await processes[0].ask() is None
        for process in processes:
            process.look()
        await self.lose(books)
        free = 1200 - 37
        assert await processes[1].ask_for_all() == (free - 3 * (free // LEASES)) // 4

    async def test_as_long_as_not_all_have_told_shares_go_on(self, books: Books) -> None:
        one, other = books.process(), books.process()
        await self.lose(books)
        assert await one.ask() is None
        books.is_up = True
        for process in (one, other):
            process.look()
            process.can_lease = False
        await one.limiter.tick()
        assert books.taken["c", BEGIN_MS]["requests"] == 1
        assert await one.ask_for_all() == 599
        await one.limiter.tick()
        assert books.taken["c", BEGIN_MS]["requests"] == 600

    async def test_the_rest_of_a_lease_is_neither_lost_nor_counted_twice(self, books: Books) -> None:
        process = books.process()
        assert await process.ask() is None
        await self.lose(books)
        for _ in range(10):
            assert await process.ask() is None
        await self.come_back(books)
        assert books.taken["c", BEGIN_MS]["requests"] == 37
        assert await process.ask_for_all() == 1189

    async def test_the_rest_of_a_lease_is_still_there_afterwards(self, books: Books) -> None:
        process = books.process()
        assert await process.ask() is None
        meter = process.limiter.meter("c")
        process.lose()
        await process.limiter.tick()
        assert meter.is_alone
        process.settle()
        assert await process.ask(36) is None
        assert len(books.asked) == 1
        assert await process.ask_for_all() == 1200 - 37

    async def test_a_share_is_not_had_twice_in_a_minute(self, books: Books) -> None:
        one, _ = books.process(), books.process()
        await self.lose(books)
        assert await one.ask_for_all() == 600
        one.is_alone, one.can_lease = False, True  # but they are away again at once
        assert await one.ask() is not None
        assert await one.ask_for_all() == 0

    async def test_a_new_minute_has_a_new_share(self, books: Books, clock: ManualClock) -> None:
        one, _ = books.process(), books.process()
        await self.lose(books)
        assert await one.ask_for_all() == 600
        clock.advance(60_000)
        assert await one.ask_for_all() == 600
        clock.advance(60_000)
        books.is_up = True
        one.look()
        one.settle()
        assert await one.ask_for_all() == 1200
