"""Query parameters: each at most once, none that is unknown, none silently ignored."""

import difflib
import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Path
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from marketdata.api.problems import Problem
from marketdata.api.timestamps import FIRST_TIME, LATEST_MS, SECONDS, parse_timestamp, to_rfc3339
from marketdata.core.models import Interval

_MAX_PARAMETERS: Final = 100
_NAME: Final = re.compile(r"[A-Za-z_]{1,32}")
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "false": False}

TIME_TEXT: Final = (
    "Epoch milliseconds (never seconds), or RFC 3339 with a zone; in a URL `+` is written `%2B`. From 1970 to 9999."
)
TIME_SCHEMA: Final[Mapping[str, object]] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": SECONDS.start - 1},
        {"type": "integer", "minimum": SECONDS.stop, "maximum": LATEST_MS},
        {"type": "string", "format": "date-time"},
    ]
}
"""A moment in a query; what lies between the two ranges looks like seconds."""

SINCE_SCHEMA: Final[Mapping[str, object]] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": FIRST_TIME - 1},
        {"type": "integer", "minimum": FIRST_TIME, "maximum": LATEST_MS},
        {"type": "string", "format": "date-time"},
    ]
}
"""An id, or a moment, in a query."""

EXCHANGE_TEXT: Final = "An exchange of `/v1/exchanges`."
SYMBOL_TEXT: Final = (
    "The exchange's own symbol exactly as spelled, else ours in any case, former ones too; percent-encoded:"
    " `PURR%2FUSDC`."
)
INTERVAL_TEXT: Final = "One that the exchange offers; `m` minute, `M` month."

ExchangePath = Annotated[str, Path(description=EXCHANGE_TEXT, examples=["binance_futures"])]
SymbolPath = Annotated[str, Path(description=SYMBOL_TEXT, examples=["BTC-USDT-PERP"])]
IntervalPath = Annotated[
    str,
    Path(description=INTERVAL_TEXT),
    WithJsonSchema({"type": "string", "enum": list(Interval), "examples": ["1h"]}),
]

AsOf = Annotated[
    int | None,
    BeforeValidator(partial(parse_timestamp, "as_of")),
    PlainSerializer(to_rfc3339, when_used="unless-none"),
    WithJsonSchema({**TIME_SCHEMA, "examples": ["2026-01-01T00:00:00Z"]}),
    Field(
        description="The world as it was known at this moment, names included; without it as it is known now. Epoch"
        " milliseconds, or RFC 3339 with a zone; not in the future. What was known is what the last listing said that"
        " was read until then, so a moment of the last seconds may still change."
    ),
]
"""A moment, epoch ms."""


def read_query(query: bytes, known: Collection[str]) -> dict[str, str]:
    """The values of a query string by parameter.

    Raises Problem `unknown-parameter` for one that is not in `known`, `invalid-parameter` for one given twice.
    """
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise Problem("invalid-request", "The query string has too many parameters.") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise unknown_name("query parameter", name, known)
        if name in values:
            raise Problem("invalid-parameter", f"`{name}` is given more than once.", parameter=name)
        values[name] = value
    return values


def unknown_name(what: str, name: str, known: Collection[str]) -> Problem:
    """The refusal of an unknown name, which is repeated only if it looks like one."""
    problem = Problem("unknown-parameter", f"Nothing was done: there is no such {what} here.")
    if _NAME.fullmatch(name):
        problem.members["parameter"] = name
        if close := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5):
            problem.members["did_you_mean"] = close
    problem.members["supported"] = list(known)
    return problem


def parse_choice[Choice: str](name: str, text: str, choices: Collection[Choice]) -> Choice:
    """The one of `choices` that `text` is; else Problem `invalid-parameter`."""
    for choice in choices:
        if choice == text:
            return choice
    supported = list(choices)
    raise Problem(
        "invalid-parameter", f"`{name}` is one of {', '.join(supported)}.", parameter=name, supported=supported
    )


def parse_flag(name: str, text: str) -> bool:
    """`true` or `false` in any case; else Problem `invalid-parameter`."""
    return _FLAGS[parse_choice(name, text.lower(), _FLAGS)]


def parse_limit(text: str, most: int) -> int:
    """A number of rows from 1 to `most`; Problem `limit-too-large` above, `invalid-parameter` for anything else."""
    limit = int(text[:19]) if re.fullmatch(r"\d+", text, re.ASCII) else 0  # more digits are too large in any case
    if limit > most:
        raise Problem("limit-too-large", f"`limit` is at most {most}.", parameter="limit", max=most)
    if limit < 1:
        raise Problem("invalid-parameter", f"`limit` is a whole number from 1 to {most}.", parameter="limit", max=most)
    return limit


def parse_whole(name: str, text: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`; else Problem `invalid-parameter`."""
    number = int(text) if re.fullmatch(r"\d{1,19}", text, re.ASCII) else -1
    if not least <= number <= most:
        raise Problem(
            "invalid-parameter", f"`{name}` is a whole number from {least} to {most}.", parameter=name, max=most
        )
    return number
