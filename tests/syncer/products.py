"""Coinbase's listing in self-written bytes, of the shape that its documentation shows for `GET /products`."""

import json
from collections.abc import Iterable

from tests.fake_exchange import Answer, http

type Row = dict[str, object]

NOT_FOUND = http(b"{}", "404 Not Found")
"""What an exchange says to a question about its source, which is a simulator's."""


def product(base: str, **more: object) -> Row:
    """One row."""
    return {
        "id": f"{base}-USD",
        "base_currency": base,
        "quote_currency": "USD",
        "quote_increment": "0.01",
        "base_increment": "0.00000001",
        "display_name": f"{base}/USD",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
        **more,
    }


def products(rows: Iterable[Row]) -> Answer:
    """The whole listing."""
    return http(json.dumps(list(rows)).encode())


def whole_sync(rows: Iterable[Row]) -> tuple[Answer, Answer, Answer]:
    """The answers to all that one sync asks: whose data it is, the listing, and again whose data it is."""
    return NOT_FOUND, products(rows), NOT_FOUND
