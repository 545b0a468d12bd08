"""Which exchanges this installation speaks to, and where they are."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Annotated, Any, Final

from pydantic import Field, create_model, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from marketdata.core.exchanges import get_adapter, registry
from marketdata.core.models import ExchangeId

SYNC_INTERVAL_S: Final = 300
"""How often the metadata is synced unless told."""


class ExchangeSettings(BaseSettings):
    """`MARKETDATA_EXCHANGES`, `MARKETDATA_SYNC_INTERVAL`, and a `MARKETDATA_<EXCHANGE>_URL` for each known exchange."""

    model_config = SettingsConfigDict(env_prefix="MARKETDATA_", env_file=".env", extra="ignore", env_ignore_empty=True)

    exchanges: Annotated[
        tuple[ExchangeId, ...], NoDecode, Field(description="The exchanges to serve, separated by commas.")
    ] = (ExchangeId("binance_futures"), ExchangeId("hyperliquid"), ExchangeId("coinbase"))

    sync_interval: Annotated[
        float,
        Field(
            ge=1,
            le=86_400,
            allow_inf_nan=False,
            description="Seconds between two syncs of an exchange; metadata older than three times this is stale.",
        ),
    ] = SYNC_INTERVAL_S

    @field_validator("exchanges", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    @field_validator("exchanges")
    @classmethod
    def _are_registered(cls, exchanges: tuple[ExchangeId, ...]) -> tuple[ExchangeId, ...]:
        unknown = [exchange for exchange in exchanges if exchange not in registry()]
        if unknown or not exchanges:
            raise ValueError(f"choose from {', '.join(registry())}")
        return tuple(dict.fromkeys(exchanges))

    def base_url(self, exchange: ExchangeId) -> str:
        """Where that exchange is: its setting, else the adapter's own address."""
        configured: str | None = getattr(self, _url_field(exchange))
        return configured or get_adapter(exchange).base_url


def load_exchange_settings() -> ExchangeSettings:
    """Read the settings from the environment and `.env`; pydantic's ValidationError names what cannot work."""
    urls: dict[str, Any] = {
        _url_field(exchange): (
            Annotated[str | None, Field(description=f"Base URL of {exchange}; unset: {adapter.base_url}.")],
            None,
        )
        for exchange, adapter in registry().items()
    }
    model = create_model(
        "ExchangeSettings",
        __base__=ExchangeSettings,
        __validators__={"are_http": field_validator(*urls)(_is_http)},
        **urls,
    )
    return model()


def _is_http(value: str | None) -> str | None:
    if value is None:
        return None
    parts = _BASE_URL.fullmatch(value)
    if parts is None:
        raise ValueError(
            "must be http:// or https://, a host and perhaps a port and a path, nothing else, all in ASCII"
        )
    if parts["port"] and not 0 < int(parts["port"]) < 65_536:
        raise ValueError("its port must be between 1 and 65535")
    if parts["address"] and not _is_ipv6(parts["address"]):
        raise ValueError("what stands in brackets must be an IPv6 address")
    return value.rstrip("/")


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return True


_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_PATH = r"/[!\x22$->@-~]*"  # visible characters but ? and #
_BASE_URL = re.compile(
    rf"https?://(\[(?P<address>[0-9a-f:.]+)\]|{_LABEL}(\.{_LABEL})*\.?)(:(?P<port>\d{{1,5}}))?({_PATH})?",
    re.ASCII | re.IGNORECASE,
)


def _url_field(exchange: ExchangeId) -> str:
    return f"{exchange}_url"
