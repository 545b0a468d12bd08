"""Instruments as an adapter would have read them."""

from marketdata.core.models import Kind, ListedInstrument, Status


def instrument(
    exchange_symbol: str = "BTCUSDT",
    base: str = "BTC",
    *,
    quote: str = "USDT",
    identity: str = "",
    status: Status = Status.TRADING,
    tick_size: str = "0.10",
) -> ListedInstrument:
    return ListedInstrument(
        exchange_symbol=exchange_symbol,
        kind=Kind.PERPETUAL,
        dex=None,
        base_asset=base,
        base_multiplier=1,
        quote_asset=quote,
        settle_asset=quote,
        ccxt_symbol=None,
        status=status,
        exchange_status=status.value,
        tick_size=tick_size,
        step_size="1",
        price_significant_digits=None,
        price_max_decimals=None,
        min_quantity=None,
        min_notional=None,
        contract_size=None,
        listed_at=None,
        expires_at=None,
        base=base,
        identity=identity or f"{base}|{quote}",
    )
