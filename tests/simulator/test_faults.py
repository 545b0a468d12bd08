"""Which fault is played when."""

from pathlib import Path

import msgspec
import pytest

from marketdata.simulator.calls import Call
from marketdata.simulator.fault_kinds import GROUPS, KINDS, Kind, describe_kinds
from marketdata.simulator.faults import Faults, WrongFaultError, parse_fault

ROOT = Path(__file__).parents[2]
BTC = Call("binance_futures", "/fapi/v1/klines", "candles", "BTCUSDT")
PURR = Call("hyperliquid", "candleSnapshot", "candles", "PURR/USDC")
META = Call("hyperliquid", "meta", "listing")
PRODUCT = Call("coinbase", "/products/BTC-USD/candles", "candles", "BTC-USD")


def played(faults: Faults, call: Call, times: int, now_ms: int = 0) -> list[int]:
    """Which of so many equal requests meet a fault, from 1."""
    return [number for number in range(1, times + 1) if faults.choose(call, now_ms)]


@pytest.mark.parametrize(
    "spec, calls",
    [
        ("reset", [BTC, PURR, META, PRODUCT]),
        ("reset,exchange=binance_futures", [BTC]),
        ("reset,exchange=binance", [BTC]),
        ("reset,route=candles", [BTC, PURR, PRODUCT]),
        ("reset,route=listing", [META]),
        ("reset,route=meta", [META]),
        ("reset,route=meta*", [META]),
        ("reset,route=/fapi/v1/klines", [BTC]),
        ("reset,route=/products/*/candles", [PRODUCT]),
        ("reset,symbol=PURR/USDC", [PURR]),
        ("reset,symbol=btcusdt", []),
        ("reset,exchange=coinbase,route=candles,symbol=BTC-USD", [PRODUCT]),
        ("reset,exchange=coinbase,symbol=BTCUSDT", []),
    ],
)
def test_a_fault_is_for_some_requests(spec: str, calls: list[Call]) -> None:
    faults = Faults([spec])
    assert [call for call in (BTC, PURR, META, PRODUCT) if faults.choose(call, 0)] == calls


