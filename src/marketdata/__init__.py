"""Market Data Platform: one canonical, exact form for the candles and metadata of crypto exchanges."""

__version__ = "0.1.0"
