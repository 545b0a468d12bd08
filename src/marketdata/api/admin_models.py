"""What admins send and get."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from marketdata.api.bodies import Body
from marketdata.api.parameters import TIME_SCHEMA
from marketdata.api.problems import Problem
from marketdata.api.timestamps import parse_timestamp
from marketdata.core.models import EpochMs
from marketdata.store.client_secrets import ClientSecret
from marketdata.store.clients import ApiClient, ClientChanges
from marketdata.store.scopes import CANDLES_READ, METADATA_READ, SCOPES

MAX_NAME_CHARS: Final = 100
MAX_LIMIT: Final = 1_000_000_000

ScopeName = Literal["metadata:read", "candles:read", "admin"]


def _check_name(text: str) -> str:
    if not text.strip() or len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise ValueError(f"it is 1 to {MAX_NAME_CHARS} printable characters")
    return text.strip()


def _as_whole(given: object) -> object:
    """JSON has one sort of numbers: `60.0` is `60`."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


def _parse_time(given: object) -> object:
    given = _as_whole(given)
    if isinstance(given, str) or (isinstance(given, int) and not isinstance(given, bool)):
        return parse_timestamp("expires_at", str(given))
    return given


def _in_our_order(scopes: Sequence[str]) -> tuple[str, ...]:
    return tuple(scope for scope in SCOPES if scope in scopes)


Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS}),
    Field(description="What people call it."),
]
Scopes = Annotated[
    list[ScopeName], Field(min_length=1, max_length=len(SCOPES), description="What it may do, all of it.")
]
Limit = Annotated[
    int | None,
    Field(ge=1, le=MAX_LIMIT, description="How much it may ask for in a minute; null: what is usual here."),
    BeforeValidator(_as_whole),
]
Expiry = Annotated[
    int | None,
    BeforeValidator(_parse_time),
    WithJsonSchema({"anyOf": [*TIME_SCHEMA["anyOf"], {"type": "null"}]}),
    Field(description="Epoch milliseconds, or RFC 3339 with a zone; null: never."),
]


class _Expiring(Body):
    """Stands for what can be given an end."""

    expires_at: Expiry = None

    def check_expiry(self, now_ms: int) -> None:
        """Raises Problem `invalid-parameter` for a time that is over."""
        if self.expires_at is not None and self.expires_at <= now_ms:
            raise Problem("invalid-parameter", "`expires_at` is in the past.", parameter="expires_at")


class NewClient(_Expiring):
    """A client to be made."""

    name: Name
    scopes: Scopes = [CANDLES_READ, METADATA_READ]  # noqa: RUF012 - pydantic copies it
    requests_per_minute: Limit = None
    candles_per_minute: Limit = None


def _without_null(schema: dict[str, Any]) -> None:
    """A change names something, and a name and scopes there always are."""
    schema["minProperties"] = 1
    for name in ("name", "scopes"):
        member = schema["properties"][name]
        member |= next(choice for choice in member.pop("anyOf") if choice != {"type": "null"})
        del member["default"]


class ClientChange(_Expiring):
    """What to change of a client; what is left out stays."""

    model_config = ConfigDict(json_schema_extra=_without_null)

    name: Annotated[Name | None, Field(description="What people call it.")] = None
    scopes: Scopes | None = None
    requests_per_minute: Limit = None
    candles_per_minute: Limit = None

    def changes(self) -> ClientChanges:
        """What is to be changed. Raises Problem `invalid-parameter` for `null` where there must be something."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name in ("name", "scopes"):
            if name in given and given[name] is None:
                raise Problem("invalid-parameter", f"`{name}` cannot be null; leave it out to keep it.", parameter=name)
        if not given:
            raise Problem("invalid-request", f"Nothing to change: send some of {', '.join(type(self).model_fields)}.")
        if "scopes" in given:
            given["scopes"] = _in_our_order(given["scopes"])
        return cast("ClientChanges", given)


class Rotation(_Expiring):
    """How to rotate."""

    revoke: Annotated[bool, Field(description="Whether the other secrets end at once, with their tokens.")] = False


class Nothing(Body):
    """There is nothing to say."""


class SecretState(BaseModel):
    """A secret, by its id: the 8 characters after `mds_`."""

    secret_id: str
    state: Literal["live", "expired", "revoked"]
    created_at: EpochMs
    expires_at: EpochMs | None
    revoked_at: EpochMs | None
    last_used_at: Annotated[EpochMs | None, Field(description="When a token was last got with it, to the minute.")]


class Client(BaseModel):
    """An API client."""

    client_id: str
    name: str
    scopes: list[ScopeName]
    state: Literal["active", "disabled", "expired"]
    requests_per_minute: Annotated[int | None, Field(description="null: what is usual here.")]
    candles_per_minute: Annotated[int | None, Field(description="null: what is usual here.")]
    created_at: EpochMs
    expires_at: EpochMs | None
    disabled_at: EpochMs | None
    secrets: Annotated[list[SecretState], Field(description="All it ever had, the newest first.")]


class ClientWithSecret(Client):
    """A client and its newest secret."""

    client_secret: Annotated[str, Field(description="Shown this once and not kept.")]


class HourOfUse(BaseModel):
    """What a client asked for in an hour."""

    hour: Annotated[EpochMs, Field(description="When the hour began.")]
    requests: Annotated[int, Field(description="All with a good token, refused ones included.")]
    candles: Annotated[int, Field(description="Those that were served.")]
    limited: Annotated[int, Field(description="Requests that were refused as too many.")]


def describe_client(client: ApiClient, secrets: Sequence[ClientSecret], now_ms: int) -> Client:
    """A client as admins see it; `secrets`: its own or everybody's."""
    return Client.model_validate(
        {
            "client_id": client.client_id,
            "name": client.name,
            "scopes": list(client.scopes),
            "state": "active" if client.is_active(now_ms) else "disabled" if client.disabled_at else "expired",
            "requests_per_minute": client.requests_per_minute,
            "candles_per_minute": client.candles_per_minute,
            "created_at": client.created_at,
            "expires_at": client.expires_at,
            "disabled_at": client.disabled_at,
            "secrets": [_describe_secret(one, now_ms) for one in secrets if one.client_id == client.client_id],
        }
    )


def _describe_secret(secret: ClientSecret, now_ms: int) -> dict[str, object]:
    state = "live" if secret.is_live(now_ms) else "expired" if secret.revoked_at is None else "revoked"
    times = {name: getattr(secret, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    return {"secret_id": secret.secret_id, "state": state, **times}
