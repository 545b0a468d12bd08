"""Whatever an exchange does on the wire is a named problem, soon and cheaply, and changes nothing that is stored (U1).

27 faults × 3 exchanges × 3 calls = 243 cells through the whole product: over HTTP for candles, as a sync for listings.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from marketdata.api.problems import PROBLEMS
from tests.conftest import Postgres
from tests.faults.exchange import CALLS, CLOCK, NO_FAULT
from tests.faults.good import EXCHANGES, HOUR_MS
from tests.faults.kinds import FAULTS, bomb
from tests.faults.matrix import APPLICABLE, CELLS, NO_ROWS, START_MS, Cell, Cost, Faults, Outcome, running_product

pytestmark = pytest.mark.asyncio(loop_scope="module")
by_proc = pytest.mark.skipif(sys.platform != "linux", reason="the memory of another process is read from /proc")

WITHIN_S = 6.0
GROWN_MB = 32.0
HELD_UP_S = 0.1
SLOW_MACHINE = 4.0
"""Times may be longer by so much where others use the machine, too; `make test-long` allows nothing."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def faults(postgres: Postgres) -> AsyncIterator[Faults]:
    """A product with data in its database, warm."""
    bomb()
    async with running_product(postgres.make_database()) as product:
        for call in CALLS:
            for exchange in EXCHANGES:
                outcome = await product.play(Cell(NO_FAULT, exchange, call))
                assert (outcome.status, outcome.code) == (200, None), outcome
        yield product


def check(cell: Cell, outcome: Outcome) -> None:
    """It is the problem that the table says, told as all problems are."""
    fault, document = FAULTS[cell.fault], outcome.document
    code = fault.code_at(cell.exchange)
    assert outcome.code == code, (cell, document)
    assert 1 <= outcome.asked <= fault.asked, cell
    if cell.call == "listing":
        assert (document["outcome"], document["listed"]) == ("failed", 0)
    else:
        assert (outcome.status, document["status"]) == (PROBLEMS[code][0],) * 2
        assert document["detail"].startswith(f"{cell.exchange}: ")
        assert "data" not in document


async def test_27_faults_make_243_cells_of_which_4_cannot_be() -> None:
    assert (len(FAULTS), len(CELLS), len(APPLICABLE)) == (27, 243, 239)


async def test_the_documentation_has_every_fault_with_its_codes() -> None:
    lines = (Path(__file__).parents[2] / "docs/faults.md").read_text().splitlines()
    told = {
        cells[1].strip("` "): set(re.findall(r"upstream-[a-z-]+", cells[3])) for cells in map(_cells, lines) if cells
    }
    assert told == {name: {fault.code, *fault.codes.values()} for name, fault in FAULTS.items()}


def _cells(line: str) -> list[str]:
    return line.split("|") if line.startswith("| `") else []


async def test_without_a_fault_all_is_well(faults: Faults) -> None:
    for exchange in EXCHANGES:
        found = await faults.play(Cell(NO_FAULT, exchange, "candles"))
        assert [row["open_time"] - START_MS for row in found.document["data"]] == [0, HOUR_MS, 2 * HOUR_MS]
        assert len((await faults.play(Cell(NO_FAULT, exchange, "latest"))).document["data"]) == 1
        run = (await faults.play(Cell(NO_FAULT, exchange, "listing"))).document
        assert (run["outcome"], run["changed"]) == ("succeeded", 0)


async def play_in_turn(faults: Faults, cells: list[Cell]) -> list[tuple[Cell, Outcome]]:
    return [(cell, await faults.play(cell)) for cell in cells]


async def play_at_once(faults: Faults, cells: list[Cell]) -> None:
    before, runs_before = faults.rows(), faults.runs()
    syncs = [[cell for cell in cells if (cell.call, cell.exchange) == ("listing", one)] for one in EXCHANGES]
    groups = [*([cell] for cell in cells if cell.call != "listing"), *syncs]  # an exchange is synced once at a time
    for group in await asyncio.gather(*[play_in_turn(faults, group) for group in groups]):
        for cell, outcome in group:
            check(cell, outcome)
            assert outcome.took_s < WITHIN_S * SLOW_MACHINE
    after = faults.rows()
    assert {name for name in after if after[name] != before[name]} <= NO_ROWS
    assert faults.runs() == runs_before + sum(cell.call == "listing" for cell in cells)
    assert faults.exchange.astray == 0


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.is_slow and not fault.is_large])
async def test_a_fault_is_named_and_changes_nothing(faults: Faults, name: str) -> None:
    await play_at_once(faults, [cell for cell in APPLICABLE if cell.fault == name])


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.is_slow])
async def test_a_fault_of_the_exchange_s_clock_is_named_too(faults: Faults, name: str) -> None:
    unread = (
        {"hyperliquid"} if name in {"error-with-200", "nan", "infinity"} else set()
    )  # there a header tells the time
    await play_at_once(faults, [Cell(name, exchange, CLOCK) for exchange in EXCHANGES.keys() - unread])


async def test_faults_that_take_time_are_given_up(faults: Faults) -> None:
    await play_at_once(faults, [cell for cell in APPLICABLE if FAULTS[cell.fault].is_slow])


@by_proc
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.is_large])
async def test_a_large_fault_costs_little(faults: Faults, name: str) -> None:
    for cell in [cell for cell in APPLICABLE if cell.fault == name]:
        async with faults.costs() as costs:
            await play_at_once(faults, [cell])
        assert costs[0].grown_mb < GROWN_MB, cell
        assert costs[0].held_up_s < HELD_UP_S * SLOW_MACHINE, cell


@by_proc
@pytest.mark.long
async def test_every_cell_by_itself(faults: Faults) -> None:
    """The figures, without allowance for a slow machine."""
    worst = Cost(0.0, 0.0)
    for name in FAULTS:
        told = set()
        slowest, fault_costs = 0.0, []
        for cell in [cell for cell in APPLICABLE if cell.fault == name]:
            async with faults.costs() as costs:
                outcome = await faults.play(cell)
            check(cell, outcome)
            told.add(str(outcome.code))
            slowest = max(slowest, outcome.took_s)
            fault_costs += costs
        cost = Cost(max(one.grown_mb for one in fault_costs), max(one.held_up_s for one in fault_costs))
        print(
            f"{name:20} {' or '.join(sorted(told)):40} {slowest:5.2f} s {cost.grown_mb:5.1f} MB {cost.held_up_s:6.3f} s"
        )
        assert slowest < WITHIN_S
        worst = Cost(max(worst.grown_mb, cost.grown_mb), max(worst.held_up_s, cost.held_up_s))
    assert worst.grown_mb < GROWN_MB
    assert worst.held_up_s < HELD_UP_S
