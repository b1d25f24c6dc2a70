"""What nsae costs before it does anything: its import beside NumPy's, and the first fit beside the second.

Each import is the whole wall time of a fresh ``python -c "import X"``, and the ratio is of two such times,
in turn.  With Python's own start taken off both, the ratio is printed as well: it is the stricter one.

The first fit of a process loads compiled loops from Numba's cache or, if that is empty, compiles them.  Its
extra time over a second, equal fit in the same process is what a user waits for once.

    python benchmarks/import_time.py [--rounds N] [--quick] [--json] [--save]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from helpers import results, usage

TIMED = {"python": "pass", "numpy": "import numpy", "nsae": "import nsae"}
TWO_FITS = """
import time
import numpy as np
from nsae import SparseAutoencoder
X = np.random.default_rng(0).random((2000, 100), np.float32)  # (n, d)
seconds = []
for _ in range(2):
    started = time.perf_counter()
    SparseAutoencoder(64, k=8, epochs=1, random_state=0, backend={backend!r}).fit(X)
    seconds.append(time.perf_counter() - started)
print(seconds[0] - seconds[1])
"""


def start(code: str, **environment: str) -> tuple[float, str]:
    """Return the wall seconds of a fresh interpreter that runs ``code``, and what it printed."""
    # where byte code is not written, Python would compile ours at each start, and a wheel's never
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, done.stdout


def first_fit_extra(cache: str, backend: str = "numba") -> float:
    """Return the seconds that the first fit of a process takes beyond the second, with Numba's cache there."""
    return float(start(TWO_FITS.format(backend=backend), NUMBA_CACHE_DIR=cache)[1])


def main(argv: list[str] | None = None) -> int:
    """Time imports and first fits, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="rounds of imports (21)")
    args = parser.parse_args(argv)
    args.rounds = rounds = args.rounds or (3 if args.quick else 21)
    cold_rounds, warm_rounds = (1, 1) if args.quick else (3, 7)

    bytecode = tempfile.TemporaryDirectory()
    os.environ["PYTHONPYCACHEPREFIX"] = bytecode.name
    for code in TIMED.values():  # writes byte code, and brings files into the system's cache
        start(code)
    seconds: dict[str, list[float]] = {name: [] for name in TIMED}
    for _ in range(rounds):
        for name, code in TIMED.items():
            seconds[name].append(start(code)[0])
    whole = [a / b for a, b in zip(seconds["nsae"], seconds["numpy"], strict=True)]
    bare = statistics.median(seconds["python"])
    import_alone = [statistics.median(seconds[name]) - bare for name in ("nsae", "numpy")]

    if importlib.util.find_spec("numba") is None:
        say("Numba is not installed: the first fit compiles nothing.")
    cold, warm, small = [], [], []
    for _ in range(cold_rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(first_fit_extra(cache))
            say(f"first fit, cache empty: {cold[-1]:.2f} s more than the second")
            if len(cold) == cold_rounds:  # the last cache is full now
                warm = [first_fit_extra(cache) for _ in range(warm_rounds)]
                small = [first_fit_extra(cache, "auto") for _ in range(warm_rounds)]

    result = {
        "nsae_over_numpy": statistics.median(whole),
        "first_fit_warm_s": statistics.median(warm),
        "first_fit_cold_s": statistics.median(cold),
        "first_small_fit_s": statistics.median(small),
    }
    print(f"Fresh processes, medians; Python {platform.python_version()} on {os.cpu_count()} cores")
    for name, code in TIMED.items():
        times = seconds[name]
        print(
            f'  python -c "{code}"'.ljust(30),
            f"{statistics.median(times) * 1e3:7.1f} ms  ({min(times) * 1e3:.1f} to {max(times) * 1e3:.1f})",
        )
    print(f"  nsae / numpy, whole processes  {result['nsae_over_numpy']:7.2f}")
    print(f"  the same without Python's own  {import_alone[0] / import_alone[1]:7.2f}")
    print(f"  first fit − second, compiled loops, cache full   {result['first_fit_warm_s']:6.2f} s")
    print(f"  first fit − second, compiled loops, cache empty  {result['first_fit_cold_s']:6.2f} s")
    print(f"  the same of so small a fit as it comes, in NumPy {result['first_small_fit_s']:6.2f} s")
    results.finish(args, "import_time", result)
    return 0


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(usage.run(main))
