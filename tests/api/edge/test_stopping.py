"""A server that is told to stop while it is busy: whoever was connected by then is answered."""

import threading
import time

from marketdata.api.edge import Limits
from tests.api.edge.backend import Front, front, hear, wait_until

GET = b"GET /one HTTP/1.1\r\nHost: here\r\n\r\n"


def hold_up(edge: Front) -> threading.Event:
    """Let the server do nothing until the event is set."""
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        free.wait()

    edge.loop.call_soon_threadsafe(hold)
    held.wait()
    return free


def test_whoever_was_connected_is_answered() -> None:
    with front() as edge:
        idle = [edge.connect() for _ in range(5)]
        for peer in idle:
            peer.sendall(GET)
            assert hear(peer, 1).statuses == [200]
        silent = [edge.connect() for _ in range(5)]
        edge.wait_for_connections(10)
        free = hold_up(edge)
        waiting = [edge.connect() for _ in range(20)]  # accepted by the system alone
        for peer in (*idle, *silent, *waiting):
            peer.sendall(GET)
        edge.server.should_exit = True
        time.sleep(0.5)  # all of the server's timers are due when it goes on
        free.set()
        for peer in (*idle, *silent, *waiting):
            assert hear(peer).statuses == [200]
            peer.close()
    assert len(edge.backend.seen) == 35


def test_a_request_that_is_on_its_way_when_it_stops_is_answered() -> None:
    with front(Limits(leave_s=3)) as edge, edge.connect() as peer:
        peer.sendall(GET)
        assert hear(peer, 1).statuses == [200]
        edge.server.should_exit = True
        wait_until(lambda: not edge.server.servers[0].is_serving())
        peer.sendall(GET)
        heard = hear(peer)
        assert heard.statuses == [200]
        assert b"\r\nconnection: close" in heard.head


def test_idle_connections_do_not_keep_it_from_stopping() -> None:
    began = time.monotonic()
    with front() as edge:
        idle = [edge.connect() for _ in range(3)]
        idle[0].sendall(GET)
        assert hear(idle[0], 1).statuses == [200]
        idle[1].sendall(GET[:10])  # is told that it is late
        edge.wait_for_connections(3)
    assert [hear(peer).statuses for peer in idle] == [[], [408], []]
    for peer in idle:
        peer.close()
    assert time.monotonic() - began < 20
