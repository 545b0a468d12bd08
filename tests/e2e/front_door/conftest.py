"""A running platform, and who may ask it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from marketdata.core.clock import ManualClock
from marketdata.simulator.scenario import Scenario
from marketdata.store.clients import create_client, disable_client
from marketdata.store.keys import list_keys
from marketdata.store.scopes import SCOPES
from tests.conftest import Postgres
from tests.e2e.front_door.forge import Forge
from tests.e2e.markets import market
from tests.e2e.platform import Platform, running_platform

SEED = 7
T0 = 1767225690_000


@dataclass
class Door:
    """The platform, its document, and two clients: one who may do all, and one who was sent away."""

    platform: Platform
    http: httpx2.AsyncClient
    document: dict[str, Any]
    forge: Forge
    secret: str
    disabled: Forge
    disabled_secret: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(postgres: Postgres) -> AsyncIterator[Door]:
    clock = ManualClock(T0)
    url = postgres.make_database()
    async with running_platform(market(SEED, Scenario(limits=False)), clock, url) as platform:
        async with platform.database.transaction() as connection:
            client, secret = await create_client(connection, "door", tuple(SCOPES), T0)
            disabled, disabled_secret = await create_client(connection, "gone", tuple(SCOPES), T0)
            await disable_client(connection, disabled.client_id, T0)
            (key,) = (key for key in await list_keys(connection) if key.signs)
        await platform.services.refresh()
        private = Ed25519PrivateKey.from_private_bytes(key.private_key)
        yield Door(
            platform=platform,
            http=platform.http,
            document=(await platform.http.get("/openapi.json")).json(),
            forge=Forge(key.kid, private, client.client_id, _id(secret), T0 // 1000),
            secret=secret,
            disabled=Forge(key.kid, private, disabled.client_id, _id(disabled_secret), T0 // 1000),
            disabled_secret=disabled_secret,
        )
    postgres.drop_database(url)


def _id(secret: str) -> str:
    return secret.split("_")[1]
