"""Settings of the API service."""

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_TOKEN_TTL_S: Final = 86_400
MAX_PER_MINUTE: Final = 1_000_000_000


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
