"""Fuzz the running API with schemathesis, which `make fuzz` installs in an environment of its own.

Every phase and check, over a real socket; the same seeds each time and a new one. Ends with status 1 when there is
a finding, an operation was asked too little, or too few of the good requests were answered well.

usage: python -m tests.fuzz.front_door.run SCHEMATHESIS CASES [SEED …]     (CASES of each operation for each seed)
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SEEDS = (1, 2, 3)
_MOST_S = 2
_LEAST_ANSWERED = 0.6
"""What share of good requests is answered 2xx, of each operation; else only refusals are tried."""

_HERE = Path(__file__).parent
_OPTIONS = (
    "--checks=all",
    "--exclude-checks=object_level_authorization",  # nothing here belongs to one caller
    f"--max-response-time={_MOST_S}",
    "--phases=examples,coverage,fuzzing,stateful",
    "--continue-on-failure",
    "--generation-database=none",
    "--output-sanitize=true",
    "--workers=2",
    "--no-color",
)


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The system while the block runs: where it is and who may ask."""
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.front_door.served", folder], stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        assert process.stdout is not None
        told: dict[str, str] = json.loads(process.stdout.readline())
        yield told
    finally:
        process.terminate()
        process.wait()
        log.close()


def fuzz(schemathesis: str, cases: int, seed: int, told: Mapping[str, str], counts: Path) -> bool:
    """One run; whether it found nothing."""
    known = {**told, "counts": str(counts)}
    result = subprocess.run(
        [schemathesis, "run", f"{told['url']}/openapi.json", *_OPTIONS, f"--max-examples={cases}", f"--seed={seed}"],
        cwd=counts.parent,
        env={
            **os.environ,
            "PYTHONPATH": str(_HERE),
            "SCHEMATHESIS_HOOKS": "hooks",
            "FRONT_DOOR": json.dumps(known),
        },
        check=False,
    )
    return result.returncode == 0


def report(counted: Counter[str], least: int) -> bool:
    """Print what was asked of each operation; whether it was enough."""
    asked: Counter[str] = Counter()
    good: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for key, count in counted.items():
        operation, mode, status = key.rsplit(" ", 2)
        asked[operation] += count
        good[operation] += count * (mode == "positive")
        answered[operation] += count * (mode == "positive" and status.startswith("2"))
    enough = True
    print(f"{'operation':75} {'cases':>6} {'good':>6} {'2xx':>5}")
    for operation in sorted(asked):
        share = answered[operation] / max(1, good[operation])
        is_enough = asked[operation] >= least and share >= _LEAST_ANSWERED
        enough = enough and is_enough
        print(f"{operation:75} {asked[operation]:6} {good[operation]:6} {share:5.0%}{'' if is_enough else '  too few'}")
    total_share = answered.total() / max(1, good.total())
    print(f"{'all':75} {asked.total():6} {good.total():6} {total_share:5.0%}")
    return enough


def main() -> int:
    schemathesis, cases, *given = sys.argv[1:]
    seeds = [int(seed) for seed in given] or [*SEEDS, secrets.randbelow(2**32)]
    counted: Counter[str] = Counter()
    clean, began = True, time.monotonic()
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as told:
        for seed in seeds:
            print(f"== seed {seed}", flush=True)
            counts = Path(name) / f"counts-{seed}.json"
            clean = fuzz(schemathesis, int(cases), seed, told, counts) and clean
            counted.update(json.loads(counts.read_text(encoding="utf-8")))
        logged = [line for line in (Path(name) / "log").read_text(encoding="utf-8").splitlines() if "defect" in line]
    enough = report(counted, int(cases) * len(seeds))
    print(
        f"{time.monotonic() - began:.0f} s; defects in the log: {len(logged)}; {'nothing found' if clean else 'FOUND'}"
    )
    return 0 if clean and enough and not logged else 1


if __name__ == "__main__":
    raise SystemExit(main())
