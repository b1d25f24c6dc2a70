"""Models of others: nsae, with NumPy alone, and PyTorch compute the same from published layouts.

    python benchmarks/models_of_others.py [--seeds N] [--quick] [--json] [--save]

Each layout gets random weights and rows.  ``nsae.load_encoder`` reads the folder, and its codes and reconstructions
are compared with those of a few lines of PyTorch that compute what the library says.  Where the library itself is
installed (eai-sparsify, sae-lens), it reads the same folder, too, and a folder that nsae has written from it.

A difference is the largest of all entries, divided by the largest entry.  In float32, two ways to add numbers may
put a pre-activation on different sides of a threshold, or change the order of two that are nearly equal: then a
unit jumps.  Rows in which another unit is active are counted, and left out of the difference.  In float64, all rows
are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from helpers import results, usage

from nsae import load_encoder
from nsae.errors import require
from nsae.interchange import save_saelens, save_sparsify, write_safetensors

D, H, K, ROWS = 512, 4096, 32, 500
QUICK = 32, 128, 8, 50
SAELENS = ("standard", "topk", "topk_by_norm", "jumprelu", "gated")
NAMES = {"sparsify": "sparsify_topk", "standard": "saelens_relu"}
PEERS = {"sparsify": ("eai-sparsify", "sparsify"), "saelens": ("sae-lens", "sae_lens")}
Pair = tuple[np.ndarray, np.ndarray]  # codes (n, h) and reconstructions (n, d)


class Sizes(NamedTuple):
    """d features, h units, k of them active, n rows."""

    d: int
    h: int
    k: int
    n: int


def layout_name(kind: str) -> str:
    """Return the key of a ``kind`` of model in the figures."""
    return NAMES.get(kind, f"saelens_{kind}")


def make_folder(
    kind: str, sizes: Sizes, rng: np.random.Generator, dtype: str, folder: Path
) -> dict[str, Any]:
    """Write a model of random weights as its library does; return its weights and configuration.

    Parameters
    ----------
    kind : str
        "sparsify", or an architecture of SAELens.
    sizes : Sizes
    rng : numpy.random.Generator
    dtype : str
    folder : Path
    """
    d, h, k, _ = sizes
    weights = {"W_enc": rng.normal(size=(d, h)) / np.sqrt(d), "W_dec": rng.normal(size=(h, d)) / np.sqrt(d)}
    weights |= {"b_enc": rng.normal(size=h) * 0.1, "b_dec": rng.normal(size=d) * 0.3}
    config: dict[str, Any] = {
        "d_in": d,
        "d_sae": h,
        "dtype": dtype,
        "device": "cpu",
        "apply_b_dec_to_input": True,
    }
    config |= {"metadata": {"sae_lens_version": "6.0.0"}, "architecture": kind.removesuffix("_by_norm")}
    if kind == "jumprelu":
        weights["threshold"] = rng.uniform(0, 2, h)
    elif kind == "gated":
        weights |= {name: rng.normal(size=h) * 0.1 for name in ("b_gate", "b_mag", "r_mag")}
        del weights["b_enc"]
    elif kind.startswith("topk"):
        config |= {"k": k, "rescale_acts_by_decoder_norm": kind == "topk_by_norm"}
    weights = {name: array.astype(dtype) for name, array in weights.items()}
    stored, file = weights, "sae_weights.safetensors"
    if kind == "sparsify":
        config = {"d_in": d, "num_latents": h, "k": k, "activation": "topk"}
        stored = {"encoder.weight": weights["W_enc"].T, "encoder.bias": weights["b_enc"]}
        stored |= {"W_dec": weights["W_dec"], "b_dec": weights["b_dec"]}
        file = "sae.safetensors"
    folder.mkdir()
    (folder / "cfg.json").write_text(json.dumps(config), encoding="utf-8")
    write_safetensors(folder / file, stored)
    return {**weights, **config}


def by_torch(kind: str, model: dict[str, Any], X: np.ndarray) -> Pair:
    """Return codes and reconstructions of X (n, d), in a few lines of PyTorch."""
    torch = require("torch", "torch", "comparing with PyTorch")
    w = {name: torch.from_numpy(value) for name, value in model.items() if isinstance(value, np.ndarray)}
    x = torch.from_numpy(X) - w["b_dec"]
    norms = w["W_dec"].norm(dim=1) if kind == "topk_by_norm" else torch.ones(1, dtype=x.dtype)
    if kind == "gated":
        on = (x @ w["W_enc"] + w["b_gate"] > 0).to(x.dtype)
        Z = on * torch.relu(x @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"])
    else:
        Y = (x @ w["W_enc"] + w["b_enc"]) * norms
        if kind == "standard":
            Z = torch.relu(Y)
        elif kind == "jumprelu":
            Z = torch.relu(Y) * (Y > w["threshold"]).to(Y.dtype)
        else:
            values, units = torch.topk(torch.relu(Y), model["k"], dim=1)
            Z = torch.zeros_like(Y).scatter(1, units, values)
    return Z.numpy(), ((Z / norms) @ w["W_dec"] + w["b_dec"]).numpy()


def by_sparsify(folder: Path, X: np.ndarray) -> Pair:
    """Return codes and reconstructions of X (n, d) by sparsify itself."""
    torch = importlib.import_module("torch")
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        model = importlib.import_module("sparsify").SparseCoder.load_from_disk(folder)
        found = model(torch.from_numpy(X))
        Z = torch.zeros(len(X), model.num_latents, dtype=found.latent_acts.dtype)
        return Z.scatter(1, found.latent_indices, found.latent_acts).numpy(), found.sae_out.numpy()


def by_saelens(folder: Path, X: np.ndarray) -> Pair:
    """Return codes and reconstructions of X (n, d) by SAELens itself."""
    torch = importlib.import_module("torch")
    model = importlib.import_module("sae_lens").SAE.load_from_disk(folder)
    with torch.no_grad():
        Z = model.encode(torch.from_numpy(X))
        return Z.numpy(), model.decode(Z).numpy()


def installed() -> dict[str, Callable[[Path, np.ndarray], Pair]]:
    """Return what computes by the library itself, of those that can be imported."""
    found = {}
    for layout, compute in (("sparsify", by_sparsify), ("saelens", by_saelens)):
        with contextlib.suppress(ImportError), contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(PEERS[layout][1])
            found[layout] = compute
    return found


def difference(ours: Pair, theirs: Pair) -> float:
    """Return the largest difference of codes or reconstructions, relative to the largest entry.

    Rows of float32 in which other units are active are left out.
    """
    rows = same_units(ours, theirs) | (ours[0].dtype == np.float64)  # (n,)
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a - b)[rows].max() / np.abs(b).max()) for a, b in pairs)


def same_units(ours: Pair, theirs: Pair) -> np.ndarray:
    """Return (n,) whether the same units are active in a row."""
    return ((ours[0] > 0) == (theirs[0] > 0)).all(axis=1)


def compare(
    kind: str, sizes: Sizes, seed: int, dtype: str, libraries: dict[str, Any]
) -> Iterator[tuple[str, float]]:
    """Yield (what was compared with, difference) for one model.

    Parameters
    ----------
    kind : str
        As for :func:`make_folder`.
    sizes : Sizes
    seed : int
    dtype : str
    libraries : dict
        As :func:`installed` returns it.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(sizes.n, sizes.d)).astype(dtype)
    layout = "sparsify" if kind == "sparsify" else "saelens"
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "model"
        model = make_folder(kind, sizes, rng, dtype, folder)
        encoder = load_encoder(folder)
        Z = encoder.transform(X)
        ours = Z, encoder.inverse_transform(Z)
        theirs = by_torch(kind, model, X)
        yield "torch", difference(ours, theirs)
        yield "rows_with_other_units", float(np.count_nonzero(~same_units(ours, theirs)))
        if layout in libraries:
            yield "library", difference(ours, libraries[layout](folder, X))
            written = Path(work) / "written"
            (save_sparsify if layout == "sparsify" else save_saelens)(encoder, written)
            yield "written", difference(ours, libraries[layout](written, X))


