"""Times as a user writes them on the command line."""

import re
from datetime import datetime

import typer

_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_expiry(text: str, now_ms: int) -> int:
    """The time that a user means by `90d`, `12h`, `30m` or an RFC 3339 time with its zone, epoch ms.

    Raises typer.BadParameter for anything else and for the past.
    """
    expires_ms = _parse(text, now_ms, 1, "--expires")
    if expires_ms <= now_ms:
        raise typer.BadParameter("that is in the past", param_hint="--expires")
    return expires_ms


def parse_since(text: str, now_ms: int) -> int:
    """The time that a user means by `12h` (so long ago) or an RFC 3339 time with its zone, epoch ms.

    Raises typer.BadParameter for anything else.
    """
    return _parse(text, now_ms, -1, "--since")


def _parse(text: str, now_ms: int, direction: int, option: str) -> int:
    duration = re.fullmatch(r"(\d{1,6})([mhd])", text, re.ASCII)
    if duration:
        return now_ms + direction * int(duration[1]) * _UNIT_MS[duration[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("give 12h, 90d or a time such as 2027-01-01T00:00:00Z", param_hint=option) from None
    if moment.tzinfo is None:
        raise typer.BadParameter("a time needs its zone, such as Z at its end", param_hint=option)
    return round(moment.timestamp() * 1000)
