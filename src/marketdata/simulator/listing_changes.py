"""What becomes of single listed instruments at times that are planned: gone, renamed, in other steps, something else.

Each exchange says of its own entries what a change makes of them; which of them hold when is the same for all.
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

type What = Literal["absent", "rename", "replace", "status", "tick"]


_STEP = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)


class WrongListingChangeError(ValueError):
    """A change that cannot be; the message says what is possible."""


class ListingChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One instrument listed otherwise, from a moment on."""

    exchange: str
    """The exchange's id."""
    symbol: str
    """As the exchange announced it, whatever it is renamed to."""
    change: What
    to: str | None = None
    """What its name, step, status, or that which it is becomes, in the exchange's words; None: it is absent."""
    from_ms: int = msgspec.field(name="from")
    """Epoch ms."""
    until_ms: int | None = msgspec.field(default=None, name="until")
    """Epoch ms, itself excluded: from then on it is as before; None: for good."""

    def __post_init__(self) -> None:
        """Raises ValueError where it lasts no time, or does not say what to change to."""
        if self.until_ms is not None and self.from_ms >= self.until_ms:
            raise ValueError("it ends before it begins: from is not before until")
        if (self.to is None) != (self.change == "absent"):
            raise ValueError("an absent instrument changes to nothing, and any other says `to` what")

    @property
    def target(self) -> str:
        """What it changes to. Raises WrongListingChangeError for the empty text."""
        if not self.to:
            raise self.wrong("`to` is not empty")
        return self.to

    @property
    def step(self) -> str:
        """The tick that it changes to, a decimal. Raises WrongListingChangeError for anything else."""
        if not _STEP.fullmatch(self.target):
            raise self.wrong('`to` is a step such as "0.01"')
        return self.target

    def whole(self, least: int, most: int) -> int:
        """The number that it changes to. Raises WrongListingChangeError for one that is not from `least` to `most`."""
        if not (self.target.isascii() and self.target.isdigit() and least <= int(self.target) <= most):
            raise self.wrong(f"`to` is a number from {least} to {most}")
        return int(self.target)

    def wrong(self, possible: str) -> WrongListingChangeError:
        """What to raise where this cannot be made of the instrument."""
        return WrongListingChangeError(f"{self.exchange} cannot list {self.symbol} so ({self.change}): {possible}")

    def holds(self, now_ms: int) -> bool:
        """Whether it is in effect."""
        return self.from_ms <= now_ms and (self.until_ms is None or now_ms < self.until_ms)


class Plan:
    """The changes of one listing; they may be planned and taken back while it is served."""

    def __init__(self) -> None:
        """None."""
        self._by_symbol: dict[str, list[ListingChange]] = {}
        self._renames: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._by_symbol)

    def add(self, change: ListingChange) -> None:
        """One more."""
        changes = self._by_symbol.setdefault(change.symbol, [])
        changes.append(change)
        changes.sort(key=lambda each: each.from_ms)
        if change.change == "rename":
            self._renames.setdefault(change.target, []).append(change.symbol)

    def clear(self) -> None:
        """None any more."""
        self._by_symbol.clear()
        self._renames.clear()

    def at(self, symbol: str, now_ms: int) -> tuple[ListingChange, ...]:
        """Those of an instrument that hold, in the order in which they began: of two alike the later one counts."""
        return tuple(change for change in self._by_symbol.get(symbol, ()) if change.holds(now_ms))

    def called(self, symbol: str) -> Iterable[str]:
        """The instruments that may be listed as `symbol` at some time, by the names that they were announced under."""
        return (*self._renames.get(symbol, ()), symbol)
