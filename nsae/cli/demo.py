"""``nsae demo``: index the photos that come with nsae; learn from built-in characters, search, and draw.

For the photos see :mod:`nsae.cli.demo_photos`.  The characters are in many fonts (``datasets.glyphs``).  An
``ImageEncoder`` learns them by patches, which is how photos are indexed.  Three plain autoencoders learn them as
whole images: with L1, with KL, and k-sparse.  Other characters are then searched for by their codes, and by their
raw pixels.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from nsae import plots
from nsae.cli.demo_photos import check_places, index_photos
from nsae.cli.outputs import check_picture, save_picture
from nsae.codes import Codes
from nsae.datasets import glyphs
from nsae.images import ImageEncoder
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.retrieval import CodeIndex, Hits, evaluate, rank_dense

N_QUERIES = 500
MODELS: dict[str, dict[str, Any]] = {
    "L1": {"l1": 0.2, "unit_norm": True},
    # β so large that ρ̂ comes near ρ = 0.05.  With 0.1 it stays at 0.14, and reconstructions are better.
    "KL": {"kl": 2.0, "activation": "sigmoid", "learning_rate": 3e-3},
    "k-sparse": {"k": 32},
}
PATCHES = "ImageEncoder"
PIXELS = "raw pixels"


def run_demo(folder: Path, *, overwrite: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Index photos; train, search, print a table; write four pictures.

    Parameters
    ----------
    folder : Path
        Where the pictures, the photos and their index go.
    overwrite : bool
        Replace what exists.
    quiet : bool
        Print nothing.

    Returns
    -------
    dict
        For the ImageEncoder, "raw pixels" and each plain autoencoder: bytes an image, precision@1,
        precision@10, map.  For models also l0, dead and seconds (of training), and for plain autoencoders
        explained_variance on the images searched; for KL rho_hat, the mean of ρ̂ over the units, Eq. (8).
    """
    started = time.perf_counter()
    pictures = [folder / name for name in ("filters.png", "loss_curves.png", "search.png")]
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        check_picture(picture, overwrite)
    check_places(folder, overwrite)
    say = (lambda *_: None) if quiet else print
    index_photos(folder, say, overwrite=overwrite)

    images, labels = glyphs(5000 + N_QUERIES, random_state=0)  # (n, 28, 28), (n,)
    X = images.reshape(len(images), -1)  # (n, 784)
    queries, database = X[:N_QUERIES], X[N_QUERIES:]
    say(f"{len(database)} characters in {len(set(labels))} classes; {N_QUERIES} others to search with.")

    say(f"training an {PATCHES}, on patches …")
    database_codes, query_codes, seconds = _encode_by_patches(images)
    results = {
        PATCHES: {**_figures(database_codes, query_codes, labels), "seconds": seconds},
        PIXELS: _raw(queries, database, labels),
    }
    models = {}
    for name, options in MODELS.items():
        say(f"training with {name}, on whole images …")
        options = {"epochs": 30, "random_state": 0, "on_interrupt": "raise", **options}
        models[name] = model = SparseAutoencoder(256, **options).fit(database)
        active_above = model.autoencoder_.g.active_above
        results[name] = {
            **_figures(model.encode(database), model.encode(queries), labels, active_above),
            "explained_variance": model.score(database),
            "seconds": sum(model.history_["seconds"]),
        }
        if "rho_hat" in model.history_:
            results[name]["rho_hat"] = float(model.history_["rho_hat"][-1].mean())
    say("\n" + table(results))

    sheets = {name: _most_active(model, database) for name, model in models.items()}
    curves = {name: model.history_ for name, model in models.items()}
    raw_hits = rank_dense(queries, database, "cosine", 10)
    figures = [
        plots.filters(sheets, (28, 28)),
        plots.loss_curves(curves),
        _draw_search(images, labels, raw_hits, _search(database_codes, query_codes, 10)),
    ]
    for picture, figure in zip(pictures, figures, strict=True):
        save_picture(figure, picture, overwrite)
    say("\nwrote " + ", ".join(map(str, pictures)) + f" ({time.perf_counter() - started:.0f} s in all)")
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the ``results`` as aligned text: the ImageEncoder and raw pixels first, then whole images."""
    columns = {
        "L0": ("l0", "{:.1f}"),
        "dead": ("dead", "{:.1%}"),
        "mean ρ̂": ("rho_hat", "{:.3f}"),
        "expl. var.": ("explained_variance", "{:.3f}"),
        "bytes": ("bytes", "{:.0f}"),
        "prec@1": ("precision@1", "{:.3f}"),
        "prec@10": ("precision@10", "{:.3f}"),
        "mAP": ("map", "{:.3f}"),
        "train s": ("seconds", "{:.1f}"),
    }
    lines = [" " * 13 + "".join(f"{head:>11}" for head in columns)]
    for name, figures in results.items():
        if name in MODELS and "on whole images:" not in lines:
            lines.append("on whole images:")
        cells = [form.format(figures[key]) if key in figures else "" for key, form in columns.values()]
        lines.append((f"{name:<13}" + "".join(f"{cell:>11}" for cell in cells)).rstrip())
    return "\n".join(lines)


def _encode_by_patches(images: np.ndarray) -> tuple[Codes, Codes, float]:
    """Codes by an ImageEncoder of the characters that are searched and of the queries; seconds of training."""
    started = time.perf_counter()
    encoder = ImageEncoder(random_state=0).fit(images[N_QUERIES:])
    seconds = time.perf_counter() - started
    return encoder.encode(images[N_QUERIES:]), encoder.encode(images[:N_QUERIES]), seconds


def _raw(queries: np.ndarray, database: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Quality of raw pixels by cosine, which ranks better than L2 here; a pixel is one byte."""
    hits = rank_dense(queries, database, "cosine", len(database))
    return {"bytes": float(database.shape[1]), **_quality(hits, labels)}


