"""Kill a process (SIGKILL) at random times while it writes, and look at what is left.

Four kinds of work, each in a process that goes on and on until it is killed:

new      save an index under a name that is free
replace  add to an index with on_duplicate="replace", so that every row changes, and save it over the old one
few      change a few rows, so that they alone are saved beside the others; now and then all are saved anew
update   change photos, and bring a library in step with them, saved after every second photo

After each kill the index must open, with all its checksums right, and hold what the process had finished last
or what it was about to: every row, not some of each.  A library is saved on the way, so each of its rows must
be right for the content that the library says it is of, none older than what was finished, and the next update
must make it equal to one made afresh.  ``cut`` counts the kills that left files of an unfinished save behind.

    python benchmarks/kill_test.py [--kills N] [--quick] [--json] [--save]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from helpers import results, usage

from nsae import CodeIndex, Codes, ModelFormatError
from nsae.retrieval.on_disk.index_folder import use_file

N_UNITS, K = 256, 8
PHOTOS, A_STEP = 12, 3
ROWS, FEW = 300, 20  # of an index of which few rows change; a step changes up to three
LONGEST = 0.06  # seconds from the first finished step to the kill: some ten steps


# ---- the work


def index_in_state(s: int) -> tuple[Codes, list[str]]:
    """Return codes of which every value tells the state, and their ids.  States differ in size as well."""
    n = 300 + 50 * (s % 5)
    units = (np.arange(n)[:, None] + 16 * np.arange(K)).astype(np.int32) % N_UNITS  # (n, K)
    values = np.full(n * K, s + 1, np.float32)
    indptr = np.arange(n + 1, dtype=np.int64) * K
    return Codes(indptr, np.sort(units, axis=1).ravel(), values, N_UNITS), [f"photo {i}" for i in range(n)]


def little_changed_in_state(s: int) -> tuple[Codes, list[str]]:
    """Return the same for an index of which each step replaces one row, adds one, and removes one that was added."""
    replaced = [
        max((t for t in range(max(1, s - FEW + 1), s + 1) if t % FEW == i), default=0) for i in range(FEW)
    ]
    values = [*replaced, *[0] * (ROWS - FEW)]  # the step that wrote each row
    added = list(range(max(1, s - FEW + 1), s + 1))
    values = np.repeat(np.array(values + added, np.float32) + 1, K)
    n = ROWS + len(added)
    units = (np.arange(n)[:, None] + 16 * np.arange(K)).astype(np.int32) % N_UNITS  # (n, K)
    units[ROWS:] = units[:1]
    ids = [f"photo {i}" for i in range(ROWS)] + [f"added {t}" for t in added]
    return Codes(np.arange(n + 1, dtype=np.int64) * K, np.sort(units, axis=1).ravel(), values, N_UNITS), ids


def change_a_little(index: CodeIndex, s: int) -> None:
    """Bring an index from the state before s to state s."""
    codes, ids = little_changed_in_state(s)
    index.add(codes[[s % FEW, len(ids) - 1]], [ids[s % FEW], ids[-1]], on_duplicate="replace")
    if s > FEW:
        index.remove([f"added {s - FEW}"])


def photo(number: int) -> bytes:
    """Return the content of a photo, as BMP: 8×8 pixels of noise."""
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


def photos_of_step(s: int) -> dict[str, int]:
    """Return name -> number of its content, of the photos that step s writes."""
    return {f"{number % PHOTOS}.bmp": number for number in range(A_STEP * s, A_STEP * (s + 1))}


def work(kind: str, folder: Path) -> None:
    """Do one step after the other, and print the number of each that is finished, until killed."""

    def finished(s: int) -> None:
        print(s, flush=True)

    if kind == "new":
        for s in range(10**9):
            index = CodeIndex(N_UNITS)
            index.add(*index_in_state(s))
            index.save(folder / f"{s}.nsae")
            finished(s)
    elif kind == "few":
        save_few_rows_as_many()
        index = CodeIndex.load(folder / "i.nsae")
        for s in range(little_changed_state_of(index) + 1, 10**9):
            change_a_little(index, s)
            index.save(folder / "i.nsae", overwrite=True)
            finished(s)
    elif kind == "replace":
        index = CodeIndex.load(folder / "i.nsae")
        for s in range(state_of(index) + 1, 10**9):
            index.add(*index_in_state(s), on_duplicate="replace")
            index.remove(index.ids[len(index_in_state(s)[1]) :])
            index.save(folder / "i.nsae", overwrite=True)
            finished(s)
    else:
        from nsae.images.library import image_library as module

        module.BATCH, module.SAVE_SECONDS = 2, 0.0
        library = module.ImageLibrary.open(folder / "l.nsae")
        for s in range(int((folder / "step").read_text()), 10**9):
            for name, number in photos_of_step(s).items():
                (folder / "writing").write_bytes(photo(number))
                os.replace(folder / "writing", folder / "photos" / name)
            library.update()
            finished(s)


def save_few_rows_as_many() -> None:
    """Save the search structure of small indexes, too, so that few changes of them are saved alone."""
    from nsae.retrieval import index as module

    module.WINDOW = 0


# ---- what is left of it


def state_of(index: CodeIndex) -> int:
    """Return which state the index is in; ValueError if in none."""
    s = int(index.codes.values[0]) - 1
    return checked_state(index, s, *index_in_state(s))


def little_changed_state_of(index: CodeIndex) -> int:
    """Return the same for an index of which few rows change."""
    s = int(index.codes.values.max()) - 1
    return checked_state(index, s, *little_changed_in_state(s))


def checked_state(index: CodeIndex, s: int, codes: Codes, ids: list[str]) -> int:
    """Return ``s`` if the index holds these ``codes`` and ``ids`` of it; raise ValueError if not."""
    same = all(
        np.array_equal(getattr(codes, part), getattr(index.codes, part))
        for part in ("indptr", "units", "values")
    )
    if not same or index.ids != ids:
        raise ValueError(f"some rows are of state {s} and others are not")
    return s


def check(kind: str, folder: Path, before: int, last: int) -> str:
    """Return "old" or "new", or what is wrong.  ``last`` is the last finished step, ``before`` that of the start."""
    try:
        if kind == "new":
            if any(state_of(CodeIndex.load(folder / f"{s}.nsae")) != s for s in range(before + 1, last + 1)):
                return "another state"
            if not (folder / f"{last + 1}.nsae").exists():
                return "old"
            return "new" if state_of(CodeIndex.load(folder / f"{last + 1}.nsae")) == last + 1 else "wrong"
        if kind in ("replace", "few"):
            CodeIndex.verify(folder / "i.nsae")
            index = CodeIndex.load(folder / "i.nsae", mmap=True)
            s = (state_of if kind == "replace" else little_changed_state_of)(index)
            return {last: "old", last + 1: "new"}.get(s, f"state {s} after {last}")
        return check_library(folder, last)
    except (ModelFormatError, ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def check_library(folder: Path, last: int) -> str:
    """Return the same for a library."""
    from nsae.images import ImageLibrary

    CodeIndex.verify(folder / "l.nsae")
    library = ImageLibrary.open(folder / "l.nsae")
    contents = {_hash(photo(n)): n for n in range(max(0, A_STEP * (last - PHOTOS)), A_STEP * (last + 3))}
    table = json.loads(use_file(folder / "l.nsae", "files.json", None, Path.read_bytes))
    numbers = {row[0]: contents.get(row[table["columns"].index("hash")]) for row in table["rows"]}
    if sorted(numbers) != sorted(library.index.ids) or None in numbers.values():
        return "rows and files differ"
    if any(f"{number % PHOTOS}.bmp" != name for name, number in numbers.items()):
        return "a row is said to be of another file's content"
    for name, number in numbers.items():
        if not same_code(library, name, photo(number)):
            return f"{name} has another code than its content"
        finished = A_STEP * (last + 1) - 1  # the last content that was
        newest = finished - (finished - int(name.removesuffix(".bmp"))) % PHOTOS
        if number < newest:
            return f"{name} is older than the last finished update"
    is_new = any(number >= A_STEP * (last + 1) for number in numbers.values())
    library.update()
    for path in (folder / "photos").iterdir():
        if not same_code(library, path.name, path.read_bytes()):
            return f"{path.name} is not what it is after an update"
    return "new" if is_new else "old"


def same_code(library, name: str, content: bytes) -> bool:
    """Return whether a row has the code of this content."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(content)))
    row = library.index.codes[library.index.row_of(name)]
    code = library.encode([pixels])
    # the last bit of a value may depend on where in its batch BLAS came to a photo
    return np.array_equal(row.units, code.units) and np.allclose(row.values, code.values, rtol=1e-5)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def prepare(kind: str, folder: Path) -> None:
    """Make what the first process of its kind begins with."""
    if kind in ("replace", "few"):
        index = CodeIndex(N_UNITS)
        index.add(*(index_in_state(0) if kind == "replace" else little_changed_in_state(0)))
        index.save(folder / "i.nsae")
    elif kind == "update":
        from nsae import SparseAutoencoder
        from nsae.images import ImageLibrary

        (folder / "photos").mkdir()
        for number in range(PHOTOS):
            (folder / "photos" / f"{number}.bmp").write_bytes(photo(number))
        X = np.random.default_rng(0).random((200, 64), np.float32)
        model = SparseAutoencoder(32, k=4, epochs=3, random_state=0, backend="numpy").fit(X)
        model.preprocessing_ = {"side": 8, "color": False}
        library = ImageLibrary(model, folder / "photos")
        library.update()
        library.save(folder / "l.nsae")


