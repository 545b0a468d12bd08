"""Times as callers write and read them: epoch milliseconds or RFC 3339 with a zone."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from marketdata.api.problems import Problem

LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999; nothing later can be written in RFC 3339."""

FIRST_TIME: Final = 100_000_000_000
"""The smallest whole number that is taken for a time where ids are, too, epoch ms (in 1973); those below are ids."""

SECONDS: Final = range(10**8, 10**11)
"""Epoch seconds from 1973 on; as milliseconds they would be days of 1970 to 1973, before all candles."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_INTEGER: Final = re.compile(r"\d{1,15}", re.ASCII)
_RFC3339: Final = re.compile(
    r"(?P<seconds>\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2})(?P<fraction>\.\d{1,9})?(?P<zone>[Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)


def parse_timestamp(name: str, text: str) -> int:
    """Epoch ms of parameter `name`; a fraction of a millisecond is rounded up, which no half-open range notices.

    Raises Problem `naive-timestamp` for a time without a zone, `invalid-parameter` for anything else unreadable.
    """
    time_ms = int(text) if _INTEGER.fullmatch(text) else _parse_rfc3339(name, text)
    if _INTEGER.fullmatch(text) and time_ms in SECONDS:
        raise Problem(
            "invalid-parameter", f"`{name}` looks like seconds: times here are epoch milliseconds.", parameter=name
        )
    if not 0 <= time_ms <= LATEST_MS:
        raise _invalid(name)
    return time_ms


def parse_since(text: str, what: str) -> tuple[int, int | None]:
    """The id after which, 0 for none, and the time since when, epoch ms, that parameter `since` means.

    `what`: whose id it is. Raises Problem as `parse_timestamp`.
    """
    if re.fullmatch(r"\d{1,15}", text, re.ASCII) and int(text) < FIRST_TIME:
        return int(text), None
    if re.match(r"\d{4}-|\d+$", text, re.ASCII):
        return 0, parse_timestamp("since", text)
    raise Problem(
        "invalid-parameter",
        f"`since` is {what} (below {FIRST_TIME}) or a time: epoch milliseconds (UTC), or RFC 3339 with a time of day"
        " and a zone, such as `2026-01-31T00:00:00Z`.",
        parameter="since",
    )


def _parse_rfc3339(name: str, text: str) -> int:
    found = _RFC3339.fullmatch(text)
    if _DATE.fullmatch(text):
        raise Problem(
            "naive-timestamp",
            f"`{name}` is no moment: write the time of day, with seconds, and a zone, such as `2026-01-31T00:00:00Z`.",
            parameter=name,
        )
    if found and not found["zone"]:
        raise Problem(
            "naive-timestamp",
            f"`{name}` has no time zone: append `Z`, or an offset such as `%2B02:00` (a bare `+` in a URL is a space).",
            parameter=name,
        )
    if not found:
        raise _invalid(name)
    try:
        moment = datetime.fromisoformat(found["seconds"] + found["zone"].upper())
    except ValueError:
        raise _invalid(name) from None
    nanoseconds = int((found["fraction"] or ".")[1:].ljust(9, "0"))
    return (moment - _EPOCH) // _MILLISECOND - -nanoseconds // 1_000_000


def _invalid(name: str) -> Problem:
    return Problem(
        "invalid-parameter",
        f"`{name}` is epoch milliseconds (UTC) or RFC 3339 with a zone, from 1970 to 9999;"
        " write `+` in a URL as `%2B`.",
        parameter=name,
    )


def to_rfc3339(time_ms: int) -> str:
    """`time_ms` as RFC 3339 with `Z`; the fraction is left out where it is zero."""
    moment = _EPOCH + time_ms * _MILLISECOND
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds").replace("+00:00", "Z")
