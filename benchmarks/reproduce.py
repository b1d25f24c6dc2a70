"""Run all benchmarks, one after the other, and compare what they find with what is committed.

    python benchmarks/reproduce.py [--quick] [--only NAME ...] [--list]

Fresh results go to benchmarks/reproduced/, which git ignores, and so do the tables that the scripts print.  An
interrupted run (Ctrl-C) goes on where it was when it is started again: a script that has run with the same code
and the same options is not run twice.  A script whose data are not there is left out.  In the end there is a
table of figures before (benchmarks/results/) and after.  With --quick, every script takes its smallest settings
and all of them finish in some ten minutes: that shows that they run, and their figures are not comparable.
To take over a fresh result, copy its file to benchmarks/results/ and run render.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helpers import results, usage
from helpers.timing import say

from nsae.datasets import data_folder

REPRODUCED = results.ROOT / "benchmarks" / "reproduced"
DIFFERENT = 0.05  # relative difference from which on a figure counts as another


class Script(NamedTuple):
    """A benchmark: how it is run, which data it needs, and which of its figures the last table has."""

    name: str
    minutes: float  # on 2 cores, about
    show: tuple[str, ...]  # keys to a figure, with "/" between them
    data: tuple[str, ...] = ()  # files or folders in the data folder
    options: tuple[str, ...] = ()


SCRIPTS = (
    Script("gradient_errors", 1, ("right/max", "wrong/a sign is wrong/min", "wrong/a factor is wrong/min")),
    Script("knobs", 2, ("lambda/0.1/l0", "beta/2/mean_activation", "k/32/explained_variance")),
    Script(
        "published",
        90,
        (
            "self_taught/ours",
            "stacked/before",
            "stacked/after",
            "k_sparse/error",
            "natural_patches/gabor_fraction",
            "cifar_linear/units_1600",
        ),
        ("mnist", "kodak.tar", "cifar10_jpeg.tar.xz"),
    ),
    Script("import_time", 2, ("nsae_over_numpy", "first_fit_warm_s", "first_fit_cold_s")),
    Script(
        "first_minute", 6, ("commands/nsae index/cold", "commands/nsae index/warm", "commands/nsae demo/cold")
    ),
    Script("demo", 1, ("ImageEncoder/map", "k-sparse/map", "raw pixels/map")),
    Script(
        "tutorial_example",
        5,
        ("max_rel_diff_torch_f64", "max_rel_diff_keras", "fits/nsae/median", "fits/torch/median"),
    ),
    Script(
        "training_speed",
        15,
        (
            "dense/784x1024xB1024/over_floor",
            "dense/784x1024xB1024/torch_eager_over_ours",
            "k_sparse/h4096/over_product",
            "k_sparse/h4096/torch_embedding_bag_over_ours",
        ),
    ),
    Script(
        "distributed",
        5,
        ("fit_rel_diff", "speedup_2_workers", "bytes_a_step", "kills", "survived"),
    ),
    Script(
        "models_of_others", 2, ("sparsify_topk", "saelens_relu", "saelens_jumprelu", "float64/sparsify_topk")
    ),
    Script("sparse_input", 4, ("step_sparse_over_dense", "max_rel_diff", "peak_mb/sparse", "peak_mb/dense")),
    Script("kill_test", 10, ("new/broken", "replace/broken", "few/broken", "update/broken")),
    Script("thread_test", 5, ("threads/calls", "threads/equal", "forked/children_wrong")),
    Script("kill_training", 5, ("dense/same", "dense/ended", "k-sparse/same", "k-sparse/ended")),
    Script(
        "fuzz",
        60,
        tuple(
            f"{target}/error" for target in ("model", "index", "idx", "image", "published", "csr", "command")
        ),
    ),
    Script("mistakes", 4, ("made", "recognised", "right_called_wrong", "pairs_recognised")),
    Script(
        "broken_images",
        1,
        ("indexed", "left_out", "whole_left_out", "without_a_line", "tracebacks", "peak_mb"),
    ),
    Script(
        "duplicates",
        10,
        ("before/pages/precision", "after/pages/precision", "after/photos/precision", "after/photos/resized"),
        ("corel1k.tar",),
    ),
    Script(
        "same_photos",
        3,
        (
            "alike/different subjects",
            "alike/one subject",
            "edited/resized/same picture",
            "edited/cropped/alike",
        ),
        ("corel1k.tar",),
    ),
    Script(
        "library_speed",
        4,
        ("photos_per_s", "numpy_over_numba", "small_per_s", "unchanged_s", "one_new_s", "save/again_mb"),
        ("corel1k.tar", "mnist"),
    ),
    Script(
        "scaling", 20, ("exponents/units/k_sparse", "exponents/rows/memory", "memmap/peak_above_start_mb")
    ),
    Script(
        "search_speed",
        45,
        ("fashion_60k/qps_1t", "fashion_60k/precision@1", "million/rows/nsae/qps", "exact/cosine"),
        ("fashion-mnist",),
    ),
    Script(
        "text_search",
        8,
        (
            "100000/half of a passage/over_scan",
            "100000/half of a passage/rows/nsae/qps",
            "100000/half of a passage/definition",
            "1000000/half of a passage/over_scan",
        ),
    ),
    Script(
        "ann_speed",
        6,
        (
            "dense/rows/nsae, keep=32, rerank=100/recall",
            "dense/rows/nsae, keep=32, rerank=100/batch_qps",
            "dense/rows/NumPy, brute force/batch_qps",
            "sparse/rows/nsae/qps",
        ),
        ("fashion-mnist",),
    ),
    Script(
        "large_index",
        15,
        (
            "sizes/1000000/ms_p50",
            "sizes/1000000/qps_batch",
            "sizes/10000000/ms_p50",
            "sizes/10000000/peak_mb",
        ),
        ("fashion-mnist",),
    ),
    Script(
        "dead_units",
        20,
        ("h2048_k8/nothing/dead", "h2048_k8/auxiliary loss/dead", "h2048_k8/start from samples/dead"),
        ("fashion-mnist",),
    ),
    Script(
        "retrieval_quality",
        120,
        (
            "mnist/nsae/map",
            "fashion_mnist/nsae/map",
            "cifar10_jpeg/nsae/map@1000",
            "corel1k/nsae/precision@20",
            "corel1k/raw/precision@20",
            "caltech101/nsae/precision@10",
            "caltech101/vector/precision@10",
        ),
        ("fashion-mnist",),
    ),
    Script(
        "small_folders",
        15,
        ("corel1k/5/nsae", "corel1k/100/nsae", "corel1k/100/histogram", "corel1k/1000/nsae"),
        ("corel1k.tar",),
    ),
    Script("pretrain_photos", 1, ("corel1k/nsae/precision@1", "seconds_to_first_code"), ("corel1k.tar",)),
    Script(
        "compression",
        8,
        ("kodak/db_over_jpeg/0.25", "kodak/db_over_jpeg/0.4", "kodak/db_over_jpeg/0.6"),
        ("kodak.tar",),
    ),
    Script("unit_choices", 30, ("corel1k/500 units, k = 32, t = 2, phi = 0.9/map",), ("fashion-mnist",)),
    Script("retrieval_levers", 120, ("fashion_mnist/defaults/map",), ("fashion-mnist",)),
)


def fingerprint(root: Path = results.ROOT) -> str:
    """Return a hash of the code of nsae and of the benchmarks: figures may change when it does."""
    digest = hashlib.sha256()
    for folder in ("nsae", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def run_all(scripts: Sequence[Script], folder: Path, extra: Sequence[str]) -> list[str]:
    """Run the scripts that have not run yet with this code, and return the names of those that failed."""
    done_file = folder / "done.json"
    try:
        done = dict(json.loads(done_file.read_text(encoding="utf-8"))) if done_file.exists() else {}
    except (ValueError, TypeError):  # it was cut off, or changed by hand
        done = {}
    code, failed = fingerprint(), []
    for number, script in enumerate(scripts, start=1):
        title = f"[{number}/{len(scripts)}] {script.name}"
        options = [*script.options, *extra]
        state = {"code": code, "options": options}
        missing = [name for name in script.data if not (data_folder() / name).exists()]
        if missing:
            say(f"{title}: left out, there is no {', '.join(missing)} in the data folder (see nsae download)")
        elif done.get(script.name) == state:
            say(f"{title}: done before")
        else:
            say(f"{title}: {'quick' if extra else f'about {script.minutes:g} minutes'}")
            started = time.perf_counter()
            if run(script.name, options, folder):
                say(f"{title}: {(time.perf_counter() - started) / 60:.1f} minutes")
                done[script.name] = state
                done_file.write_text(json.dumps(done, indent=1), encoding="utf-8")
            else:
                failed.append(script.name)
                say(f"{title}: FAILED; what it printed is in {folder.name}/{script.name}.txt")
    return failed


def run(name: str, options: Sequence[str], folder: Path) -> bool:
    """Run one script, its table into a file, and return whether it ended well."""
    script, result = results.ROOT / "benchmarks" / f"{name}.py", folder / f"{name}.json"
    result.unlink(missing_ok=True)  # if the script fails, an older one is not taken for what it found
    command = [sys.executable, os.fspath(script), *options, "--save", os.fspath(result)]
    path = os.pathsep.join(filter(None, [os.fspath(results.ROOT), os.environ.get("PYTHONPATH")]))
    with (folder / f"{name}.txt").open("w", encoding="utf-8") as table:
        done = subprocess.run(command, stdout=table, env={**os.environ, "PYTHONPATH": path}, check=False)
    return done.returncode == 0


def leaves(figures: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the keys and the value of each number in ``figures``."""
    if isinstance(figures, Mapping):
        for key, value in figures.items():
            yield from leaves(value, f"{prefix}{key}/")
    elif isinstance(figures, (int, float)) and not isinstance(figures, bool):
        yield prefix[:-1], float(figures)


