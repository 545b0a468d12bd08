"""The adapters that tests are about: those of this package, whatever else is installed beside it."""

from collections.abc import Mapping
from typing import Final

from marketdata.core.exchanges import BUILT_IN
from marketdata.core.exchanges.adapter import ExchangeAdapter
from marketdata.core.models import ExchangeId

ADAPTERS: Final[Mapping[ExchangeId, ExchangeAdapter]] = {adapter.exchange: adapter() for adapter in BUILT_IN}
