"""What may happen while somebody asks for candles, drawn: the time, the exchange's day, and what goes wrong."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from marketdata.core.clock import ManualClock
from marketdata.core.models import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.answers import Asked
from marketdata.simulator.calls import Call
from marketdata.simulator.controls import Controls
from marketdata.simulator.faults import Faults
from marketdata.simulator.journal import Entry, Journal
from marketdata.simulator.outages import Outage
from marketdata.simulator.scenario import Scenario

T0 = 1780000000000  # 2026-05-28T20:26:40Z
_BORDERS = [
    T0 - T0 % MINUTE_MS + MINUTE_MS,
    T0 - T0 % HOUR_MS + 3 * HOUR_MS,
    T0 - T0 % DAY_MS + DAY_MS,
    1780272000000,  # Monday 2026-06-01, a month
    1780531200000,  # Thursday 2026-06-04
]
"""Where candles begin and end; the last two of weeks too, each on its exchange."""

UNAVAILABLE, BAD_DATA, TIMEOUT = "upstream-unavailable", "upstream-bad-data", "upstream-timeout"
RATE_LIMITED, BANNED, BLOCKED, FAILED = (
    "upstream-rate-limited",
    "upstream-banned",
    "upstream-blocked",
    "upstream-error",
)
_BROKEN = frozenset({UNAVAILABLE, BAD_DATA})
_BAD = frozenset({BAD_DATA})

OUTCOMES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("refuse", "close", "reset", "truncate", "truncate-chunked", "overlong", "garbage"), _BROKEN),
    **dict.fromkeys(("http-0.9", "huge-header", "many-headers"), _BROKEN),
    **dict.fromkeys(("html", "wrong-type", "gzip-plain", "gzip-broken", "truncated-json", "empty", "null"), _BAD),
    **dict.fromkeys(("nan", "infinity", "long-number", "duplicate-keys", "bom", "latin-1", "nesting"), _BAD),
    **dict.fromkeys(("huge,bytes=13000000", "gzip-bomb,bytes=13000000"), _BAD),
    **dict.fromkeys(("duplicate-row", "unordered", "off-grid", "high-below-low", "negative-volume"), _BAD),
    **dict.fromkeys(("nan-price", "null-price", "future-row", "missing-required"), _BAD),
    **dict.fromkeys(("slow,seconds=0.02", "extra-field", "missing-optional"), frozenset[str]()),
    **dict.fromkeys(
        ("html,status=500", "status,status=502", "html,status=502", "html,status=503"), frozenset({UNAVAILABLE})
    ),
    "error-body": _BROKEN,
    "redirect": frozenset({FAILED}),
    "redirect-loop": frozenset({FAILED}),
    "status,status=429": frozenset({RATE_LIMITED}),
    "status,status=429,seconds=7": frozenset({RATE_LIMITED}),
    "status,status=418": frozenset({BANNED, FAILED}),
    "html,status=403": frozenset({BLOCKED}),
    "html,status=451": frozenset({BLOCKED}),
}
"""Each fault with the problems that it may become; else it must be as if it had not been.

Not among them: `silence`, `stall` and `drip`, which cost the deadline of five real seconds each; `fewer-rows`,
which at the tail looks like rows that are late, and where empty buckets have none like buckets without a trade; and
`other-symbol` where rows do not name theirs: nobody can tell such an answer from a good one. Nor 500 in
the exchange's words, which are Hyperliquid's for a coin that it does not know.
"""

RETRIED = [
    "refuse",
    "close",
    "reset",
    "truncate",
    "truncate-chunked",
    "html",
    "wrong-type",
    "gzip-broken",
    "truncated-json",
    "empty",
    "html,status=502",
]
"""What is worth asking again: of these a single one is never seen by the caller."""


class World(NamedTuple):
    """All that is drawn beside the request."""

    now_ms: int
    """The local clock at its beginning; the exchange's is `scenario.skew_ms` ahead."""
    steps_ms: tuple[int, ...]
    """How long the first calls to the exchange take."""
    scenario: Scenario
    faults: tuple[str, ...]
    problems: frozenset[str]
    """What a caller may be told."""

    @property
    def doubt_ms(self) -> int:
        """How far behind our idea of the exchange's time may be: what the call for it took, retried once."""
        return sum(self.steps_ms) + 1000 * bool(self.faults)


class Ticking(Journal):
    """A journal on whose clock time passes while an exchange answers."""

    def __init__(self, clock: ManualClock, steps_ms: Sequence[int]) -> None:
        super().__init__()
        self._clock = clock
        self._steps_ms = list(steps_ms)

    def open(self, call: Call, asked: Asked) -> Entry:
        entry = super().open(call, asked)
        if self._steps_ms:
            self._clock.advance(self._steps_ms.pop(0))
        return entry


def controls_of(world: World, clock: ManualClock) -> Controls:
    """What goes wrong in `world`, to be played by a simulator on `clock`."""
    return Controls(Faults(world.faults, seed=world.now_ms), Ticking(clock, world.steps_ms))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A good day of an exchange, or one on which this and that happens."""
    border = draw(st.sampled_from(_BORDERS))
    now = draw(st.just(T0) | st.integers(border - 4500, border + 500) | st.integers(T0, T0 + 7 * DAY_MS))
    steps = draw(st.just([]) | st.lists(st.sampled_from([0, 300, 2000, 4000]), max_size=5))
    scenario = Scenario(
        limits=False,  # this clock moves as soon as somebody waits, before what was sent has arrived
        skew_ms=draw(st.sampled_from([0, 0, 400, -40_000, 40_000])),
        late_flat_ms=draw(st.sampled_from([0, 0, 90_000, 150_000])),
        corrected_ms=draw(st.sampled_from([0, 0, 50_000, 200_000])),
        outages=tuple(draw(st.just([]) | st.lists(_outages(now), max_size=4))),
    )
    kinds, faults = draw(st.just(([], [])) | _faults())
    problems = frozenset[str]() if _is_hidden(kinds, faults) else frozenset().union(*(OUTCOMES[one] for one in kinds))
    return World(now, tuple(steps), scenario, tuple(faults), problems | {UNAVAILABLE} if problems else problems)


@st.composite
def _outages(draw: st.DrawFn, now_ms: int) -> Outage:
    """Of any length, at any distance from now."""
    minute = now_ms - now_ms % MINUTE_MS
    back = draw(st.integers(-2, 10) | st.integers(0, 14).map(lambda power: 1 << power))
    length = draw(st.integers(1, 10) | st.integers(1, max(1, back)))
    exchange = draw(st.sampled_from(["binance_futures", "hyperliquid", "coinbase"]))
    return Outage(exchange=exchange, from_ms=minute - back * MINUTE_MS, until_ms=minute + (length - back) * MINUTE_MS)


@st.composite
def _faults(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """One or two: their kinds, and all that is said of them."""
    kinds = draw(st.lists(st.sampled_from(sorted(OUTCOMES)) | st.sampled_from(RETRIED), min_size=1, max_size=2))
    place = st.sampled_from(["route=candles", "route=candles", "route=time", "chance=1"])
    turn = st.sampled_from(["nth=1", "nth=1", "nth=2", "nth=3", "every=2", "chance=0.5", "first=3"])
    return kinds, [f"{kind},{draw(place)},{draw(turn)}".replace("chance=1,chance", "chance") for kind in kinds]


def _is_hidden(kinds: Sequence[str], faults: Sequence[str]) -> bool:
    return len(kinds) == 1 and kinds[0] in RETRIED and "nth=" in faults[0]
