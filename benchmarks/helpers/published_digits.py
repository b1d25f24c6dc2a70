"""Published results on digits, for published.py: self-taught learning, a stack, and k-sparse codes.

With ``quick``, built-in characters take the place of MNIST: that shows that it runs, and no more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae import SparseAutoencoder
from nsae.datasets import glyphs, mnist
from nsae.deep import SoftmaxClassifier, StackedAutoencoder

UFLDL = {"activation": "sigmoid", "output": "sigmoid", "kl": 3.0, "rho": 0.1, "weight_decay": 3e-3}
DECAYS = (1e-5, 1e-4, 1e-3)  # of softmax, from which held-out training images choose
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def digits(quick: bool) -> Split:
    """Return training images (n, 784) float32 in [0, 1], their labels, and the same of test images."""
    if quick:
        images, names = glyphs(2000, random_state=0)
        labels = np.unique(names, return_inverse=True)[1] % 10
        X = images.reshape(len(images), -1)
        return X[:1500], labels[:1500], X[1500:], labels[1500:]
    sets = [mnist(split) for split in ("train", "test")]
    X, Q = (images.reshape(len(images), -1) / np.float32(255) for images, _ in sets)
    return X, sets[0][1].astype(int), Q, sets[1][1].astype(int)


def best_decay(Z: np.ndarray, y: np.ndarray, seed: int, **options: Any) -> tuple[float, float]:
    """Return the weight decay of softmax that does best on a fifth of the rows Z, and its accuracy there."""
    order = np.random.default_rng(seed).permutation(len(Z))
    held_out, rows = order[: len(Z) // 5], order[len(Z) // 5 :]
    right = {}
    for decay in DECAYS:
        model = SoftmaxClassifier(weight_decay=decay, random_state=seed, **options).fit(Z[rows], y[rows])
        right[decay] = model.score(Z[held_out], y[held_out])
    best = max(right, key=right.__getitem__)
    return best, right[best]


def classify(
    Z: np.ndarray, y: np.ndarray, Q: np.ndarray, seed: int, **options: Any
) -> tuple[np.ndarray, float]:
    """Return softmax's predictions for the rows Q, and its weight decay, which a fifth of the rows Z has chosen."""
    decay, _ = best_decay(Z, y, seed, **options)
    order = np.random.default_rng(seed).permutation(len(Z))
    model = SoftmaxClassifier(weight_decay=decay, random_state=seed, **options).fit(Z[order], y[order])
    return model.predict(Q), decay


def self_taught(quick: bool, seed: int) -> dict[str, float]:
    """Return the accuracy on digits 0 to 4 of features from digits 5 to 9, and of raw pixels."""
    X, y, _, _ = digits(quick)
    unlabelled, labelled, numbers = X[y >= 5], X[y < 5], y[y < 5]
    half = len(labelled) // 2
    options = {"epochs": 2 if quick else 50, "batch_size": 1000, "lr_schedule": "linear"}
    model = SparseAutoencoder(200, learning_rate=0.03, random_state=seed, **UFLDL, **options).fit(unlabelled)
    figures: dict[str, float] = {"published": 0.983, "published_raw": 0.96}
    for name, rows in (("ours", model.transform(labelled)), ("raw", labelled)):
        found, decay = classify(rows[:half], numbers[:half], rows[half:], seed, epochs=3 if quick else 50)
        figures |= {name: float(np.mean(found == numbers[half:])), f"{name}_weight_decay": decay}
    return figures


def stacked(quick: bool, seed: int) -> dict[str, float]:
    """Return the accuracy of 784-200-200-10 on test digits, before and after fine-tuning."""
    X, y, Q, wanted = digits(quick)
    options = {"epochs": 2 if quick else 20, "batch_size": 1000, "lr_schedule": "linear"}
    layers = [
        SparseAutoencoder(200, learning_rate=0.03, random_state=seed + i, **UFLDL, **options) for i in (0, 1)
    ]
    epochs = 2 if quick else 20
    model = StackedAutoencoder(
        layers, softmax_epochs=epochs, epochs=epochs, batch_size=200, random_state=seed
    )
    model.pretrain(X).fit_softmax(X, y)
    before = model.score(Q, wanted)
    after = model.fine_tune(X, y).score(Q, wanted)
    return {"before": before, "after": after, "published_before": 0.877, "published_after": 0.976}


def k_sparse(quick: bool, seed: int) -> dict[str, Any]:
    """Return the error on test digits of softmax regression on codes of 1,000 units that learned with k = 25.

    As in the paper, more units may be active when the codes are used than when they were learned: held-out
    training images choose between 75, all that are positive, and both signs of all that differ most.
    """
    X, y, Q, wanted = digits(quick)
    options = {"k": 25, "learning_rate": 2e-3, "lr_schedule": "linear", "epochs": 2 if quick else 15}
    model = SparseAutoencoder(100 if quick else 1000, random_state=seed, **options).fit(X)
    layer = model.autoencoder_.encoder_layer

    def both_signs(rows: np.ndarray) -> np.ndarray:
        Y = layer.forward(rows)  # (1) (n, h)
        Y -= Y.mean(axis=1, keepdims=True)
        spread = Y.std(axis=1, keepdims=True)  # (n, 1)
        return np.hstack([np.maximum(Y - spread, 0), np.maximum(-Y - spread, 0)])  # (n, 2h)

    encodings = {
        "75 units": model.with_k(75).transform,
        "positive": model.with_k(model.n_units).transform,
        "both signs": both_signs,
    }
    steps = {"epochs": 2 if quick else 30, "batch_size": 200, "learning_rate": 3e-3}
    held_out = {name: 1 - best_decay(encode(X), y, seed, **steps)[1] for name, encode in encodings.items()}
    best = min(held_out, key=held_out.__getitem__)
    found, decay = classify(encodings[best](X), y, encodings[best](Q), seed, **steps)
    return {
        "error": float(np.mean(found != wanted)),
        "published": 0.0135,
        "encoding": best,
        "weight_decay": decay,
        "held_out": held_out,
    }


def sparsity(quick: bool, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return dead units and explained variance of 1,000 units for several k, with and without cures."""
    X = digits(quick)[0][: 500 if quick else 20_000]
    cures: dict[str, dict[str, Any]] = {
        "nothing": {},
        "start from samples": {"init": "samples"},
        "start from scaled samples": {"init": "scaled samples"},
        "auxiliary loss": {"aux_weight": 1 / 32, "dead_after": len(X)},
    }
    figures: dict[str, dict[str, dict[str, float]]] = {}
    units, epochs = (64, 2) if quick else (1000, 10)
    for k in (5, 25) if quick else (5, 10, 25, 50):
        for cure, options in cures.items():
            model = SparseAutoencoder(units, k=k, epochs=epochs, random_state=seed, **options).fit(X)
            row = {"dead": len(model.dead_units(X)) / units, "explained_variance": model.score(X)}
            figures.setdefault(cure, {})[f"k{k}"] = row
    return figures
