"""The installed command as a user runs it: a process of its own, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

MARKETDATA = Path(sys.executable).with_name("marketdata")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of the platform and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MARKETDATA_")}
    return {**inherited, **{f"MARKETDATA_{name}".upper(): value for name, value in settings.items()}}


def marketdata(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder` to its end."""
    return subprocess.run(
        [MARKETDATA, *arguments],
        cwd=folder,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
