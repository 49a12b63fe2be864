"""``python -m firstspike``: the command line."""

import sys

from firstspike.cli import main

if __name__ == "__main__":
    sys.exit(main())