def _search(database: Codes, queries: Codes, k: int) -> Hits:
    index = CodeIndex(database.n_units, metric="cosine")
    index.add(database)
    return index.search(queries, k)


def _figures(
    database: Codes, queries: Codes, labels: np.ndarray, active_above: float = 0.0
) -> dict[str, float]:
    active = database.values > active_above  # (nnz,)
    used = np.bincount(database.units[active], minlength=database.n_units) > 0  # (h,)
    return {
        "l0": float(np.count_nonzero(active)) / len(database),
        "dead": 1 - float(used.mean()),
        "bytes": database.nbytes / len(database),
        **_quality(_search(database, queries, len(database)), labels),
    }


def _most_active(model: SparseAutoencoder, X: np.ndarray) -> np.ndarray:
    """The units' patterns (h, d), first those of the units that are active most often."""
    often = np.count_nonzero(model.transform(X) > model.autoencoder_.g.active_above, axis=0)  # (h,)
    return model.encoder().patterns()[np.argsort(-often, kind="stable")]


def _quality(hits: Hits, labels: np.ndarray) -> dict[str, float]:
    figures = evaluate(hits, labels[N_QUERIES:], query_labels=labels[:N_QUERIES], k=(1, 10))
    return {name: figures[name] for name in ("precision@1", "precision@10", "map")}


def _draw_search(images: np.ndarray, labels: np.ndarray, raw: Hits, coded: Hits) -> Any:
    """Draw four queries, each searched by pixels and by the ImageEncoder's code; right hits have a green frame."""
    queries = [0, 1, 2, 3]
    rows = [(q, hits) for q in queries for hits in (raw, coded)]
    found = [hits.rows[q, :10] + N_QUERIES for q, hits in rows]
    return plots.search_results(
        [images[q] for q, _ in rows],
        [images[row] for row in found],
        [hits.distances[q, :10].tolist() for q, hits in rows],
        right=[(labels[row] == labels[q]).tolist() for (q, _), row in zip(rows, found, strict=True)],
        row_titles=["raw pixels" if hits is raw else "32 active units" for _, hits in rows],
        title="Held-out characters and their nearest neighbours, by raw pixels and by sparse code "
        "(cosine distance; green: same character)",
    )
