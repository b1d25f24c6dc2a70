"""The tutorial's fit in nsae, PyTorch and Keras, in each setting worth a try.  tutorial_example.py times them.

Run as a program it is a whole process: it imports one framework, makes the data and the model, trains and
ends.  It imports little else, for that would be counted as well:

    python benchmarks/tutorial_fits.py torch "eager, Adam fused" 100
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import numpy as np

N, D, H, B = 1000, 100, 50, 32  # samples, features, hidden units, samples in a batch
LR, EPS = 1e-3, 1e-7  # Keras's defaults; nsae's and PyTorch's ε is 1e-8
SETTINGS = {
    "nsae": {
        'backend="numba"': {"backend": "numba"},  # what "auto" is at 100 epochs; short trials are NumPy's
        'backend="numpy"': {"backend": "numpy"},  # slower steps, and no Numba to import
    },
    "nsae_numpy": {'backend="numpy"': {"backend": "numpy"}},  # as without Numba
    "torch": {
        "eager, Adam as it comes": {},
        "eager, Adam foreach": {"foreach": True},
        "eager, Adam fused": {"fused": True},
        "torch.compile of the step": {"compiled": True},
    },
    "keras": {
        'jit_compile="auto"': {},
        "jit_compile=True": {"jit_compile": True},
        # an epoch of 32 steps a call: less Python between the steps
        'jit_compile="auto", steps_per_execution=32': {"steps_per_execution": 32},
        "jit_compile=True, steps_per_execution=32": {"jit_compile": True, "steps_per_execution": 32},
    },
}

Fit = Callable[[int], object]  # a fit of that many epochs, in float32


def random_bits(rng: np.random.Generator) -> np.ndarray:
    """Return the data: (N, d) of 0 and 1."""
    return rng.integers(0, 2, (N, D)).astype(float)  # (N, d) of 0 and 1


def nsae_fit(**options: object) -> Fit:
    """Return nsae's fit."""
    from nsae import SparseAutoencoder

    X = random_bits(np.random.default_rng(0)).astype("float32")  # (N, d)
    model = SparseAutoencoder(
        H, activation="relu", output="sigmoid", loss="cross_entropy", batch_size=B, **options
    )
    return lambda epochs: model.set_params(epochs=epochs).fit(X)


def torch_fit(compiled: bool = False, **adam: bool) -> Fit:
    """Return PyTorch's fit: a plain loop over slices of one tensor.  A DataLoader would collate row by row."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    X = torch.tensor(random_bits(np.random.default_rng(0)), dtype=torch.float32)  # (N, d)
    model = torch.nn.Sequential(torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, D))
    optimizer = torch.optim.Adam(model.parameters(), LR, eps=EPS, **adam)

    def step(batch: torch.Tensor) -> None:  # (B, d)
        loss = cross_entropy(model(batch), batch, reduction="sum") / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    if compiled:
        torch._logging.set_logs(all=50)  # it has remarks; 50 is logging.CRITICAL
        step = torch.compile(step)

    def fit(epochs: int) -> None:
        for _ in range(epochs):
            for batch in X[torch.randperm(N)].split(B):
                step(batch)

    return fit


def keras_fit(**compile_options: object) -> Fit:
    """Return Keras's fit."""
    keras = import_keras()
    X = random_bits(np.random.default_rng(0)).astype("float32")  # (N, d)
    model = keras_model(keras)
    adam = keras.optimizers.Adam(LR, epsilon=EPS)
    model.compile(optimizer=adam, loss="binary_crossentropy", **compile_options)
    return lambda epochs: model.fit(X, X, epochs=epochs, batch_size=B, verbose=0)


def keras_model(keras):
    """Return the net in Keras."""
    layers = keras.layers
    return keras.Sequential([keras.Input((D,)), layers.Dense(H, "relu"), layers.Dense(D, "sigmoid")])


def import_keras():
    """Import Keras on TensorFlow, which greets on file descriptor 2 before it reads its log level."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    return keras


FITS = {"nsae": nsae_fit, "nsae_numpy": nsae_fit, "torch": torch_fit, "keras": keras_fit}

if __name__ == "__main__":
    name, setting, epochs = sys.argv[1:]
    FITS[name](**SETTINGS[name][setting])(int(epochs))
