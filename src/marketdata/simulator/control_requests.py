"""What may be sent to `/_control`, and how it is read."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from marketdata.simulator.calls import EXCHANGES
from marketdata.simulator.clock import parse_moment_ms
from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.outages import Outage


class WrongRequestError(ValueError):
    """A request that cannot be done; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        """`status`: that of the answer."""
        super().__init__(message)
        self.status = status


class ClockChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is to become of the clock, in this order."""

    now_ms: int | None = None
    advance_ms: int = 0
    rate: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class Selection(msgspec.Struct, forbid_unknown_fields=True):
    """Which entries of the journal are wanted."""

    exchange: str | None = None
    route: str | None = None
    symbol: str | None = None
    since: int | None = None
    limit: Annotated[int, Meta(ge=0)] = 1000


class Foreign(msgspec.Struct, forbid_unknown_fields=True):
    """What another program at the same address used."""

    exchange: str
    foreign: Annotated[int, Meta(ge=0)]


class Trouble(msgspec.Struct, forbid_unknown_fields=True):
    """What an exchange is to be in."""

    exchange: str
    trouble: str | None


def timed[T: (Outage, ListingChange)](body: bytes, kind: type[T]) -> list[T]:
    """One or a list, the moments in either form, the exchanges by either name.

    Raises WrongRequestError, msgspec.DecodeError.
    """
    given: Any = msgspec.json.decode(body, type=dict[str, Any] | list[dict[str, Any]])
    return [_one_timed(each, kind) for each in (given if isinstance(given, list) else [given])]


def _one_timed[T: (Outage, ListingChange)](given: dict[str, Any], kind: type[T]) -> T:
    try:
        given |= {name: parse_moment_ms(str(given[name])) for name in ("from", "until") if given.get(name) is not None}
    except ValueError as error:
        raise WrongRequestError(str(error)) from None
    read = msgspec.convert(given, kind)
    return msgspec.structs.replace(read, exchange=exchange_id(read.exchange))


def exchange_id(name: str) -> str:
    """The id of the exchange that is called so. Raises WrongRequestError."""
    if name not in EXCHANGES:
        raise WrongRequestError(f"no exchange is called {name!r}; there are: {', '.join(EXCHANGES)}")
    return EXCHANGES[name]
