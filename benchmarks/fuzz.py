"""Give nsae changed and made-up input, and count what becomes of it.

    python benchmarks/fuzz.py [--inputs 100000] [--target NAME] [--first N] [--quick] [--json] [--save]

Targets: model files, index folders, idx files, image files, folders of published models, .csr files, and command
lines.  Two sources of input take turns: valid files with changes (``helpers/mutation.py``), and values that
hypothesis makes up.  Each input has a number, and the same number is the same input:
``--target model --first 4711 --inputs 1`` tries one again.

An input may be accepted, or refused by an error that the documentation names.  Anything else is a fault:

error     another exception, or a traceback of a command
hang      more than 5 seconds of the processor (a command: 60), or 120 by the clock
crash     the process ended
memory    more Python and NumPy memory than 64 MiB and 64 times the input
outside   a file written outside of the folder that the input was told to use
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.mutation import mutate, mutate_json, mutate_model, mutate_npy

OUTCOMES = ("accepted", "refused", "error", "hang", "crash", "memory", "outside")
FAULTS = OUTCOMES[2:]
SECONDS, CLOCK = 5.0, 120.0
MEMORY, TIMES = 1 << 26, 64
MANY = 10_000  # units of a forged model that is not tried any further
SHOWN = 10  # faults of a target that are described
FORMATS = {
    "png": {},
    "jpg": {},
    "gif": {},
    "bmp": {},
    "tif": {"compression": "tiff_lzw"},
    "webp": {},
    "ppm": {},
    "ico": {},
}


class Target:
    """One kind of input: how it is made, how it is tried, and which errors may refuse it."""

    refusals: tuple[type[BaseException], ...] = (ValueError,)
    patience = 1  # times SECONDS

    def __init__(self, folder: Path):
        self.folder = folder

    def make(self, rng: random.Random) -> Any:
        """Return an input."""
        raise NotImplementedError

    def attempt(self, given: Any) -> None:
        """Use the input as nsae would be used; raise what nsae raises."""
        raise NotImplementedError

    def size(self, given: Any) -> int:
        """Return the bytes of the input."""
        return len(given)


class Models(Target):
    """Files of SparseAutoencoder and ImageEncoder."""

    def __init__(self, folder: Path):
        from nsae import ImageEncoder, ModelFormatError, SparseAutoencoder

        super().__init__(folder)
        self.refusals = (ModelFormatError,)
        rng = np.random.default_rng(0)
        model = SparseAutoencoder(6, k=2, epochs=1, random_state=0).fit(rng.random((20, 5)))
        model.save(folder / "a.npz", with_optimizer=True)
        images = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
        options = {"n_patches": 200, "patch_units": 8, "epochs": 1, "patch_epochs": 1, "random_state": 0}
        ImageEncoder(8, k=2, **options).fit(images).save(folder / "b.npz")
        self.valid = [(folder / name).read_bytes() for name in ("a.npz", "b.npz")]
        self.images, self.path = images[:2], folder / "fuzzed.npz"

    def make(self, rng: random.Random) -> bytes:
        return mutate_model(rng.choice(self.valid), rng)

    def attempt(self, given: bytes) -> None:
        from nsae import SparseAutoencoder, load_encoder

        self.path.write_bytes(given)
        encoder = load_encoder(self.path)
        if encoder.n_units > MANY:
            return
        if encoder.header["kind"] == "image_encoder":
            encoder.encode(self.images)
        else:
            encoder.encode(np.zeros((1, encoder.n_features)))
            model = SparseAutoencoder.load(self.path)
            with contextlib.suppress(FloatingPointError):  # of weights that are finite, but very large
                model.partial_fit(np.zeros((2, encoder.n_features)))


class Indexes(Target):
    """Index folders; in some the checksums are made right again, so that what they cover is read."""

    def __init__(self, folder: Path):
        from nsae import CodeIndex, ModelFormatError

        super().__init__(folder)
        self.refusals = (ModelFormatError,)
        Z = np.maximum(np.random.default_rng(0).standard_normal((40, 12)), 0)
        for name, ids in (
            ("numbers", None),
            ("strings", [f"photo {i}" for i in range(40)]),
            ("mixed", [*range(39), "x"]),
        ):
            index = CodeIndex(12)
            index.add(Z, ids)
            index.save(
                folder / name, extra_files={"model.npz": b"no model", "source.json": b'{"root": null}'}
            )
        index.search(Z[:2], 3, backend="numba")  # compiles the loops, before the clock runs
        self.valid = [
            {file.name: file.read_bytes() for file in (folder / n).iterdir()}
            for n in ("numbers", "strings", "mixed")
        ]
        self.path, self.query = folder / "fuzzed", Z[0]

    def make(self, rng: random.Random) -> dict[str, bytes]:
        from nsae.retrieval.on_disk.manifest import _seal

        files = dict(rng.choice(self.valid))
        name = rng.choice(list(files))
        manifest = json.loads(files["manifest.json"])
        manifest.pop("checksum")
        if name == "manifest.json" and rng.random() < 0.8:
            manifest = mutate_json(manifest, rng)
        elif rng.random() < 0.05:
            del files[name]
        else:
            change = mutate_npy if name.endswith(".npy") else mutate
            files[name] = change(files[name], rng)
            if rng.random() < 0.7 and name in manifest["files"]:
                import hashlib

                manifest["files"][name] = {
                    "bytes": len(files[name]),
                    "sha256": hashlib.sha256(files[name]).hexdigest(),
                }
        if isinstance(manifest, dict) and rng.random() < 0.9:
            with contextlib.suppress(ValueError, TypeError):
                files["manifest.json"] = json.dumps({**manifest, "checksum": _seal(manifest)}).encode()
        return files

    def attempt(self, given: dict[str, bytes]) -> None:
        from nsae import CodeIndex

        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        for name, content in given.items():
            (self.path / name).write_bytes(content)
        refused = None
        for mmap in (False, True):
            try:
                index = CodeIndex.load(self.path, mmap=mmap)
            except self.refusals as error:
                refused = error
                continue
            if index.n_units == len(self.query):
                index.search(self.query, 5, backend="numpy")
                index.search(self.query, 5, backend="numba")
        if refused is not None:
            raise refused

    def size(self, given: dict[str, bytes]) -> int:
        return sum(map(len, given.values()))


class PublishedModels(Target):
    """Folders of sparsify and SAELens: their cfg.json, and their weights in safetensors."""

    def __init__(self, folder: Path):
        from nsae import ModelFormatError, SparseAutoencoder
        from nsae.interchange import save_saelens, save_sparsify

        super().__init__(folder)
        self.refusals = (ModelFormatError,)
        model = SparseAutoencoder(6, k=2, epochs=1, random_state=0)
        model.fit(np.random.default_rng(0).random((20, 5)))
        save_saelens(model, folder / "saelens")
        save_sparsify(model, folder / "sparsify")
        self.valid = [
            {file.name: file.read_bytes() for file in (folder / name).iterdir()}
            for name in ("saelens", "sparsify")
        ]
        self.path = folder / "fuzzed"

    def make(self, rng: random.Random) -> dict[str, bytes]:
        files = dict(rng.choice(self.valid))
        name = rng.choice(list(files))
        content = files[name]
        if rng.random() < 0.3:
            files[name] = mutate(content, rng)
        elif name == "cfg.json":
            files[name] = json.dumps(mutate_json(json.loads(content), rng)).encode()
        else:
            end = 8 + int.from_bytes(content[:8], "little")
            header = json.dumps(mutate_json(json.loads(content[8:end]), rng)).encode()
            files[name] = len(header).to_bytes(8, "little") + header + content[end:]
        return files

    def attempt(self, given: dict[str, bytes]) -> None:
        from nsae import load_encoder

        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        for name, content in given.items():
            (self.path / name).write_bytes(content)
        encoder = load_encoder(self.path)
        encoder.encode(np.zeros((1, encoder.n_features)))

    def size(self, given: dict[str, bytes]) -> int:
        return sum(map(len, given.values()))


class CsrFiles(Target):
    """Files of the sparse track of BigANN, read and mapped."""

    def __init__(self, folder: Path):
        from nsae import Codes
        from nsae.interchange import write_csr

        super().__init__(folder)
        Z = np.maximum(np.random.default_rng(0).standard_normal((20, 12)), 0)
        write_csr(folder / "valid.csr", Codes.from_dense(Z))
        self.valid, self.path = (folder / "valid.csr").read_bytes(), folder / "fuzzed.csr"

    def make(self, rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return mutate(self.valid, rng)
        changed, at = bytearray(self.valid), rng.randrange(24 + 8 * 21)  # in the header, or the row pointers
        changed[at] ^= 1 << rng.randrange(8)
        return bytes(changed)

    def attempt(self, given: bytes) -> None:
        from nsae import CodeIndex
        from nsae.interchange import read_csr

        self.path.write_bytes(given)
        refused = None
        for mmap in (False, True):
            try:
                codes = read_csr(self.path, mmap=mmap)
                if codes.n_units < MANY:
                    CodeIndex(codes.n_units).add(codes)
            except self.refusals as error:
                refused = error
        if refused is not None:
            raise refused


class IdxFiles(Target):
    """Files in MNIST's format, compressed or not."""

    def __init__(self, folder: Path):
        import gzip

        super().__init__(folder)
        plain = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (3, 4, 5)) + bytes(range(60))
        self.valid, self.path = [plain, gzip.compress(plain)], folder / "fuzzed.idx"

    def make(self, rng: random.Random) -> bytes:
        return mutate(rng.choice(self.valid), rng)

    def attempt(self, given: bytes) -> None:
        from nsae.datasets import read_idx

        self.path.write_bytes(given)
        read_idx(self.path)