@pytest.mark.parametrize(
    "spec, numbers",
    [
        ("reset,first=3", [1, 2, 3]),
        ("reset,nth=3", [3]),
        ("reset,every=3", [3, 6, 9]),
        ("reset,first=7,every=3", [3, 6]),
        ("reset,chance=0", []),
        ("reset,chance=1", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_a_fault_is_played_by_count(spec: str, numbers: list[int]) -> None:
    assert played(Faults([spec]), BTC, 10) == numbers


def test_only_requests_that_it_is_for_count() -> None:
    faults = Faults(["reset,nth=2,route=listing"])
    assert [bool(faults.choose(call, 0)) for call in (META, BTC, BTC, META, META)] == [False, False, False, True, False]
    ((planted),) = faults
    assert (planted.matched, planted.played) == (3, 1)


def test_chance_is_the_seeds() -> None:
    one, same, other = (played(Faults(["reset,chance=0.2"], seed), BTC, 1000) for seed in (7, 7, 8))
    assert one == same != other
    assert 150 < len(one) < 250
    assert len({(number + 1) in one for number in one}) == 2


@pytest.mark.parametrize(
    "spec",
    [
        "reset,from=1000,until=2000",
        "reset,from=1970-01-01T00:00:01Z,until=1970-01-01T00:00:02",
        "reset,from=1970-01-01T01:00:01+01:00,until=2000",
    ],
)
def test_a_fault_has_its_time(spec: str) -> None:
    faults = Faults([spec])
    assert [now for now in (0, 999, 1000, 1999, 2000, 3000) if faults.choose(BTC, now)] == [1000, 1999]


def test_of_several_the_first_whose_turn_it_is_is_played() -> None:
    faults = Faults(["html,nth=2", "empty,first=3", "null"])
    chosen = [faults.choose(BTC, 0) for _ in range(4)]
    assert [fault.kind for fault in chosen if fault] == ["empty", "html", "empty", "null"]
    assert [(planted.matched, planted.played) for planted in faults] == [(4, 1), (4, 2), (4, 1)]


def test_faults_can_be_taken_out() -> None:
    faults = Faults(["html", "empty"])
    assert faults.remove(1)
    assert not faults.remove(1)
    assert [planted.id for planted in faults] == [2]
    faults.add("null")
    assert [planted.id for planted in faults] == [2, 3]
    faults.clear()
    assert not list(faults)
    assert faults.choose(BTC, 0) is None


def test_all_or_none_are_planted() -> None:
    faults = Faults()
    with pytest.raises(WrongFaultError):
        faults.add("html", "nonsense")
    assert not list(faults)


def test_a_fault_may_be_given_in_pieces() -> None:
    pieces = {"kind": "status", "status": 503, "route": "candles", "chance": 0.5, "from": "1970-01-01T00:00:01Z"}
    assert parse_fault(pieces) == parse_fault("status,status=503,route=candles,chance=0.5,from=1000")


@pytest.mark.parametrize(
    "spec, says",
    [
        ("", "there are: refuse, close, reset,"),
        ("explode", "no kind of fault is called 'explode'; there are: refuse,"),
        ("reset,percent=3", "reset does not take 'percent'; it takes: exchange, route,"),
        ("reset,first", "'first' is not name=value, as in 'reset,exchange="),
        ("reset,first=0", "reset cannot be played: Expected `int` >= 1 - at `$.first`"),
        ("reset,first=many", "reset cannot be played: Expected `int | null`, got `str`"),
        ("reset,chance=2", "reset cannot be played: Expected `float` <= 1.0"),
        ("reset,from=noon", "reset cannot be played: Invalid isoformat string: 'noon'"),
        ("reset,exchange=kraken", "no exchange is called 'kraken'; there are: binance_futures,"),
        ("reset,first=1,first=2", "first is given twice"),
        ("reset,symbol=", "its symbol is empty"),
        ("reset,from=2026-03-16T00:00Z,until=2026-03-15T00:00Z", "it ends before it begins"),
        ("redirect,status=200", "200 redirects nobody; there are: 301"),
        ("reset,route=klines", "no route is called 'klines'; there are: listing, candles,"),
        ("status,status=204", "204 is no status of an answer with a body"),
        ("listing-shrunk,percent=101", "percent is 0 to 100"),
        ("fewer-rows,percent=300", "percent is 0 to 100"),
        ("listing-grown,percent=-1", "Expected `int` >= 0"),
        ("html,status=299", "299 is no status of an answer with a body"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_possible(spec: str, says: str) -> None:
    with pytest.raises(WrongFaultError) as raised:
        parse_fault(spec)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "pieces", [{}, {"kind": 3}, {"kind": "reset", "route": ["a"]}, {"kind": "reset", "exchange": {}}]
)
def test_pieces_of_the_wrong_kind_are_told(pieces: dict[str, object]) -> None:
    with pytest.raises(WrongFaultError):
        parse_fault(pieces)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_planted_by_its_name(kind: str) -> None:
    fault = parse_fault(kind)
    assert fault.kind == kind
    for name, value in KINDS[kind].defaults.items():
        assert msgspec.to_builtins(fault).get(name, value) == value


def test_all_kinds_are_described() -> None:
    lines = describe_kinds().split("\n")
    for group, kinds in GROUPS.items():
        assert f"{group}:" in lines
        for kind in kinds:
            assert len([line for line in lines if line.startswith(f"  {kind.name} ")]) == 1
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_is_documented(kind: Kind) -> None:
    takes = " ".join(f"`{name}`" if value is None else f"`{name}={value}`" for name, value in kind.defaults.items())
    assert f"| `{kind.name}` | {kind.meaning} | {takes} |" in (ROOT / "docs" / "simulator.md").read_text()