def main(argv: list[str] | None = None) -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--seeds", type=usage.positive, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed, small models: to see that it runs")
    args = parser.parse_args(argv)
    require("torch", "torch", "comparing with PyTorch")
    seeds, sizes = (1, Sizes(*QUICK)) if args.quick else (args.seeds, Sizes(D, H, K, ROWS))
    libraries = installed()
    figures: dict[str, Any] = {"float64": {}, "library": {}, "written": {}, "rows_with_other_units": {}}
    for kind in ("sparsify", *SAELENS):
        name = layout_name(kind)
        for dtype in ("float32", "float64"):
            for seed in range(seeds):
                for what, value in compare(kind, sizes, seed, dtype, libraries):
                    if dtype == "float64" and what != "torch":
                        continue
                    group = figures["float64"] if dtype == "float64" else figures.get(what, figures)
                    if what == "rows_with_other_units":
                        group[name] = group.get(name, 0) + int(value)
                    else:
                        group[name] = max(value, group.get(name, 0.0))
    figures["rows"] = seeds * sizes.n
    columns = ("float32", "float64", "library itself", "written by nsae", "rows, other units")
    print(f"{'':22}" + "".join(f"{column:>19}" for column in columns))
    for name in map(layout_name, ("sparsify", *SAELENS)):
        row = [figures[name], *(figures[group].get(name) for group in ("float64", "library", "written"))]
        cells = ["–".rjust(19) if value is None else f"{value:19.1e}" for value in row]
        print(
            f"{name:22}"
            + "".join(cells)
            + f"{figures['rows_with_other_units'][name]:13} of {figures['rows']}"
        )
    peers = ["torch", *(PEERS[layout][0] for layout in libraries)]
    results.finish(args, "models_of_others", figures, seeds=range(seeds), peers=peers)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
