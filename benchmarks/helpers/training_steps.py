"""One training step as each contestant of training_speed.py makes it, and the matrix products in it alone.

Read ``numpy_steps``, ``nsae_steps`` and ``torch_steps`` side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.datasets import glyphs
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam
from nsae.models.encoder import Encoder
from nsae.system.threads import Threads
from nsae.training.initialisation import random_layers, tied_layers
from nsae.training.loop import make_step
from nsae.training.state import TrainingOptions, TrainingState

from .timing import Run

L1 = 1e-3  # λ of the dense steps
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


class Shape(NamedTuple):
    """Features, units and samples of a step, and k if it is k-sparse."""

    d: int
    h: int
    B: int
    k: int | None = None  # None: dense

    def __str__(self) -> str:
        return f"h{self.h}" if self.k else f"{self.d}x{self.h}xB{self.B}"


DENSE = [Shape(784, 256, 256), Shape(784, 1024, 256), Shape(784, 1024, 1024), Shape(3072, 4096, 1024)]
K_SPARSE = [Shape(784, h, 1024, k=32) for h in (1024, 2048, 4096, 16384)]
ENCODE, ENCODE_ROWS = Shape(784, 4096, 1024, k=32), 8192
QUICK_ROWS = 1024


# ---- what all start from


def smooth_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n, 3072) float32 in [0, 1]: 32 × 32 pixels in 3 colours, each interpolated from 6 × 6 numbers."""
    place = np.linspace(0, 5, 32)[:, None]  # (32, 1)
    A = np.maximum(0, 1 - abs(place - np.arange(6))).astype(np.float32)  # (32, 6) linear interpolation
    coarse = rng.random((n, 3, 6, 6), np.float32)  # (n, 3, 6, 6)
    return (A @ coarse @ A.T).reshape(n, 3072)  # (n, 3072)


def save_data(folder: Path, n: int) -> None:
    """Write n rows of 784 features (glyphs) and of 3072 (smooth noise) to a folder."""
    images, _ = glyphs(n)  # (n, 28, 28)
    np.save(folder / "784.npy", images.reshape(n, 784))
    np.save(folder / "3072.npy", smooth_noise(n, np.random.default_rng(0)))


def load(folder: Path, shape: Shape) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return batches (B, d), and the weights W (h, d), b (h,), V (d, h), c (d,) that nsae starts from."""
    X = np.load(folder / f"{shape.d}.npy")  # (n, d)
    rng = np.random.default_rng(0)
    if shape.k:
        encoder, decoder = tied_layers(X, shape.h, rng, "float32", centred_output=True)
    else:
        encoder, decoder = random_layers(shape.d, shape.h, rng, "float32")
    batches = [X[start : start + shape.B] for start in range(0, len(X), shape.B)]
    return batches, [encoder.W, encoder.b, decoder.W, decoder.b]


# ---- the contestants: by name, what is timed; a step returns its loss


def numpy_steps(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return the products alone, in place; and for dense steps the equations as they stand, in NumPy."""
    _, (W, _, V, _) = load(folder, shape)
    d, h, B, k = shape
    Vt = np.ascontiguousarray(V.T)  # (h, d), as nsae's fast steps keep it
    Z, dW, dVt = np.empty((B, h), "f4"), np.empty((h, d), "f4"), np.empty((h, d), "f4")
    if k:
        return {"product": lambda X: np.matmul(X, W.T, out=Z)}  # (B, h)
    dZ, U = np.empty((B, h), "f4"), np.empty((B, d), "f4")

    def floor(X: np.ndarray) -> None:
        np.matmul(X, W.T, out=Z)  # (1) (B, h)
        np.matmul(Z, Vt, out=U)  # (3) (B, d)
        np.matmul(Z.T, U, out=dVt)  # (12) (h, d)
        np.matmul(U, Vt.T, out=dZ)  # (13) (B, h)
        np.matmul(dZ.T, X, out=dW)  # (15) (h, d)

    return {"floor": floor, "numpy": nsae_run(folder, shape, threads, "numpy")}


