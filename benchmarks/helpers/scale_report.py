"""The tables of docs/scale.md: what was measured on one machine, and what that makes for a billion images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]
Rows = tuple[list[str], list[list[str]]]

IMAGES = 1e9
LINE = 1.25e9  # bytes a second of a line of 10 Gbit/s: an assumption, and so is …
PHOTO = 1e5  # … the size of a photo in bytes
FILES_A_TASK = 64  # the default of nsae.distributed.encode
PAIR = 8  # bytes of an active unit: int32 and float32
K = 32
SEARCHED = 60_000  # codes that search_speed.py searches
NAMES = {
    "k_sparse": "k-sparse, 4,096 units, k = 32, 4,096 rows a batch",
    "k_sparse_wide": "k-sparse, 16,384 units, k = 32, 2,048 rows a batch",
    "dense": "ReLU, 1,024 units, 4,096 rows a batch",
}


def step_rows(figures: Figures) -> Rows:
    """Return the seconds and bytes of a step of each shape."""
    head = [
        "784 inputs",
        "local",
        "1 worker",
        "2 workers",
        "2 over 1",
        "processor: local",
        "1 worker",
        "2 workers",
    ]
    head += ["to the client", "to each worker"]
    head.append("a gradient has")
    rows = []
    for name, step in figures["steps"].items():
        seconds = [f"{step[f'seconds_{who}']:.2f} s" for who in ("local", "1", "2")]
        keys = [f"processor_{who}" for who in ("local", "1", "2")]
        spent = [f"{step[key]:.2f} s" if key in step else "" for key in keys]  # files of before have none
        sent = [megabytes(step[key]) for key in ("bytes_up", "bytes_down_to_each", "bytes_of_gradients")]
        rows.append([NAMES[name], *seconds, f"{step['speedup_2_workers']:.2f} ×", *spent, *sent])
    return head, rows


def cost_rows(distributed: Figures, library: Figures, search: Figures) -> Rows:
    """Return what a billion images cost, by these figures and no others than the assumptions above."""
    step, overhead = distributed["steps"]["k_sparse"], distributed["overhead"]
    B, h, d = 4096, 4096, 784
    index = search["rows"][f"nsae, image codes, k={K}"]
    steps, photo = IMAGES / B, library["processor_ms"] / 1e3
    a_pass = steps * (step["bytes_up"] + step["bytes_down_to_each"])
    tasks, reading = IMAGES / FILES_A_TASK, hours(IMAGES * PHOTO / LINE)
    workers = FILES_A_TASK * photo / (overhead["task_ms"] / 1e3)
    rows = [
        ["decode and encode photos", f"{hours(IMAGES * photo)} of a processor"],
        ["read them, 100 kB each", f"{terabytes(IMAGES * PHOTO)}: {reading} of a line of 10 Gbit/s"],
        [
            f"the scheduler, {FILES_A_TASK} files a task",
            f"{tasks / 1e6:.1f} million tasks: {hours(tasks * overhead['task_ms'] / 1e3)}, "
            f"and no more than {workers:,.0f} workers kept at work",
        ],
        [f"codes on disk, k = {K}", terabytes(IMAGES * (K * PAIR + 8))],
        [f"the index on disk, k = {K}", terabytes(IMAGES * index["bytes"])],
        [
            "learn 4,096 units, one pass over a vector of 784 for each image",
            f"{steps:,.0f} steps: {hours(steps * step['seconds_1'])} of one worker",
        ],
        [
            "the same, sent and received by the client",
            f"{terabytes(a_pass)}: {hours(a_pass / LINE)} of its line",
        ],
        ["the same, memory of a replica", megabytes(3 * 4 * (2 * h * d + h + d))],
        [
            "one query, if time grows with the codes",
            f"{IMAGES / SEARCHED / index['qps']:.2f} s of a processor",
        ],
    ]
    return ["10⁹ images", ""], rows


def hours(seconds: float) -> str:
    """Return a time in hours, with three significant digits."""
    return f"{float(f'{seconds / 3600:.3g}'):,g} h"


def terabytes(size: float) -> str:
    """Return ``size`` bytes in gigabytes, or from a thousand on in terabytes."""
    return f"{size / 1e12:,.3g} TB" if size >= 1e12 else f"{size / 1e9:,.0f} GB"


def megabytes(size: float) -> str:
    """Return ``size`` bytes in megabytes."""
    return f"{size / 1e6:,.1f} MB"
