"""The program: ``python -m firstspike`` and the command ``firstspike``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any


def main() -> int:
    """Run a command. An interruption while the command line is imported ends the process in a line.

    There is nothing to clean up yet, and an exception in the midst of an import may be turned into
    any other.
    """

    def leave(*_: Any) -> None:
        os.write(2, b"\nfirstspike: stopped\n")
        os._exit(128 + signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)  # somebody may want it ignored
    taken = before is signal.default_int_handler
    taken &= threading.current_thread() is threading.main_thread()
    if taken:
        signal.signal(signal.SIGINT, leave)
    try:
        from firstspike import cli
    finally:
        if taken:
            signal.signal(signal.SIGINT, before)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
