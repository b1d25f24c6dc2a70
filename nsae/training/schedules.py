"""What changes from step to step: the learning rate, and k.  Both are constant unless asked for."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from nsae.equations.activations import KSparse
from nsae.training.state import TrainingOptions, TrainingState

LR_SCHEDULES = ("none", "linear", "cosine")
ANNEALING = 0.6  # k falls during this fraction of all steps, and then stays.


def rate_factor(t: int, steps: int, warmup_steps: int, lr_schedule: str) -> float:
    """Return what Adam's α is multiplied by in step ``t``, counted from 0, of ``steps``.

    The factor rises to 1 in ``warmup_steps`` even steps.  ``lr_schedule`` "linear" and "cosine" bring it
    down to 0, which it reaches after the last step and keeps; with "none" it stays at 1.
    """
    rise = min(1.0, (t + 1) / warmup_steps) if warmup_steps else 1.0
    done = min(1.0, t / steps)
    if lr_schedule == "linear":
        return rise * (1 - done)
    if lr_schedule == "cosine":
        return rise * (0.5 * (1 + math.cos(math.pi * done)))
    return rise


def annealed_k(t: int, steps: int, k_start: int, k: int) -> int:
    """Return the k of step ``t``, counted from 0, of ``steps``: evenly from ``k_start`` down to ``k``.

    It arrives after three fifths of the steps.  While k is large, nearly every unit gets a gradient, and
    fewer units die of never having been among the k largest.
    """
    falling = max(1.0, ANNEALING * steps)
    return max(k, round(k_start + (k - k_start) * t / falling))


@dataclass(frozen=True)
class Schedule:
    """Sets the learning rate and k before each step.

    Steps are counted by ``Adam.t``, so that a ``partial_fit`` goes on where the call before it ended.

    Parameters
    ----------
    options : TrainingOptions
    state : TrainingState
        Its model and optimizer are set.
    k : int or None
        What k comes down to.
    steps : int
        How many steps the schedule has.
    """

    options: TrainingOptions
    state: TrainingState
    k: int | None
    steps: int

    @classmethod
    def of(cls, state: TrainingState, options: TrainingOptions, n_rows: int) -> Schedule:
        """Return the schedule of ``state`` for ``options``, where data of ``n_rows`` rows comes next.

        Its length is ``schedule_steps``, or else ``epochs`` passes over data with as many rows as training
        began with: those of the first call.
        """
        state.epoch_rows = state.epoch_rows or n_rows
        a_pass = -(-state.epoch_rows // int(options.batch_size))
        steps = int(options.schedule_steps or options.epochs * a_pass)
        g = state.model.g
        return cls(options, state, g.k if isinstance(g, KSparse) else None, steps)

    def warn_if_ended(self) -> None:
        """Warn if the learning rate has come down to 0 before this call: it would change nothing."""
        if self.options.lr_schedule != "none" and self.state.optimizer.t >= self.steps:
            warnings.warn(
                f"lr_schedule={self.options.lr_schedule!r} has come to its end after {self.steps} steps, and the "
                "learning rate is 0: this call changes nothing. Go on at a constant rate with "
                "set_params(lr_schedule='none'), or give the schedule more steps with "
                "set_params(schedule_steps=...).",
                stacklevel=4,
            )

    def prepare(self) -> None:
        """Set what the next step needs."""
        options, state = self.options, self.state
        t = state.optimizer.t
        factor = rate_factor(t, self.steps, options.warmup_steps, options.lr_schedule)
        state.optimizer.learning_rate = float(options.learning_rate) * factor
        g = state.model.g
        if isinstance(g, KSparse) and options.k_start is not None and self.k is not None:
            g.k = annealed_k(t, self.steps, int(options.k_start), self.k)

    def rate_is_constant(self, done: int) -> bool:
        """Return whether all steps of this epoch, of which ``done`` are done, and later ones have one learning rate."""
        begun = self.state.optimizer.t - done  # when the epoch began: a resumed one is cut as it was
        return self.options.lr_schedule == "none" and begun >= self.options.warmup_steps

    @property
    def k_has_arrived(self) -> bool:
        """Whether k is at its final value.  Before, the loss may rise, and that is no convergence."""
        return self.options.k_start is None or self.state.optimizer.t > ANNEALING * self.steps

    def reset(self) -> None:
        """Set the learning rate and k as they were asked for."""
        self.state.optimizer.learning_rate = float(self.options.learning_rate)
        g = self.state.model.g
        if isinstance(g, KSparse) and self.k is not None:
            g.k = self.k
