"""A small library of photos, for the tests of what is shown of one."""

from types import SimpleNamespace

import numpy as np
import pytest

from nsae import CodeIndex, SparseAutoencoder

COLORS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 220)}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Four photos of each of three colours in ``root``, an encoder of whole images, and their index."""
    Image = pytest.importorskip("PIL.Image")
    from nsae.images import load_images

    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for name, color in COLORS.items():
        for i in range(4):
            pixels = np.clip(rng.normal(color, 30, (18, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((240, 180)).save(root / f"{name} {i}.png")
    paths = sorted(root.iterdir())
    images, _ = load_images(paths, side=8)
    X = images.reshape(len(images), -1)
    model = SparseAutoencoder(24, k=6, epochs=20, random_state=0).fit(X)
    model.preprocessing_ = {"side": 8, "color": True}
    index = CodeIndex(24)
    index.add(model.encode(X), [path.name for path in paths])
    return SimpleNamespace(root=root, paths=paths, index=index, encoder=model.encoder(), images=images)
