"""What a folder of photos costs: decoding and encoding it, finding out that nothing is new, taking in one photo.

    python benchmarks/library_speed.py [--photos FOLDER] [--rounds N] [--quick] [--json] [--save]

Photos are Corel-1K's, unpacked into a temporary folder, or copies of those in a folder of yours.  Also: how long do
small images take, the digits of MNIST (with --quick, noise)?  How long does one image take that is encoded alone?
How long do photos take without Numba, in turns with it?  What does it cost to save an index of 100,000 made codes,
whole, and again after one code came and one went?  And do the contributions of explain() add up to the similarity?
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.ranking import say

from nsae import CodeIndex, Codes, ImageEncoder
from nsae.datasets import data_folder, mnist
from nsae.images import ImageLibrary, find_images, load_images
from nsae.images.pipeline import ImagePipeline
from nsae.retrieval.search.brute_force import METRICS

PAIRS = 10_000
SMALL = 5_000  # small images that are learned from
WITHOUT_NUMBA = 100  # photos that are encoded with each backend
ALONE = 100  # images that are encoded one by one
SAVED, UNITS, ACTIVE = 100_000, 4_096, 16  # codes of the index that is saved


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of some work, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def unpacked(folder: Path, photos: str | None, most: int | None) -> list[Path]:
    """Return the photos as files in ``folder``, in the order of their names."""
    if photos is None:
        path = data_folder() / "corel1k.tar"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} does not exist. Set NSAE_DATA to the folder that holds it, or name photos of yours: "
                "--photos FOLDER."
            )
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    else:
        for i, path in enumerate(find_images(photos)):
            shutil.copyfile(path, folder / f"{i:06d}{path.suffix}")
    paths = find_images(folder)
    if not paths:
        raise ValueError(f"{photos} has no photo: a folder of photos was expected")
    most = len(paths) if most is None else most
    for path in paths[most:]:
        path.unlink()
    return paths[:most]


def similarity(metric: str, distance: float, q2: float, z2: float) -> float:
    """Return what contributions are to add up to, from the distance that ``search`` reports."""
    if metric in ("cosine", "jaccard"):
        return 1 - distance
    if metric == "dot":
        return -distance
    return 1 - (distance**2 if metric == "l2" else distance) / (q2 + z2 or 1)


def explained(codes: Codes, pairs: int) -> dict[str, float]:
    """Return by metric the largest difference between the sum of contributions and the similarity."""
    rng = np.random.default_rng(0)
    worst = {}
    for metric in METRICS:
        index = CodeIndex(codes.n_units, metric=metric)
        index.add(codes)
        squares = codes.counts if metric in ("jaccard", "hamming") else codes.norms() ** 2  # (n,)
        worst[metric], queries = 0.0, rng.integers(len(codes), size=100)
        for q in queries:
            rows = rng.integers(len(codes), size=-(-pairs // len(queries)))
            hits = index.search(codes[int(q)], len(codes))
            distance = np.empty(len(codes))
            distance[hits.rows[0]] = hits.distances[0]
            for row in rows:
                total = sum(part for _, part in index.explain(codes[int(q)], int(row), top=codes.n_units))
                expected = similarity(metric, distance[row], float(squares[q]), float(squares[row]))
                scale = max(1.0, abs(expected))  # a dot product may be larger than 1
                worst[metric] = float(np.maximum(worst[metric], abs(total - expected) / scale))  # NaN stays
    return worst


def one_by_one_ms(encoder: ImageEncoder | ImagePipeline, images: np.ndarray) -> float:
    """Return the median of the milliseconds that one of ``images`` takes, encoded alone; two come before."""
    for _ in range(2):
        encoder.encode(images[:1])
    seconds = [timed(lambda i=i: encoder.encode(images[i : i + 1]))[0] for i in range(len(images))]
    return 1000 * float(np.median(seconds))


def small_images(quick: bool, rounds: int) -> dict[str, float]:
    """Return figures of images of 28 × 28 pixels, encoded by an encoder that learned from others.

    They are how many a second, and the milliseconds of one alone.
    """
    if quick:
        images = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
        learned, images = images[:100], images[100:]
    else:
        learned, images = mnist("train")[0][:SMALL], mnist("test")[0]
    encoder = ImageEncoder(random_state=0).fit(learned)
    encoder.encode(images[:20])
    rates = [len(images) / timed(lambda: encoder.encode(images))[0] for _ in range(rounds)]
    return {"small_per_s": float(np.median(rates)), "one_small_ms": one_by_one_ms(encoder, images[:ALONE])}


def seconds_by_backend(encoder: ImagePipeline, images: np.ndarray, rounds: int) -> dict[str, float]:
    """Return the least seconds that ``images`` take with each backend, of rounds in turns."""
    seconds: dict[str, list[float]] = {"numba": [], "numpy": []}
    for _ in range(rounds):
        for backend, times in seconds.items():
            times.append(timed(lambda backend=backend: encoder.encode(images, backend=backend))[0])
    return {backend: min(times) for backend, times in seconds.items()}


def saving(n: int, folder: Path, rounds: int) -> dict[str, float]:
    """Return seconds and MB of saving an index of ``n`` codes, whole, and again after one code came and one went."""
    rng = np.random.default_rng(0)
    units = np.arange(ACTIVE) * (UNITS // ACTIVE) + rng.integers(
        UNITS // ACTIVE, size=(n, ACTIVE)
    )  # (n, ACTIVE)
    values = rng.random(n * ACTIVE).astype(np.float32) + 0.1
    index = CodeIndex(UNITS)
    index.add(Codes(np.arange(n + 1) * ACTIVE, units.ravel().astype(np.int32), values, UNITS))
    index.warm_up()
    whole = [timed(lambda i=i: index.save(folder / f"{i}.nsae"))[0] for i in range(rounds)]
    place, again = folder / "0.nsae", []
    index = CodeIndex.load(place)
    size = sum(file.stat().st_size for file in place.iterdir())
    for i in range(rounds):
        index.add(index.codes[i])
        index.remove([i])
        before = {file.name: file.stat().st_mtime_ns for file in place.iterdir()}
        again.append(timed(lambda: index.save(place, overwrite=True))[0])
    written = [file for file in place.iterdir() if before.get(file.name) != file.stat().st_mtime_ns]
    return {
        "whole_s": float(np.median(whole)),
        "whole_mb": size / 1e6,
        "again_s": float(np.median(again)),
        "again_mb": sum(file.stat().st_size for file in written) / 1e6,
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "photos")
        root.mkdir()
        paths = unpacked(root, options.photos, 60 if options.quick else None)
        newcomer, *paths = paths
        shutil.move(newcomer, place)
        say(f"{len(paths)} photos; learning")
        fit_s, encoder = timed(lambda: ImageEncoder(random_state=0).fit(paths))
        encoder.encode(paths[:20])
        decoded, encoded, processor = [], [], []
        images, _ = load_images(paths, side=encoder.geometry_.image_size)
        for _ in range(options.rounds):
            busy = time.process_time()
            decoded.append(len(paths) / timed(lambda: encoder.encode(paths))[0])
            processor.append((time.process_time() - busy) / len(paths))
            encoded.append(len(paths) / timed(lambda: encoder.encode(images))[0])
        codes = encoder.encode(images)
        say("without Numba")
        by_backend = seconds_by_backend(encoder.encoder(), images[:WITHOUT_NUMBA], options.rounds)

        library = ImageLibrary(encoder, root)
        library.save(Path(place, "library"))
        first_s, report = timed(library.update)
        say(f"first update: {report}")
        unchanged, one_new = [], []
        for _ in range(options.rounds):
            seconds, opened = timed(lambda: ImageLibrary.open(Path(place, "library")))
            again, report = timed(opened.update)
            assert set(report.counts().values()) == {0}, report
            unchanged.append(seconds + again)
            shutil.copy(Path(place, newcomer.name), root)
            seconds, report = timed(opened.update)
            assert len(report.added) == 1, report
            one_new.append(seconds)
            os.unlink(root / newcomer.name)
            opened.update()
        say("explaining")
        return {
            "photos": len(paths),
            "fit_s": fit_s,
            "photos_per_s": float(np.median(decoded)),
            "processor_ms": 1000
            * float(np.median(processor)),  # of all processors; others do not change it much
            "arrays_per_s": float(np.median(encoded)),
            "numpy_ms": 1000 * by_backend["numpy"] / min(len(paths), WITHOUT_NUMBA),
            "numpy_over_numba": by_backend["numpy"] / by_backend["numba"],
            **small_images(options.quick, options.rounds),
            "one_photo_ms": one_by_one_ms(encoder, images[:ALONE]),
            "first_update_s": first_s,
            "unchanged_s": float(np.median(unchanged)),
            "one_new_s": float(np.median(one_new)),
            "save": saving(2_000 if options.quick else SAVED, Path(place), options.rounds),
            "explain_error": explained(codes, 200 if options.quick else PAIRS),
        }


def main(argv: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="60 photos: to see that it runs")
    parser.add_argument("--photos", metavar="FOLDER", help="copies of these instead of Corel-1K")
    parser.add_argument("--rounds", type=usage.positive, default=5, help="medians of so many (5)")
    options = parser.parse_args(argv)
    result = run(options)
    print(f"{result['photos']} photos, {os.cpu_count()} processors")
    print(f"  learning an encoder                        {result['fit_s']:8.2f} s")
    print(f"  decoding and encoding                      {result['photos_per_s']:8.0f} photos/s")
    print(f"    processor time                           {result['processor_ms']:8.2f} ms a photo")
    print(f"  encoding alone                             {result['arrays_per_s']:8.0f} photos/s")
    print(f"    without Numba                            {result['numpy_ms']:8.2f} ms a photo")
    print(f"      times as long                          {result['numpy_over_numba']:8.1f}")
    print(f"    one photo alone                          {result['one_photo_ms']:8.2f} ms")
    print(f"  encoding small images                      {result['small_per_s']:8.0f} images/s")
    print(f"    one alone                                {result['one_small_ms']:8.2f} ms")
    print(f"  a library's first update                   {result['first_update_s']:8.2f} s")
    print(f"  opening it, and an update with no news     {result['unchanged_s']:8.3f} s")
    print(f"  an update with one new photo               {result['one_new_s']:8.3f} s")
    for what, name in (("saving an index", "whole"), ("  again, one code came, one went", "again")):
        seconds, mb = result["save"][f"{name}_s"], result["save"][f"{name}_mb"]
        print(f"  {what:40}   {seconds:8.3f} s, {mb:.1f} MB")
    print("Contributions of explain(), added up, less the similarity; largest of random pairs")
    for metric, error in result["explain_error"].items():
        print(f"  {metric:10} {error:.1e}")
    results.finish(options, "library_speed", result, peers=["pillow"])
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
