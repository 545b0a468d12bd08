from collections.abc import Callable
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """The bytes of a self-written payload, by exchange and name."""

    def read(name: str) -> bytes:
        return (SAMPLES / name).read_bytes()

    return read
