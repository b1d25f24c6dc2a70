"""Index a folder of a thousand files of 30 kinds, broken in 10 ways, and count what the command says.

Each kind is a format and a mode that Pillow writes.  Each way of breaking is done to files of every kind, with
other random numbers each time; a tenth of the files is whole.  ``nsae index`` must read every whole file, say one
line on stderr for each file that it leaves out, show no traceback, and end with 0.  What comes of a broken file is
either: a decoder may find a picture in it.

    python benchmarks/broken_images.py [--count N] [--folder FOLDER] [--quick] [--json] [--save]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from PIL import Image, features

# name -> (extension, mode, options of save)
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png": ("png", "RGB", {}),
    "png alpha": ("png", "RGBA", {}),
    "png grey": ("png", "L", {}),
    "png grey alpha": ("png", "LA", {}),
    "png palette": ("png", "P", {}),
    "png 1 bit": ("png", "1", {}),
    "png 16 bit": ("png", "I;16", {}),
    "jpeg": ("jpg", "RGB", {}),
    "jpeg progressive": ("jpg", "RGB", {"progressive": True}),
    "jpeg grey": ("jpg", "L", {}),
    "jpeg cmyk": ("jpg", "CMYK", {}),
    "gif": ("gif", "P", {}),
    "gif animated": ("gif", "P", {"save_all": True, "append_images": 2}),
    "bmp": ("bmp", "RGB", {}),
    "bmp palette": ("bmp", "P", {}),
    "dib": ("dib", "RGB", {}),
    "tiff": ("tif", "RGB", {}),
    "tiff lzw": ("tif", "RGB", {"compression": "tiff_lzw"}),
    "tiff deflate": ("tif", "L", {"compression": "tiff_adobe_deflate"}),
    "tiff 16 bit": ("tif", "I;16", {}),
    "tiff float": ("tif", "F", {}),
    "tiff pages": ("tif", "RGB", {"save_all": True, "append_images": 2}),
    "webp": ("webp", "RGB", {}),
    "webp lossless": ("webp", "RGBA", {"lossless": True}),
    "avif": ("avif", "RGB", {}),
    "ppm": ("ppm", "RGB", {}),
    "pgm": ("pgm", "L", {}),
    "tga": ("tga", "RGB", {}),
    "pcx": ("pcx", "P", {}),
    "jpeg 2000": ("jp2", "RGB", {}),
}

Break = Callable[[bytes, np.random.Generator], bytes]


def _flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(0, len(data), 8):
        changed[at] ^= int(rng.integers(1, 256))
    return bytes(changed)


def _header_flipped(data: bytes, rng: np.random.Generator) -> bytes:
    return _flipped(data[:40], rng) + data[40:]


def _holed(data: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(0, max(1, len(data) - 64)))
    return data[:at] + bytes(64) + data[at + 64 :]


WAYS: dict[str, Break] = {
    "cut in half": lambda data, rng: data[: len(data) // 2],
    "cut anywhere": lambda data, rng: data[: int(rng.integers(1, len(data)))],
    "last bytes gone": lambda data, rng: data[:-3],
    "empty": lambda data, rng: b"",
    "only zeros": lambda data, rng: bytes(len(data)),
    "noise": lambda data, rng: rng.bytes(len(data)),
    "text": lambda data, rng: b"<html>404 Not Found</html>\n" * 20,
    "bytes changed": _flipped,
    "header changed": _header_flipped,
    "a hole": _holed,
}


def whole_file(kind: str, rng: np.random.Generator) -> bytes:
    """Return the content of a file of a kind: a picture of its own, 24 × 32 pixels."""
    extension, mode, options = KINDS[kind]
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = small.resize((32, 24), Image.Resampling.BICUBIC)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.float32))
    else:
        image = image.convert(mode)
    options = dict(options)
    if "append_images" in options:
        options["append_images"] = [image.transpose(Image.Transpose.ROTATE_180)] * options["append_images"]
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[f".{extension}"], **options)
    return file.getvalue()


def write_corpus(folder: Path, n_files: int) -> dict[str, str]:
    """Write the files, and return what was done to each, by name: a way of breaking it, or "whole"."""
    Image.init()
    kinds = [kind for kind, (extension, *_) in KINDS.items() if features.check("avif") or extension != "avif"]
    ways = ["whole", *WAYS]
    done = {}
    for number in range(n_files):
        rng = np.random.default_rng(number)
        kind, way = kinds[number % len(kinds)], ways[number // len(kinds) % len(ways)]
        data = whole_file(kind, rng)
        name = f"{number:04d} {kind}, {way}.{KINDS[kind][0]}"
        (folder / name).write_bytes(data if way == "whole" else WAYS[way](data, rng))
        done[name] = way
    return done


def index_corpus(folder: Path, done: dict[str, str]) -> dict[str, object]:
    """Run ``nsae index`` on the files, and return what came of it."""
    with tempfile.TemporaryDirectory() as work:
        target = Path(work, "index")
        command = [sys.executable, "-m", "nsae", "index", str(folder), "-o", str(target), "--json"]
        command += ["--whole", "--units", "64", "--k", "8", "--epochs", "2"]
        started = time.perf_counter()
        process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        seconds = time.perf_counter() - started
        rows = json.loads(process.stdout)["rows"] if process.returncode == 0 else 0
    lines = [line for line in re.split(r"[\r\n]+", process.stderr) if line.startswith("nsae: skipped ")]
    names = [line.split("/")[-1].partition(": ")[0] for line in lines]
    return {
        "files": len(done),
        "kinds": len({name.split(" ", 1)[1].split(",")[0] for name in done}),
        "ways": len(set(done.values()) - {"whole"}),
        "exit_code": process.returncode,
        "indexed": rows,
        "left_out": len(names),
        "left_out_by_way": dict(sorted(Counter(done.get(name, "unknown") for name in names).items())),
        "whole_left_out": sum(done.get(name) == "whole" for name in names),
        "named_twice": len(names) - len(set(names)),
        "without_a_line": len(done) - rows - len(names),
        "tracebacks": process.stderr.count("Traceback"),
        "seconds": seconds,
        "peak_mb": _peak_of_children() / 1e6,
    }


def _peak_of_children() -> float:
    """The largest memory of a process that was waited for, in bytes; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:  # not POSIX
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def main(argv: list[str] | None = None) -> int:
    """Make the files, index them, and print what came of it; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=usage.positive, default=1000, help="files (%(default)s)")
    parser.add_argument("--folder", type=usage.new_folder, help="write the files there, and leave them")
    parser.add_argument("--quick", action="store_true", help="330 files")
    results.add_options(parser)
    args = parser.parse_args(argv)
    n_files = 330 if args.quick else args.count
    with tempfile.TemporaryDirectory() as made:
        folder = Path(args.folder or made)
        os.makedirs(folder, exist_ok=True)
        figures = index_corpus(folder, write_corpus(folder, n_files))
    if not args.json:
        for name, value in figures.items():
            print(f"{name:<18}{f'{value:.1f}' if isinstance(value, float) else value}")
    results.finish(args, "broken_images", figures, peers=["pillow"], seeds=[])
    wrong = ("exit_code", "whole_left_out", "named_twice", "without_a_line", "tracebacks")
    return int(any(figures[name] for name in wrong))


if __name__ == "__main__":
    sys.exit(usage.run(main))
