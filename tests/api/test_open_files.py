import subprocess
import sys

FILES = """
import resource
from marketdata.api.open_files import allow_files
from marketdata.core.errors import InvalidSetting
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
allow_files(100)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
allow_files(250)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
try:
    allow_files(301)
except InvalidSetting as error:
    print(error)
"""


def test_a_process_may_open_as_many_files_as_it_needs_or_does_not_start() -> None:
    told = subprocess.run([sys.executable, "-c", FILES], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[:2] == ["(200, 300)", "(250, 300)"]
    assert "MARKETDATA_MAX_CONNECTIONS: it takes 301 open files and this process may have 300" in told
