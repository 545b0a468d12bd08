import pytest

from marketdata.core.budget.pool import Ask, Held, Known, Lease, longest
from marketdata.core.budget.rule import Rule
from marketdata.core.models import Budget

RULE = Rule(Budget(limit=100, window_s=60, window="sliding"))  # 80, of which 72 for API callers, in blocks of 4


@pytest.fixture
def known() -> Known:
    return Known([Held(10.0, 30, "api"), Held(20.0, 40, "api"), Held(30.0, 5, "syncer"), Held(40.0, 1, None)])


def test_room_is_what_nobody_holds_and_for_api_callers_no_more_than_nine_tenths_in_sum(known: Known) -> None:
    assert (known.room(RULE, "api", 0.0), known.room(RULE, "syncer", 0.0)) == (2, 4)
    known.add(Held(50.0, 1, "syncer"))
    assert (known.room(RULE, "api", 0.0), known.room(RULE, "syncer", 0.0)) == (2, 3)
    known.add(Held(50.0, 2, "api"))
    assert (known.room(RULE, "api", 0.0), known.room(RULE, "syncer", 0.0)) == (0, 1)
    assert (known.room(RULE, "api", 10.0), known.room(RULE, "syncer", 10.0)) == (30, 31)


def test_it_says_when_there_will_be_room(known: Known) -> None:
    api = {weight: known.first_room_s(RULE, "api", weight, 0.0) for weight in (2, 3, 32, 33, 72, 73)}
    assert api == {2: 0, 3: 10, 32: 10, 33: 20, 72: 20, 73: None}
    syncer = {weight: known.first_room_s(RULE, "syncer", weight, 0.0) for weight in (4, 5, 75, 80, 81)}
    assert syncer == {4: 0, 5: 10, 75: 30, 80: 40, 81: None}
    assert known.first_room_s(RULE, "api", 3, 8.0) == 2


@pytest.mark.parametrize(
    "now,need,want,granted",
    [
        (0.0, 1, 1, 2),  # all that is left
        (0.0, 2, 2, 2),
        (0.0, 3, 3, 0),
        (10.0, 1, 1, 4),
        (10.0, 5, 5, 5),
        (10.0, 1, 6, 6),
        (10.0, 1, 40, 20),
        (10.0, 32, 32, 32),
        (10.0, 33, 33, 0),
    ],
)
def test_a_block_is_granted_or_what_is_needed_or_for_many_up_to_a_quarter_or_nothing(
    known: Known, now: float, need: int, want: int, granted: int
) -> None:
    assert Ask(RULE, "api", need, want, 66.0).grant(known, now) == granted


def test_a_lease_is_spent_until_its_end_or_until_it_is_closed() -> None:
    lease = Lease(1, 5, 10.0)
    assert lease.spend(3, 9.999)
    assert (lease.left, lease.spent) == (2, 3)
    assert not lease.spend(3, 9.999)
    assert not lease.spend(2, 10.0)
    assert [lease.left_at(now) for now in (9.999, 10.0, 11.0)] == [2, 0, 0]
    assert lease.spent == 3
    lease.spend_before = 0.0
    assert not lease.spend(1, 0.0)
    assert (lease.left, lease.spent) == (2, 3)


def test_the_longest_wait_is_for_ever_where_one_of_them_is() -> None:
    assert longest([]) == longest([-1.0]) == 0
    assert longest([1.0, 3.0, 2.0]) == 3
    assert longest([1.0, None, 2.0]) is None
