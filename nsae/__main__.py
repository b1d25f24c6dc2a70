"""``python -m nsae``."""

import sys

from nsae.cli import main

if __name__ == "__main__":
    sys.exit(main())
