"""Settings of the syncer."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SyncerSettings(BaseSettings):
    """What the syncer reads from the environment or `.env`, prefix `MARKETDATA_`."""

    model_config = SettingsConfigDict(
        env_prefix="MARKETDATA_", env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True
    )

    sync_interval: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Seconds between two syncs of an exchange.")
    ] = 300