class Images(Target):
    """Image files of eight formats."""

    def __init__(self, folder: Path):
        from PIL import Image

        from nsae import ImageReadError

        super().__init__(folder)
        self.refusals = (ImageReadError,)
        pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        self.valid = []
        for suffix, options in FORMATS.items():
            file = io.BytesIO()
            file.name = f"a.{suffix}"
            for mode in ("RGB", "L"):
                file.seek(0)
                Image.fromarray(pixels).convert(mode).save(file, **options)
                self.valid.append((suffix, file.getvalue()))

    def make(self, rng: random.Random) -> tuple[str, bytes]:
        suffix, data = rng.choice(self.valid)
        return suffix, mutate(data, rng)

    def attempt(self, given: tuple[str, bytes]) -> None:
        from nsae.images.decoding import load_image, load_thumbnail

        path = self.folder / f"fuzzed.{given[0]}"
        path.write_bytes(given[1])
        load_image(path, side=16)
        load_thumbnail(path, 16)

    def size(self, given: tuple[str, bytes]) -> int:
        return len(given[1])


class CommandLines(Target):
    """Words after ``nsae``, among them files that are there and files that are not."""

    patience = 12  # A command may learn an encoder.

    def __init__(self, folder: Path):
        from PIL import Image

        from nsae.cli import main

        super().__init__(folder)
        (folder / "photos").mkdir()
        for i in range(6):
            pixels = np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / f"{i}.png")
        np.save(folder / "rows.npy", np.random.default_rng(0).random((12, 4)))
        (folder / "broken.jpg").write_bytes(b"no photo")
        small = ["--units", "4", "--k", "2", "--epochs", "1"]
        for words in (
            ["train", str(folder / "rows.npy"), "-o", str(folder / "model.npz"), *small],
            [
                "index",
                str(folder / "photos"),
                "-o",
                str(folder / "photos.nsae"),
                "--whole",
                "--image-size",
                "4",
                *small,
            ],
        ):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                assert main(words) == 0, words
        self.main = main
        files = (
            "photos rows.npy broken.jpg model.npz photos.nsae photos/0.png photos/1.png new.npz none".split()
        )
        index = ["-i", str(folder / "photos.nsae")]
        rows, model, photo = (str(folder / name) for name in ("rows.npy", "model.npz", "photos/0.png"))
        self.sound = [
            ["similar", photo, *index],
            ["similar", photo, "+", str(folder / "photos/1.png"), "-k", "3", *index],
            ["explain", photo, "1.png", *index],
            ["units", *index],
            ["duplicates", *index],
            ["evaluate", *index, "--labels", r"(\d)"],
            ["info", model],
            ["encode", model, rows, "-o", str(folder / "new.nsae"), "--force"],
            ["train", rows, "-o", str(folder / "new.npz"), "--force", *small],
            ["index", str(folder / "photos"), "-o", str(folder / "new.nsae"), "--force", "--whole", *small],
            ["index", str(folder / "photos"), "-o", str(folder / "photos.nsae"), "--update"],
        ]
        self.words = [
            *"train encode index similar explain units duplicates evaluate info".split(),
            *"-i -o -k --json --force --update --whole --labels --top --keep --require --forbid --plus --minus".split(),
            *"--units --k --epochs --l1 --kl --rho --image-size --grey --batch-size --activation".split(),
            *"--strict --metric --radius --expand -0 --sort --common --no-pixels --seed + - -- -h".split(),
            *"0 1 2 -1 3.5 nan inf relu sigmoid cosine l2 folder name rows mean (\\d) ( 1,2".split(),
            *(str(folder / file) for file in files),
        ]

    def make(self, rng: random.Random) -> list[str]:
        words = list(rng.choice(self.sound))
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            at = rng.randrange(1, len(words) + 1)
            kind = rng.random()
            if kind < 0.5:
                words[at:at] = rng.choices(self.words, k=rng.randrange(1, 3))
            elif kind < 0.7:
                words[at - 1 : at] = [rng.choice(self.words)]
            elif kind < 0.8:
                words.insert(at, "".join(map(chr, rng.choices(range(1, 0x2FF), k=5))))
            elif len(words) > 1:
                del words[at - 1]
        if not words or {"demo", "download"} & set(words):
            return ["info"]
        learns = words[0] == "index" and not {"--update", "--whole", "--model"} & set(words)
        return [*words, "--whole"] if learns else words  # Else it learns from patches, for seconds.

    def attempt(self, given: list[str]) -> None:
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = self.main(given)
            except SystemExit as exit_:
                code = exit_.code
        said = err.getvalue()
        if code not in (0, 1, 2) or "Traceback" in said or "unexpected" in said:
            raise RuntimeError(f"exit code {code}: {said[-500:]}")
        if code:
            raise ValueError(said[-200:])

    def size(self, given: list[str]) -> int:
        return 1 << 20  # what the photos and the models take


