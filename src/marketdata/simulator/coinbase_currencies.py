"""How Coinbase Exchange writes its currencies: general clients read them before the products.

The shape is that of a recorded answer (2022-12); names, limits and networks are made up.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from marketdata.simulator.decimals import padded

_FIAT = {"USD": ("United States Dollar", "$"), "EUR": ("Euro", "€"), "GBP": ("British Pound", "£")}
_OWN_NETWORKS = {"BTC": "bitcoin", "LTC": "litecoin", "DOGE": "dogecoin", "SOL": "solana", "XRP": "ripple"}


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency."""

    code: str
    decimals: int
    """Of its finest amount."""
    online: bool


def written(currencies: Iterable[Currency]) -> list[dict[str, object]]:
    """The elements of `/currencies`, their keys in the order of the exchange."""
    return [_written(currency, place) for place, currency in enumerate(currencies)]


def _written(currency: Currency, place: int) -> dict[str, object]:
    name, sign = _FIAT.get(currency.code, (currency.code.title(), None))
    fiat = currency.code in _FIAT
    finest = padded(1, 2 if fiat else currency.decimals)
    network = "" if fiat else _OWN_NETWORKS.get(currency.code, "ethereum")
    limits = (None, None) if fiat else (1, 1_000_000)
    confirmations = None if fiat else 14
    return {
        "id": currency.code,
        "name": name,
        "min_size": finest,
        "status": "online" if currency.online else "delisted",
        "message": "",
        "max_precision": finest,
        "convertible_to": ["USDC"] if currency.code == "USD" else [],
        "details": {
            "type": "fiat" if fiat else "crypto",
            "symbol": sign,
            "network_confirmations": confirmations,
            "sort_order": place,
            "crypto_address_link": None,
            "crypto_transaction_link": None,
            "push_payment_methods": ["bank_wire"] if fiat else ["crypto"],
            "group_types": ["fiat", currency.code.lower()] if fiat else [],
            "display_name": None,
            "processing_time_seconds": None,
            "min_withdrawal_amount": limits[0],
            "max_withdrawal_amount": limits[1],
        },
        "default_network": network,
        "supported_networks": [_network(network, limits, confirmations)] if network else [],
    }


def _network(name: str, limits: tuple[int | None, int | None], confirmations: int | None) -> dict[str, object]:
    return {
        "id": name,
        "name": name.title(),
        "status": "online",
        "contract_address": None,
        "crypto_address_link": None,
        "crypto_transaction_link": None,
        "min_withdrawal_amount": limits[0],
        "max_withdrawal_amount": limits[1],
        "network_confirmations": confirmations,
        "processing_time_seconds": None,
    }
