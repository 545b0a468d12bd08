"""Settings for tests whose one client asks what a thousand would."""

from typing import Final

from marketdata.api.settings import ApiSettings

UNLIMITED: Final = {
    "requests_per_minute": "1000000000",
    "candles_per_minute": "1000000000",
    "requests_at_once": "100000",
}


def unlimited(**more: object) -> ApiSettings:
    """The settings of an API that does not count."""
    return ApiSettings.model_validate({**UNLIMITED, **more})
