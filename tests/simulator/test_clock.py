"""A clock that is steered."""

import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.clock import SteeredClock, parse_moment_ms


def test_it_goes_as_its_base_until_it_is_steered() -> None:
    base = ManualClock(1_000)
    clock = SteeredClock(base)
    base.advance(500)
    assert clock.now_ms() == 1_500
    base.set(200)
    assert clock.now_ms() == 200


def test_it_can_be_set_forward_and_back_and_goes_on_from_there() -> None:
    base = ManualClock(1_000)
    clock = SteeredClock(base)
    clock.set(9_000)
    base.advance(5)
    assert clock.now_ms() == 9_005
    clock.set(100)
    base.advance(5)
    assert clock.now_ms() == 105
    clock.advance(-5)
    assert clock.now_ms() == 100


def test_it_can_stand_still_and_run_faster() -> None:
    base = ManualClock(1_000)
    clock = SteeredClock(base)
    base.advance(1)
    clock.run(0)
    base.advance(500)
    assert (clock.now_ms(), clock.rate) == (1_001, 0)
    clock.advance(10)
    assert clock.now_ms() == 1_011
    clock.run(60)
    base.advance(100)
    assert clock.now_ms() == 7_011
    clock.run()
    base.advance(100)
    assert clock.now_ms() == 7_111


async def test_waiting_is_its_bases() -> None:
    base = ManualClock(1_000)
    clock = SteeredClock(base)
    clock.run(0)
    await clock.sleep(2)
    assert clock.monotonic() == base.monotonic() == 2


@pytest.mark.parametrize("now_ms", [-1, 4_102_444_800_000])
def test_it_is_never_outside_of_what_can_be_simulated(now_ms: int) -> None:
    clock = SteeredClock(ManualClock(1_000))
    with pytest.raises(ValueError, match="1970 to 2100"):
        clock.set(now_ms)
    with pytest.raises(ValueError, match="1970 to 2100"):
        clock.advance(now_ms - 1_000)
    assert clock.now_ms() == 1_000


@pytest.mark.parametrize(
    "text, moment_ms",
    [
        ("1773578096789", 1_773_578_096_789),
        ("0", 0),
        ("2026-03-15T12:34:56.789Z", 1_773_578_096_789),
        ("2026-03-15T13:34:56.789+01:00", 1_773_578_096_789),
        ("2026-03-15 12:34:56.789", 1_773_578_096_789),
        ("2026-03-15", 1_773_532_800_000),
    ],
)
def test_moments_have_several_forms(text: str, moment_ms: int) -> None:
    assert parse_moment_ms(text) == moment_ms


@pytest.mark.parametrize("text", ["", "noon", "1.5", "\uff12\uff10"])
def test_other_texts_are_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match="isoformat"):
        parse_moment_ms(text)
