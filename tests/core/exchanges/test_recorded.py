"""Recorded catalogues of several years: each row is an instrument, but for those that are known not to be."""

from pathlib import Path

import pytest

from marketdata.core.exchanges import get_adapter

NO_FILTERS = {"exchangeInfo_mainnet_2024-04-27_subset.json": {"BTCUSDT", "ETHUSDT"}}  # whoever kept it cut them off
CATALOGUES = {"binance_futures": ("exchangeInfo*.json", 3), "coinbase": ("exchange_products*.json", 3)}


@pytest.mark.parametrize("exchange", CATALOGUES)
def test_each_row_of_each_recorded_catalogue_is_an_instrument(exchange: str, recordings: Path) -> None:
    pattern, least = CATALOGUES[exchange]
    catalogues = sorted((recordings / exchange).glob(pattern))
    assert len(catalogues) >= least
    for catalogue in catalogues:
        listing = get_adapter(exchange).parse_listing([catalogue.read_bytes()], {})
        refused = {refusal.exchange_symbol for refusal in listing.refused}
        assert refused == NO_FILTERS.get(catalogue.name, set()), catalogue.name
        assert listing.instruments or refused
