"""Made-up instruments."""

from marketdata.core.models import ExchangeId, Symbol

EXCHANGE = ExchangeId("coinbase")


def symbol(name: str = "BTC-USD", **fields: object) -> Symbol:
    """A symbol of which the given fields are as given."""
    given = {
        "id": f"{EXCHANGE}:{name}",
        "exchange": EXCHANGE,
        "symbol": name,
        "exchange_symbol": name,
        "aliases": (),
        "ccxt_symbol": name.replace("-", "/"),
        "kind": "spot",
        "dex": None,
        "base_asset": name.partition("-")[0],
        "base_multiplier": 1,
        "quote_asset": "USD",
        "settle_asset": None,
        "status": "trading",
        "exchange_status": "online",
        "tick_size": "0.10",
        "step_size": "0.00000001",
        "price_significant_digits": None,
        "price_max_decimals": None,
        "min_quantity": None,
        "min_notional": "1",
        "contract_size": None,
        "listed_at": None,
        "expires_at": None,
        "delisted_at": None,
        "delisted_at_source": None,
        "first_seen_at": 1767225600001,
        "last_seen_at": 1767225600001,
    }
    return Symbol.model_validate(given | fields)
