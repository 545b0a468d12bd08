"""Kraken's spot market as an exchange of the Market Data Platform."""

from marketdata_kraken.kraken import Kraken

__all__ = ["Kraken"]
