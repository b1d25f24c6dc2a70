"""What ``nsae demo`` finds, as a result.

    python benchmarks/demo.py [--quick] [--json] [--save]

The demo itself is in nsae/cli/demo.py.  Its pictures go to a temporary folder here.
It has one size: --quick changes nothing, and is there so that all scripts have it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from helpers import results, usage

from nsae.cli.demo import run_demo


def main(argv: list[str] | None = None) -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="the same: the demo has one size")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = run_demo(Path(folder))
    results.finish(args, "demo", figures, peers=["matplotlib"])
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
