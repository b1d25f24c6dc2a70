"""What changes from step to step: the learning rate, and k.  Both are constant unless asked for."""

from __future__ import annotations

import math

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam

LR_SCHEDULES = ("none", "linear", "cosine")
ANNEALING = 0.6  # of all steps, over which k falls; then it stays


def rate_factor(n: int, steps: int, warmup_steps: int, lr_schedule: str) -> float:
    """What Adam's α of step n (from 0) of ``steps`` is multiplied by.

    It rises in ``warmup_steps`` even steps to 1; "linear" and "cosine" lead to 0 at the end.
    """
    rise = min(1.0, (n + 1) / warmup_steps) if warmup_steps else 1.0
    done = n / steps
    fall = {"none": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[lr_schedule]
    return rise * fall


def annealed_k(n: int, steps: int, k_start: int, k: int) -> int:
    """k of step n (from 0) of ``steps``: from ``k_start`` evenly down to k, in the first three fifths.

    While k is large, nearly every unit has a share in the gradient, and fewer die of never having won.
    """
    falling = max(1.0, ANNEALING * steps)
    return max(k, round(k_start + (k - k_start) * n / falling))


class Schedule:
    """Sets the learning rate and k before each step; a context manager that puts back what it found."""

    def __init__(
        self,
        model: Autoencoder,
        optimizer: Adam,
        steps: int,
        *,
        warmup_steps: int,
        lr_schedule: str,
        k_start: int | None,
    ):
        self.model, self.optimizer, self.steps = model, optimizer, steps
        self.warmup_steps, self.lr_schedule, self.k_start = warmup_steps, lr_schedule, k_start
        self.n = 0

    def __enter__(self) -> Schedule:
        self.learning_rate = self.optimizer.learning_rate
        self.k = getattr(self.model.g, "k", None)
        if self.k_start is not None:
            self.model.g.k = self.k_start  # a step makes its buffers for the largest k
        return self

    def advance(self) -> None:
        """Set what the next step needs."""
        factor = rate_factor(self.n, self.steps, self.warmup_steps, self.lr_schedule)
        self.optimizer.learning_rate = self.learning_rate * factor
        if self.k_start is not None:
            self.model.g.k = annealed_k(self.n, self.steps, self.k_start, self.k)
        self.n += 1

    @property
    def settled(self) -> bool:
        """Whether k has arrived: before, the loss may well rise, and that is no convergence."""
        return self.k_start is None or self.n > ANNEALING * self.steps

    def __exit__(self, *_: object) -> None:
        self.optimizer.learning_rate = self.learning_rate
        if self.k_start is not None:
            self.model.g.k = self.k
