"""From an exchange's bytes to exact text: strict JSON, decimals never through a float, plain notation.

msgspec decodes strictly (no NaN, no comments, no trailing bytes) and hands a JSON number with a fraction or an exponent
to `float_hook` as the text that was sent.
"""

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from marketdata.core.errors import UpstreamBadData, UpstreamGarbled
from marketdata.core.models import DecimalText, ExchangeId

MAX_VALUES = 400_000
"""The most values that an answer may hold; the largest known is a listing of a thousand symbols with a hundred each."""


def decoder[T](wire_type: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder for one exchange's wire type; make it once."""
    return msgspec.json.Decoder(wire_type, float_hook=str)


def decode[T](exchange: ExchangeId, wire_decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body; UpstreamGarbled when it is not JSON or not of the documented form."""
    try:
        if not body.isascii():
            body.decode()  # in what is not of the wire type, msgspec does not look for what is not UTF-8
        return wire_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamGarbled(exchange, f"the answer is not of the documented form ({type(error).__name__})") from error


def refuse_repeated_keys(exchange: ExchangeId, body: bytes) -> None:
    """Raise UpstreamGarbled when an object of `body` has a key twice, or when it is not JSON: msgspec takes the last.

    It takes ten times as long as decoding does. Raises UpstreamBadData when there are too many values: each of the
    smallest takes thirty times its bytes in memory.
    """
    if body.count(b",") > MAX_VALUES:
        raise UpstreamBadData(exchange, f"the answer holds more than {MAX_VALUES} values")
    try:
        json.loads(body.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UpstreamGarbled(exchange, "the answer is not JSON, or an object in it has a key twice") from error


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")


def plain(number: str) -> DecimalText:
    """The same digits in plain notation: only an exponent is written out."""
    if "e" not in number and "E" not in number:
        return number
    if not _EXPONENT_FORM.fullmatch(number):
        return number  # no number, or one of absurd size: validation refuses it by name
    return format(Decimal(number), "f")


_EXPONENT_FORM = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?[eE][+-]?[0-9]{1,3}")


def plain_json_number(number: Any) -> DecimalText:  # noqa: ANN401 - an untyped JSON value is what it is for
    """The exact text of a JSON number as `decoder` hands it over: an int, or the text of a fraction.

    Anything else that JSON can hold becomes text that no number looks like, for validation to refuse by name.
    """
    if type(number) is int:
        return str(number)
    return plain(number) if type(number) is str else repr(number)
