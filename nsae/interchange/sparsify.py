"""The layout of sparsify: TopK sparse autoencoders, with encoder.weight (h, d), encoder.bias, W_dec (h, d), b_dec.

sparsify keeps the k largest of ReLU(W (x − b_dec) + b), and decodes with W_decᵀ and b_dec.  Its transcoders do not
subtract b_dec.
"""

from __future__ import annotations

import os
from pathlib import Path

from nsae.equations.activations import KSparse
from nsae.errors import ModelFormatError
from nsae.interchange.published_files import (
    CONFIG,
    Config,
    HasEncoder,
    frozen_encoder,
    linear_encoder,
    read_weights,
    refuse,
    shifted_bias,
    whole_number,
    write_folder,
)
from nsae.models.encoder import Encoder

WEIGHTS = "sae.safetensors"
EXPANSION = 32  # h / d where cfg.json says neither


def read_sparsify(folder: Path, config: Config) -> Encoder:
    """Return the encoder in a ``folder`` of sparsify with the ``config`` of its cfg.json.

    Raises
    ------
    ModelFormatError
        It is incomplete, or an Encoder cannot compute what it describes.
    """
    activation = config.get("activation", "topk")
    if activation != "topk":
        raise refuse(folder, f"activation={activation!r}", "of sparsify, it reads 'topk'.")
    for name, what in (
        ("skip_connection", "x is added to the output"),
        ("signed", "large negative entries stay"),
    ):
        if config.get(name):
            raise refuse(folder, f"{name}=true", f"{what}.")
    d = whole_number(config, "d_in", folder)
    if config.get("num_latents"):  # 0 says: see expansion_factor
        h = whole_number(config, "num_latents", folder)
    else:
        h = d * whole_number(config, "expansion_factor", folder, default=EXPANSION)
    k = whole_number(config, "k", folder, default=32)
    if k > h:
        raise ModelFormatError(f"{folder / CONFIG} has k={k} for {h} units; at most as many were expected.")
    shapes = {"encoder.weight": (h, d), "encoder.bias": (h,), "W_dec": (h, d), "b_dec": (d,)}
    found = read_weights(folder / WEIGHTS, shapes)
    W, b, c = found["encoder.weight"], found["encoder.bias"], found["b_dec"]
    if not config.get("transcode"):
        b = shifted_bias(W, b, -c)
    layers = {"W": W, "b": b, "Vt": found["W_dec"], "c": c}
    return frozen_encoder(
        layers, KSparse(k), {"layout": "sparsify", "transcode": bool(config.get("transcode"))}
    )


def save_sparsify(model: HasEncoder, folder: str | os.PathLike) -> None:
    """Write a k-sparse model as a new folder that sparsify, and SAELens, can read.

    sparsify subtracts b_dec from its input, so b + W c is written as the bias: codes agree to rounding.

    Parameters
    ----------
    model : SparseAutoencoder or Encoder
        With k, and ``output="linear"``.
    folder : path
        It must not exist.

    Raises
    ------
    FileExistsError
        The folder is there.
    TypeError, ValueError
        sparsify has no model of this kind.
    """
    encoder = linear_encoder(model, "sparsify", (KSparse,))
    W, c = encoder.encoder_layer.W, encoder.decoder_layer.b
    h, d = W.shape
    assert isinstance(encoder.g, KSparse)
    config = {
        "activation": "topk", "expansion_factor": max(1, h // d), "normalize_decoder": False, "num_latents": h,
        "k": min(encoder.g.k, h), "multi_topk": False, "skip_connection": False, "transcode": False, "d_in": d,
    }  # fmt: skip
    bias = shifted_bias(W, encoder.encoder_layer.b, c)
    arrays = {"encoder.weight": W, "encoder.bias": bias, "W_dec": encoder.decoder_layer.W.T, "b_dec": c}
    write_folder(folder, WEIGHTS, config, arrays)
