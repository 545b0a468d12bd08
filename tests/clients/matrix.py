"""Writes docs/clients.md: `python -m tests.clients.matrix > docs/clients.md`."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from tests.clients.case import EXCHANGES, Case
from tests.clients.cases import cases
from tests.clients.explained import CANDLES, MARKETS
from tests.clients.markets import FIELDS, LISTED

NAMES = {
    "binanceusdm": "ccxt `binanceusdm`",
    "hyperliquid": "ccxt `hyperliquid`",
    "coinbaseexchange": "ccxt `coinbaseexchange`",
    "binance-sdk": "`binance-sdk-derivatives-trading-usds-futures`",
    "hyperliquid-sdk": "`hyperliquid-python-sdk`",
}

_INTRODUCTION = """\
# Clients that others wrote

`make test-clients` points ccxt and the exchanges' own Python clients at the simulator, by their documented URL settings
and without a patch, and asks our API, which runs on the same simulator, the same questions. What they return has to be
what we return: ccxt's rows after its conversion to floats, the exchanges' own clients' to the last digit. The clients
are locked in `requirements/clients.txt` and live in an environment of their own, `.venv-clients`.

Where a client differs from us, the difference is written down here with its reason and the place that makes it so. The
test looks for exactly that difference: another one fails it, and so does one that is gone. This page is written by
`python -m tests.clients.matrix`, from what is tested; a test compares.

## Candles

Each row is a question that the client and we were asked. We are asked with `include_partial=true`, for the clients give
the forming candle, too; they are asked for ranges that end a millisecond earlier, for they include the end. ccxt is
asked by our `ccxt_symbol`.
"""

_MARKETS = """
## Markets

Every instrument of each listing, at several moments, so that halted, cancel-only, settling and delisted ones are among
them: whether both list it, and each field that the client has. `trading` is whether our `status` is that, beside ccxt's
`active`; *reached by ccxt_symbol* is whether ccxt, asked by the name that we give, finds that instrument.
"""


def document() -> str:
    """The page."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield from _INTRODUCTION.splitlines()
    for client, group in groupby(cases(), lambda case: case.client):
        yield from ("", f"### {NAMES[client]}", "", "| Question | Of | Result |", "|---|---|---|")
        yield from _questions(group)
    yield from ("", "### The differences", "", "| Difference | Why | Where |", "|---|---|---|")
    yield from (f"| {key} | {one.reason} | {one.place} |" for key, one in CANDLES.items())
    yield from _MARKETS.splitlines()
    for client in EXCHANGES:
        yield from ("", f"### {NAMES[client]}: markets", "", "| Field | Result | Why | Where |", "|---|---|---|---|")
        yield from _fields(client)


def _questions(client_cases: Iterable[Case]) -> Iterator[str]:
    """One line for each question, whatever it is asked of."""
    for (call, result), group in groupby(client_cases, lambda case: (case.call, _result(case))):
        asked = list(group)
        symbols = [f"`{symbol}`" for symbol in dict.fromkeys(case.exchange_symbol for case in asked)]
        intervals = dict.fromkeys(case.interval for case in asked)
        yield f"| {call} | {' '.join([*symbols, *intervals])} | {result} |"


def _result(case: Case) -> str:
    if case.explained is not None:
        return f"differs: {case.explained}"
    return "both refuse" if case.refused else "equal, empty" if case.empty else "equal"


def _fields(client: str) -> Iterator[str]:
    """One line for each field, or for each of its explained differences."""
    for field in (LISTED, *FIELDS[client]):
        found = [one for one in MARKETS if (one.client, one.field) == (client, field)]
        yield from (f"| {field} | differs | {one.reason} | {one.place} |" for one in found)
        if not found:
            yield f"| {field} | equal | | |"


if __name__ == "__main__":
    print(document(), end="")
