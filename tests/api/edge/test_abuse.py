"""Raw bytes that no good client sends: what may not pass is refused by the server, and nothing is smuggled."""

import socket
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.api.edge.backend import Front, hear, wait_until

HOST = b"Host: here\r\n"
GET = b"GET /one HTTP/1.1\r\nHost: here\r\n"
POST = b"POST /one HTTP/1.1\r\nHost: here\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
NO_CHUNK = b"0\r\n\r\n"
OLD_POST = b"POST /one HTTP/1.0\r\nHost: here\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: here\r\n\r\n"


@dataclass(frozen=True)
class Refused:
    """One request that the server answers by itself; nothing of it, nor what is hidden in it, gets through."""

    name: str
    request: bytes
    status: int = 400
    code: str = "invalid-request"


REFUSED = [
    Refused("a megabyte of query", b"GET /one?" + b"a" * 2**20 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "too-large"),
    Refused("a path just too long", b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "too-large"),
    Refused("a header of 200 kB", GET + b"X: " + b"a" * 200_000 + b"\r\n\r\n", 431, "too-large"),
    Refused("a head of 33 kB", GET + (b"X: " + b"a" * 1500 + b"\r\n") * 22 + b"\r\n", 431, "too-large"),
    Refused("a head of 2 MB without end", GET + b"X: a\r\n" * 400_000, 431, "too-large"),
    Refused("5,000 headers", GET + b"".join(b"X%d: a\r\n" % i for i in range(5000)) + b"\r\n", 431, "too-large"),
    Refused("101 headers", GET + b"X: a\r\n" * 100 + b"\r\n", 431, "too-large"),
    Refused("length and chunks", POST + b"Content-Length: 5\r\n" + CHUNKED + NO_CHUNK + HIDDEN),
    Refused("chunks and length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN),
    Refused("two lengths", POST + b"Content-Length: 1\r\nContent-Length: 40\r\n\r\na" + HIDDEN),
    Refused("the same length twice", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na" + HIDDEN),
    Refused("a list of lengths", POST + b"Content-Length: 1, 1\r\n\r\na" + HIDDEN),
    Refused("a length with a sign", POST + b"Content-Length: +1\r\n\r\na" + HIDDEN),
    Refused("a negative length", POST + b"Content-Length: -1\r\n\r\na" + HIDDEN),
    Refused("a length of 30 digits", POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\na" + HIDDEN),
    Refused("an empty length", POST + b"Content-Length:\r\n\r\n" + HIDDEN),
    Refused("a coding that ends nowhere", POST + b"Transfer-Encoding: gzip\r\n\r\n" + HIDDEN),
    Refused("a coding that looks like chunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN),
    Refused("chunked before another", POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN),
    Refused("another before chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN),
    Refused("two codings", POST + b"Transfer-Encoding: identity\r\n" + CHUNKED + NO_CHUNK + HIDDEN),
    Refused("chunks in HTTP/1.0", OLD_POST + CHUNKED + NO_CHUNK + HIDDEN),
    Refused("bare line feeds", b"GET /one HTTP/1.1\nHost: here\n\n" + HIDDEN),
    Refused("one bare line feed", GET + b"A: b\nC: d\r\n\r\n" + HIDDEN),
    Refused("a bare carriage return", GET + b"A: b\rC: d\r\n\r\n" + HIDDEN),
    Refused("a folded header", GET + b"A: b\r\n c\r\n\r\n" + HIDDEN),
    Refused("a space before the colon", POST + b"Content-Length : 40\r\n\r\n" + HIDDEN),
    Refused("a space before the first header", b"GET /one HTTP/1.1\r\n Host: here\r\n\r\n" + HIDDEN),
    Refused("a header without colon", GET + b"Oops\r\n\r\n" + HIDDEN),
    Refused("a header without name", GET + b": oops\r\n\r\n" + HIDDEN),
    Refused("no Host", b"GET /one HTTP/1.1\r\n\r\n" + HIDDEN),
    Refused("an empty Host", b"GET /one HTTP/1.1\r\nHost:\r\n\r\n" + HIDDEN),
    Refused("two Hosts", GET + b"Host: there\r\n\r\n" + HIDDEN),
    Refused("a Host with a path", b"GET /one HTTP/1.1\r\nHost: here/../there\r\n\r\n" + HIDDEN),
    Refused("a Host with a user", b"GET /one HTTP/1.1\r\nHost: me@here\r\n\r\n" + HIDDEN),
    Refused("a Host with a script", b'GET /one HTTP/1.1\r\nHost: "><script>\r\n\r\n' + HIDDEN),
    Refused("a Host that is a list", b"GET /one HTTP/1.1\r\nHost: here, there\r\n\r\n" + HIDDEN),
    Refused("NUL in the path", b"GET /o\0ne HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("NUL in a header", GET + b"A: b\0c\r\n\r\n" + HIDDEN),
    Refused("ESC in a header", GET + b"A: \x1b[31m\r\n\r\n" + HIDDEN),
    Refused("bytes above ASCII in the path", b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("bytes above ASCII in the query", b"GET /one?a=\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("a space in the path", b"GET /o ne HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("a fragment", b"GET /one#two HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("a path that is none", b"GET one HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("another scheme", b"GET ftp://here/one HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("CONNECT", b"CONNECT here:443 HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("CONNECT to a path", b"CONNECT /one HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("OPTIONS of the server", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("a method in lower case", b"get /one HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("a method that nobody knows", b"JUMP /one HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Refused("HTTP/2.0 as a version", b"GET /one HTTP/2.0\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("HTTP/1.2 as a version", b"GET /one HTTP/1.2\r\n" + HOST + b"\r\n" + HIDDEN),
    Refused("no HTTP at all", b"\x00\x01\x02\x03"),
    Refused("TLS", bytes.fromhex("16030100c8010000c40303") + b"\x17" * 200),
    Refused("a PROXY line", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + HIDDEN),
    Refused("another protocol with a body", POST + UPGRADE + b"Content-Length: 40\r\n\r\n" + HIDDEN),
    Refused("another protocol in chunks", POST + UPGRADE + CHUNKED + NO_CHUNK),
    Refused("a chunk size with 0x", POST + CHUNKED + b"0x1\r\na\r\n0\r\n\r\n" + HIDDEN),
    Refused("a chunk size too large", POST + CHUNKED + b"f" * 17 + b"\r\na\r\n" + HIDDEN),
    Refused("chunks by bare line feeds", POST + CHUNKED + b"1\na\n0\n\n" + HIDDEN),
    Refused("a line feed in a chunk's extension", POST + CHUNKED + b"1;a\nb\r\nc\r\n0\r\n\r\n" + HIDDEN),
    Refused("a body of 2 MB in chunks of a byte", POST + CHUNKED + b"1\r\na\r\n" * 350_000, 413, "too-large"),
    Refused("a trailer of 2 MB", POST + CHUNKED + b"0\r\nX: " + b"a" * 2_000_000, 413, "too-large"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_it_is_refused_and_nothing_gets_through(edge: Front, case: Refused) -> None:
    heard = edge.say(case.request)
    assert not heard.was_reset
    assert heard.statuses == [case.status]
    assert b"\r\ncontent-type: application/problem+json\r\n" in heard.head
    assert b"\r\nconnection: close" in heard.head
    assert b"\r\nx-content-type-options: nosniff\r\n" in heard.head
    document = heard.problem
    assert (document["status"], document["code"]) == (case.status, case.code)
    assert b"\r\nx-request-id: %s" % str(document["request_id"]).encode() in heard.head
    assert b"hidden" not in heard.data
    assert edge.backend.seen == []
    edge.wait_for_connections(0)


def test_each_case_in_single_bytes_is_the_same(edge: Front) -> None:
    """Where the system cuts what is sent makes no difference."""
    for case in REFUSED:
        if len(case.request) < 300:
            with edge.connect() as peer, suppress(ConnectionError):  # refused before its end
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for place in range(len(case.request)):
                    peer.send(case.request[place : place + 1])
    edge.wait_for_connections(0)
    assert edge.backend.seen == []


@dataclass(frozen=True)
class Taken:
    """Unusual, and exactly these requests reach the application."""

    name: str
    request: bytes
    seen: list[tuple[str, str, bytes]]


ONE = ("GET", "/one", b"")
TAKEN = [
    Taken("two at once", GET + b"\r\n" + b"GET /two HTTP/1.1\r\n" + HOST + b"\r\n", [ONE, ("GET", "/two", b"")]),
    Taken("one in a body", POST + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, [("POST", "/one", HIDDEN)]),
    Taken("an absolute target", b"GET http://there/one HTTP/1.1\r\n" + HOST + b"\r\n", [ONE]),
    Taken("encoded dots", b"GET /a/..%2f..%2fone HTTP/1.1\r\n" + HOST + b"\r\n", [("GET", "/a/../../one", b"")]),
    Taken("empty lines before", b"\r\n\r\n" + GET + b"\r\n", [ONE]),
    Taken("HTTP/1.0 without Host", b"GET /one HTTP/1.0\r\n\r\n", [ONE]),
    Taken("what follows the last request", GET + b"Connection: close\r\n\r\n" + HIDDEN, [ONE]),
    Taken("another protocol, ignored", GET + UPGRADE + b"\r\n" + GET + b"\r\n", [ONE, ONE]),
    Taken("TRACE", b"TRACE /one HTTP/1.1\r\n" + HOST + b"\r\n", [("TRACE", "/one", b"")]),
    Taken("100 headers", GET + b"X: a\r\n" * 99 + b"\r\n", [ONE]),
    Taken("a head of 31 kB", GET + (b"X: " + b"a" * 1500 + b"\r\n") * 20 + b"\r\n", [ONE]),
    Taken("chunks", POST + CHUNKED + b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\n\r\n", [("POST", "/one", b"abc")]),
]  # fmt: skip


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_it_is_passed_on_once(edge: Front, case: Taken) -> None:
    with edge.connect() as peer:
        peer.sendall(case.request)
        assert hear(peer, len(case.seen)).statuses == [200] * len(case.seen)
    edge.wait_for_connections(0)
    assert edge.backend.seen == case.seen


def test_trailers_are_no_headers(edge: Front) -> None:
    trailers = b"0\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 10.0.0.1\r\nHost: there\r\n\r\n"
    with edge.connect() as peer:
        peer.sendall(POST + CHUNKED + b"1\r\na\r\n" + trailers)
        assert hear(peer, 1).statuses == [200]
    (scope,) = edge.backend.scopes
    assert scope["headers"] == [(b"host", b"here"), (b"transfer-encoding", b"chunked")]


def test_a_refusal_waits_for_the_answers_before_it(edge: Front) -> None:
    held = b"GET /held HTTP/1.1\r\n" + HOST + b"\r\n"
    with edge.connect() as peer:
        peer.sendall(held + GET + b"\r\n" + b"GET /bad HTTP/1.1\r\n\r\n" + HIDDEN)
        wait_until(lambda: edge.backend.seen)
        edge.backend.held.set()
        assert hear(peer).statuses == [200, 200, 400]
    assert edge.backend.seen == [("GET", "/held", b""), ONE]


def test_more_requests_than_can_wait_are_not_read(edge: Front) -> None:
    heard = edge.say((GET + b"\r\n") * 3000)
    assert not heard.was_reset
    assert heard.statuses == [200] * 17
    assert edge.backend.seen == [ONE] * 17


def test_a_head_behind_another_is_bounded_too(edge: Front) -> None:
    large = GET + (b"X: " + b"a" * 1500 + b"\r\n") * 22 + b"\r\n"
    assert edge.say(GET + b"\r\n" + large).statuses == [200, 431]
    edge.wait_for_connections(0)
    assert edge.say((GET + b"\r\n") * 2, large).statuses == [200, 200, 431]
    assert edge.backend.seen == [ONE] * 3


def test_a_body_at_fault_behind_another_request(edge: Front) -> None:
    bad = POST + CHUNKED + b"nonsense\r\n"
    assert edge.say(GET + b"\r\n" + bad + HIDDEN).statuses == [200, 400]
    assert edge.backend.seen == [ONE]


def test_an_answer_before_the_end_of_a_long_body_is_heard(edge: Front) -> None:
    head = b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 30000000\r\n"
    for more in (b"", b"Connection: close\r\n"):
        heard = edge.say(head + more + b"\r\n" + b"a" * 3_000_000)
        assert (heard.statuses, heard.was_reset) == ([200], False)


def test_an_answer_before_the_end_of_a_body_keeps_the_connection(edge: Front) -> None:
    with edge.connect() as peer:
        peer.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\na")
        assert hear(peer, 1).statuses == [200]
        peer.sendall(b"bc" + GET + b"\r\n")
        assert hear(peer, 1).statuses == [200]
    assert edge.backend.seen == [ONE]