def kill_once(kind: str, folder: Path, before: int, delay: float) -> int:
    """Start the work, kill it ``delay`` seconds after its first step, and return the last finished step."""
    (folder / "step").write_text(str(before + 1))
    command = [
        sys.executable,
        os.fspath(Path(__file__).resolve()),
        "--work",
        kind,
        "--folder",
        os.fspath(folder),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        time.sleep(delay)
        process.kill()
        steps = [first, *process.stdout]
    if not first.strip():
        raise RuntimeError(f"the process of {kind!r} did not finish a single step")
    return int(steps[-1])


def run(kind: str, kills: int, rng: random.Random) -> dict[str, object]:
    """Kill and check so many times; the figures."""
    figures: dict[str, object] = {"kills": kills, "old": 0, "new": 0, "broken": 0, "cut": 0, "what": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(kind, folder)
        last = {"new": -1, "replace": 0, "few": 0, "update": PHOTOS // A_STEP - 1}[kind]
        for _ in range(kills):
            before = -1 if kind == "new" else last
            if kind == "new":
                folder = Path(tempfile.mkdtemp(dir=name))
            last = kill_once(kind, folder, before, rng.uniform(0, LONGEST))
            figures["cut"] += any(folder.rglob("*.part"))
            found = check(kind, folder, before, last)
            if found in ("old", "new"):
                figures[found] += 1
            else:
                figures["broken"] += 1
                figures["what"].append(found)
            last += found == "new" and kind in ("replace", "few")
    return figures


def main(argv: list[str] | None = None) -> int:
    """Kill, check, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=usage.positive, default=200, help="of each kind (%(default)s)")
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="5 kills of each kind")
    parser.add_argument("--seed", type=usage.from_zero, default=0)
    parser.add_argument("--work", choices=("new", "replace", "few", "update"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.work:
        work(args.work, args.folder)
        return 0
    kills = 5 if args.quick else args.kills
    rng = random.Random(args.seed)
    figures = {kind: run(kind, kills, rng) for kind in ("new", "replace", "few", "update")}
    results.finish(args, "kill_test", figures, peers=["pillow"], seeds=[args.seed])
    if not args.json:
        print(f"{'':8} {'kills':>6} {'old':>6} {'new':>6} {'broken':>6} {'cut':>6}")
        for kind, row in figures.items():
            print(
                f"{kind:8} " + " ".join(f"{row[name]:6}" for name in ("kills", "old", "new", "broken", "cut"))
            )
            for what in row["what"]:
                print(f"         {what}")
    return int(any(row["broken"] for row in figures.values()))


if __name__ == "__main__":
    sys.exit(usage.run(main))
