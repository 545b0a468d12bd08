"""Candles that clients fetch from the simulator are those that our API serves, one by one."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.clients.case import Case
from tests.clients.cases import cases
from tests.clients.clients import Refused
from tests.clients.conftest import Sides
from tests.clients.explained import CANDLES

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="module")]

CASES = cases()


async def ask_us(sides: Sides, case: Case) -> list[list[Any]] | Refused:
    """Our answer, written as the client's is."""
    path = f"/v1/candles/{case.exchange}/{quote(case.exchange_symbol, safe='')}/{case.interval}"
    answer = await sides.platform.get(path, **case.ours())
    if answer.status_code != 200:
        assert answer.status_code == 400, answer.text
        return Refused(answer.json()["code"])
    return [case.ours_as_theirs(row) for row in answer.json()["data"]]


async def ask_them(sides: Sides, case: Case) -> list[list[Any]] | Refused:
    path = f"/v1/symbols/{case.exchange}/{quote(case.exchange_symbol, safe='')}"
    ccxt_symbol = (await sides.platform.read(path))["ccxt_symbol"]
    rows: list[list[Any]] = []
    for page in case.pages():
        asked = page.theirs(ccxt_symbol)
        found = case.theirs_as_rows(await sides.clients.ask(case.client, "candles", **asked))
        if isinstance(found, Refused):
            return found
        rows += found
    return rows


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_client_gets_what_we_serve(sides: Sides, case: Case) -> None:
    sides.pass_time()
    if case.before_ms:
        await ask_them(sides, case)
        sides.clock.advance(case.before_ms)
    theirs, ours = await ask_them(sides, case), await ask_us(sides, case)
    if case.explained is not None:
        assert CANDLES[case.explained].shows(theirs, ours), (theirs, ours)
    elif case.refused is not None:
        assert isinstance(theirs, Refused), theirs
        assert case.refused[0] in theirs.words
        assert ours == Refused(case.refused[1])
    else:
        assert theirs == ours
        assert not theirs if case.empty else theirs
