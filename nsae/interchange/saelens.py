"""The layout of SAELens: W_enc (d, h), b_enc, W_dec (h, d), b_dec, and for JumpReLU a threshold (h,).

What it computes is folded into W, b, V and c, so that an Encoder gives the same codes:

- ``apply_b_dec_to_input`` subtracts b_dec from x: b − W b_dec.
- ``rescale_acts_by_decoder_norm`` multiplies the pre-activation of unit j by the norm of its pattern, and divides
  by it before decoding: so do W, b and V.
- A gated unit is on where w·x + b_gate > 0, and is then ReLU(eʳ w·x + b_mag).  With y = eʳ w·x + b_mag, it is on
  where y > b_mag − eʳ b_gate: a JumpReLU unit (48), as Rajamanoharan et al. (2024) show.  Where eʳ‖w‖ is so
  small beside b_mag that rounding y loses w·x + b_gate, the folder is refused.

A BatchTopK model is saved by SAELens as JumpReLU.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from nsae.equations.activations import FrozenActivation, JumpReLU, KSparse, ReLU
from nsae.errors import ModelFormatError
from nsae.interchange.published_files import (
    CONFIG,
    Arrays,
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
from nsae.interchange.safetensors import read_safetensors
from nsae.models.encoder import Encoder
from nsae.validation import shown

WEIGHTS = "sae_weights.safetensors"
LOST = (
    2.0**-11
)  # The rounding of a pre-activation beside the scale of its gate: 1 gate in 10,000 is then wrong.
SINCE_6 = "6.0.0"  # The oldest SAELens that reads what is written here as it is meant.
BIASES = {"gated": ("b_gate", "b_mag", "r_mag"), "jumprelu": ("b_enc", "threshold")}
ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")
ENDINGS = {
    "batchtopk": "it is a state of training. Save it with save_inference_model of SAELens, as JumpReLU.",
    "layer_norm": "its output depends on the mean and the deviation of each row. Normalise rows yourself.",
    "constant_norm_rescale": "each row is divided by its norm. Divide rows by it yourself, and set it to none.",
}


def read_saelens(folder: Path, config: Config, scaling_factor: float | None = None) -> Encoder:
    """Return the encoder in a folder of SAELens.

    Parameters
    ----------
    folder : Path
    config : dict
        The content of its cfg.json, with the keys of SAELens 6 or of an older one.
    scaling_factor : float, optional
        What the model's rows are multiplied by, if it has normalize_activations="expected_average_only_in": its
        folder does not say it.

    Raises
    ------
    ModelFormatError
        It is incomplete, or an Encoder cannot compute what it describes.
    """
    architecture, k = _architecture(folder, config)
    normalised = _normalisation(folder, config, scaling_factor)
    h, d = whole_number(config, "d_sae", folder), whole_number(config, "d_in", folder)
    if k is not None and k > h:
        raise ModelFormatError(f"{folder / CONFIG} has k={k} for {h} units; at most as many were expected.")
    biases = dict.fromkeys(BIASES.get(architecture, ("b_enc",)), (h,))
    found = read_weights(folder / WEIGHTS, {"W_enc": (d, h), **biases, "W_dec": (h, d), "b_dec": (d,)})
    _check_scaling(folder, h)
    dtype = found["W_enc"].dtype
    W, Vt, c = found["W_enc"].T, found["W_dec"], found["b_dec"]  # (h, d), (h, d), (d,)
    if scaling_factor is not None and normalised:
        scale = dtype.type(scaling_factor)
        W, Vt, c = W * scale, Vt / scale, c / scale
    W = np.ascontiguousarray(W)
    if architecture == "gated":
        _check_gates(folder, W, found)
    W, b, g = _units(architecture, k, W, found)
    if config.get("apply_b_dec_to_input", True):
        b = shifted_bias(W, b, -c)
    if architecture == "topk" and config.get("rescale_acts_by_decoder_norm"):
        norms = np.linalg.norm(Vt, axis=1).astype(dtype)  # (h,)
        W, b, Vt = W * norms[:, None], b * norms, Vt / np.where(norms > 0, norms, 1)[:, None]
    metadata = config.get("metadata")
    said = metadata if isinstance(metadata, dict) else config  # before SAELens 6 there was no dict in between
    about = {name: said[name] for name in ("model_name", "hook_name") if isinstance(said.get(name), str)}
    source = {"layout": "SAELens", "architecture": architecture, **about}
    return frozen_encoder({"W": W, "b": b, "Vt": Vt, "c": c}, g, source)


def _architecture(folder: Path, config: Config) -> tuple[str, int | None]:
    """The architecture, and k of a TopK; before SAELens 6, an activation said that it is one, and had its k."""
    architecture = config.get("architecture", "standard")
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    if activation not in ("relu", "topk"):
        raise refuse(folder, f"the activation {shown(activation)}", "of SAELens, it reads relu and topk.")
    if architecture == "standard" and activation == "topk":
        architecture = "topk"
    arguments = config.get("activation_fn_kwargs")
    if architecture == "topk" and isinstance(arguments, dict):
        config = {**config, **arguments}
    if architecture not in ARCHITECTURES:
        ending = ENDINGS.get(architecture if isinstance(architecture, str) else "", "")
        raise refuse(
            folder,
            f"the architecture {shown(architecture)}",
            ending or f"it reads {', '.join(ARCHITECTURES)}.",
        )
    return architecture, whole_number(config, "k", folder) if architecture == "topk" else None


def _normalisation(folder: Path, config: Config, scaling_factor: float | None) -> bool:
    """Whether rows are to be multiplied by ``scaling_factor``; other normalisations are refused."""
    normalise = config.get("normalize_activations", "none")
    if normalise in ("none", None, False):
        if scaling_factor is not None:
            raise ValueError(f"{folder} does not normalise its rows, so scaling_factor cannot be given.")
        return False
    if normalise not in ("expected_average_only_in", True):
        ending = ENDINGS.get(normalise if isinstance(normalise, str) else "", "it reads none.")
        raise refuse(folder, f"normalize_activations={normalise!r}", ending)
    if scaling_factor is None:
        raise refuse(
            folder,
            "normalize_activations='expected_average_only_in'",
            "rows are multiplied by a factor that is not in the folder. Give it: "
            "nsae.interchange.load_published(folder, scaling_factor=...).",
        )
    if not 0 < scaling_factor < float("inf"):
        raise ValueError(f"scaling_factor={scaling_factor!r} came; a number above 0 was expected.")
    return True


def _check_scaling(folder: Path, h: int) -> None:
    """Raise ModelFormatError if units are scaled once more before decoding, as models before SAELens 6 can be."""
    for name, scale in read_safetensors(
        folder / WEIGHTS, ("scaling_factor", "finetuning_scaling_factor")
    ).items():
        if not np.allclose(scale, 1):
            raise refuse(folder, f"a {name} (of {h} units)", "only one of all ones is read.")


def _check_gates(folder: Path, W: np.ndarray, found: Arrays) -> None:
    """Raise ModelFormatError if one threshold cannot tell where a gate opens, after rounding.

    y = eʳ w·x + b_mag is rounded to ε b_mag, and the gate opens where eʳ (w·x + b_gate) changes its sign.  Where
    the threshold is 0, ReLU opens the unit, and no gate is lost.
    """
    growth, b_gate, b_mag = np.exp(found["r_mag"]), found["b_gate"], found["b_mag"]  # (h,) each
    size = np.hypot(np.sqrt(np.einsum("ij,ij->i", W, W)), b_gate)  # (h,): of w·x + b_gate, for x of about 1
    rounding = np.finfo(W.dtype).eps * b_mag  # (h,)
    lost = (rounding > LOST * growth * size) & (b_mag > growth * b_gate) & (size > 0)  # (h,)
    if lost.any():
        j, wide = int(np.argmax(lost)), W.dtype == np.float64
        raise refuse(
            folder,
            f"gates that are lost in rounding in {lost.sum()} of {len(lost)} units",
            f"exp(r_mag)·(w·x + b_gate) of unit {j} is about {growth[j] * size[j]:.3g} beside b_mag = {b_mag[j]:.3g}: "
            f"one threshold in {W.dtype} cannot tell where its gate opens. "
            + (
                "Train it with a larger r_mag."
                if wide
                else "Write the folder's weights in float64 to read it."
            ),
        )


def _units(
    architecture: str, k: int | None, W: np.ndarray, found: Arrays
) -> tuple[np.ndarray, np.ndarray, FrozenActivation]:
    """W (h, d), b (h,) and the activation."""
    if architecture == "gated":
        growth, b = np.exp(found["r_mag"]), found["b_mag"]  # (h,), (h,)
        if not np.isfinite(growth).all():
            raise ModelFormatError(
                "Its r_mag is so large that exp(r_mag) is infinite. Download the weights again."
            )
        return W * growth[:, None], b, JumpReLU(np.maximum(b - growth * found["b_gate"], 0))
    if architecture == "jumprelu":
        # SAELens multiplies ReLU(y) by 1[y > θ]: below 0, a threshold has no effect.
        return W, found["b_enc"], JumpReLU(np.maximum(found["threshold"], 0))
    return W, found["b_enc"], ReLU() if k is None else KSparse(k)


def save_saelens(model: HasEncoder, folder: str | os.PathLike) -> None:
    """Write a model as a new folder that SAELens 6 and newer read with ``SAE.load_from_disk``.

    Weights are written as they are: reading them gives the same codes to the bit.

    Parameters
    ----------
    model : SparseAutoencoder or Encoder
        With ReLU, k-sparse or JumpReLU units, and ``output="linear"``.
    folder : path
        It must not exist.

    Raises
    ------
    FileExistsError
        The folder is there.
    TypeError, ValueError
        SAELens has no model of this kind.
    """
    encoder = linear_encoder(model, "SAELens", (ReLU, KSparse, JumpReLU))
    g, W = encoder.g, encoder.encoder_layer.W
    h, d = W.shape
    config: dict[str, Any] = {
        "architecture": "standard", "d_in": d, "d_sae": h, "dtype": W.dtype.name, "device": "cpu",
        "apply_b_dec_to_input": False, "normalize_activations": "none", "reshape_activations": "none",
        "metadata": {"sae_lens_version": SINCE_6, "sae_lens_training_version": None},
    }  # fmt: skip
    arrays = {"W_enc": W.T, "b_enc": encoder.encoder_layer.b}
    arrays |= {"W_dec": encoder.decoder_layer.W.T, "b_dec": encoder.decoder_layer.b}
    if isinstance(g, KSparse):
        config |= {"architecture": "topk", "k": min(g.k, h), "rescale_acts_by_decoder_norm": False}
    elif isinstance(g, JumpReLU):
        config["architecture"] = "jumprelu"
        arrays["threshold"] = g.theta
    write_folder(folder, WEIGHTS, config, arrays)
