"""Starts servers in a third of the time: imports once, and forks for each server.

Reads one line per server from standard input, and answers with its process id. The child runs
`card-gateway serve`. `BENCH_CONTROL` removes a defence from it; see `controls.py`.
"""

import os
import signal
import sys

from gateway.app import factory, logging
from gateway.cli import main as cli
from gateway.cli import serve
from tests.soak.faults import controls


def main() -> None:
    assert factory
    assert logging
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    controls.apply(os.environ.get("BENCH_CONTROL", ""))
    app = serve.app_from_environment()  # The child opens everything itself.
    serve.app_from_environment = lambda: app
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _serve()
        print(pid, flush=True)


def _serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.argv = ["card-gateway", "serve"]
    try:
        cli.main()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
