"""The syncer's settings."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from marketdata.syncer.rules import GuardRules


class GuardSettings(GuardRules, BaseSettings):
    """The rules of the guard, as `MARKETDATA_GUARD_…` and `MARKETDATA_DELIST_…`."""

    model_config = SettingsConfigDict(
        env_prefix="MARKETDATA_", env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True
    )
