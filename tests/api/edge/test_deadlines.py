"""Peers that are late are cut off, each in its time, and no others; time passes as the tests say."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from marketdata.api.edge import Limits
from tests.api.edge.backend import PATIENCE_S, Front, Still, front, hear, reset, wait_until

GET = b"GET /one HTTP/1.1\r\nHost: here\r\n\r\n"
LIMITS = Limits(look_s=0.02)
LITTLE_S = 0.01
LOOKS_S = 0.3
"""In that time the server looks at its connections, if the machine is not too busy."""


@pytest.fixture
def clock() -> Still:
    return Still()


@pytest.fixture
def edge(clock: Still) -> Iterator[Front]:
    with front(LIMITS, clock=clock) as running:
        yield running


def pass_time(clock: Still, seconds: float) -> None:
    """Let time pass, and the server look at its connections."""
    clock.passed_s += seconds
    time.sleep(LOOKS_S)


def is_open(peer: socket.socket) -> bool:
    """Whether the other side has neither said anything nor closed."""
    peer.settimeout(0)
    try:
        peer.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        peer.settimeout(PATIENCE_S)
    return False


@pytest.mark.parametrize(
    "sent, limit_s, statuses",
    [
        (b"", LIMITS.head_s, []),
        (b"\r\n\r\n", LIMITS.head_s, []),
        (b"GET /one HT", LIMITS.head_s, [408]),
        (GET[:-2], LIMITS.head_s, [408]),
        (b"GET /\r\n", LIMITS.head_s, [408]),
        (b"POST /one HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n", LIMITS.body_s, [408]),
        (b"POST /one HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", LIMITS.body_s, [408]),
        (b"POST /early HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc", LIMITS.body_s, [200]),
        (GET, LIMITS.idle_s, [200]),
        (GET + GET[:-2], LIMITS.head_s, [200, 408]),
    ],
    ids=["nothing", "empty lines", "half a line", "half a head", "HTTP/0.9", "no body", "half a chunk",
         "half a body, answered", "silence after an answer", "half a second head"],
)  # fmt: skip
def test_a_late_peer_is_cut_off_in_time(
    edge: Front, clock: Still, sent: bytes, limit_s: float, statuses: list[int]
) -> None:
    with edge.connect() as peer:
        peer.sendall(sent)
        edge.wait_for_connections(1)
        if sent:
            edge.wait_until_read()
        wait_until(lambda: edge.server.server_state.total_requests == statuses.count(200))
        time.sleep(LOOKS_S)
        pass_time(clock, limit_s - LITTLE_S)
        assert edge.connections == 1
        pass_time(clock, 2 * LITTLE_S)
        heard = hear(peer)
    assert heard.statuses == statuses
    assert not heard.was_reset
    edge.wait_for_connections(0)
    wait_until(lambda: edge.backend.gone == (1 if sent.startswith(b"POST /one") else 0))


def test_bytes_that_trickle_do_not_put_the_end_off(edge: Front, clock: Still) -> None:
    with edge.connect() as peer:
        for byte in b"GET /o":
            peer.sendall(bytes([byte]))
            time.sleep(LOOKS_S)
            clock.passed_s += LIMITS.head_s / 5
        assert hear(peer).statuses == [408]


def test_an_answer_that_takes_long_is_waited_for(edge: Front, clock: Still) -> None:
    with edge.connect() as peer:
        peer.sendall(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n" + GET)
        wait_until(lambda: edge.backend.seen)
        pass_time(clock, 600)
        edge.backend.held.set()
        assert hear(peer, 2).statuses == [200, 200]


@pytest.mark.parametrize(
    "second, status",
    [(GET[:-2], 408), (b"nonsense\r\n\r\n", 400), (b"GET /one HTTP/1.1\r\n\r\n", 400)],
    ids=["late", "malformed", "unclear"],
)
def test_a_refusal_waits_for_an_answer_that_takes_long(edge: Front, clock: Still, second: bytes, status: int) -> None:
    with edge.connect() as peer:
        peer.sendall(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n")
        wait_until(lambda: edge.backend.seen)
        peer.sendall(second)
        time.sleep(LOOKS_S)
        for _ in range(3):
            pass_time(clock, 600)
        edge.backend.held.set()
        assert hear(peer).statuses == [200, status]


def test_one_whom_we_do_not_read_is_not_late(edge: Front, clock: Still) -> None:
    with edge.connect() as peer:
        peer.sendall(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n")
        wait_until(lambda: edge.backend.seen)
        peer.sendall(b"POST /one HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab")
        time.sleep(LOOKS_S)
        peer.sendall(b"cde")  # waits in the system: a request that waits is not read on
        pass_time(clock, 600)
        edge.backend.held.set()
        assert hear(peer, 2).statuses == [200, 200]
    assert edge.backend.seen[-1] == ("POST", "/one", b"abcde")


def test_one_who_leaves_before_its_answers_is_forgotten(edge: Front, caplog: pytest.LogCaptureFixture) -> None:
    peer = edge.connect()
    peer.sendall(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n" + GET)
    wait_until(lambda: edge.backend.seen)
    reset(peer)
    edge.wait_for_connections(0)
    edge.backend.held.set()
    wait_until(lambda: not edge.server.server_state.tasks)
    assert [path for _, path, _ in edge.backend.seen] == ["/held"]
    assert not caplog.records


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["stays", "leaves"])
def test_one_who_never_reads_is_cut_off(edge: Front, clock: Still, last: bytes) -> None:
    with edge.connect(received=4096) as peer:
        peer.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n" + last + b"\r\n")
        wait_until(lambda: edge.backend.seen)
        time.sleep(2 * LOOKS_S)  # until the system takes no more
        pass_time(clock, LIMITS.stalled_s - LITTLE_S)
        assert edge.connections == 1
        pass_time(clock, 2 * LITTLE_S)
        edge.wait_for_connections(0)
        assert hear(peer).was_reset


def test_one_who_reads_slowly_gets_all(edge: Front, clock: Still) -> None:
    with edge.connect(received=1 << 16) as peer:
        peer.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        slowly = bytearray()
        for _ in range(4):
            so_far = len(slowly)
            while len(slowly) < so_far + 200_000:
                slowly += peer.recv(1 << 14)
            time.sleep(LOOKS_S)
            pass_time(clock, LIMITS.stalled_s - LITTLE_S)
        heard = hear(peer)
    assert not heard.was_reset
    assert len(slowly) + len(heard.data) > 30_000_000


def test_a_refused_one_who_neither_reads_nor_leaves_is_cut_off(edge: Front, clock: Still) -> None:
    with edge.connect() as peer:
        peer.sendall(b"nonsense\r\n\r\n")
        wait_until(lambda: not is_open(peer))
        pass_time(clock, LIMITS.linger_s - LITTLE_S)
        assert edge.connections == 1
        pass_time(clock, 2 * LITTLE_S)
        edge.wait_for_connections(0)


def test_more_connections_than_may_be_are_told_to_come_again() -> None:
    limits = Limits(connections=3, spare=2)
    with front(limits) as edge:
        first = [edge.connect() for _ in range(3)]
        edge.wait_for_connections(3)
        told = [edge.connect() for _ in range(2)]
        edge.wait_for_connections(5)
        silent = edge.connect()
        assert hear(silent).data == b""
        for peer in told:
            heard = hear(peer)
            assert heard.statuses == [503]
            assert heard.problem["code"] == "rate-limited"
            assert b"\r\nretry-after: 1\r\n" in heard.head
        for peer in first:
            peer.sendall(GET)
            assert hear(peer, 1).statuses == [200]
        for peer in (*first, *told, silent):
            peer.close()
        edge.wait_for_connections(0)
        assert edge.say(GET[:-2] + b"Connection: close\r\n\r\n").statuses == [200]


def test_answers_that_nobody_takes_are_bounded_together() -> None:
    with front(Limits(unsent_bytes=70_000_000, look_s=0.02), clock=Still()) as edge, ExitStack() as peers:
        for number in range(4):  # of 30 MB each, of which the system takes a few
            peer = peers.enter_context(edge.connect(received=4096))
            peer.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
            wait_until(lambda: len(edge.backend.seen) == number + 1)  # noqa: B023 - waits at once
        good = peers.enter_context(edge.connect())
        good.sendall(GET)
        assert hear(good, 1).statuses == [200]
        edge.wait_for_connections(3)
        time.sleep(LOOKS_S)
        assert edge.connections == 3
