"""Parameters and moments where the fast steps want them: one after the other in flat arrays, V by rows."""

from __future__ import annotations

import numpy as np

from nsae.autoencoder import Autoencoder
from nsae.optimizers import Adam

ORDER = ("W", "V", "b", "c")  # what weight decay acts on comes first


class FlatState:
    """Moves a model's parameters and Adam's moments into flat arrays, and leaves views in their places.

    The model and the optimizer stay usable at any time: they see every change.

    Attributes
    ----------
    theta, m1, m2 : (2hd + h + d,) arrays
        W, Vᵀ, b, c in this order, and their moments.  Vᵀ and not V, so that the pattern of a unit is one
        run of memory.
    n_weights : int
        2hd: the entries that weight decay acts on.
    """

    def __init__(self, model: Autoencoder, optimizer: Adam):
        self.shape = model.encoder.W.shape  # (h, d)
        h, d = self.shape
        self.n_weights = 2 * h * d
        self.optimizer = optimizer
        params = model.params
        dtype = params["W"].dtype
        flats = [np.zeros(self.n_weights + h + d, dtype) for _ in range(3)]
        self.theta, self.m1, self.m2 = flats
        for flat, source in zip(flats, (params, optimizer.m1, optimizer.m2), strict=True):
            for name, view in self.views(flat).items():
                if name in source:
                    view[...] = source[name]
        views = self.views(self.theta)
        model.encoder.W, model.encoder.b = views["W"], views["b"]
        model.decoder.W, model.decoder.b = views["V"], views["c"]
        optimizer.m1, optimizer.m2 = self.views(self.m1), self.views(self.m2)

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """W (h, d), V (d, h), b (h,), c (d,) within a flat array."""
        h, d = self.shape
        W, Vt, b, c = np.split(flat, np.cumsum([h * d, h * d, h]))
        return {"W": W.reshape(h, d), "V": Vt.reshape(h, d).T, "b": b, "c": c}

    def next_rates(self) -> tuple[np.floating, ...]:
        """Count a step; α, 1 − β₁, 1 − β₂, ε, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), in the parameters' dtype."""
        adam = self.optimizer
        adam.t += 1
        real = self.theta.dtype.type
        return (
            real(adam.learning_rate),
            real(1 - adam.beta1),
            real(1 - adam.beta2),
            real(adam.eps),
            real(1 / (1 - adam.beta1**adam.t)),
            real(1 / (1 - adam.beta2**adam.t)),
        )
