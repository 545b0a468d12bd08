"""Small damage to a good answer: in its JSON, so that it goes deep, or anywhere in its bytes."""

import copy
import json
import random
from typing import Any

_NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1e308,
    -0.0,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**30,
    253402300800000,
    8640000000000001,
    "",
    "0",
    "-0",
    "-1",
    "1e-8",
    "1E+400",
    "1e999999999",
    "NaN",
    "Infinity",
    "-inf",
    "0x10",
    "1_000",
    " 1",
    "1\n",
    "٣",
    "\x00",
    "\u2028",
    "\ud800",
    "é",
    "😀" * 3,
    "9" * 101,
    "0." + "0" * 401 + "1",
    "A" * 5000,
    "-",
    "USDT",
    "BTC-USD",
    "k",
    "kPEPE",
    ":",
    "1000",
    "_261225",
    "2026-01-01T00:00:00",
    "0001-01-01T00:00:00Z",
    [],
    {},
    [[]],
    {"": None},
)
_TOKENS: tuple[bytes, ...] = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e5",
    b"-0",
    b"0" * 3,
    b"9" * 5000,
    b"\xef\xbb\xbf",
    b"\xff",
    b"\\u0000",
)
_TOKENS += (
    b"\x00",
    b"[" * 3000,
    b"{",
    b"}",
    b"]",
    b",",
    b'"',
    b"null",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"/**/",
    b"1.",
    b".5",
)
_HEADS: tuple[bytes, ...] = (
    b"date: ",
    b"retry-after: ",
    b"x-mbx-used-weight-1m: ",
    b"418\n",
    b"429\n",
    b"503\n",
    b"451\n",
    b"-0000",
    b"+9999",
)
_HEADS += (
    b"Thu, 01 Jan 0001 00:00:00 GMT",
    b"Thu, 99 Jan 99999 00:00:00",
    b"\xb2",
    b"9" * 40,
    b"banned until 9999999999999",
)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """`data` with one thing changed."""
    start = next((at for at in range(min(len(data), 400)) if data[at : at + 1] in b"[{"), None)
    if start is not None and chance.random() < 0.7:
        parts = data[start:].split(b"\0")
        which = chance.randrange(len(parts))
        try:
            document = json.loads(parts[which])
        except (ValueError, RecursionError):
            return _bytes(data, chance)
        for _ in range(chance.choice((1, 1, 2, 5))):
            document = _document(document, chance)
        parts[which] = json.dumps(document, ensure_ascii=chance.random() < 0.5, separators=(",", ":")).encode(
            errors="surrogatepass"
        )
        return data[:start] + b"\0".join(parts)
    return _bytes(data, chance)


def _document(document: Any, chance: random.Random) -> Any:
    """The same document with another value, one less or one more somewhere."""
    at, depth = document, chance.randrange(8)
    while depth and isinstance(at, list | dict) and at:
        inner = chance.choice(list(at.values()) if isinstance(at, dict) else at)
        if not isinstance(inner, list | dict) or not inner:
            break
        at, depth = inner, depth - 1
    if not isinstance(at, list | dict) or not at:
        return copy.deepcopy(chance.choice(_NASTY))
    keys: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
    key, other = chance.choice(keys), chance.choice(keys)
    match chance.randrange(6):
        case 0 | 1:
            at[key] = copy.deepcopy(chance.choice(_NASTY))
        case 2:
            del at[key]
        case 3:
            at[key], at[other] = at[other], at[key]
        case 4 if isinstance(at, list):
            at.insert(chance.randrange(len(at) + 1), copy.deepcopy(at[key]))
        case _:
            at[key] = _near(at[key], chance)
    return document


def _near(value: Any, chance: random.Random) -> Any:
    """A value that looks like this one."""
    match value:
        case bool() | None:
            return str(value)
        case int() if abs(value) < 2**63:
            return chance.choice([value + 1, -value, str(value), value * 1000, value / 10, value // 1000])
        case float():
            return chance.choice([str(value), -value, value * 1e-300, value * 1e300])
        case str() if value:
            at = chance.randrange(len(value))
            return chance.choice(
                [value[:at], value[:at] + chance.choice("-_.:/0é\x00eE+ ") + value[at:], value.lower()]
            )
        case _:
            return [value]


def _bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + chance.choice(_TOKENS + _HEADS) + data[at:]
        case 2:
            return data[:at] + chance.choice(_TOKENS + _HEADS) + data[at + chance.randrange(1, 20) :]
        case 3:
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case _:
            return data[:at] + data[at + chance.randrange(1, 40) :]
