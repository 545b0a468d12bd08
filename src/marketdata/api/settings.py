"""Settings of the API service."""

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_TOKEN_TTL_S: Final = 86_400


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
