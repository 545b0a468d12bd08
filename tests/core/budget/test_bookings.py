from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.budget.bookings import Bookings, first_room_s


def test_a_booking_counts_until_just_before_its_end() -> None:
    bookings = Bookings([(3.0, 5), (1.0, 2)])
    bookings.add(2.0, 1)
    assert [bookings.active(now) for now in (0.0, 0.999, 1.0, 1.5, 2.0, 2.999, 3.0, 4.0)] == [8, 8, 6, 6, 5, 5, 0, 0]
    assert list(bookings) == []
    assert Bookings([(1.0, 2), (3.0, 5)]).active(2.0) == 5


def test_they_are_told_in_the_order_in_which_they_end() -> None:
    bookings = Bookings()
    assert bookings.last_end() == 0
    for ends_at in (2.0, 1.0, 3.0):
        bookings.add(ends_at, 1)
    assert list(bookings) == [(1.0, 1), (2.0, 1), (3.0, 1)]
    assert bookings.last_end() == 3


def test_room_is_where_enough_has_ended_of_all_that_is_held() -> None:
    one, other = Bookings([(10.0, 4), (30.0, 2)]), Bookings([(20.0, 3)])
    wanted = {1: 0, 2: 10, 5: 10, 6: 20, 8: 20, 9: 30, 10: 30, 11: None}
    assert {weight: first_room_s(0.0, 10, weight, one, other) for weight in wanted} == wanted
    assert first_room_s(5.0, 10, 2, one, other) == 5


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(1, 9)), max_size=20), st.integers(1, 30), st.integers(5, 40))
def test_there_is_room_when_it_says_and_not_before(held: list[tuple[float, int]], weight: int, limit: int) -> None:
    def fits(at: float) -> bool:
        return sum(booked for ends_at, booked in held if ends_at > at) + weight <= limit

    wait_s = first_room_s(0.0, limit, weight, Bookings(held[::2]), Bookings(held[1::2]))
    moments = [0.0, *(ends_at for ends_at, _ in held)]
    assert wait_s == min((at for at in moments if fits(at)), default=None)
