"""The one tree of errors. Each carries what its handler needs, and the code by which it is known outside.

HTTP status codes are the API's business alone.

MarketDataError
├── RequestError              the caller can mend it
│   ├── UnsupportedInterval   the exchange has no such interval (`supported`)
│   ├── UnknownExchange       no adapter of that name (`supported`)
│   ├── NotQuarantined        there is no such quarantined listing to accept
│   ├── UnknownClient         there is no API client of that id
│   ├── UnknownSecret         the client has no secret of that id
│   ├── ClientDisabled        the client is disabled for good
│   └── InvalidSetting        a setting that cannot work (`setting`)
├── UpstreamError             an exchange, named by `exchange`, did not give a usable answer
│   ├── UpstreamBadData       it answered, and the answer breaks a rule (`rule`, `candle`)
│   │   └── UpstreamGarbled   … already as bytes: cut short, not JSON, not of the documented form
│   ├── UpstreamFailure       it answered with an error that we have no better name for (`status`)
│   ├── UpstreamRefused       it will not serve this instrument, now or ever (`reason`)
│   ├── UpstreamTimeout       no whole answer within the deadline
│   ├── UpstreamUnavailable   cannot be reached, or says that it is down (`retry_after_s`)
│   ├── UpstreamRateLimited   asked too much (`retry_after_s`)
│   ├── UpstreamBanned        this address is banned for a while (`until_ms`, `retry_after_s`)
│   └── UpstreamBlocked       this address or region is not served at all
└── StoreError                the database
    ├── DatabaseUnavailable   cannot be reached or did not answer in time
    ├── SourceMismatch        it holds data of another source (`stored`, `offered`)
    ├── ListingQuarantined    a listing that cannot be trusted (`reason`)
    └── AlreadyRunning        another process holds the place (`what`)
"""

from typing import ClassVar

from marketdata.core.models import ExchangeId, Source


class MarketDataError(Exception):
    """Anything that this product reports by name."""

    code: ClassVar[str] = "internal-error"
    """What it is called outside: in a problem document, in the record of a sync."""


class RequestError(MarketDataError):
    """The caller asked for something that cannot be; the message says how to mend it."""


class UnsupportedInterval(RequestError):
    """The exchange does not offer the interval natively."""

    code = "unsupported-interval"

    def __init__(self, exchange: ExchangeId, supported: tuple[str, ...]) -> None:
        """`supported`: the intervals that it does offer."""
        super().__init__(f"{exchange} does not offer this interval; it offers {', '.join(supported)}")
        self.supported = supported


class UnknownExchange(RequestError):
    """No adapter is registered under the name."""

    code = "unknown-exchange"

    def __init__(self, supported: tuple[str, ...]) -> None:
        """`supported`: the registered exchanges."""
        super().__init__(f"no such exchange; known are {', '.join(supported)}")
        self.supported = supported


class NotQuarantined(RequestError):
    """What was to be accepted is no quarantined listing."""

    code = "not-quarantined"


class UnknownClient(RequestError):
    """There is no API client of that id."""

    code = "not-found"

    def __init__(self) -> None:
        """The id is not repeated."""
        super().__init__("there is no client of this id; the list of clients shows all")


class UnknownSecret(RequestError):
    """A client has no secret of that id, or there is no such client."""

    code = "not-found"

    def __init__(self) -> None:
        """The id is not repeated."""
        super().__init__("there is no such client, or it has no secret of this id; the list of clients shows all")


class ClientDisabled(RequestError):
    """The API client is disabled for good."""

    code = "invalid-request"

    def __init__(self) -> None:
        """Says what to do instead."""
        super().__init__("the client is disabled for good; create another one")


class InvalidSetting(RequestError):
    """A setting has a value that cannot work."""

    code = "invalid-setting"

    def __init__(self, setting: str, message: str) -> None:
        """`setting`: the name of the environment variable."""
        super().__init__(f"{setting}: {message}")
        self.setting = setting


class UpstreamError(MarketDataError):
    """An exchange did not give a usable answer."""

    code = "upstream-error"

    def __init__(self, exchange: ExchangeId, message: str) -> None:
        """`message` speaks to the caller and holds nothing that the exchange sent verbatim."""
        super().__init__(f"{exchange}: {message}")
        self.exchange = exchange


class UpstreamBadData(UpstreamError):
    """The exchange's answer breaks a rule; it is neither passed on nor repaired."""

    code = "upstream-bad-data"

    def __init__(self, exchange: ExchangeId, rule: str, candle: int | None = None) -> None:
        """`candle`: the open time of the offending candle, epoch ms, where there is one."""
        super().__init__(exchange, rule if candle is None else f"candle {candle}: {rule}")
        self.rule = rule
        self.candle = candle


