"""The first minute: where the seconds go until nsae has done something for the first time.

    python benchmarks/first_minute.py [--photos FOLDER] [--rounds N] [--install] [--quick] [--json] [--save]

Each row is a whole process, as a user starts it: the demo, ``nsae index`` of 200 photos, a query to that index, the
first fit of a model.  "Cold" finds none of the compiled loops that Numba keeps; "warm" finds them all.  What the
cold one takes longer is compilation.  Imports are what ``python -X importtime`` counts in a warm process of its own,
and "busy" is the time on processors of the warm process, in percent of what all processors could have done.
--install also times ``pip install`` of this checkout with all extras into a fresh environment, which depends on the
network and on what pip has kept.  Photos are Corel-1K's, every fifth, or made pictures if these are not there.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from helpers import results, usage
from helpers.timing import say
from PIL import Image

from nsae import datasets
from nsae.images import find_images

FIT = """
import numpy as np
from nsae import SparseAutoencoder
X = np.random.default_rng(0).random((10_000, 784), np.float32)  # (n, d)
SparseAutoencoder({units}, epochs=1, random_state=0, backend="numba").fit(X)
"""
NSAE = ["-m", "nsae"]


def photos(folder: Path, source: str | None, most: int) -> Path:
    """Put up to ``most`` photos into ``folder``, and return it."""
    archive = datasets.data_folder() / "corel1k.tar"
    folder.mkdir()
    if source is not None:
        for path in find_images(source)[:most]:
            (folder / path.name).symlink_to(path.resolve())
        if not find_images(folder):
            raise ValueError(f"{source} has no photo: a folder of photos was expected. Leave out --photos.")
    elif archive.exists():
        with tarfile.open(archive) as tar:
            members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda member: member.name)
            for member in [m for m in members if m.name.endswith(".jpg")][:: 1000 // most][:most]:
                tar.extract(member, folder, filter="data")
    else:
        for i, picture in enumerate(datasets.dead_leaves(most, size=320)):
            Image.fromarray(picture).save(folder / f"{i:03d}.jpg", quality=90)
    return folder


def run(arguments: list[str], folder: Path, cache: Path) -> tuple[float, float, str]:
    """Run Python with some ``arguments`` in ``folder``; return wall seconds, processor seconds and stderr."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise ChildProcessError(f"{arguments} failed: {done.stderr[-500:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


def import_seconds(stderr: str) -> float:
    """Return the seconds of all imports that ``-X importtime`` reported."""
    lines = [line.split(":", 1)[1].split("|")[0] for line in stderr.splitlines() if "import time:" in line]
    return sum(int(cell) for cell in lines if cell.strip().isdigit()) / 1e6


def commands(photo_folder: Path, quick: bool) -> dict[str, list[str]]:
    """Return what is timed, by its name in the table; with ``quick`` without the demo.

    The index is there when the query comes.
    """
    one = str(find_images(photo_folder)[0])
    demo = {} if quick else {"nsae demo": [*NSAE, "demo", "--output", "demo", "--force"]}
    return {
        "import nsae": ["-c", "import nsae"],
        **demo,
        "nsae index": [*NSAE, "index", str(photo_folder), "-o", "index", "--force"],
        "nsae similar": [*NSAE, "similar", "-i", "index", one],
        "fit, ReLU": ["-c", FIT.format(units="256")],
        "fit, k-sparse": ["-c", FIT.format(units="1024, k=32")],
    }


def measure(arguments: list[str], folder: Path, rounds: int) -> dict[str, float]:
    """Return the row of one command: medians over ``rounds`` of cold and warm processes in turn."""
    cold, warm, busy = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(run(arguments, folder, Path(cache))[0])
            seconds, processor, _ = run(arguments, folder, Path(cache))
            warm.append(seconds)
            busy.append(processor / seconds / (os.cpu_count() or 1))
            last = run(["-X", "importtime", *arguments], folder, Path(cache))[2]
    return {
        "cold": statistics.median(cold),
        "warm": statistics.median(warm),
        "compilation": max(0.0, statistics.median(cold) - statistics.median(warm)),
        "imports": import_seconds(last),
        "busy": statistics.median(busy),
    }


def install_seconds(folder: Path) -> float:
    """Return the seconds of a fresh environment and ``pip install`` of this checkout with all extras."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    pip = [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"{results.ROOT}[all]"], check=True)
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    """Time all commands, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="one round and few photos: to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="cold and warm processes of each command (5)")
    parser.add_argument("--photos", help="a folder of photos to take instead of Corel-1K's")
    parser.add_argument("--install", action="store_true", help="time pip install too")
    args = parser.parse_args(argv)
    args.rounds = rounds = args.rounds or (1 if args.quick else 5)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(results.ROOT), os.environ.get("PYTHONPATH", "")])
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        photo_folder = photos(folder / "photos", args.photos, 20 if args.quick else 200)
        n = len(find_images(photo_folder))
        run(["-c", "import nsae, nsae.cli, numba, matplotlib.pyplot, PIL.Image"], folder, folder)  # byte code
        rows = {}
        for name, arguments in commands(photo_folder, args.quick).items():
            rows[name] = measure(arguments, folder, rounds)
            say(f"{name}: cold {rows[name]['cold']:.2f} s, warm {rows[name]['warm']:.2f} s")
        figures = {"photos": n, "commands": rows}
        if args.install:
            figures["install_s"] = install_seconds(folder)
    print(
        f"Whole processes, medians of {rounds}; Python {platform.python_version()} on {os.cpu_count()} cores"
    )
    print(f"{'':16}{'cold':>8}{'warm':>8}{'compile':>9}{'imports':>9}{'busy':>7}")
    for name, row in rows.items():
        print(
            f"{name:16}{row['cold']:6.2f} s{row['warm']:6.2f} s{row['compilation']:7.2f} s"
            f"{row['imports']:7.2f} s{row['busy']:6.0%}"
        )
    if args.install:
        print(f"pip install, with all extras: {figures['install_s']:.1f} s")
    results.finish(args, "first_minute", figures)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