def comparison(scripts: Sequence[Script], folder: Path, committed: Path = results.RESULTS) -> list[str]:
    """Return the lines of the table of before and after.

    Parameters
    ----------
    scripts
        Those to show.
    folder
        Of the fresh results.
    committed
        The folder of the results before.
    """
    lines = [f"{'':66}{'before':>12}{'after':>12}{'ratio':>8}"]
    for script in scripts:
        before, after = (results.load(script.name, place) for place in (committed, folder))
        if after is None:
            continue
        old, new = (dict(leaves(result["figures"])) if result else {} for result in (before, after))
        for key in script.show:
            a, b = old.get(key), new.get(key)
            ratio = f"{b / a:8.2f}" if a and b is not None else " " * 8
            cells = "".join(f"{'' if value is None else f'{value:.4g}':>12}" for value in (a, b))
            lines.append(f"{f'{script.name}: {key}':66}{cells}{ratio}".rstrip())
        both = old.keys() & new.keys()
        other = sum(abs(new[key] - old[key]) > DIFFERENT * abs(old[key]) for key in both)
        if both:
            lines.append(f"  of {len(both)} figures, {other} differ by more than {DIFFERENT:.0%}")
    return lines


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks, and print the table of before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest settings: some ten minutes in all")
    parser.add_argument("--only", nargs="+", choices=[script.name for script in SCRIPTS], help="these alone")
    parser.add_argument("--list", action="store_true", help="list the scripts and their minutes")
    usage.add_debug(parser)
    args = parser.parse_args(argv)
    scripts = [script for script in SCRIPTS if not args.only or script.name in args.only]
    if args.list:
        for script in scripts:
            print(f"{script.name:20} {script.minutes:4g} minutes  {', '.join(script.data)}".rstrip())
        return 0
    folder = REPRODUCED / ("quick" if args.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)
    failed, interrupted = [], False
    try:
        failed = run_all(scripts, folder, ["--quick"] if args.quick else [])
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: start it again, and it goes on where it was")
    print("\n".join(comparison(scripts, folder)))
    if args.quick:
        print("Figures of --quick are of smaller settings: they show that the scripts run, and no more.")
    return 130 if interrupted else int(bool(failed))


if __name__ == "__main__":
    sys.exit(usage.run(main))
