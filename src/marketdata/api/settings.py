"""Settings of the API service."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MAX_TOKEN_TTL_S: Final = 86_400
MAX_PER_MINUTE: Final = 1_000_000_000

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN: Final = re.compile(
    rf"(?P<scheme>https?)://(\[[0-9a-f:]+\]|{_LABEL}(\.{_LABEL})*)(:(?P<port>[1-9][0-9]{{0,4}}))?", re.ASCII
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
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
    key_lifetime: Annotated[
        int,
        Field(ge=60, le=31_536_000, description="How long a key signs tokens until the next one does, seconds."),
    ] = 2_592_000
    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Origins of web pages whose scripts may read the answers, separated by commas; none: no page."
        ),
    ] = ()
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
    requests_per_minute: Annotated[
        int,
        Field(ge=1, le=MAX_PER_MINUTE, description="Requests of a client in a minute, unless it has its own limit."),
    ] = 1200
    candles_per_minute: Annotated[
        int, Field(ge=1, le=MAX_PER_MINUTE, description="Candles of a client in a minute, unless it has its own limit.")
    ] = 1_000_000
    requests_at_once: Annotated[
        int, Field(ge=1, le=100_000, description="Requests of a client that one process answers at the same time.")
    ] = 64

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [origin.strip() for origin in value.split(",")] if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for number, origin in enumerate(origins, 1):
            parts = _ORIGIN.fullmatch(origin)
            if parts is None:
                raise ValueError(
                    f"origin {number} is none: write it as browsers do, `https://app.example.com` or"
                    " `http://localhost:3000`: in lower case, without a path or a `/` at the end, never `*` or `null`;"
                    " several are separated by commas"
                )
            port = parts["port"]
            if port == _DEFAULT_PORTS[parts["scheme"]]:
                raise ValueError(
                    f"origin {number}: browsers leave out the port {port} of {parts['scheme']}; so must it"
                )
            if port is not None and int(port) > 65_535:
                raise ValueError(f"origin {number}: a port is at most 65535")
        return origins

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
