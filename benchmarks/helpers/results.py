"""Results of benchmarks as files: what was measured, when, and on what.

A script calls :func:`add_options` for its parser and :func:`finish` at its end.  The file
``benchmarks/results/NAME.json`` holds ``figures`` and, beside them, what they depend on: date, commit, versions,
processor, BLAS, threads, seeds and settings.  It holds no host name, no user name and no path.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .usage import add_debug, new_file

ROOT = Path(__file__).parents[2]  # of the checkout
RESULTS = ROOT / "benchmarks" / "results"
DIGITS = 6  # significant ones of a saved number
# Options that tell what to show or where files are.  They change no figure.
NO_SETTINGS = {
    "debug",
    "json",
    "save",
    "pictures",
    "note",
    "plot",
    "markdown",
    "files",
    "codes",
    "photos",
    "folder",
    "work",
}
DEFAULT = True  # what --save without a path stands for


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` the options --json, --save, --note and --debug."""
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument(
        "--save",
        nargs="?",
        type=new_file,
        const=DEFAULT,
        metavar="FILE",
        help="write the figures to FILE (benchmarks/results/NAME.json) with versions, processor and settings",
    )
    parser.add_argument(
        "--note", help="what readers of a saved result should know, such as other work meanwhile"
    )
    add_debug(parser)


def finish(args: argparse.Namespace, name: str, figures: Mapping[str, Any], **about: Any) -> None:
    """Print ``figures`` as one line if --json was given, and write them to a file if --save was.

    Parameters
    ----------
    args
        What the script was called with.  Its options are the result's ``settings``.
    name
        Of the script, without ``.py``.
    figures
        What was measured.  Anything that JSON can hold.
    about
        ``peers``, ``threads``, ``seeds``, ``blas`` as for :func:`document`.

    Raises
    ------
    ValueError
        If nothing was measured, or if figures of --quick would replace those of results/.
    """
    if not figures:
        raise ValueError("Nothing was measured: the lines above tell what is missing.")
    if args.save:
        if args.save == DEFAULT and getattr(args, "quick", False):
            raise ValueError(
                "Figures of --quick show that a script runs, and do not replace those of results/. "
                "Leave out --quick, or name a file: --save FILE."
            )
        path = RESULTS / f"{name}.json" if args.save == DEFAULT else Path(args.save)
        note = {"note": args.note} if args.note else {}
        save(path, {**document(name, figures, settings_of(args), **about), **note})
        print(f"saved: {path.name}", file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps(figures))


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that can change a figure."""
    return {name: value for name, value in sorted(vars(args).items()) if name not in NO_SETTINGS}


def document(
    name: str,
    figures: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    peers: Iterable[str] = (),
    threads: int | None = None,
    seeds: Iterable[int] = (0,),
    blas: Any = None,
) -> dict[str, Any]:
    """Return what a file holds.

    Parameters
    ----------
    name, figures, settings
        As for :func:`finish`.
    peers
        Distributions that figures depend on besides NumPy and Numba.  Those not installed are left out.
    threads
        How many were asked for; None if each library took what it takes.
    seeds
        Of the random generators.
    blas
        What :func:`blas_info` returned in the process that measured; None: in this process.
    """
    return {
        "name": name,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(("nsae", "numpy", "numba", *peers)),
        "processor": processor(),
        "processors": os.cpu_count(),
        "blas": blas_info() if blas is None else blas,
        "threads": threads,
        "seeds": list(seeds),
        "settings": dict(settings),
        "figures": rounded(figures),
    }


def save(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result beside ``path``, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def load(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """Return the result of that name, or None if there is none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read(name: str, path: str | Path) -> dict[str, Any]:
    """Return the result at ``path``, which a script with this ``name`` has saved.

    Raises
    ------
    ValueError
        If the file is no such result.
    """
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:  # no JSON, or no text
        result = None
    if not (
        isinstance(result, dict) and result.get("name") == name and isinstance(result.get("figures"), dict)
    ):
        raise ValueError(f"{path} is no result of {name}.py: a file that it wrote with --save was expected.")
    return result


# ---- what figures depend on


def commit() -> str | None:
    """Return the commit of this checkout, with "+" if a tracked file was changed since; None without git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", os.fspath(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution that is installed.  nsae's own is the checkout's."""
    found = {}
    for name in dict.fromkeys(distributions):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name == "nsae":
                from nsae import __version__

                found[name] = __version__
    return found


def processor() -> str:
    """Return the processor's name, as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def blas_info() -> list[dict[str, Any]] | None:
    """Return the libraries for matrix products that this process has loaded; None without threadpoolctl.

    Of each: its name, version, threads, threading layer and the kernels that it chose for this processor.
    """
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    keys = ("user_api", "internal_api", "version", "num_threads", "threading_layer", "architecture")
    return [{key: library[key] for key in keys if key in library} for library in threadpool_info()]


def rounded(figures: Any) -> Any:
    """Return ``figures`` with every number cut to a few significant digits, and numbers that are none as None."""
    if isinstance(figures, Mapping):
        return {str(key): rounded(value) for key, value in figures.items()}
    if isinstance(figures, (list, tuple)):
        return [rounded(value) for value in figures]
    if isinstance(figures, float):
        return float(f"{figures:.{DIGITS}g}") if math.isfinite(figures) else None
    return figures
