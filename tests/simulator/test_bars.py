"""Cutting bars: what the parts are, they add up to the whole."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from marketdata.simulator.bars import Bar, begun, cut, flat, join


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low = draw(st.integers(1, 10**7))
    high = draw(st.integers(low, low + draw(st.sampled_from([0, 1, 3, 1000, 10**6]))))
    trades = draw(st.integers(0, draw(st.sampled_from([0, 1, 3, 50, 10**6]))))
    if not trades:
        return flat(low)
    size = trades + draw(st.integers(0, draw(st.sampled_from([0, 2, 10**4, 10**13]))))
    bought = draw(st.integers(0, size))
    sold = size - bought
    return Bar(
        draw(st.integers(low, high)),
        high,
        low,
        draw(st.integers(low, high)),
        trades,
        bought,
        draw(st.integers(low * bought, high * bought)),
        sold,
        draw(st.integers(low * sold, high * sold)),
    )


words = st.lists(st.integers(0, 65535), min_size=32, max_size=32)


def check(bar: Bar) -> None:
    """What is true of any bar."""
    assert 0 < bar.low <= min(bar.open, bar.close)
    assert max(bar.open, bar.close) <= bar.high
    assert bar.bought >= 0
    assert bar.sold >= 0
    assert bar.low * bar.bought <= bar.bought_quote <= bar.high * bar.bought
    assert bar.low * bar.sold <= bar.sold_quote <= bar.high * bar.sold
    assert bar.size >= bar.trades
    if not bar.trades:
        assert bar == flat(bar.open)


@given(bars(), st.integers(2, 5), words)
def test_parts_add_up_to_the_whole(bar: Bar, parts: int, words: list[int]) -> None:
    pieces = cut(bar, parts, words)
    assert len(pieces) == parts
    assert join(pieces) == bar
    for piece in pieces:
        check(piece)
    for before, after in itertools.pairwise(pieces):
        assert before.close == after.open


@given(bars(), st.integers(2, 5), words, words)
def test_parts_of_parts_add_up_too(bar: Bar, parts: int, words: list[int], others: list[int]) -> None:
    finest = [piece for part in cut(bar, parts, words) for piece in cut(part, 5, others)]
    assert join(finest) == bar
    for piece in finest:
        check(piece)


@given(bars(), st.lists(st.integers(0, 60_000), min_size=2, max_size=6))
def test_what_has_begun_only_grows_until_it_is_whole(bar: Bar, moments: list[int]) -> None:
    seen = [begun(bar, moment, 60_000) for moment in sorted(moments)]
    for before, after in zip(seen, [*seen[1:], bar], strict=True):
        check(before)
        assert before.open == bar.open
        assert before.high <= after.high
        assert before.low >= after.low
        assert before.trades <= after.trades
        assert before.bought <= after.bought
        assert before.sold <= after.sold