TARGETS: dict[str, Callable[[Path], Target]] = {
    "model": Models,
    "index": Indexes,
    "idx": IdxFiles,
    "image": Images,
    "published": PublishedModels,
    "csr": CsrFiles,
    "command": CommandLines,
}


def made_up(name: str) -> Any:
    """Return the strategy by which hypothesis makes up inputs of a target, or None."""
    from hypothesis import strategies as st

    if name == "idx":
        return st.tuples(
            st.sampled_from([b"", b"\0\0\x08\x01", b"\0\0\x0d\x02", b"\x1f\x8b"]), st.binary(max_size=64)
        ).map(b"".join)
    if name == "image":
        heads = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"RIFF", b"P6\n"]
        data = st.tuples(st.sampled_from(heads), st.binary(max_size=200)).map(b"".join)
        return st.tuples(st.sampled_from(sorted(FORMATS)), data)
    if name == "model":
        return st.binary(max_size=400)
    if name == "command":
        word = st.one_of(
            st.sampled_from(["train", "info", "index", "--k", "-o", "--json", "similar"]), st.text(max_size=8)
        )
        return st.lists(word, min_size=1, max_size=6).filter(
            lambda words: words[0] != "demo" and "download" not in words
        )
    return None


def inputs(name: str, target: Target, first: int, count: int) -> Any:
    """Yield (number, input): nine in ten are changed files, the others come from hypothesis."""
    strategy = made_up(name)
    for number in range(first, first + count):
        rng = random.Random(f"{name} {number}")
        if strategy is None or number % 10:
            yield number, target.make(rng)
            continue
        yield number, _drawn(strategy, number)


