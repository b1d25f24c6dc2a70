"""Parameters and moments where the compiled steps want them: one after the other in flat arrays, V by rows."""

from __future__ import annotations

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam
from nsae.kernels.records import AdamRates, FlatArrays, UnitArrays


class FlatState:
    """Moves a model's parameters and Adam's moments into flat arrays, and leaves views in their places.

    The model and the optimizer stay usable at any time: they see every change.

    Parameters
    ----------
    model : Autoencoder
    optimizer : Adam

    Attributes
    ----------
    shape : (int, int)
        (h, d).
    arrays : FlatArrays
        theta, m1 and m2, each (2hd + h + d,).
    """

    def __init__(self, model: Autoencoder, optimizer: Adam):
        self.shape = model.encoder_layer.W.shape  # (h, d)
        h, d = self.shape
        self.optimizer = optimizer
        params = model.params
        self.dtype = params["W"].dtype
        theta, m1, m2 = (np.zeros(2 * h * d + h + d, self.dtype) for _ in range(3))
        for flat, source in ((theta, params), (m1, optimizer.m1), (m2, optimizer.m2)):
            for name, view in self.views(flat).items():
                if name in source:
                    view[...] = source[name]
        self.arrays = FlatArrays(theta, m1, m2, h, d)
        views = self.views(theta)
        model.encoder_layer.W, model.encoder_layer.b = views["W"], views["b"]
        model.decoder_layer.W, model.decoder_layer.b = views["V"], views["c"]
        optimizer.m1, optimizer.m2 = self.views(m1), self.views(m2)

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return W (h, d), V (d, h), b (h,), c (d,) as views of the array ``flat``."""
        h, d = self.shape
        W, Vt, b, c = np.split(flat, np.cumsum([h * d, h * d, h]))
        return {"W": W.reshape(h, d), "V": Vt.reshape(h, d).T, "b": b, "c": c}

    def units(self) -> UnitArrays:
        """Return what belongs to single units, as views."""
        parts = []
        for flat in self.arrays[:3]:
            views = self.views(flat)
            parts += [views["W"], views["b"], views["V"].T]
        return UnitArrays(*parts)

    def next_rates(self, square: float = 0.0) -> AdamRates:
        """Count a step, and return its scalars; ``square`` is ‖∇J‖², needed for (34) alone."""
        adam, real = self.optimizer, self.dtype.type
        adam.t += 1
        return AdamRates(
            learning_rate=real(adam.learning_rate),
            one_minus_beta1=real(1 - adam.beta1),
            one_minus_beta2=real(1 - adam.beta2),
            eps=real(adam.eps),
            correction1=real(1 / (1 - adam.beta1**adam.t)),
            correction2=real(1 / (1 - adam.beta2**adam.t)),
            clip_factor=real(adam.clip_factor(square)),
        )
