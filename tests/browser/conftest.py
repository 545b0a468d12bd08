"""The platform of the front door's tests."""

from tests.e2e.front_door.conftest import door

__all__ = ["door"]
