"""A service as a part of `marketdata up`: the same commands, in a process that ends with the one that started it.

That process holds the other end of this one's standard input and never writes to it. However it ends, even killed, the
kernel closes that end, and this process stops in order.
"""

import os
import signal
import threading

from marketdata.cli.main import app

_PATIENCE_S = 10.0


def main() -> None:
    """Run the command of the command line until it is told to stop or the parent is gone."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    app(prog_name="marketdata")


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_PATIENCE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
