"""`python -m aat` is the command `aat`."""

import sys

from aat.cli import main

if __name__ == "__main__":
    sys.exit(main())
