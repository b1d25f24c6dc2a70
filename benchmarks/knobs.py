"""Knobs: what λ, ρ, β and k do to a code, one at a time, on built-in characters.

    python benchmarks/knobs.py [--quick] [--pictures FOLDER] [--json] [--save]

Every row is one training from the same seed.  --pictures draws the units' patterns for each value, and the mean
activations for each β: docs/ has them.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from PIL import Image

from nsae import SparseAutoencoder, plots
from nsae.datasets import glyphs

SIGMOID = {"activation": "sigmoid", "learning_rate": 3e-3}
KNOBS: dict[
    str, tuple[dict[str, Any], str, list[float]]
] = {  # the options besides, the parameter, its values
    "lambda": ({"unit_norm": True}, "l1", [0.0, 0.03, 0.1, 0.2, 0.5, 1.0]),
    "beta": ({**SIGMOID, "rho": 0.05}, "kl", [0.0, 0.1, 0.5, 2.0, 8.0]),
    "rho": ({**SIGMOID, "kl": 2.0}, "rho", [0.01, 0.03, 0.05, 0.1, 0.3]),
    "k": ({}, "k", [2, 4, 8, 16, 32, 64]),
}
SIGNS = {"lambda": "λ", "beta": "β", "rho": "ρ", "k": "k"}


def fit(
    X: np.ndarray, options: dict[str, Any], epochs: int, units: int
) -> tuple[SparseAutoencoder, dict[str, float]]:
    """Train once; return the model, and its figures on X (n, d)."""
    model = SparseAutoencoder(units, epochs=epochs, random_state=0, **options).fit(X)
    Z = model.transform(X)  # (n, h)
    active = Z > model.autoencoder_.g.active_above  # (n, h)
    figures = {
        "l0": float(active.sum(axis=1).mean()),
        "dead": len(model.dead_units(X)) / units,
        "mean_activation": float(Z.mean()),
        "explained_variance": model.score(X),
    }
    if "rho_hat" in model.history_:
        rho_hat = model.history_["rho_hat"][-1]
        figures |= {"rho_hat_min": float(rho_hat.min()), "rho_hat_max": float(rho_hat.max())}
    return model, figures


def most_active(model: SparseAutoencoder, X: np.ndarray) -> np.ndarray:
    """Return the patterns (h, d) of a model, those first that are active for most rows of X."""
    often = (model.transform(X) > model.autoencoder_.g.active_above).sum(axis=0)  # (h,)
    return model.encoder().patterns()[np.argsort(-often, kind="stable")]


def draw(folder: Path, knob: str, models: dict[float, SparseAutoencoder], X: np.ndarray) -> None:
    """Write the pictures of one knob."""
    sheets = {f"{SIGNS[knob]} = {value:g}": most_active(model, X) for value, model in models.items()}
    picture = io.BytesIO()
    plots.filters(sheets, (28, 28), rows=5).savefig(picture, dpi=50)
    grey = Image.open(picture).convert("L").quantize(32)  # small enough to be committed
    grey.save(folder / f"knobs_{knob}.png", optimize=True)
    if knob == "beta":
        shown = {f"β = {value:g}": model for value, model in models.items() if value}
        plots.mean_activations(shown).savefig(folder / "knobs_mean_activations.png", dpi=80)


def main(argv: list[str] | None = None) -> int:
    """Turn each knob, and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="few images, one epoch: to see that it runs")
    parser.add_argument("--pictures", type=usage.new_folder, metavar="FOLDER", help="draw into this folder")
    args = parser.parse_args(argv)
    n, epochs, units = (300, 1, 32) if args.quick else (5000, 30, 256)
    images, _ = glyphs(n, random_state=0)
    X = images.reshape(n, -1)  # (n, 784) in [0, 1]

    figures: dict[str, dict[str, dict[str, float]]] = {}
    for knob, (options, parameter, values) in KNOBS.items():
        print(f"{SIGNS[knob]:>8}{'L0':>8}{'dead':>8}{'mean z':>9}{'expl. var.':>12}")
        models = {}
        for value in values:
            if parameter == "k" and value > units:
                continue
            models[value], row = fit(X, {**options, parameter: value}, epochs, units)
            figures.setdefault(knob, {})[f"{value:g}"] = row
            numbers = f"{row['l0']:8.1f}{row['dead']:8.1%}{row['mean_activation']:9.3f}"
            print(f"{value:8g}{numbers}{row['explained_variance']:12.3f}", flush=True)
        if args.pictures:
            draw(args.pictures, knob, models, X)
    results.finish(args, "knobs", figures, seeds=[0], peers=["matplotlib"])
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
