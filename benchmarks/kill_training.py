"""Kill a process (SIGKILL) at random times while it trains with a checkpoint, and start it again.

Two models are trained, each in a process that writes its checkpoint after every step: a dense one, and a k-sparse
one with everything that has a state of its own (auxiliary loss, resampling, schedules).  The process is killed at a
random time and started again, until it has been killed so many times; then it may end, and the model must be, bit
by bit, the one that was trained without a kill.  If it ends before, it is compared and trained anew.

whole    checkpoints that could be opened after a kill
same     trainings that ended with the bits of an undisturbed one, of ``ended``

    python benchmarks/kill_training.py [--kills N] [--quick] [--json] [--save]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from helpers import results, usage

from nsae import ModelFormatError, SparseAutoencoder

MODELS: dict[str, dict[str, object]] = {
    "dense": {"l1": 0.01},
    "k-sparse": {
        "k": 4,
        "k_start": 40,
        "aux_weight": 0.1,
        "resample": True,
        "dead_after": 2000,
        "warmup_steps": 50,
        "lr_schedule": "cosine",
    },
}
LONGEST = 0.5  # seconds from the first sign of life to the kill
STARTED = "started"


def data() -> np.ndarray:
    """Return the data: 2,000 rows of 40 features."""
    return np.random.default_rng(0).random((2000, 40), np.float32)


def model(name: str) -> SparseAutoencoder:
    """Return the model of that ``name``, not fitted: 15 epochs of 20 steps."""
    return SparseAutoencoder(
        200, epochs=15, batch_size=100, random_state=0, backend="numpy", n_threads=1, **MODELS[name]
    )


def work(name: str, folder: Path) -> None:
    """Train with a checkpoint in ``folder``, and save the model ``name``."""
    X = data()
    print(STARTED, flush=True)
    fitted = model(name).fit(X, checkpoint=folder / "checkpoint.npz", checkpoint_minutes=0)
    fitted.save(folder / "model.npz", with_optimizer=True)


def parameters(fitted: SparseAutoencoder) -> list[bytes]:
    """Return the bits of the parameters."""
    return [theta.tobytes() for theta in fitted.autoencoder_.params.values()]


def start(name: str, folder: Path) -> subprocess.Popen[str]:
    """Start the work in a process of its own, and wait until it has begun."""
    command = [sys.executable, os.fspath(Path(__file__).resolve()), "--work", name, "--folder", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline().strip() != STARTED:
        raise RuntimeError(f"the training of {name!r} did not start")
    return process


def run(name: str, kills: int, rng: random.Random) -> dict[str, int]:
    """Kill and go on so many times; return the figures."""
    figures = {"kills": 0, "whole": 0, "ended": 0, "same": 0}
    expected = parameters(model(name).fit(data()))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checkpoint, target = folder / "checkpoint.npz", folder / "model.npz"
        while figures["kills"] < kills or not figures["ended"]:
            with start(name, folder) as process:
                if figures["kills"] < kills:
                    time.sleep(rng.uniform(0, LONGEST))
                    process.kill()
            if target.exists():
                figures["ended"] += 1
                figures["same"] += parameters(SparseAutoencoder.load(target)) == expected
                target.unlink()
                checkpoint.unlink(missing_ok=True)
            elif process.returncode:
                figures["kills"] += 1
                figures["whole"] += _is_whole(checkpoint)
    return figures


def _is_whole(checkpoint: Path) -> bool:
    try:
        return not checkpoint.exists() or bool(SparseAutoencoder.load(checkpoint))
    except ModelFormatError:
        return False


def main(argv: list[str] | None = None) -> int:
    """Kill, go on, compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=usage.positive, default=100, help="of each model (%(default)s)")
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="5 kills of each model")
    parser.add_argument("--seed", type=usage.from_zero, default=0)
    parser.add_argument("--work", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.work:
        work(args.work, args.folder)
        return 0
    rng = random.Random(args.seed)
    figures = {name: run(name, 5 if args.quick else args.kills, rng) for name in MODELS}
    results.finish(args, "kill_training", figures, seeds=[args.seed])
    if not args.json:
        columns = ("kills", "whole", "ended", "same")
        print(f"{'':9} " + " ".join(f"{name:>6}" for name in columns))
        for name, row in figures.items():
            print(f"{name:9} " + " ".join(f"{row[column]:6}" for column in columns))
    bad = any(row["whole"] < row["kills"] or row["same"] < row["ended"] for row in figures.values())
    return int(bad)


if __name__ == "__main__":
    sys.exit(usage.run(main))
