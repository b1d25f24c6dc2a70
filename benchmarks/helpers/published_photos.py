"""Published results on photos, for published.py: edges from natural patches, and a linear classifier on CIFAR-10."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from nsae import SparseAutoencoder, plots
from nsae.datasets import cifar10_jpeg, data_folder, glyphs, photos
from nsae.deep import SoftmaxClassifier
from nsae.images.features.patches import Whitening, cut_patches, fold, normalise_contrast
from nsae.images.features.pooling import cells_of
from nsae.system.threads import Threads

from .gabor import fit_gabor

BOUND = 0.8  # R² from which on a unit counts as a Gabor function


# ---- natural patches


def natural_photos(quick: bool) -> list[np.ndarray]:
    """Return the Kodak photographs in grey, or with ``quick`` the small ones of the package."""
    if quick:
        return [np.asarray(Image.open(path).convert("L"), float) for path in photos()]
    found = []
    with tarfile.open(data_folder() / "kodak.tar") as archive:
        for member in sorted((m for m in archive if m.name.endswith(".png")), key=lambda m: m.name):
            file = archive.extractfile(member)
            assert file is not None
            image = Image.open(io.BytesIO(file.read())).convert("L")
            half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
            found.append(np.asarray(half, float))
    return found


def whitened(photo: np.ndarray) -> np.ndarray:
    """Return a photo as Olshausen and Field (1996) whiten it: a wave counts as much as its frequency, up to 0.3."""
    rows, columns = (np.fft.fftfreq(n) for n in photo.shape)
    f = np.hypot(rows[:, None], columns)  # waves a pixel
    white = np.fft.ifft2(np.fft.fft2(photo) * f * np.exp(-((f / 0.3) ** 4))).real
    return white / white.std()


def natural_patches(quick: bool, seed: int, pictures: Path | None = None) -> dict[str, float]:
    """Return the fraction of units of 64-25-64 that a Gabor function fits, and the median R²."""
    rng = np.random.default_rng(seed)
    white = [whitened(photo) for photo in natural_photos(quick)]
    n, side = (1000 if quick else 10_000), 8
    P = np.empty((n, side, side))
    for i in range(n):
        image = white[rng.integers(len(white))]
        row, column = (rng.integers(4, extent - side - 3) for extent in image.shape)
        P[i] = image[row : row + side, column : column + side]
    P = P.reshape(n, -1)  # (n, 64)
    P -= P.mean(axis=1, keepdims=True)
    limit = 3 * P.std()
    X = ((np.clip(P, -limit, limit) / limit + 1) * 0.4 + 0.1).astype(np.float32)  # within [0.1, 0.9]
    sparse = {"activation": "sigmoid", "output": "sigmoid", "kl": 3, "rho": 0.01, "weight_decay": 1e-4}
    steps = {
        "learning_rate": 0.1,
        "epochs": 5 if quick else 1000,
        "batch_size": 1000,
        "lr_schedule": "linear",
    }
    model = SparseAutoencoder(25, random_state=seed, **sparse, **steps).fit(X)
    W = model.autoencoder_.encoder_layer.W  # (25, 64)
    R2 = fit_gabor(W, side, seed)
    noise = fit_gabor(rng.standard_normal((100, side * side)), side, seed)
    if pictures is not None:
        picture = io.BytesIO()
        plots.filters({"rows of W": W}, rows=5).savefig(picture, dpi=80)
        grey = Image.open(picture).convert("L").quantize(32)  # small enough to be committed
        grey.save(pictures / "published_patches.png", optimize=True)
    return {
        "gabor_fraction": float(np.mean(R2 >= BOUND)),
        "gabor_median_r2": float(np.median(R2)),
        "noise_fraction": float(np.mean(noise >= BOUND)),
        "noise_median_r2": float(np.median(noise)),
        "bound": BOUND,
        "mean_activation": float(model.history_["rho_hat"][-1].mean()),
    }


# ---- CIFAR-10


class PatchCodes:
    """Patches of 6 × 6 pixels, contrast-normalised (29) and whitened (30), and their pooled codes in four quadrants.

    The dictionary is the unit-norm patterns of a k-sparse autoencoder with k = 1, and the code is
    max(0, pattern · patch − threshold): Coates and Ng (2011) call it a soft threshold.
    """

    def __init__(self, images: np.ndarray, units: int, n_patches: int, seed: int):
        rng = np.random.default_rng(seed)
        rows, places = rng.integers(len(images), size=n_patches), rng.integers(27, size=(n_patches, 2))
        cut = [images[i, r : r + 6, c : c + 6].ravel() for i, (r, c) in zip(rows, places, strict=True)]
        P = normalise_contrast(np.array(cut, np.float32) / np.float32(255), 10 / 255**2)  # (29) (n, 108)
        whitening = Whitening.fit(P, 0.1)
        options = {"unit_norm": True, "init": "samples", "batch_size": 1024, "lr_schedule": "linear"}
        model = SparseAutoencoder(units, k=1, epochs=5, random_state=seed, **options).fit(whitening(P))
        D = model.encoder().patterns().astype(np.float32)  # (units, 108)
        D /= np.linalg.norm(D, axis=1, keepdims=True)
        self.A, self.a = fold(D, np.zeros(units, np.float32), whitening)
        cells = cells_of(27, (2,))[0][:, 0]  # (729,)
        self.order = np.argsort(cells, kind="stable")  # patches of one quadrant one after the other
        self.cuts = np.searchsorted(cells[self.order], np.arange(5))

    def __call__(self, images: np.ndarray, threshold: float) -> np.ndarray:
        """Return pooled codes (n, 4 · units) float32."""
        F = np.empty((len(images), 4 * len(self.a)), np.float32)

        def some(_part: int, lo: int, hi: int) -> None:
            for i in range(lo, hi):
                X = cut_patches(images[i] / np.float32(255), 6, 1)[self.order]  # (729, 108)
                Y = normalise_contrast(X, 10 / 255**2) @ self.A.T  # (29) (1) (30) (729, units)
                Y += self.a - np.float32(threshold)
                np.maximum(Y, 0, out=Y)
                F[i] = np.concatenate(
                    [Y[lo:hi].sum(axis=0) for lo, hi in zip(self.cuts, self.cuts[1:], strict=False)]
                )

        with Threads() as threads:
            threads.parallel_for(len(images), some, work=len(images) * 729 * len(self.a))
        return F


def cifar_linear(quick: bool, seed: int, units: int) -> dict[str, float]:
    """Return the accuracy of softmax regression on pooled codes; threshold and weight decay by held-out images."""
    if quick:
        (X, y), (Q, wanted) = _characters(0, 300), _characters(1, 100)
    else:
        (X, y), (Q, wanted) = cifar10_jpeg("train"), cifar10_jpeg("test")
    mixed = np.random.default_rng(seed).permutation(len(X))
    X, y = X[mixed], y[mixed]
    codes = PatchCodes(X, units, 2000 if quick else 200_000, seed)
    some = len(X) // 10  # to choose the threshold, and below, to be held out
    tried = {t: _held_out(codes(X[: 2 * some], t), y[: 2 * some], some, 0.03, seed) for t in (0.25, 0.5, 1.0)}
    threshold = max(tried, key=tried.__getitem__)
    F = codes(X, threshold)
    found = {decay: _held_out(F, y, some, decay, seed) for decay in (0.01, 0.03, 0.1)}
    decay = max(found, key=found.__getitem__)
    mean, scale = _standard(F)
    model = _softmax(decay, seed).fit(_scaled(F, mean, scale), y)
    right = model.score(_scaled(codes(Q, threshold), mean, scale), wanted)
    return {f"units_{units}": right, "threshold": threshold, "weight_decay": decay, "held_out": found[decay]}


def _characters(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return characters as (n, 32, 32, 3) uint8, and ten labels: to see that it runs."""
    images, names = glyphs(n, random_state=seed)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None].repeat(3, axis=3)
    return (255 * padded).astype(np.uint8), np.array([ord(name) % 10 for name in names])


def _standard(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each column, the latter a little larger: no column is 0."""
    return F.mean(axis=0), F.std(axis=0) + np.float32(0.01)


def _scaled(F: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Scale the rows F in place: they take a gigabyte."""
    F -= mean
    F /= scale
    return F


def _softmax(decay: float, seed: int) -> SoftmaxClassifier:
    return SoftmaxClassifier(weight_decay=decay, epochs=15, learning_rate=1e-3, random_state=seed)


def _held_out(F: np.ndarray, y: np.ndarray, n: int, decay: float, seed: int) -> float:
    """Return the accuracy on the last n rows of a classifier that learned from the others."""
    mean, scale = _standard(F[:-n])
    model = _softmax(decay, seed).fit((F[:-n] - mean) / scale, y[:-n])
    return model.score((F[-n:] - mean) / scale, y[-n:])
