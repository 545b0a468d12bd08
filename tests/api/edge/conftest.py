from collections.abc import Iterator

import pytest

from tests.api.edge.backend import Front, front


@pytest.fixture
def edge() -> Iterator[Front]:
    """A server with the usual limits."""
    with front() as running:
        yield running
