"""Settings of the API service."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MAX_TOKEN_TTL_S: Final = 86_400

_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class ApiSettings(BaseSettings):
    """What the API service reads from the environment or `.env`, prefix `MARKETDATA_`."""

    model_config = SettingsConfigDict(
        env_prefix="MARKETDATA_", env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True
    )

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")] = 8000
    token_ttl: Annotated[
        int, Field(ge=10, le=MAX_TOKEN_TTL_S, description="How long an access token lives, seconds.")
    ] = 900
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        NoDecode,
        Field(description="Addresses or networks of the proxies whose X-Forwarded-For and -Proto are believed."),
    ] = ()
    root_path: Annotated[str, Field(description="Path under which a proxy serves the API, taken off by it.")] = ""
    max_connections: Annotated[int, Field(ge=10, le=100_000, description="Connections open at a time.")] = 2000
    drain: Annotated[
        float,
        Field(
            ge=0,
            le=8,
            allow_inf_nan=False,
            description="Seconds that a stopping process still takes requests while it says that it is not ready.",
        ),
    ] = 0
    database_pool: Annotated[int, Field(ge=2, le=100, description="The most connections to the database.")] = 10

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _are_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        networks = []
        for written in value.split(","):
            try:
                networks.append(ip_network(written.strip()))
            except ValueError:
                raise ValueError(
                    "must be addresses or networks like 10.0.0.7, 10.0.0.0/24 or fd00::/64, separated by commas"
                ) from None
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("must not be everybody: whoever is trusted can pretend any address")
        return tuple(networks)

    @field_validator("root_path")
    @classmethod
    def _is_a_prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if _PREFIX.fullmatch(prefix) is None:
            raise ValueError("must be a path like /market-data")
        return prefix
