"""Bookings: weight that counts against an exchange's limit until a moment of the monotonic clock."""

import heapq
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from math import inf


class Bookings:
    """What has been booked and still counts; what has ended is forgotten."""

    def __init__(self, booked: Iterable[tuple[float, int]] = ()) -> None:
        """`booked`: until when it counts, in seconds of the monotonic clock, and its weight."""
        self._booked = sorted(booked)
        self._total = sum(weight for _, weight in self._booked)

    def add(self, ends_at: float, weight: int) -> None:
        """Book `weight`, which counts until just before `ends_at`."""
        insort(self._booked, (ends_at, weight))
        self._total += weight

    def active(self, now: float) -> int:
        """The weight that counts at `now`, which never goes back."""
        if self._booked and self._booked[0][0] <= now:
            ended = bisect_right(self._booked, (now, inf))
            self._total -= sum(weight for _, weight in self._booked[:ended])
            del self._booked[:ended]
        return self._total

    def last_end(self) -> float:
        """When the last of it ends; 0 when there is none."""
        return self._booked[-1][0] if self._booked else 0.0

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """Each booking, in the order in which they end."""
        return iter(self._booked)


def first_room_s(now: float, limit: int, weight: int, *held: Bookings) -> float | None:
    """The seconds until `weight` fits beside all that is held, 0 when it does now; None: it never will."""
    excess = sum(bookings.active(now) for bookings in held) + weight - limit
    if excess <= 0:
        return 0.0
    for ends_at, booked in heapq.merge(*held):
        excess -= booked
        if excess <= 0:
            return ends_at - now
    return None
