"""A script as a user writes it, for the type checker alone: `python -m mypy --strict tests/strict_user.py`."""

from pathlib import Path

import numpy as np

from nsae import (
    CodeIndex,
    Codes,
    Encoder,
    Hits,
    ImageEncoder,
    ImageLibrary,
    SparseAutoencoder,
    check_gradients,
    evaluate,
    export_encoder,
    load_encoder,
    plots,
)
from nsae.datasets import glyphs

X = np.random.default_rng(0).random((50, 9), dtype=np.float32)
model: SparseAutoencoder = SparseAutoencoder(8, k=2, epochs=2).fit(X).partial_fit(X).set_params(k=3)
codes: Codes = model.encode(X)
X_hat: np.ndarray = model.inverse_transform(codes)
losses: list[float] = list(model.history_["loss"])
encoder: Encoder = model.set_output(transform="default").encoder()
same: SparseAutoencoder = SparseAutoencoder.from_bytes(model.to_bytes())
print(check_gradients(model, X).ok, repr(codes.keep(1)), codes.to_dense().sum())

index = CodeIndex(8, metric="cosine")
index.add(codes, [f"row {i}" for i in range(len(codes))])
hits: Hits = index.search(codes[:5], k=3)
scores: dict[str, float] = evaluate(hits, [0, 1] * 25, query_labels=[0, 1, 0, 1, 0])
for id, distance in zip(hits.ids[0], hits.distances[0], strict=True):
    print(id, float(distance))

images, labels = glyphs(100, random_state=0)
learned: ImageEncoder = ImageEncoder(k=4, random_state=0).fit(images)
of_files: Codes = learned.encode(["a.jpg", Path("b.jpg")])
learned.save(Path("encoder.npz"), overwrite=True)
export_encoder(model, "encoder.py")
plots.loss_curves({"one": model, "two": learned}).savefig("losses.png")
library = ImageLibrary(load_encoder("encoder.npz"), "photos")
print(library.update().added)
