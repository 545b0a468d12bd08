"""The HTTP service: candles and metadata, read only, for authenticated API clients."""
