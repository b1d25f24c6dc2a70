"""Images that are learned in a moment, and an ImageEncoder's options for them."""

import numpy as np

SMALL = {
    "grid": 3,
    "patch_size": 4,
    "patch_units": 24,
    "patch_k": 4,
    "n_components": 10,
    "patch_epochs": 1,
    "epochs": 2,
}


def bars(n, side=12, color=False, seed=0):
    """Images of bright bars, upright (label 0) or lying (label 1), in many places, on noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.random((n, side, side)) * 0.2
    for image, label in zip(images, labels, strict=True):
        bar = image if label else image.T
        bar[rng.integers(1, side - 2) :][:2] += 0.7
    if color:
        images = images[..., None] * rng.uniform(0.5, 1, (n, 1, 1, 3))
    return np.rint(images * 255).astype(np.uint8), labels
