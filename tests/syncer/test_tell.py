"""Intervals told as events; instruments are in `test_compare`."""

from marketdata.core.models import Interval, IntervalSpec
from marketdata.syncer.tell import tell_intervals

MINUTE = IntervalSpec(interval=Interval.MIN_1, token="60", anchor="epoch", offset_ms=0)
HOUR = IntervalSpec(interval=Interval.HOUR_1, token="3600", anchor="epoch", offset_ms=0)
WEEK = IntervalSpec(interval=Interval.WEEK_1, token="1w", anchor="epoch", offset_ms=345600000)


def test_intervals_that_stay_are_not_told() -> None:
    assert tell_intervals([MINUTE, HOUR], [HOUR, MINUTE]) == []


def test_intervals_come_and_go() -> None:
    told = tell_intervals([MINUTE, HOUR], [HOUR, WEEK])
    assert [(one.type, one.interval, one.old, one.new) for one in told] == [
        ("interval_removed", "1m", MINUTE.model_dump(mode="json"), None),
        ("interval_added", "1w", None, WEEK.model_dump(mode="json")),
    ]


def test_another_alignment_is_told_field_by_field() -> None:
    told = tell_intervals([WEEK], [WEEK.model_copy(update={"anchor": None, "offset_ms": None})])
    assert [(one.type, one.interval, one.field, one.old, one.new) for one in told] == [
        ("field_changed", "1w", "anchor", "epoch", None),
        ("field_changed", "1w", "offset_ms", 345600000, None),
    ]
