"""The tutorial's losses, step by step, in nsae, PyTorch and Keras.

Read ``nsae_losses``, ``torch_losses`` and ``keras_losses`` side by side.  All start from the same weights and see
the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsae.equations.activations import ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam

from .tutorial_fits import EPS, LR, B, D, H, N, import_keras, keras_model, random_bits

BETA1, BETA2 = 0.9, 0.999  # everybody's defaults


class Problem(NamedTuple):
    """What all three start from."""

    X: np.ndarray  # (N, d) of 0 and 1
    W: np.ndarray  # (h, d)
    b: np.ndarray  # (h,)
    V: np.ndarray  # (d, h)
    c: np.ndarray  # (d,)
    batches: list[np.ndarray]  # rows of X for each step: (32,), and (8,) at the end of an epoch

    def astype(self, dtype: str) -> Problem:
        """Return it with arrays of another type."""
        return Problem(*(array.astype(dtype) for array in self[:5]), self.batches)


def make_problem(epochs: int) -> Problem:
    """Return data, weights (Glorot's, biases zero) and a new order of samples for each epoch, all from seed 0."""
    rng = np.random.default_rng(0)
    X = random_bits(rng)  # (N, d)
    encoder, decoder = Dense.random(D, H, rng, "float64"), Dense.random(H, D, rng, "float64")
    orders = [rng.permutation(N) for _ in range(epochs)]  # (N,) each
    batches = [order[start : start + B] for order in orders for start in range(0, N, B)]
    return Problem(X, encoder.W, encoder.b, decoder.W, decoder.b, batches)


# ---- the same thing three times: the loss before each step


def nsae_losses(problem: Problem, dtype: str, eps: Callable[[int], float] = lambda t: EPS) -> np.ndarray:
    """Return nsae's: forward, loss and backward in ``loss_and_grads``.  ``eps(t)`` is Adam's ε at step t."""
    X, W, b, V, c, batches = problem.astype(dtype)
    model = Autoencoder(Dense(W, b), Dense(V, c), ReLU(), output="sigmoid", loss="cross_entropy")
    optimizer = Adam(LR, BETA1, BETA2)
    losses = []
    for t, rows in enumerate(batches, start=1):
        loss, grads = model.loss_and_grads(X[rows])  # X[rows]: (B, d)
        optimizer.eps = eps(t)
        optimizer.step(model.params, grads)
        losses.append(loss)
    return np.array(losses)  # (steps,)


def torch_losses(problem: Problem, dtype: str) -> np.ndarray:
    """Return PyTorch's: its Adam is the paper's, and so nsae's."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    X, W, b, V, c = map(torch.tensor, problem.astype(dtype)[:5])  # copies, shaped as ours
    model = torch.nn.Sequential(torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, D))
    model.load_state_dict({"0.weight": W, "0.bias": b, "2.weight": V, "2.bias": c}, assign=True)
    optimizer = torch.optim.Adam(model.parameters(), LR, (BETA1, BETA2), EPS)
    losses = []
    for rows in problem.batches:
        batch = X[rows]  # (B, d)
        loss = cross_entropy(model(batch), batch, reduction="sum") / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)  # (steps,)


def keras_losses(problem: Problem, dtype: str, *, exact_betas: bool = True) -> np.ndarray:
    """Return Keras's, as the tutorial has it.  Its loss is a mean over features: times d, it is ours.

    ``train_on_batch`` resets the running mean first and returns the loss before the step.  Keras takes
    the cross-entropy from the sigmoid's logits here, as we do, and so clips nothing at 10⁻⁷ (it would
    if the probabilities had been made by anything but its own sigmoid).

    Keras's Adam turns β₁ and β₂ into float32 on the way to βᵗ, in float64 training as well: 1 − β₂ is
    then off by 1.3·10⁻⁵ of itself.  NumPy scalars keep their precision, hence ``exact_betas``; the
    result with plain numbers is shown beside it.  In float32 there is nothing to keep.
    """
    keras = import_keras()
    X, W, b, V, c, batches = problem.astype(dtype)
    real = np.float64 if exact_betas and dtype == "float64" else float
    usual = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        model = keras_model(keras)
        adam = keras.optimizers.Adam(LR, real(BETA1), real(BETA2), EPS)
        model.compile(optimizer=adam, loss="binary_crossentropy")
        model.set_weights([W.T, b, V.T, c])  # a Keras kernel is (in, out)
        losses = [model.train_on_batch(X[rows], X[rows]) for rows in batches]  # X[rows]: (B, d)
    finally:
        keras.config.set_floatx(usual)
    return D * np.array(losses, float)  # (steps,)


def keras_eps(t: int) -> float:
    """Return the ε of Eq. (19) with which our step t is Keras's: d from its mean over features, the root from
    the place of its bias correction.  equations/README.md, Adam, derives both."""
    return D * EPS / np.sqrt(1 - BETA2**t)
