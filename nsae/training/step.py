"""What a training step is: it takes a batch, and reports how the model did on it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from nsae.equations.autoencoder import Loss


class StepReport(NamedTuple):
    """How the model did on a batch, before the step that the batch caused.

    Attributes
    ----------
    loss : Loss
        J and its parts, Eqs. (5)–(10).
    on : (h,) array
        True, or more than 0, for the units that some sample activated.
    active : float
        Active units, summed over the samples.
    error : float
        Σ‖x̂ − x‖².
    total : (h,) array, optional
        Σz over the samples, for sigmoid units, of which ρ̂ is asked, Eq. (8).
    batches : int
        How many batches the numbers are of: of several ones, ``loss`` is the mean over their samples.
    """

    loss: Loss
    on: np.ndarray
    active: float
    error: float
    total: np.ndarray | None = None
    batches: int = 1

    def with_auxiliary(self, value: float) -> StepReport:
        """Return the same report with ``value`` of Eq. (21) in its loss."""
        return self._replace(loss=self.loss._replace(auxiliary=value))


class Step(Protocol):
    """Takes a step on a batch X (B, d), with B at most what it was made for; a context manager.

    There are four.  ``nsae.training.loop.PlainStep`` is the definition, in NumPy.  ``DenseStep`` and
    ``KSparseStep`` compute the same with compiled loops, in buffers that are allocated once, and ``SmallStep``
    does so for ``at_once`` batches a call; tests/kernels/test_steps.py compares them with it.
    """

    at_once: int

    def __call__(self, X: np.ndarray) -> StepReport: ...
    def __enter__(self) -> Step: ...
    def __exit__(self, *_: object) -> None: ...
