"""What an exchange of the simulated market has, candle by candle: what tests compare answers with.

It shares the market and its numbers with the exchanges, but nothing of how they select candles or write rows: the
opens are counted by the calendar, and each candle is made by itself.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from marketdata.core.models import DAY_MS, Candle, Interval
from marketdata.simulator.bars import Bar, join
from marketdata.simulator.binance_info import SimulatedBinance
from marketdata.simulator.coinbase_products import SimulatedCoinbase
from marketdata.simulator.decimals import one_decimal, padded, short, significant
from marketdata.simulator.hyperliquid_meta import SimulatedHyperliquid
from marketdata.simulator.market import Instrument
from marketdata.simulator.sources import Sources

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PADDED_SINCE_MS = 1_577_836_800_000
_KEPT_ROWS = 5000


def truth(
    sources: Sources,
    exchange: str,
    exchange_symbol: str,
    interval: Interval,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    *,
    prelisting: bool = True,
) -> list[Candle]:
    """The candles with `start_ms ≤ open_time < end_ms` that the exchange serves at `now_ms`, the forming one too.

    Numbers are the text that a faithful reader has of them. What is late or still to be corrected then is as it is
    served; its final value is the truth of a later moment. Without `prelisting`, those that closed before the first
    traded day began are left out, which only Hyperliquid has. It holds for the default scenario with any
    `ending_percent`, `prelisted_days`, outages, `late_flat_ms`, `corrected_ms` and limits. Raises LookupError for what
    is not listed or closed at that moment, TypeError for recordings.
    """
    source = _source(sources, exchange)
    instrument = source.instrument(exchange_symbol, now_ms)
    spans = list(_spans(exchange, interval, start_ms, min(end_ms, now_ms + 1)))
    if exchange == "hyperliquid" and interval is not Interval.MONTH_1:
        kept_ms = now_ms - _KEPT_ROWS * interval.min_duration_ms
        spans = [span for span in spans if span[0] > kept_ms]
    begins_ms, bar_of = instrument.life.listed_ms, partial(source.market.bar, instrument)
    if isinstance(source, SimulatedHyperliquid):
        prelisted = source.prelisted(exchange_symbol, now_ms)
        begins_ms, bar_of = prelisted.longer.life.listed_ms, partial(prelisted.bar, source.market)
        if not prelisting:
            traded_ms = first_traded_day_ms(sources, exchange, exchange_symbol, now_ms)
            spans = [span for span in spans if traded_ms is not None and span[1] > traded_ms]
    late_ms = sources.scenario.late_flat_ms if exchange == "hyperliquid" else 0
    candles = []
    for open_ms, close_ms in spans:
        if close_ms <= begins_ms or not instrument.life.listed_ms <= now_ms:
            continue
        seen_ms = _seen_ms(sources, exchange, interval, (open_ms, close_ms), now_ms)
        pieces = [
            bar_of(start_ms, end_ms, seen_ms)
            for start_ms, end_ms in _on(sources, exchange, open_ms, close_ms)
            if end_ms > begins_ms and max(start_ms, begins_ms) <= instrument.last_ms(seen_ms)
        ]
        if not pieces:
            continue
        bar = join(pieces)
        if bar.trades or (exchange != "coinbase" and not (late_ms and now_ms < close_ms + late_ms)):
            candle = _WRITERS[exchange](instrument, open_ms, close_ms, bar)
            candle.is_closed = close_ms <= now_ms
            candles.append(candle)
    return candles


def first_traded_day_ms(sources: Sources, exchange: str, exchange_symbol: str, now_ms: int) -> int | None:
    """The open of the first daily candle with trades; None: nothing was traded until `now_ms`. Raises as `truth`."""
    source = _source(sources, exchange)
    instrument = source.instrument(exchange_symbol, now_ms)
    listed_ms = instrument.life.listed_ms
    for day_ms in range(listed_ms - listed_ms % DAY_MS, instrument.last_ms(now_ms) + 1, DAY_MS):
        bar = source.market.lived(instrument, day_ms, day_ms + DAY_MS, now_ms)
        if bar is not None and bar.trades:
            return day_ms
    return None


def _on(sources: Sources, exchange: str, open_ms: int, close_ms: int) -> list[tuple[int, int]]:
    """The parts of a span in which the exchange was on: from each edge of an outage to the next."""
    off = [(outage.from_ms, outage.until_ms) for outage in sources.outages or () if outage.exchange == exchange]
    edges = {edge for outage in off for edge in outage if open_ms < edge < close_ms}
    parts = pairwise(sorted({open_ms, close_ms, *edges}))
    return [(start, end) for start, end in parts if not any(begin <= start and end <= over for begin, over in off)]


def _seen_ms(sources: Sources, exchange: str, interval: Interval, span: tuple[int, int], now_ms: int) -> int:
    """As of when a candle is served: a while ago if it is one of the last two that closed and still to be corrected."""
    open_ms, close_ms = span
    earlier_ms = now_ms - sources.scenario.corrected_ms
    if not earlier_ms < close_ms <= now_ms or len(list(_spans(exchange, interval, close_ms, now_ms + 1))) > 2:
        return now_ms
    return max(open_ms, earlier_ms)


def _source(sources: Sources, exchange: str) -> SimulatedBinance | SimulatedHyperliquid | SimulatedCoinbase:
    source = {"binance_futures": sources.binance, "hyperliquid": sources.hyperliquid, "coinbase": sources.coinbase}[
        exchange
    ]
    if not isinstance(source, SimulatedBinance | SimulatedHyperliquid | SimulatedCoinbase):
        raise TypeError("nobody knows the truth behind recordings")
    return source


def _spans(exchange: str, interval: Interval, start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Open and close of the exchange's candles that open in the range."""
    if interval is Interval.MONTH_1:
        month = (_EPOCH + timedelta(milliseconds=start_ms)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while _ms(month) < end_ms:
            following = (month + timedelta(days=31)).replace(day=1)
            if _ms(month) >= start_ms:
                yield _ms(month), _ms(following)
            month = following
        return
    step_ms = interval.min_duration_ms
    # 1970 began on a Thursday; Binance's weeks begin on Monday, four days later.
    anchor_ms = 4 * DAY_MS if exchange == "binance_futures" and interval is Interval.WEEK_1 else 0
    open_ms = anchor_ms + -(-(start_ms - anchor_ms) // step_ms) * step_ms
    while open_ms < end_ms:
        yield open_ms, open_ms + step_ms
        open_ms += step_ms


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _binance(instrument: Instrument, open_ms: int, close_ms: int, bar: Bar) -> Candle:
    write = padded if open_ms >= _PADDED_SINCE_MS else short
    price, size = instrument.price_scale, instrument.size_scale
    return Candle(
        open_time=open_ms,
        close_time=close_ms,
        open=write(bar.open * instrument.tick, price),
        high=write(bar.high * instrument.tick, price),
        low=write(bar.low * instrument.tick, price),
        close=write(bar.close * instrument.tick, price),
        volume=write(bar.size, size),
        quote_volume=write(bar.quote * instrument.tick, price + size),
        trades=bar.trades,
        taker_buy_volume=write(bar.bought, size),
        taker_buy_quote_volume=write(bar.bought_quote * instrument.tick, price + size),
    )


def _hyperliquid(instrument: Instrument, open_ms: int, close_ms: int, bar: Bar) -> Candle:
    opened, high, low, closed = (
        one_decimal(significant(price, instrument.price_scale, 5), instrument.price_scale) for price in bar[:4]
    )
    return Candle(
        open_time=open_ms,
        close_time=close_ms,
        open=opened,
        high=high,
        low=low,
        close=closed,
        volume=one_decimal(bar.size, instrument.size_scale),
        trades=bar.trades,
    )


def _coinbase(instrument: Instrument, open_ms: int, close_ms: int, bar: Bar) -> Candle:
    opened, high, low, closed = (short(price, instrument.price_scale) for price in bar[:4])
    return Candle(
        open_time=open_ms,
        close_time=close_ms,
        open=opened,
        high=high,
        low=low,
        close=closed,
        volume=short(bar.size, instrument.size_scale),
    )


_WRITERS = {"binance_futures": _binance, "hyperliquid": _hyperliquid, "coinbase": _coinbase}
