import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.api.problems import Problem
from marketdata.api.timestamps import LATEST_MS, parse_timestamp, to_rfc3339


@pytest.mark.parametrize(
    "text,time_ms",
    [
        ("0", 0),
        ("1767225600000", 1767225600000),
        ("2026-01-01T00:00:00Z", 1767225600000),
        ("2026-01-01t00:00:00z", 1767225600000),
        ("2026-01-01 00:00:00Z", 1767225600000),
        ("2026-01-01T02:00:00+02:00", 1767225600000),
        ("2025-12-31T19:00:00.000-05:00", 1767225600000),
        ("2026-01-01T00:00:00.5Z", 1767225600500),
        ("2026-01-01T00:00:00.001000000Z", 1767225600001),
        ("2026-01-01T00:00:00.000000001Z", 1767225600001),
        ("9999-12-31T23:59:59.999Z", LATEST_MS),
    ],
)
def test_times_that_are_understood(text: str, time_ms: int) -> None:
    assert parse_timestamp("start", text) == time_ms


@pytest.mark.parametrize("text", ["1767225600", "100000000", "99999999999"])
def test_seconds_are_noticed(text: str) -> None:
    with pytest.raises(Problem, match="looks like seconds") as caught:
        parse_timestamp("start", text)
    assert (caught.value.code, caught.value.members) == ("invalid-parameter", {"parameter": "start"})


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00", "2026-01-01T00:00:00", "2026-01-01 00:00:00.123"])
def test_times_without_a_zone(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_timestamp("end", text)
    assert (caught.value.code, caught.value.members) == ("naive-timestamp", {"parameter": "end"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1e12",
        "1.5",
        "now",
        "253402300800000",
        "9999999999999999999999",
        "\u0661",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+25:00",
        "2026-01-01T00:00:00 02:00",
        "1969-12-31T23:59:59Z",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_timestamp("start", text)
    assert (caught.value.code, caught.value.members) == ("invalid-parameter", {"parameter": "start"})


@given(st.integers(0, LATEST_MS))
def test_what_is_written_is_read_back(time_ms: int) -> None:
    assert parse_timestamp("start", to_rfc3339(time_ms)) == time_ms


def test_a_whole_second_has_no_fraction() -> None:
    assert to_rfc3339(1767225600000) == "2026-01-01T00:00:00Z"
    assert to_rfc3339(1767225600010) == "2026-01-01T00:00:00.010Z"