class UpstreamGarbled(UpstreamBadData):
    """The answer cannot be read at all, as when it is cut short or a page stands in its place; another may be good."""


class UpstreamFailure(UpstreamError):
    """The exchange answered with an error that has no better name."""

    def __init__(self, exchange: ExchangeId, status: int) -> None:
        """`status`: the HTTP status of its answer."""
        super().__init__(exchange, f"answered with HTTP status {status}")
        self.status = status


class UpstreamRefused(UpstreamError):
    """The exchange will not serve this instrument; asking again does not help."""

    def __init__(self, exchange: ExchangeId, reason: str, *, is_certain: bool = True) -> None:
        """`reason`: in our words, with the exchange's own code; `is_certain`: False where a fault looks the same."""
        super().__init__(exchange, reason)
        self.reason = reason
        self.is_certain = is_certain


class UpstreamTimeout(UpstreamError):
    """No whole answer within the deadline."""

    code = "upstream-timeout"

    def __init__(self, exchange: ExchangeId, deadline_s: float) -> None:
        """`deadline_s`: how long we waited."""
        super().__init__(exchange, f"no whole answer within {deadline_s:g} s")
        self.deadline_s = deadline_s


class UpstreamUnavailable(UpstreamError):
    """The exchange cannot be reached, or says that it is down."""

    code = "upstream-unavailable"

    def __init__(self, exchange: ExchangeId, message: str, retry_after_s: float | None = None) -> None:
        """`retry_after_s`: when to ask again, where known."""
        super().__init__(exchange, message)
        self.retry_after_s = retry_after_s


class UpstreamRateLimited(UpstreamError):
    """The exchange's budget is spent, by our own count or by its answer."""

    code = "upstream-rate-limited"

    def __init__(
        self,
        exchange: ExchangeId,
        retry_after_s: float | None,
        reason: str = "what this platform may ask of it is used up for now",
    ) -> None:
        """`retry_after_s`: when there is budget again, where known; `reason`: what is used up, in our words."""
        super().__init__(exchange, reason)
        self.retry_after_s = retry_after_s


class UpstreamBanned(UpstreamError):
    """The exchange has banned this address for a while."""

    code = "upstream-banned"

    def __init__(self, exchange: ExchangeId, until_ms: int | None, retry_after_s: float | None = None) -> None:
        """`until_ms`: end of the ban, epoch ms; `retry_after_s`: how long it takes; each where the exchange said it."""
        super().__init__(exchange, "has banned this address for a while")
        self.until_ms = until_ms
        self.retry_after_s = retry_after_s


class UpstreamBlocked(UpstreamError):
    """The exchange does not serve this address or region at all."""

    code = "upstream-blocked"

    def __init__(self, exchange: ExchangeId, status: int, *, by_region: bool | None = None) -> None:
        """`status`: the HTTP status of its answer; `by_region`: whether it is the place that it does not serve.

        None: the status tells.
        """
        self.by_region = status == _LEGAL_REASONS if by_region is None else by_region
        super().__init__(exchange, f"{_REGION if self.by_region else _FIREWALL} (HTTP status {status})")
        self.status = status


_LEGAL_REASONS = 451
_FIREWALL = "its firewall refuses this address; asking less often, or from another address, may help"
_REGION = "does not serve this region; it has to be asked from a place that it serves"


class StoreError(MarketDataError):
    """The database cannot do what was asked."""


class DatabaseUnavailable(StoreError):
    """The database cannot be reached or did not answer in time."""

    code = "database-unavailable"


class SourceMismatch(StoreError):
    """The database belongs to another source of data; nothing is mixed."""

    code = "source-mismatch"

    def __init__(self, stored: Source, offered: Source) -> None:
        """`stored`: whose data it holds; `offered`: what was about to be written."""
        super().__init__(
            f"this database holds {stored} data and the exchanges are {offered}; nothing was changed. Use another"
            " MARKETDATA_DATA_DIR or MARKETDATA_DATABASE_URL, or the exchange URLs that it was made with."
        )
        self.stored = stored
        self.offered = offered


class ListingQuarantined(StoreError):
    """A listing that cannot be trusted and is not applied."""

    code = "listing-quarantined"

    def __init__(self, reason: str) -> None:
        """`reason`: what is wrong with it."""
        super().__init__(reason)
        self.reason = reason


class AlreadyRunning(StoreError):
    """Another process already does this here."""

    code = "already-running"

    def __init__(self, what: str) -> None:
        """`what`: the command and where it runs."""
        super().__init__(what)
        self.what = what
