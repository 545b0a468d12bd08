"""The library example of the documentation, run as it stands there."""

import asyncio
import re
from pathlib import Path

import pytest

from marketdata.core.clock import SystemClock
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated

PAGE = Path(__file__).parents[2] / "docs" / "library.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    program: dict[str, object] = {"__name__": "example"}
    exec(compile(example[1], "docs/library.md", "exec"), program)  # noqa: S102 - the page's own program

    async def run() -> None:
        async with running_simulator(simulated(), SystemClock()) as url:
            main = program["main"]
            assert callable(main)
            await main(f"{url}/binance")

    asyncio.run(run())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(len(line.split()) == 6 for line in lines)
