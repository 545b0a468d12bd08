"""What an address counts as, and the memory of who has to wait."""

import pytest

from marketdata.api.guessing import Slowed, place_of
from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable

NOW_MS = 1767225690_000


@pytest.mark.parametrize(
    "address, place",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "nowhere"),
        ("", "nowhere"),
        (None, "nowhere"),
    ],
)
def test_what_an_address_counts_as(address: str | None, place: str) -> None:
    assert place_of(address) == place


def test_the_memory_of_who_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(NOW_MS)
    slowed = Slowed(clock)
    slowed.remember("a", "b", wait_s=2.5)
    assert (slowed.wait_s("a", "b"), slowed.wait_s("a", "c")) == (3, 0)
    clock.advance(2499)
    assert slowed.wait_s("a", "b") == 1
    clock.advance(1)
    assert slowed.wait_s("a", "b") == 0
    monkeypatch.setattr("marketdata.api.guessing._MAX_REMEMBERED", 2)
    for number in range(5):
        slowed.remember(str(number), wait_s=9)
    assert [slowed.wait_s(str(number)) for number in range(5)] == [0, 0, 0, 9, 9]


async def test_one_attempt_of_a_place_at_a_time_and_none_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(NOW_MS)
    slowed = Slowed(clock)
    monkeypatch.setattr("marketdata.api.guessing.TURN_S", 0.05)
    async with slowed.turn_of("here"), slowed.turn_of("here"):
        slowed.note_wrong("here")
    async with slowed.turn_of("here"):
        async with slowed.turn_of("there"), slowed.turn_of("there"):
            pass
        with pytest.raises(DatabaseUnavailable):
            async with slowed.turn_of("here"):
                pass
    async with slowed.turn_of("here"):
        pass
    clock.advance(59_999)
    async with slowed.turn_of("here"):
        with pytest.raises(DatabaseUnavailable):
            async with slowed.turn_of("here"):
                pass
    clock.advance(1)
    async with slowed.turn_of("here"), slowed.turn_of("here"):
        pass


async def test_of_places_that_failed_the_oldest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = Slowed(ManualClock(NOW_MS))
    monkeypatch.setattr("marketdata.api.guessing._MAX_REMEMBERED", 2)
    for place in ("a", "b", "a", "c"):
        slowed.note_wrong(place)
    assert list(slowed._failed) == ["a", "c"]
