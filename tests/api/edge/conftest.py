from collections.abc import Iterator

import pytest

from tests.api.edge.backend import Front, front


@pytest.fixture(scope="module")
def running() -> Iterator[Front]:
    with front() as running:
        yield running


@pytest.fixture
def edge(running: Front) -> Iterator[Front]:
    """A server with the usual limits, of which nobody wants anything yet."""
    running.wait_for_connections(0)
    running.backend.forget()
    yield running
    running.backend.held.set()
