"""Compression: photos as sparse codes of learned patterns, beside JPEG, WebP and JPEG 2000.

    NSAE_DATA=folder python benchmarks/compression.py [--quick] [--learn FILE] [--pictures FILE] [--json] [--save]

Rate is bits per pixel of the whole file, headers counted.  Distortion is the PSNR over red, green and blue.  Each
method's curve is interpolated at the rates below; JPEG is the better of 4:2:0 and 4:4:4 at each rate, with optimised
Huffman tables.  The photos are the 24 of Kodak, 768 × 512.  Sizes and steps were chosen on four of them (CHOSEN); the
result also has the mean of the other twenty.

--learn learns the patterns anew from Caltech-101 and writes them to FILE; nsae/compression/patterns.npz was made so.
--quick takes one of the small photos that come with nsae.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.timing import say
from PIL import Image

from nsae import SparseAutoencoder, datasets
from nsae.compression import Dictionary, compress, decompress, refine
from nsae.compression.codec import to_ycc
from nsae.compression.dictionary import SIDE

RATES = (0.25, 0.4, 0.6)
CHOSEN = ("01", "05", "12", "20")
UNITS, K, EPOCHS, STEP, PATCHES = 512, 6, 8, 24.0, 40_000
PEERS: dict[str, list[dict[str, Any]]] = {
    "jpeg": [
        {"format": "JPEG", "quality": quality, "optimize": True, "subsampling": sampling}
        for sampling in (0, 2)
        for quality in (*range(3, 40, 3), *range(40, 91, 5))
    ],
    "webp": [{"format": "WEBP", "quality": quality, "method": 6} for quality in range(0, 91, 6)],
    "jpeg2000": [
        {
            "format": "JPEG2000",
            "quality_mode": "rates",
            "quality_layers": [24 / rate],
            "irreversible": True,
            "mct": 1,
        }
        for rate in (0.2, 0.25, 0.32, 0.4, 0.5, 0.6, 0.7)
    ],
}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio over all channels, in dB."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def at_rates(points: list[tuple[float, float]]) -> dict[str, float]:
    """Return the PSNR at each of RATES, interpolated between points (rate, PSNR) of one curve; NaN beyond its ends."""
    rates, values = np.array(sorted(points)).T
    return {str(rate): float(np.interp(rate, rates, values, left=np.nan, right=np.nan)) for rate in RATES}


def peer_curves(photo: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the PSNR of each peer at each rate."""
    image, curves = Image.fromarray(photo), {}
    for name, settings in PEERS.items():
        points: dict[Any, list[tuple[float, float]]] = {}
        for options in settings:
            file = io.BytesIO()
            image.save(file, **options)
            back = np.asarray(Image.open(file).convert("RGB"))
            points.setdefault(options.get("subsampling"), []).append(
                (bits(file.tell(), photo), psnr(photo, back))
            )
        ways = [at_rates(way) for way in points.values()]
        curves[name] = {
            rate: max((way[rate] for way in ways if not np.isnan(way[rate])), default=np.nan)
            for rate in ways[0]
        }
    return curves


def bits(n_bytes: int, photo: np.ndarray) -> float:
    """Return bits per pixel."""
    return 8 * n_bytes / (photo.shape[0] * photo.shape[1])


def our_curve(photo: np.ndarray) -> tuple[dict[str, float], list[float]]:
    """Return our PSNR at each rate, and seconds to compress and to decompress at the middle one.

    Qualities 7 apart are tried, as many as the rates need.
    """
    points: dict[int, tuple[float, float, float, float]] = {}

    def measure(quality: int) -> float:
        started = time.perf_counter()
        data = compress(photo, quality)
        between = time.perf_counter()
        back = decompress(data)
        seconds = (between - started, time.perf_counter() - between)
        points[quality] = (bits(len(data), photo), psnr(photo, back), *seconds)
        return points[quality][0]

    quality = 40
    rate = measure(quality)
    while rate < RATES[-1] and max(points) + 7 <= 100:
        rate = measure(max(points) + 7)
    while points[min(points)][0] > RATES[0] and min(points) > 7:
        measure(min(points) - 7)
    middle = min(points.values(), key=lambda point: abs(point[0] - RATES[1]))
    return at_rates([point[:2] for point in points.values()]), list(middle[2:])


def kodak() -> dict[str, np.ndarray]:
    """Return the photos of ``kodak.tar`` in the data folder by number."""
    photos = {}
    with tarfile.open(datasets.data_folder() / "kodak.tar") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and member.name.endswith(".png"):
                photos[Path(member.name).stem[-2:]] = np.asarray(Image.open(file).convert("RGB"))
    return dict(sorted(photos.items()))


