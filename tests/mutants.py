"""Do the tests of a module see each small fault in it? Faults are planted one after the other; run by make mutants.

The faults are those of cosmic-ray, all of them, in whole modules. Each is tried in a forked process that imports the
module with the fault in it, so that no file is changed.
"""

import difflib
import gc
import io
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from itertools import count
from pathlib import Path
from typing import override

import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from hypothesis import Phase, settings

SOURCE = Path("src/marketdata")
BUDGET = sorted(map(str, Path("tests/core/budget").glob("test_*.py")))
LIMITS = sorted(map(str, Path("tests/core/limits").glob("test_*.py")))
TESTS = {
    "core/paging": ["tests/core/test_paging.py"],
    "core/validate": ["tests/core/test_validate.py"],
    "core/budget/bookings": ["tests/core/budget/test_bookings.py", *BUDGET],
    "core/budget/exchange": ["tests/core/budget/test_exchange.py", *BUDGET],
    "core/budget/pool": ["tests/core/budget/test_pool.py", *BUDGET],
    "core/budget/rule": ["tests/core/budget/test_rule.py", *BUDGET],
    "core/budget/silences": ["tests/core/budget/test_silences.py", *BUDGET],
    "core/limits/limiter": ["tests/core/limits/test_limiter.py", *LIMITS],
    "core/limits/meter": ["tests/core/limits/test_limiter.py", *LIMITS],
    "core/limits/pool": ["tests/core/limits/test_limiter.py", *LIMITS],
    "api/limits": ["tests/api/test_visit.py"],
    "api/auth": ["tests/api/test_tokens.py"],
    "api/guessing": ["tests/api/test_slowed.py"],
    "api/keys": ["tests/api/test_tokens.py"],
    "api/profile": ["tests/api/test_tokens.py"],
    "core/fetch/breaker": ["tests/core/fetch/test_breaker.py"],
    "core/fetch/flight": ["tests/core/fetch/test_flight.py"],
    "syncer/compare": ["tests/syncer/test_compare.py"],
    "syncer/guard": ["tests/syncer/test_guard.py"],
    "syncer/tell": ["tests/syncer/test_tell.py", "tests/syncer/test_compare.py"],
}
"""By module, what is to see its faults: its own tests first."""

LEAST_PERCENT = 90
MOST_MEMORY = 4 << 30
OPTIONS = ("--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
SEEN_BY_TIME = -signal.SIGALRM


class Planted(MetaPathFinder, InspectLoader):
    """Imports one module with another text."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    @override
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname == self._name else None

    @override
    def get_source(self, fullname: str) -> str:
        return self._text


def faults(text: str) -> Iterator[tuple[str, str]]:
    """Each name of a fault, with the text that has it."""
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue  # it does nothing unless told what
        for occurrence in count():
            faulty = mutate_code(text, operator(), occurrence)
            if faulty is None:
                break
            if faulty != text:
                yield name.removeprefix("core/"), faulty


def load(tests: list[str]) -> None:
    """Import what the tests import, once and for all forks, but for what is ours."""
    with redirect_stdout(io.StringIO()):
        pytest.main([*OPTIONS, "--collect-only", *tests])
    for name in [name for name in sys.modules if name.partition(".")[0] in {"marketdata", "tests"}]:
        del sys.modules[name]
    gc.freeze()  # pytest collects garbage again and again: in each fork only that fork's


def run(name: str, text: str, tests: list[str], most_s: int) -> int:
    """How the tests end when the module of that name has this text: 0: they pass; below 0: a signal stops them."""
    if not (child := os.fork()):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        signal.alarm(most_s)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, Planted(name, text))
        code = 1
        try:
            code = pytest.main([*OPTIONS, "-x", *tests])
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def try_module(module: str, tests: list[str]) -> float:
    """The part of its faults that are seen, in percent. Prints those that are not."""
    path = SOURCE / f"{module}.py"
    name, text = f"marketdata.{module.replace('/', '.')}", path.read_text()
    load(tests)
    began = time.monotonic()
    if run(name, text, tests, 600):
        sys.exit(f"the tests of {module} fail without a fault")
    most_s = round(10 + 5 * (time.monotonic() - began))
    ends = []
    for fault, faulty in faults(text):
        ends.append(run(name, faulty, tests, most_s))
        if not ends[-1]:
            _, _, where, *lines = difflib.unified_diff(text.splitlines(), faulty.splitlines(), lineterm="", n=0)
            print(f"{path}:{where.split()[1][1:]} {fault}", *lines, sep="\n", flush=True)
    seen = len(ends) - ends.count(0)
    percent = 100 * seen / len(ends)
    print(
        f"{module}: {seen} of {len(ends)} faults seen, {percent:.1f} %, {ends.count(SEEN_BY_TIME)} of them by time;"
        f" {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return percent


if __name__ == "__main__":
    os.environ.pop("CI", None)  # with it the tests would load a profile of their own
    settings.register_profile("faults", derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
    settings.load_profile("faults")  # the same examples for each fault, and no time spent on making them small
    if unknown := set(sys.argv[1:]) - TESTS.keys():
        sys.exit(f"no faults are planted in {', '.join(sorted(unknown))}; choose from {', '.join(TESTS)}")
    rates = {module: try_module(module, TESTS[module]) for module in sys.argv[1:] or TESTS}
    sys.exit(min(rates.values()) < LEAST_PERCENT)
