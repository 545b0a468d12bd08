"""What a fault is, and what one has at hand when it is played."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct, field

from marketdata.simulator.answers import Answer, Asked
from marketdata.simulator.calls import Call
from marketdata.simulator.venues import Venue

type _Count = Annotated[int, Meta(ge=1)]


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong, and for which requests: all that is given must hold."""

    kind: str
    exchange: str | None = None
    route: str | None = None
    """listing, candles, time, other; or a path or Hyperliquid's `type`, where `*` stands for anything."""
    symbol: str | None = None
    """As the exchange writes it."""
    from_ms: int | None = field(default=None, name="from")
    """From when on by the exchange's time, epoch ms."""
    until_ms: int | None = field(default=None, name="until")
    """Until when, itself excluded."""
    first: _Count | None = None
    """Only the first so many of the requests that match."""
    nth: _Count | None = None
    """Only this one of them."""
    every: _Count | None = None
    """Every so many of them."""
    chance: Annotated[float, Meta(ge=0, le=1)] | None = None
    """With this probability; which of them is the seed's choice."""
    status: Annotated[int, Meta(ge=200, le=599)] = 200
    seconds: Annotated[float, Meta(ge=0)] = 0
    bytes: Annotated[int, Meta(ge=0)] | None = None
    percent: Annotated[int, Meta(ge=0, le=10_000)] = 100

    def matches(self, call: Call, now_ms: int) -> bool:
        """Whether a request is one that it is for."""
        return (
            (self.from_ms is None or now_ms >= self.from_ms)
            and (self.until_ms is None or now_ms < self.until_ms)
            and call.matches(self.exchange, self.route, self.symbol)
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """A request with its right answer, which a fault is to spoil."""

    fault: Fault
    venue: Venue
    call: Call
    asked: Asked
    answer: Answer
    path: str
    """As it was sent, with the exchange's prefix."""

    @property
    def cut(self) -> int:
        """Where the body is cut off: where the fault says, else in its middle."""
        return len(self.answer.body) // 2 if self.fault.bytes is None else self.fault.bytes
