"""Which faults a simulator plays, and when: chosen by what is asked, by its time, by count and by seeded chance."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from http import HTTPStatus

import msgspec

from marketdata.simulator.calls import EXCHANGES, TYPES, USES, Call
from marketdata.simulator.clock import parse_moment_ms
from marketdata.simulator.fault_kinds import KINDS
from marketdata.simulator.fault_scene import Fault


class WrongFaultError(ValueError):
    """A fault that cannot be understood; the message says what is possible."""


def parse_fault(spec: str | Mapping[str, object]) -> Fault:
    """A fault from `KIND,name=value,…`, or from the same as a mapping. Raises WrongFaultError."""
    given = _fields(spec) if isinstance(spec, str) else dict(spec)
    kind = KINDS.get(str(given.get("kind")))
    if kind is None:
        named = f"no kind of fault is called {given['kind']!r}" if "kind" in given else "a fault has a kind"
        raise WrongFaultError(f"{named}; there are: {', '.join(KINDS)}")
    for name in given:
        if name not in _SELECTORS and name not in kind.defaults:
            possible = ", ".join((*_SELECTORS[1:], *kind.defaults))
            raise WrongFaultError(f"{kind.name} does not take {name!r}; it takes: {possible}")
    try:
        given |= {name: parse_moment_ms(str(given[name])) for name in ("from", "until") if name in given}
        fault = msgspec.convert({**kind.defaults, **given}, Fault, strict=False)
    except ValueError as error:
        raise WrongFaultError(f"{kind.name} cannot be played: {error}") from None
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    """Raises WrongFaultError for words and numbers that mean nothing."""
    if fault.exchange is not None and fault.exchange not in EXCHANGES:
        raise WrongFaultError(f"no exchange is called {fault.exchange!r}; there are: {', '.join(EXCHANGES)}")
    if fault.route is not None:
        check_route(fault.route)
    if fault.symbol == "":
        raise WrongFaultError("its symbol is empty; leave it out for all of them")
    if fault.from_ms is not None and fault.until_ms is not None and fault.from_ms >= fault.until_ms:
        raise WrongFaultError("it ends before it begins: from is not before until")
    if fault.status not in _STATUSES:
        raise WrongFaultError(f"{fault.status} is no status of an answer with a body")
    if fault.kind in {"redirect", "redirect-loop"} and fault.status not in _REDIRECTS:
        raise WrongFaultError(f"{fault.status} redirects nobody; there are: {', '.join(map(str, _REDIRECTS))}")
    if fault.percent > 100 and fault.kind != "listing-grown":
        raise WrongFaultError("percent is 0 to 100: there is no more of an answer than all of it")


def check_route(route: str) -> None:
    """Raises WrongFaultError for a route that no request can have."""
    if not (route in {*USES, *TYPES} or route.startswith("/") or "*" in route):
        raise WrongFaultError(
            f"no route is called {route!r}; there are: {', '.join(USES)}, a path such as /fapi/v1/klines or"
            f" /products/*/candles, and Hyperliquid's types: {', '.join(TYPES)}"
        )


def _fields(spec: str) -> dict[str, object]:
    kind, *rest = spec.split(",")
    fields: dict[str, object] = {"kind": kind.strip()}
    for part in rest:
        name, equals, value = part.partition("=")
        if not equals:
            raise WrongFaultError(f"{part!r} is not name=value, as in {_EXAMPLE!r}")
        if name.strip() in fields:
            raise WrongFaultError(f"{name.strip()} is given twice")
        fields[name.strip()] = value.strip()
    return fields


class Planted(msgspec.Struct, kw_only=True):
    """A fault in a simulator, and how often it has met its requests."""

    id: int
    fault: Fault
    matched: int = 0
    """How many requests it is for have come."""
    played: int = 0
    """How many of them it was chosen for."""


class Faults:
    """The faults of one simulator."""

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        """Plant `specs`. Raises WrongFaultError."""
        self._seed = seed
        self._last_id = 0
        self._planted: dict[int, Planted] = {}
        self.add(*specs)

    def __iter__(self) -> Iterator[Planted]:
        """All of them, the oldest first."""
        return iter(self._planted.values())

    def add(self, *specs: str | Mapping[str, object]) -> list[Planted]:
        """Plant faults, all or none. Raises WrongFaultError."""
        added = []
        for fault in [parse_fault(spec) for spec in specs]:
            self._last_id += 1
            planted = self._planted[self._last_id] = Planted(id=self._last_id, fault=fault)
            added.append(planted)
        return added

    def remove(self, planted_id: int) -> bool:
        """Take one out; whether there was one."""
        return self._planted.pop(planted_id, None) is not None

    def clear(self) -> None:
        """Take all out."""
        self._planted.clear()

    def choose(self, call: Call, now_ms: int) -> Fault | None:
        """The fault to play on a request: the oldest whose turn it is. Each one that matches counts it."""
        chosen = None
        for planted in self._planted.values():
            if planted.fault.matches(call, now_ms):
                planted.matched += 1
                if chosen is None and self._is_due(planted):
                    planted.played += 1
                    chosen = planted.fault
        return chosen

    def _is_due(self, planted: Planted) -> bool:
        fault, count = planted.fault, planted.matched
        return (
            (fault.first is None or count <= fault.first)
            and (fault.nth is None or count == fault.nth)
            and (fault.every is None or count % fault.every == 0)
            and (fault.chance is None or self._draw(planted) < fault.chance)
        )

    def _draw(self, planted: Planted) -> float:
        """A number from 0 to 1, the same for the same seed, fault and count."""
        place = f"{self._seed}/{planted.id}/{planted.matched}".encode()
        return int.from_bytes(blake2b(place, digest_size=8).digest()) / (1 << 64)


_SELECTORS = ("kind", "exchange", "route", "symbol", "from", "until", "first", "nth", "every", "chance")
_STATUSES = frozenset(status.value for status in HTTPStatus) - {100, 101, 102, 103, 204, 205, 304}
_REDIRECTS = (301, 302, 303, 307, 308)
_EXAMPLE = "reset,exchange=coinbase,route=candles,first=3"
