"""Coverage-guided fuzzing with atheris, which `make fuzz-parsers` installs in an environment of its own.

Inputs worth keeping gather in `build/fuzz`; one that shows a defect is left beside them, and its path told.

usage: python -m tests.fuzz.run SECONDS [TARGET …]     (all of them, one after the other)
"""

import random
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["marketdata"]):
    from tests.fuzz.parsers import TARGETS, seeds

from tests.fuzz.mutations import mutate

_LARGEST = 65536
_OPTIONS = ("-timeout=20", "-rss_limit_mb=1500", "-print_final_stats=1")
_KEPT = ("-keep_seed=1", "-reduce_inputs=0")  # damage goes deep only where much is left whole


def _mutate(data: bytes, max_size: int, seed: int) -> bytes:
    chance = random.Random(seed)
    if not data or chance.random() < 0.1:
        return bytes(atheris.Mutate(data, max_size))
    return mutate(data, chance)[:max_size]


def fuzz(seconds: str, name: str) -> None:
    """Fuzz one target; ends the process."""
    corpus = Path("build/fuzz") / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = (f"-max_total_time={seconds}", f"-max_len={_LARGEST}", f"-artifact_prefix={corpus}-")
    atheris.Setup([sys.argv[0], *limits, *_OPTIONS, *_KEPT, str(corpus)], TARGETS[name], custom_mutator=_mutate)
    atheris.Fuzz()


def main() -> None:
    seconds, *names = sys.argv[1:]
    if len(names) == 1:
        fuzz(seconds, names[0])
    for name in names or TARGETS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", "tests.fuzz.run", seconds, name], check=True)


if __name__ == "__main__":
    main()
