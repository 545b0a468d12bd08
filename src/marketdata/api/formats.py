"""The formats that candles come in, and which of them a request asks for."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from marketdata.api.problems import Problem

Format = Literal["json", "csv", "ndjson", "ccxt"]

FORMATS: Final[tuple[Format, ...]] = ("json", "csv", "ndjson", "ccxt")

CONTENT_TYPES: Final[Mapping[Format, str]] = {
    "json": "application/json",  # always UTF-8: RFC 8259 knows no charset
    "csv": "text/csv; charset=utf-8; header=present",
    "ndjson": "application/x-ndjson; charset=utf-8",
    "ccxt": "application/json",
}

_ACCEPTABLE: Final[Mapping[Format, str]] = {
    "json": "application/json",
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
}
"""The media type by which `Accept` asks for each, the one that we prefer first; `ccxt` has none of its own."""

_QUALITY: Final = re.compile(r"q=(0(?:\.\d*)?|1(?:\.0*)?)")


def choose_format(given: str | None, accept: str) -> Format:
    """What the `format` parameter says; without one what the `Accept` header likes best, JSON where it does not care.

    Raises Problem `unsupported-format` where it is none of ours.
    """
    if given is None:
        chosen = _best(accept) if accept else "json"
    else:
        chosen = next((one for one in FORMATS if one == given), None)
    if chosen is None:
        types = ", ".join(f"{media_type} ({one})" for one, media_type in _ACCEPTABLE.items())
        raise Problem(
            "unsupported-format",
            f"Candles come as {', '.join(FORMATS)}; by `Accept` as {types}.",
            parameter="format",
            supported=FORMATS,
        )
    return chosen


def check_form(chosen: Format, values: Mapping[str, str]) -> None:
    """Raise Problem `invalid-parameter` for a parameter that contradicts the format."""
    if chosen != "ccxt":
        return
    for name, only in (("numbers", "number"), ("time_format", "ms")):
        if values.get(name, only) != only:
            raise Problem(
                "invalid-parameter",
                f"`format=ccxt` is always `{name}={only}`: leave `{name}` out, or ask for another format.",
                parameter=name,
                supported=[only],
            )


def _best(accept: str) -> Format | None:
    """The format of the highest quality; among equals one that is named more exactly, then the one we prefer."""
    ranges = [_media_range(text) for text in accept.lower().split(",")]
    best: Format | None = None
    best_score = (0.0, 0)
    for one, media_type in _ACCEPTABLE.items():
        score = _score(media_type, ranges)
        if score[0] > 0 and score > best_score:
            best, best_score = one, score
    return best


def _score(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Quality and exactness of the most specific range that covers `media_type` (RFC 9110, section 12.5.1)."""
    covering = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    exactness, quality = max(
        ((covering.index(name), quality) for name, quality in ranges if name in covering), default=(0, 0.0)
    )
    return quality, exactness


def _media_range(text: str) -> tuple[str, float]:
    """Name and quality of one element of an `Accept` header; its other parameters say nothing about ours."""
    name, *parameters = (part.strip() for part in text.split(";"))
    qualities = [float(found[1]) for parameter in parameters if (found := _QUALITY.fullmatch(parameter))]
    return name, qualities[0] if qualities else 1.0
