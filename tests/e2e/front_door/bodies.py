"""Sixty bodies that no client of ours would send, each with the headers that it comes with."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

_JSON: Final = (b"Content-Type", b"application/json")
_FORM: Final = (b"Content-Type", b"application/x-www-form-urlencoded")
_TEXT: Final = b'{"name": "new", "grant_type": "client_credentials"}'
_FIELDS: Final = b"grant_type=client_credentials&token=x"

LARGEST: Final = 64 * 1024


class Body(NamedTuple):
    """A body, and whether it is too large."""

    name: str
    raw: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    is_too_large: bool = False


def bodies() -> list[Body]:
    """All of them."""
    return [*_json(), *_forms(), *_types(), *_encodings()]


def _json() -> Iterator[Body]:
    texts: dict[str, bytes] = {
        "NaN": b'{"name": NaN}',
        "Infinity": b'{"requests_per_minute": Infinity}',
        "minus Infinity": b'{"requests_per_minute": -Infinity}',
        "1e400": b'{"requests_per_minute": 1e400}',
        "minus zero": b'{"requests_per_minute": -0}',
        "10,000 digits": b'{"requests_per_minute": ' + b"9" * 10_000 + b"}",
        "lone surrogate": rb'{"name": "\ud800"}',
        "lone low surrogate": rb'{"name": "\udc00x"}',
        "escaped NUL": rb'{"name": "\u0000"}',
        "NUL": b'{"name": "\0"}',
        "NUL behind": _TEXT + b"\0",
        "byte order mark": b"\xef\xbb\xbf" + _TEXT,
        "bad UTF-8": b'{"name": "\xff\xfe"}',
        "overlong UTF-8": b'{"name": "\xc0\xaf"}',
        "UTF-16": _TEXT.decode().encode("utf-16"),
        "UTF-32": _TEXT.decode().encode("utf-32"),
        "nested arrays": b"[" * 30_000 + b"]" * 30_000,
        "nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        "unclosed arrays": b"[" * 60_000,
        "a key twice": b'{"name": "one", "name": "two"}',
        "a key twice, once escaped": rb'{"name": "one", "\u006eame": "two"}',
        "many keys": json.dumps({f"key{number}": 1 for number in range(4000)}).encode(),
        "a long key": json.dumps({"k" * 60_000: 1}).encode(),
        "a long text": json.dumps({"name": "x" * 60_000}).encode(),
        "unknown members": b'{"name": "new", "__proto__": {"admin": true}, "constructor": 1}',
        "wrong types": b'{"name": {"a": [1]}, "scopes": "admin", "requests_per_minute": true}',
        "null members": b'{"name": null, "scopes": null}',
        "null": b"null",
        "true": b"true",
        "a number": b"1",
        "a text": b'"name"',
        "an array": b"[]",
        "spaces": b" \t\r\n ",
        "cut": _TEXT[:20],
        "a comma at the end": b'{"name": "new",}',
        "a comment": b'{"name": "new" /* */}',
        "single quotes": b"{'name': 'new'}",
        "two documents": b'{"name": "new"}{"name": "new"}',
        "a bad escape": rb'{"name": "\x41"}',
        "a line end in a text": b'{"name": "a\nb"}',
    }
    for name, raw in texts.items():
        yield Body(f"JSON, {name}", raw, (_JSON,))
    yield Body("JSON, nested 100,000 deep", b"[" * 100_000, (_JSON,), is_too_large=True)
    keys = json.dumps({f"{number}": 1 for number in range(200_000)}).encode()
    yield Body("JSON, 200,000 keys", keys, (_JSON,), is_too_large=True)
    yield Body("JSON, 1 MB", b'"' + b"x" * 1_000_000 + b'"', (_JSON,), is_too_large=True)


def _forms() -> Iterator[Body]:
    texts: dict[str, bytes] = {
        "empty": b"",
        "half an escape": b"grant_type=%&token=%2",
        "no escape": b"grant_type=%zz&token=%u0041",
        "escaped NUL": b"grant_type=%00&token=%00&client_id=%00&client_secret=%00",
        "escaped bad UTF-8": b"grant_type=client_credentials&token=%ff&client_id=%ff&client_secret=%c0%af",
        "bad UTF-8": b"grant_type=client_credentials&token=\xff\xfe",
        "a field twice": _FIELDS + b"&" + _FIELDS,
        "many fields": b"&".join(b"f%d=1" % number for number in range(5000)),
        "only separators": b"&" * 60_000,
        "only signs": b"=" * 60_000,
        "brackets": b"grant_type[]=client_credentials&token[a][b]=c",
        "semicolons": b"grant_type=client_credentials;token=x",
        "as large as may be": _FIELDS + b"&x=" + b"x" * (LARGEST - len(_FIELDS) - 3),
    }
    for name, raw in texts.items():
        yield Body(f"form, {name}", raw, (_FORM,))
    yield Body("form, a byte too large", b"x" * (LARGEST + 1), (_FORM,), is_too_large=True)


def _types() -> Iterator[Body]:
    yield Body("no type", _TEXT, ())
    for value in (
        b"",
        b"text/plain",
        b"application/xml",
        b"application/json; charset=utf-16",
        b'application/json; charset="',
        b"multipart/form-data",
        b"multipart/form-data; boundary=x",
        b"*/*",
        b"application/json, application/json",
        b"x" * 5000,
    ):
        yield Body(f"type {value[:40].decode()}", _TEXT, ((b"Content-Type", value),))
    yield Body("two types", _TEXT, (_JSON, _FORM))


def _encodings() -> Iterator[Body]:
    for name, raw in {
        "gzip": gzip.compress(_TEXT),
        "gzip, a bomb": gzip.compress(bytes(10_000_000)),
        "deflate": zlib.compress(_TEXT),
        "br": b"\x0b\x02\x80{}\x03",
        "gzip, gzip": gzip.compress(gzip.compress(_TEXT)),
    }.items():
        coding = name.removesuffix(", a bomb").encode()
        yield Body(f"encoded, {name}", raw, (_JSON, (b"Content-Encoding", coding)))
