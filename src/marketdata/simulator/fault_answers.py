"""Faults of the answer: HTTP in order, with something wrong in it. None where the right answer has no place for it."""

import gzip
import re
from dataclasses import replace
from http import HTTPStatus

from marketdata.simulator.answers import Answer, json_body
from marketdata.simulator.fault_scene import Scene

_DEEP = 200_000
_LONG_NUMBER = b"9" * 200_000
_MANY_HEADERS = 10_000

_NUMBER = re.compile(rb"(?<=[:\[,])-?\d[\d.]*(?:[eE][-+]?\d+)?(?=[,\]}])")
_VALUE = re.compile(rb'(?<=:)"[^"]*"')
_FIRST_PAIR = re.compile(rb'\{("[^"]*":)(?:(-?[\d.]+)|"([^"]*)")')

_ERRORS: dict[str, bytes] = {
    "binance_futures": b'{"code":-1000,"msg":"An unknown error occured while processing the request."}',
    "hyperliquid": b'{"error":"Internal server error"}',
    "coinbase": b'{"message":"Internal server error"}',
}


def html(scene: Scene) -> Answer:
    """A page for people."""
    status = HTTPStatus(scene.fault.status)
    title = "Just a moment..." if status is HTTPStatus.OK else f"{status} {status.phrase}"
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return replace(_changed(scene, page.encode(), {"Content-Type": "text/html; charset=UTF-8"}), status=status.value)


def status(scene: Scene) -> Answer:
    """The exchange's own answer of a status, else a page."""
    answer = scene.venue.exchange.failing(scene.fault.status, scene.asked) or html(scene)
    if scene.fault.seconds:
        return replace(answer, headers={**answer.headers, "Retry-After": f"{scene.fault.seconds:g}"})
    return answer


def error_body(scene: Scene) -> Answer:
    """The exchange's error, called good."""
    return replace(_changed(scene, _ERRORS[scene.call.exchange]), status=200)


def wrong_type(scene: Scene) -> Answer:
    """JSON that is called text."""
    return _changed(scene, scene.answer.body, {"Content-Type": "text/plain; charset=utf-8"})


def gzip_plain(scene: Scene) -> Answer:
    """Called compressed."""
    return _changed(scene, scene.answer.body, {"Content-Encoding": "gzip"})


def gzip_broken(scene: Scene) -> Answer:
    """Compressed, its second half inverted."""
    packed = gzip.compress(scene.answer.body, mtime=0)
    half = len(packed) // 2
    broken = packed[:half] + bytes(byte ^ 0xFF for byte in packed[half:])
    return _changed(scene, broken, {"Content-Encoding": "gzip"})


def truncated_json(scene: Scene) -> Answer:
    """A part of the body, with a Content-Length that fits it."""
    return _changed(scene, scene.answer.body[: scene.cut])


def empty(scene: Scene) -> Answer:
    """No body."""
    return _changed(scene, b"")


def null(scene: Scene) -> Answer:
    """Nothing, in JSON."""
    return _changed(scene, b"null")


def nan(scene: Scene) -> Answer | None:
    """NaN for the first number."""
    return _for_a_number(scene, b"NaN")


def infinity(scene: Scene) -> Answer | None:
    """Infinity for the first number."""
    return _for_a_number(scene, b"Infinity")


def long_number(scene: Scene) -> Answer | None:
    """200,000 digits for the first number."""
    return _for_a_number(scene, _LONG_NUMBER)


def duplicate_keys(scene: Scene) -> Answer | None:
    """The first key of the first innermost object once more at its end, with another value."""
    body = scene.answer.body
    end = body.find(b"}")
    pair = _FIRST_PAIR.match(body, body.rfind(b"{", 0, end)) if end > 0 else None
    if pair is None:
        return None
    key, number, text = pair.groups()
    other = number + b"0" if text is None else b'"' + text + b'x"'
    return _changed(scene, body[:end] + b"," + key + other + body[end:])


def bom(scene: Scene) -> Answer:
    """A byte order mark before the body."""
    return _changed(scene, b"\xef\xbb\xbf" + scene.answer.body)


def latin_1(scene: Scene) -> Answer:
    """A byte that is no UTF-8: in the first text, or at the end where there is no text."""
    before, quote, after = scene.answer.body.partition(b'"')
    return _changed(scene, before + quote + b"\xe9" + after)


def nesting(scene: Scene) -> Answer:
    """Arrays in arrays."""
    return _changed(scene, b"[" * _DEEP + b"]" * _DEEP)


def redirect(scene: Scene) -> Answer:
    """Elsewhere on this server: the journal shows who follows."""
    return _elsewhere(scene, f"/{scene.venue.prefix}/elsewhere")


def redirect_loop(scene: Scene) -> Answer:
    """To itself."""
    query = scene.asked.raw_query
    return _elsewhere(scene, f"{scene.path}?{query}" if query else scene.path)


def huge_header(scene: Scene) -> Answer:
    """One long header."""
    return _changed(scene, scene.answer.body, {"X-Huge": "x" * (scene.fault.bytes or 0)})


def many_headers(scene: Scene) -> Answer:
    """Short ones, but many."""
    return _changed(scene, scene.answer.body, {f"X-{number}": "x" for number in range(_MANY_HEADERS)})


def _changed(scene: Scene, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    """The answer with another body, and headers instead of those of the same names."""
    return Answer(scene.answer.status, body, {**scene.answer.headers, **(headers or {})})


def _elsewhere(scene: Scene, location: str) -> Answer:
    answer = _changed(scene, json_body({}), {"Location": location})
    return replace(answer, status=scene.fault.status)


def _for_a_number(scene: Scene, literal: bytes) -> Answer | None:
    """The first number replaced; where there is none, the first text that is a value."""
    for pattern in (_NUMBER, _VALUE):
        body, found = pattern.subn(literal, scene.answer.body, count=1)
        if found:
            return _changed(scene, body)
    return None
