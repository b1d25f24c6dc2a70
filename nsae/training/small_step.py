"""The steps of a small dense net: many batches in one call of a compiled loop.

Where a batch has few rows and the net few units, calling NumPy takes longer than its products.  Then all of
a step is compiled, and it asks BLAS for its products itself.  It computes what ``PlainStep`` in loop.py does.
"""

from __future__ import annotations

import math

import numpy as np

from nsae import kernels
from nsae.codes import Codes
from nsae.equations.activations import KSparse, Sigmoid
from nsae.equations.autoencoder import Loss
from nsae.kernels.records import ModelTerms, RunSums, SmallNet, StepRates
from nsae.system import threads
from nsae.system.interrupts import defer_interrupts
from nsae.system.product_address import product_address
from nsae.training.compiled_step import CompiledStep
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport

MOST_WEIGHTS = 1 << 17  # With more weights h·d, the products take nearly all of the time.
RUN_BYTES, RUN_WORK = 1 << 19, 1 << 30  # The rows that are handed over together, and multiplications with W.
# A weight's Adam, and a row's unit or feature with its exponentials, take as long as so many multiplications.
OF_A_WEIGHT, OF_AN_ENTRY = 16, 64


def suits(state: TrainingState, options: TrainingOptions, batch_size: int) -> bool:
    """Return whether the model of ``state`` is small with ``batch_size`` rows, and ``options`` train it plainly."""
    h, d = state.model.encoder_layer.W.shape
    return (
        batch_size * h < threads.MIN_WORK  # more of it is worth several threads
        and h * d <= MOST_WEIGHTS
        and not isinstance(state.model.g, KSparse)
        and not (options.aux_weight or options.resample)
        and kernels.COMPILED
        and product_address(state.model.encoder_layer.W.dtype.name) is not None
    )


class SmallStep(CompiledStep):
    """Takes the steps of several batches at once; see :class:`nsae.training.step.Step`.

    Parameters
    ----------
    state : TrainingState
        One for which :func:`suits` is true.
    options : TrainingOptions
    batch_size : int
        The rows of a batch.

    Attributes
    ----------
    at_once : int
        Batches that a call should be given: they are one below the other, and the last one may be smaller.
    """

    def __init__(self, state: TrainingState, options: TrainingOptions, batch_size: int):
        super().__init__(state, options, batch_size)
        h, d = self.flat.shape
        dtype, model = self.flat.dtype, self.model
        work = (
            batch_size * h * d
            + OF_A_WEIGHT * len(self.flat.arrays.theta)
            + OF_AN_ENTRY * batch_size * (h + d)
        )
        by_size, by_work = RUN_BYTES // (batch_size * d * dtype.itemsize), RUN_WORK // work
        self.at_once = max(1, min(by_size, by_work))  # of much work, Ctrl-C would wait for its end
        sigmoid_units, sigmoid_output = isinstance(model.g, Sigmoid), model.output == "sigmoid"
        self.net = SmallNet(
            gemm=product_address(dtype.name) or 0,
            flat=self.flat.arrays,
            grad=np.empty_like(self.flat.arrays.theta),
            Z=np.empty((batch_size, h), dtype),
            dZ=np.empty((batch_size, h), dtype),
            U=np.empty((batch_size, d), dtype),
            unit_sums=np.empty((2, h), dtype),
            squared=np.empty(d, dtype),
            terms=np.empty((2, d)),
            penalty=np.empty(h, dtype),
        )
        self.terms = ModelTerms(
            cross_entropy=model.loss == "cross_entropy",
            keep_slope=sigmoid_output and model.loss == "squared",  # (11)
            active_above=float(model.g.active_above),
            l1=float(model.l1),
            kl=float(model.kl),
            rho=float(model.rho),
            weight_decay=float(model.decoder_layer.weight_decay),
            max_grad_norm=math.inf if not self.clips else float(state.optimizer.max_grad_norm or math.inf),
            rounding=float(np.finfo(dtype).eps),
        )
        self.E_h = np.empty((batch_size, h), dtype) if sigmoid_units else None
        self.E_d = np.empty((batch_size, d), dtype) if sigmoid_output else None

    def _step(self, X: np.ndarray) -> StepReport:
        if isinstance(X, Codes):
            X = X.to_dense()  # A fit to sparse data takes another step: this is for whoever mixes the two.
        X = np.ascontiguousarray(X, self.flat.dtype)  # (n, d)
        steps = -(-len(X) // self.batch_size)
        sums = RunSums(np.zeros(4), np.zeros(1), np.zeros(len(self.b)), np.zeros(len(self.b)))
        rates = self._rates(steps)
        unit_norm = True if self.unit_norm else None
        with defer_interrupts():  # the weights and the count of their steps go together
            kernels.small_steps(X, self.net, self.terms, rates, sums, self.E_h, self.E_d, unit_norm)
            self.flat.optimizer.t += steps
        loss = Loss(*(sums.losses / len(X)).tolist())  # (5)–(10)
        of_z = None if self.E_h is None else sums.total  # (h,)
        return StepReport(loss, sums.active, float(sums.active.sum()), float(sums.error[0]), of_z, steps)

    def _rates(self, steps: int) -> StepRates:
        """Return the scalars of the next ``steps`` steps."""
        adam, real = self.flat.optimizer, self.flat.dtype.type
        t = np.arange(adam.t + 1, adam.t + steps + 1, dtype=np.float64)  # (steps,)
        return StepRates(
            learning_rate=real(adam.learning_rate),
            one_minus_beta1=real(1 - adam.beta1),
            one_minus_beta2=real(1 - adam.beta2),
            eps=real(adam.eps),
            correction1=(1 / (1 - adam.beta1**t)).astype(real),
            correction2=(1 / (1 - adam.beta2**t)).astype(real),
        )
