"""Parameters and moments where the fast steps want them: one after the other in flat arrays, V by rows."""

from __future__ import annotations

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam


class FlatState:
    """Moves a model's parameters and Adam's moments into flat arrays, and leaves views in their places.

    The model and the optimizer stay usable at any time: they see every change.

    Attributes
    ----------
    theta, m1, m2 : (2hd + h + d,) arrays
        W, Vᵀ, b, c in this order, and their moments.  Vᵀ and not V, so that the pattern of a unit is one
        run of memory.
    """

    def __init__(self, model: Autoencoder, optimizer: Adam):
        self.shape = model.encoder_layer.W.shape  # (h, d)
        h, d = self.shape
        self.optimizer = optimizer
        params = model.params
        dtype = params["W"].dtype
        flats = [np.zeros(2 * h * d + h + d, dtype) for _ in range(3)]
        self.theta, self.m1, self.m2 = flats
        for flat, source in zip(flats, (params, optimizer.m1, optimizer.m2), strict=True):
            for name, view in self.views(flat).items():
                if name in source:
                    view[...] = source[name]
        views = self.views(self.theta)
        model.encoder_layer.W, model.encoder_layer.b = views["W"], views["b"]
        model.decoder_layer.W, model.decoder_layer.b = views["V"], views["c"]
        optimizer.m1, optimizer.m2 = self.views(self.m1), self.views(self.m2)

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """W (h, d), V (d, h), b (h,), c (d,) within a flat array."""
        h, d = self.shape
        W, Vt, b, c = np.split(flat, np.cumsum([h * d, h * d, h]))
        return {"W": W.reshape(h, d), "V": Vt.reshape(h, d).T, "b": b, "c": c}

    def next_rates(self, square: float = 0.0) -> tuple[np.floating, ...]:
        """Count a step, whose gradient has the square norm ``square``; what ``kernels.adam`` calls rates."""
        adam = self.optimizer
        adam.t += 1
        correct1, correct2 = 1 / (1 - adam.beta1**adam.t), 1 / (1 - adam.beta2**adam.t)
        rates = (adam.learning_rate, 1 - adam.beta1, 1 - adam.beta2, adam.eps, correct1, correct2)
        return tuple(map(self.theta.dtype.type, (*rates, adam.clip_factor(square))))
