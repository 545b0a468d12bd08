"""The time of a simulator: any clock's, until it is set, frozen or made to run faster."""

from datetime import UTC, datetime

from marketdata.core.clock import Clock

_LATEST_MS = 4_102_444_800_000


class SteeredClock:
    """A clock that goes as another does until it is steered; its wall time alone is, not waiting."""

    def __init__(self, base: Clock) -> None:
        """Show what `base` shows."""
        self._base = base
        self._set_ms = self._at_ms = base.now_ms()
        self._rate = 1.0

    @property
    def rate(self) -> float:
        """How many of its seconds pass in one of the base's; 0: it stands still."""
        return self._rate

    def now_ms(self) -> int:
        """Epoch milliseconds, UTC."""
        return self._set_ms + round((self._base.now_ms() - self._at_ms) * self._rate)

    def monotonic(self) -> float:
        """The base's: seconds that never step back."""
        return self._base.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of the base."""
        await self._base.sleep(seconds)

    def set(self, now_ms: int) -> None:
        """Go on from `now_ms`, which may lie before what it shows. Raises ValueError outside 1970 to 2100."""
        if not 0 <= now_ms < _LATEST_MS:
            raise ValueError("the clock goes from 1970 to 2100")
        self._set_ms, self._at_ms = now_ms, self._base.now_ms()

    def advance(self, ms: int) -> None:
        """Go on by `ms` milliseconds, back if it is negative. Raises ValueError as `set` does."""
        self.set(self.now_ms() + ms)

    def run(self, rate: float = 1.0) -> None:
        """Let so many seconds pass in one; 0 stops it."""
        self.set(self.now_ms())
        self._rate = rate


def parse_moment_ms(text: str) -> int:
    """A moment as epoch milliseconds, given as these or as ISO 8601, UTC where it says no zone. Raises ValueError."""
    if text.removeprefix("-").isdigit() and text.isascii():
        return int(text)
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