def _drawn(strategy: Any, number: int) -> Any:
    """Return the value that a strategy draws for a number."""
    from hypothesis import HealthCheck, Phase, given, seed, settings

    found: list[Any] = []
    options = settings(
        max_examples=3,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def keep(value: Any) -> None:
        found.append(value)

    options(seed(number)(given(strategy)(keep)))()
    return found[-1]


def _work(name: str, first: int, count: int, counts: Any, at: Any, told: Any) -> None:
    """Try some inputs; count outcomes in ``counts``, keep the number in ``at``, tell faults by ``told``."""
    with tempfile.TemporaryDirectory() as place:
        inside = os.path.realpath(place)
        written: list[str] = []

        def watch(event: str, args: tuple[Any, ...]) -> None:
            if (
                event == "open"
                and isinstance(args[0], (str, bytes))
                and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            ):
                path = os.path.realpath(os.fsdecode(args[0]))
                if (
                    not path.startswith((inside, "/dev/"))
                    and "__pycache__" not in path
                    and ".hypothesis" not in path
                ):
                    written.append(path)

        os.chdir(place)
        tempfile.tempdir = place
        target = TARGETS[name](Path(place))
        sys.addaudithook(watch)
        tracemalloc.start()
        for number, given in inputs(name, target, first, count):
            written.clear()
            at.value = number
            signal.setitimer(signal.ITIMER_PROF, SECONDS * target.patience)
            signal.setitimer(signal.ITIMER_REAL, CLOCK)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            outcome, why = "accepted", ""
            try:
                target.attempt(given)
            except target.refusals as error:
                outcome = "refused" if str(error).strip() else "error"
            except BaseException as error:
                outcome, why = "error", f"{type(error).__name__}: {str(error)[:300]}"
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            peak = tracemalloc.get_traced_memory()[1] - before
            if outcome != "error" and peak > MEMORY + TIMES * target.size(given):
                outcome, why = "memory", f"{peak >> 20} MiB"
            if written:
                outcome, why = "outside", written[0]
            counts[OUTCOMES.index(outcome)] += 1
            if outcome in FAULTS:
                told.send((number, outcome, why))


def fuzz(name: str, first: int, count: int) -> dict[str, Any]:
    """Try inputs ``first`` and following of a target; return how many had which outcome, and the first faults."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    counts, at = context.Array("q", len(OUTCOMES)), context.Value("q", first - 1)
    faults: list[dict[str, Any]] = []
    while at.value < first + count - 1:
        start = at.value + 1
        hear, told = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(name, start, first + count - start, counts, at, told))
        worker.start()
        told.close()
        with contextlib.suppress(EOFError):
            while True:
                number, outcome, why = hear.recv()
                faults.append({"number": number, "outcome": outcome, "why": why})
        worker.join()
        if worker.exitcode:
            if at.value < start:
                raise RuntimeError(
                    f"The process for {name} ended before its first input ({worker.exitcode})."
                )
            died_of = -worker.exitcode if worker.exitcode < 0 else 0
            outcome = "hang" if died_of in (signal.SIGPROF, signal.SIGALRM) else "crash"
            counts[OUTCOMES.index(outcome)] += 1
            faults.append({"number": at.value, "outcome": outcome, "why": f"exit code {worker.exitcode}"})
    return {**dict(zip(OUTCOMES, counts, strict=True)), "faults": faults[:SHOWN]}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--inputs", type=usage.positive, default=100_000, help="how many in all (%(default)s)"
    )
    parser.add_argument("--target", choices=TARGETS, help="this one alone")
    parser.add_argument(
        "--first", type=usage.from_zero, default=0, help="number of the first input (%(default)s)"
    )
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="1,000 inputs")
    args = parser.parse_args()
    usage.need("The fuzzer", "hypothesis", install='pip install "nsae[test]"')
    names = [args.target] if args.target else list(TARGETS)
    each = max(1, (1000 if args.quick else args.inputs) // len(names))
    found = {}
    for name in names:
        found[name] = fuzz(name, args.first, each)
        if not args.json:
            print(
                f"{name:<10}" + "  ".join(f"{outcome} {found[name][outcome]}" for outcome in OUTCOMES),
                flush=True,
            )
            for fault in found[name]["faults"]:
                print(f"    {fault['outcome']} at input {fault['number']}: {fault['why']}")
    results.finish(args, "fuzz", found, peers=["hypothesis", "pillow"], seeds=[args.first])
    return int(any(found[name][fault] for name in names for fault in FAULTS))


if __name__ == "__main__":
    sys.exit(usage.run(main))