def learn(path: Path) -> dict[str, float]:
    """Learn patterns from Caltech-101 and write them; return what it took."""
    started, rng = time.perf_counter(), np.random.default_rng(0)
    X = []
    for side in (112, 160):  # as they are stored, and smoother
        images, _ = datasets.caltech101(side)
        for image in images[rng.permutation(len(images))[:2000]]:
            for plane, n, contrast in zip(to_ycc(image), (20, 3, 3), (1, 2, 2), strict=True):
                rows, columns = (rng.integers(0, size - SIDE + 1, n) for size in plane.shape)
                for row, column in zip(rows, columns, strict=True):
                    patch = plane[row : row + SIDE, column : column + SIDE].ravel()
                    X.append(contrast * (patch - patch.mean()))
    X = np.array(X, np.float32)[rng.permutation(len(X))]  # (n, 64)
    X = X[np.linalg.norm(X, axis=1) > 2 * STEP][: 3 * PATCHES]  # a flat patch has nothing to learn from
    X *= rng.uniform(0.7, 1.4, (len(X), 1)).astype(np.float32)  # as for a finer or a coarser step
    model = SparseAutoencoder(
        UNITS, k=K, unit_norm=True, init="samples", aux_weight=1 / 32, epochs=EPOCHS, random_state=0
    ).fit(X / X.std())
    dictionary = refine(model.autoencoder_.decoder_layer.W, X[:PATCHES], STEP)
    dictionary.save(path)
    figures = {"patches": len(X), "explained_variance": model.score(X / X.std())}
    return {**figures, "seconds": time.perf_counter() - started, "bytes": path.stat().st_size}


def draw(path: Path, figures: dict[str, Any]) -> None:
    """Draw each photo's gain over JPEG, and the mean curves."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(2, 3), layout="constrained")
    for name, label in (("nsae", "nsae"), ("jpeg", "JPEG"), ("webp", "WebP"), ("jpeg2000", "JPEG 2000")):
        left.plot(RATES, [figures["mean"][name][str(rate)] for rate in RATES], marker="o", label=label)
    left.set(xlabel="bits per pixel", ylabel="PSNR (dB)", title="Mean of the 24 Kodak photos")
    left.legend()
    photos = figures["photos"]
    for rate in RATES:
        gain = [photo["nsae"][str(rate)] - photo["jpeg"][str(rate)] for photo in photos.values()]
        right.plot(list(photos), gain, marker="o", linestyle="none", label=f"{rate:g} bits per pixel")
    right.axhline(0, color="black", linewidth=0.8)
    right.set(xlabel="photo", ylabel="dB above JPEG", title="Each photo: PSNR of nsae minus that of JPEG")
    right.tick_params(axis="x", labelsize=8)
    right.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def mean(photos: dict[str, Any], names: list[str]) -> dict[str, dict[str, float]]:
    """Return the mean PSNR of each method at each rate over some photos."""
    return {
        method: {str(r): float(np.mean([photos[name][method][str(r)] for name in names])) for r in RATES}
        for method in ("nsae", *PEERS)
    }


def over_jpeg(means: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how far nsae is above JPEG at each rate, in dB."""
    return {str(rate): means["nsae"][str(rate)] - means["jpeg"][str(rate)] for rate in RATES}


def main(argv: list[str] | None = None) -> int:
    """Learn, if asked to; compress each photo at several qualities; print PSNR at equal rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="one small photo: to see that it runs")
    parser.add_argument(
        "--learn", type=usage.new_file, metavar="FILE", help="learn the patterns, write them, and end"
    )
    parser.add_argument(
        "--pictures", type=usage.picture, metavar="FILE", help="draw the figure of docs/compression.md"
    )
    args = parser.parse_args(argv)
    if args.learn:
        say(str(learn(args.learn)))
        return 0
    if args.quick:
        photos = {"03": np.asarray(Image.open(datasets.photos()[2]).convert("RGB"))}
    else:
        photos = kodak()
    rows: dict[str, Any] = {}
    seconds = []
    for name, photo in photos.items():
        curve, times = our_curve(photo)
        rows[name] = {"nsae": curve, **peer_curves(photo)}
        seconds.append(times)
        say(
            "; ".join(
                [name] + [f"{m} " + " ".join(f"{v:.2f}" for v in c.values()) for m, c in rows[name].items()]
            )
        )
    names = list(rows)
    means = mean(rows, names)
    figures: dict[str, Any] = {"photos": rows, "mean": means, "db_over_jpeg": over_jpeg(means)}
    others = [name for name in names if name not in CHOSEN]
    figures["others"] = {"n": len(others), "db_over_jpeg": over_jpeg(mean(rows, others))}
    figures["seconds"] = dict(
        zip(("compress", "decompress"), np.median(seconds, axis=0).tolist(), strict=True)
    )
    figures["learned"] = {"bytes": Dictionary.load().V.nbytes, "units": len(Dictionary.load().counts)}
    say(f"dB above JPEG: { {rate: round(gain, 2) for rate, gain in figures['db_over_jpeg'].items()} }")
    if args.pictures:
        draw(args.pictures, figures)
    results.finish(args, "compression", {"kodak": figures}, peers=("pillow",))
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