def nsae_steps(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return nsae's step with compiled loops; where it makes a product of bytes, also the step without one."""
    from nsae.training.bounded_selection import BoundedSelection

    runs = {"nsae": nsae_run(folder, shape, threads, "numba")}
    _, (W, _, _, _) = load(folder, shape)
    if shape.k and BoundedSelection.pays(W, shape.k, shape.B):
        runs["without_bytes"] = nsae_run(folder, shape, threads, "numba", bytes_too=False)
    return runs


def nsae_run(folder: Path, shape: Shape, threads: int, backend: str, bytes_too: bool = True) -> Run:
    """Return nsae's step with one backend.  It returns the loss."""
    _, (W, b, V, c) = load(folder, shape)
    g, l1 = (KSparse(shape.k), 0.0) if shape.k else (ReLU(), L1)
    model = Autoencoder(Dense(W, b), Dense(V, c), g, l1=l1)
    state = TrainingState.start(model, Adam(LR, BETA1, BETA2, EPS))
    step = make_step(state, TrainingOptions(backend=backend, n_threads=threads), shape.B)
    if not bytes_too:
        step.bounded = None
    step.__enter__()  # its threads live as long as the worker
    return lambda X: step(X).loss.total


def torch_steps(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return PyTorch's products alone, and its step in several ways.

    A name is "eager", "compile", "dense" or "embedding_bag", and then the setting.
    """
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch._logging.set_logs(all=logging.ERROR)  # torch.compile has remarks
    torch._dynamo.reset()
    _, weights = load(folder, shape)

    def dense_loss(X, W, b, Vt, c):  # X: (B, d)
        Z = F.relu(F.linear(X, W, b))  # (B, h)
        U = torch.addmm(c, Z, Vt)  # (B, d)
        return (0.5 * (U - X).square().sum() + L1 * Z.sum()) / len(X)

    def top_k_loss(X, W, b, Vt, c):
        Y = F.linear(X, W, b)  # (B, h)
        values, units = torch.topk(Y, shape.k, sorted=False)  # (B, k)
        Z = torch.zeros_like(Y).scatter(1, units, F.relu(values))  # (B, h)
        U = torch.addmm(c, Z, Vt)  # (B, d)
        return 0.5 * (U - X).square().sum() / len(X)

    def embedding_bag_loss(X, W, b, Vt, c):
        values, units = torch.topk(F.linear(X, W, b), shape.k, sorted=False)  # (B, k)
        U = F.embedding_bag(units, Vt, per_sample_weights=F.relu(values), mode="sum") + c  # (B, d)
        return 0.5 * (U - X).square().sum() / len(X)

    def make(loss_of: Callable, compiled: str = "", **adam: bool) -> Run:
        W, b, V, c = (torch.tensor(weight) for weight in weights)  # copies
        params = [p.requires_grad_() for p in (W, b, V.T.contiguous(), c)]
        optimizer = torch.optim.Adam(params, LR, (BETA1, BETA2), EPS, **adam)
        loss_of = torch.compile(loss_of) if compiled == "loss" else loss_of

        def step(X: torch.Tensor) -> torch.Tensor:
            loss = loss_of(X, *params)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled == "step" else step
        return lambda X: step(torch.from_numpy(X)).detach()

    alone = {"torch_floor": torch_floor(weights, shape)}
    if shape.k:
        return alone | {
            f"{way}: {setting}": make(loss_of, **options)
            for way, loss_of in (("dense", top_k_loss), ("embedding_bag", embedding_bag_loss))
            for setting, options in {
                "eager, Adam fused": {"fused": True},
                "torch.compile of the loss, Adam fused": {"compiled": "loss", "fused": True},
            }.items()
        }
    return alone | {
        "eager: Adam fused": make(dense_loss, fused=True),
        "eager: Adam foreach": make(dense_loss, foreach=True),
        "compile: of the loss, Adam fused": make(dense_loss, "loss", fused=True),
        "compile: of the whole step": make(dense_loss, "step"),
    }


def torch_floor(weights: list[np.ndarray], shape: Shape) -> Run:
    """Return the matrix products of a step alone, as ``numpy_steps`` has them, by PyTorch's own BLAS."""
    import torch

    W, _, V, _ = (torch.tensor(weight) for weight in weights)
    d, h, B, k = shape
    Vt = V.T.contiguous()  # (h, d)
    Z, dZ, U = torch.empty(B, h), torch.empty(B, h), torch.empty(B, d)
    dW, dVt = torch.empty(h, d), torch.empty(h, d)

    def floor(X: np.ndarray) -> None:
        batch = torch.from_numpy(X)  # (B, d)
        torch.mm(batch, W.T, out=Z)  # (1) (B, h)
        if not k:
            torch.mm(Z, Vt, out=U)  # (3) (B, d)
            torch.mm(Z.T, U, out=dVt)  # (12) (h, d)
            torch.mm(U, Vt.T, out=dZ)  # (13) (B, h)
            torch.mm(dZ.T, batch, out=dW)  # (15) (h, d)

    return floor


def numpy_encode(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return the encoder's product alone."""
    _, (W, *_) = load(folder, shape)
    Y = np.empty((ENCODE_ROWS, shape.h), "f4")  # (n, h)
    return {"product": lambda X: np.matmul(X, W.T, out=Y[: len(X)])}


def nsae_encode(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return nsae's encoding to k-sparse codes."""
    _, (W, b, V, c) = load(folder, shape)
    encoder = Encoder(Dense(W, b), Dense(V, c), KSparse(shape.k), "linear", {})

    def encode(X: np.ndarray) -> Codes:  # (n, d)
        return encoder.encode(X)

    return {"nsae": encode}


def numpy_encode_one(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return the product W x alone, of one row, on one thread: more would wait for each other."""
    _, (W, *_) = load(folder, shape)
    Threads(1).__enter__()  # BLAS is limited as long as the worker lives: this is its last task
    return {"product": lambda X: W @ X[0]}  # (h,)


def nsae_encode_one(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """Return nsae's encoding of one row, to k-sparse codes and to those of ReLU units."""
    _, (W, b, V, c) = load(folder, shape)
    units = {"k_sparse": KSparse(shape.k), "relu": ReLU()}
    return {name: Encoder(Dense(W, b), Dense(V, c), g, "linear", {}).encode for name, g in units.items()}


MAKERS = {
    "steps": {"numpy": numpy_steps, "nsae": nsae_steps, "torch": torch_steps},
    "encode": {"numpy": numpy_encode, "nsae": nsae_encode},
    "encode one": {"numpy": numpy_encode_one, "nsae": nsae_encode_one},
}
