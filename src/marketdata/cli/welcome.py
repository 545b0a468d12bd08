"""What `marketdata up` prints once everything runs: where it is, who may ask, and a request to paste."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from marketdata import __version__
from marketdata.api.auth import Tokens
from marketdata.api.keys import BELIEVED_MS
from marketdata.cli.clients import DEFAULT_SCOPES
from marketdata.core.clock import Clock
from marketdata.core.models import ExchangeId, Source, Status
from marketdata.store.access import get_access
from marketdata.store.client_secrets import list_secrets
from marketdata.store.clients import ApiClient, create_client, list_clients
from marketdata.store.engine import Database
from marketdata.store.scopes import CANDLES_READ
from marketdata.store.symbols import list_symbols
from marketdata.store.syncs import SyncRun

_FIRST_CLIENT = "first client"
_FAVOURITE = "BTC-USDT-PERP"
_NOT_LIVE = {
    Source.SIMULATED: "nothing here is real market data",
    Source.RECORDED: "what they once answered, nothing here is of today",
}


@dataclass(frozen=True, slots=True)
class Access:
    """A client that may read candles, and its secret if it was made just now."""

    client: ApiClient
    secret: str | None


async def find_access(database: Database, clock: Clock) -> Access | None:
    """A client for the printed request: the oldest active one that may read candles; in a new database, a new one.

    None: there are clients and all are disabled, expired, without a live secret or may not read candles.
    """
    now_ms = clock.now_ms()
    async with database.transaction() as connection:
        clients, secrets = await list_clients(connection), await list_secrets(connection)
        if not clients:
            return Access(*await create_client(connection, _FIRST_CLIENT, DEFAULT_SCOPES, now_ms))
    known = {secret.client_id for secret in secrets if secret.is_live(now_ms)}
    active = (
        client
        for client in clients
        if client.is_active(now_ms) and client.client_id in known and CANDLES_READ in client.scopes
    )
    client = next(active, None)
    return None if client is None else Access(client, None)


async def make_token(database: Database, clock: Clock, client: ApiClient, ttl_s: int) -> str:
    """A fresh access token for `client`."""
    tokens = Tokens(clock, ttl_s)
    async with database.transaction() as connection:
        tokens.use(await get_access(connection, clock.now_ms(), BELIEVED_MS))
    return tokens.issue(client.client_id, client.scopes)


async def find_instrument(database: Database, exchanges: Sequence[ExchangeId]) -> tuple[ExchangeId, str] | None:
    """Exchange and symbol of an instrument that trades, a well-known one if there is; None: no metadata yet."""
    for exchange in exchanges:
        async with database.transaction() as connection:
            symbols = await list_symbols(connection, exchange)
        names = [symbol.symbol for symbol in symbols if symbol.status is Status.TRADING]
        if names:
            return exchange, _FAVOURITE if _FAVOURITE in names else names[0]
    return None


class Welcome:
    """The lines, on a terminal in colour; a command to paste is one line, however long."""

    def __init__(self, address: str, ttl_s: int, command: str) -> None:
        """`address`: the API's base URL; `ttl_s`: how long a token lives, seconds; `command`: ours on this database."""
        self._console = Console(highlight=False, markup=False)
        self._address = address
        self._ttl_s = ttl_s
        self._command = command

    def say_where(self, data: str, source: Source | None) -> None:
        """What this is, where it is, and whose data it is."""
        self._line(Text(f"Market Data Platform {__version__}", "bold"))
        self.say_source(source)
        self._fact("API", f"{self._address} (documentation: {self._address}/docs)")
        self._fact("data", data)

    def say_source(self, source: Source | None) -> None:
        """A warning unless it is the exchanges' own data, or not known yet."""
        if source in _NOT_LIVE:
            self._line(Text(f" {source.upper()} ", "bold black on yellow"), f" exchanges: {_NOT_LIVE[source]}")

    def say_exchanges(self, exchanges: Sequence[ExchangeId], runs: Mapping[ExchangeId, SyncRun]) -> None:
        """How the first sync of each went."""
        for exchange in exchanges:
            run = runs.get(exchange)
            if run is None:
                self._fact(exchange, Text("has not answered yet; still trying", "yellow"))
            elif run.outcome == "succeeded":
                self._fact(exchange, f"{run.listed} instruments")
            else:
                why = (run.error_detail or run.outcome).removeprefix(f"{exchange}: ")
                if run.outcome == "quarantined":
                    why += f"; if its listing is right all the same: {self._command} sync --accept {run.id}"
                self._fact(exchange, Text(f"not synced: {why}; still trying", "yellow"))

    def say_access(self, access: Access | None) -> None:
        """Id and secret of the client that was made just now; the secret is not shown again."""
        if access is None:
            self._line("\nNo active client may read candles.")
            self._fact("make one", f"{self._command} clients create NAME")
            return
        self._line()
        self._fact("client id", access.client.client_id)
        if access.secret is not None:
            self._fact("client secret", Text(access.secret), " (shown this once)")
        else:
            self._fact("secret lost", f"{self._command} clients rotate {access.client.client_id}")
        self._fact("more clients", f"{self._command} clients create NAME")

    def say_request(self, access: Access, token: str, exchange: ExchangeId, symbol: str) -> None:
        """A request that works as pasted, and how to get the next token."""
        path = f"/v1/candles/{exchange}/{quote(symbol, safe='')}/1h?limit=3"
        self._line(f"\nCandles, as pasted within {self._ttl_s / 60:g} minutes:\n")
        self._line(Text(f"curl -H 'Authorization: Bearer {token}' '{self._address}{path}'", "green"))
        who = f"'{access.client.client_id}:{access.secret}'"
        if access.secret is None:
            who = f'"{access.client.client_id}:$CLIENT_SECRET"'
        self._line("\nThe next token:\n")
        self._line(Text(f"curl -u {who} -d grant_type=client_credentials {self._address}/v1/token", "green"))

    def say_waiting(self) -> None:
        """That there is nothing to ask for yet."""
        self._line("\nNo metadata yet; a request to paste follows as soon as an exchange has answered.")

    def say_end(self) -> None:
        """How to stop."""
        self._line("\nCtrl-C stops everything.")

    def _fact(self, name: str, *told: str | Text) -> None:
        self._line(Text(f"{name:<16}", "dim"), *told)

    def _line(self, *parts: str | Text) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=True)
        self._console.file.flush()
