"""Exercise 12: the training loop.  It is judged by what it does, not by the numbers that its shuffling draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam
from nsae.study.exercises.exercise import Case, Exercise, Function, Mistake, Task
from nsae.study.exercises.tasks.watched import OUTPUTS, WatchedAdam, observe, small_model


def train(
    model: Autoencoder, optimizer: Adam, X: np.ndarray, epochs: int, batch_size: int, rng: np.random.Generator
) -> list[float]:
    """Train the model in place, and return J of each step, in order: a list of numbers.

    In each epoch, every row of X is in one batch.  The rows are shuffled anew for each epoch.  The last batch of an
    epoch may be smaller.  For each batch: forward and loss (1)–(10), backward (11)–(15), step (16)–(19).

    Parameters
    ----------
    model : nsae.Autoencoder
        ``J, grads = model.loss_and_grads(batch)`` is forward, loss and backward.  ``model.params`` are W, b, V, c.
    optimizer : nsae.equations.optimizers.Adam
        ``optimizer.step(model.params, grads)`` moves the parameters, in place.
    X : (n, d) array
        The data.  Leave it as it is.
    epochs : int
        How often to go through X.
    batch_size : int
        B, the rows of a batch.
    rng : numpy.random.Generator
        For the shuffling: ``rng.permutation(n)`` returns the numbers from 0 to n − 1 in random order.

    Examples
    --------
    5 rows in batches of 2 are 3 steps an epoch:

    >>> from nsae.equations.activations import ReLU
    >>> from nsae.equations.autoencoder import Autoencoder
    >>> from nsae.equations.layers import Dense
    >>> from nsae.equations.optimizers import Adam
    >>> rng = np.random.default_rng(0)
    >>> model = Autoencoder(Dense.random(3, 4, rng, float), Dense.random(4, 3, rng, float), ReLU())
    >>> losses = train(model, Adam(0.01), rng.random((5, 3)), 20, 2, rng)
    >>> len(losses), bool(losses[-1] < losses[0])
    (60, True)
    """
    losses = []
    for _ in range(epochs):
        order = rng.permutation(len(X))  # (n,)
        for start in range(0, len(X), batch_size):
            batch = X[order[start : start + batch_size]]  # (B, d)
            J, grads = model.loss_and_grads(batch)  # (1)–(15)
            optimizer.step(model.params, grads)  # (16)–(19)
            losses.append(J)
    return losses


def _observe(function: Function, case: Case) -> Any:
    return observe(function, case, train)


def _cases() -> list[Case]:
    cases = []
    for seed, (n, d, h, batch_size) in enumerate(((23, 6, 4, 5), (16, 3, 5, 8))):
        rng = np.random.default_rng(seed)
        model, X = small_model(rng, d, h), rng.random((n, d))
        case = {"model": model, "optimizer": WatchedAdam(0.02), "X": X, "epochs": 6}
        cases.append({**case, "batch_size": batch_size, "rng": np.random.default_rng(seed)})
    return cases


PASS = "for start in range(0, len(X), batch_size):"
STEP = "optimizer.step(model.params, grads)"
APPEND = "            losses.append(J)"
ORDER = "order = rng.permutation(len(X))"
EPOCH = "for _ in range(epochs):"
BATCH = "X[order[start : start + batch_size]]"
MISTAKES = (
    Mistake(
        "the rows are not shuffled",
        ORDER,
        "order = np.arange(len(X))",
        "",
        "The rows come in the order of X in each epoch, so that a batch always has the same rows.",
    ),
    Mistake(
        "the rows are shuffled once",
        f"{EPOCH}\n        {ORDER}",
        f"{ORDER}\n    {EPOCH}",
        "",
        "The rows are shuffled before the first epoch, and then come in the same order. Shuffle anew in each epoch.",
    ),
    Mistake(
        "the last batch is skipped",
        "range(0, len(X), batch_size)",
        "range(0, len(X) - batch_size + 1, batch_size)",
        "",
        "If n is no multiple of B, a few rows are left over at the end of an epoch. They make a smaller batch.",
    ),
    Mistake(
        "a row of each batch is skipped",
        "start + batch_size]",
        "start + batch_size - 1]",
        "",
        "A slice leaves out its end already: each batch lacks a row.",
    ),
    Mistake(
        "the end of the slice is B",
        "start + batch_size]",
        "batch_size]",
        "",
        "The slice must end a batch further than it starts. Yours always ends at row B: later batches are empty.",
    ),
    Mistake(
        "batches overlap",
        PASS,
        "for start in range(len(X)):",
        "",
        "The start of a batch moves on by one row. It should move on by a whole batch.",
    ),
    Mistake(
        "the whole data is one batch",
        BATCH,
        "X[order]",
        "",
        "Each step sees all rows. It should see those of one batch.",
    ),
    Mistake(
        "every step has the first batch",
        BATCH,
        "X[order[:batch_size]]",
        "",
        "The slice does not move on: in an epoch, every step sees the same batch.",
    ),
    Mistake(
        "rows are drawn with replacement",
        BATCH,
        "X[rng.integers(0, len(X), min(batch_size, len(X) - start))]",
        "",
        "Rows are drawn at random for each batch, so that some come twice in an epoch and some do not come.",
    ),
    Mistake(
        "rows are drawn with replacement, for an epoch",
        ORDER,
        "order = rng.integers(0, len(X), len(X))",
        "",
        "Some rows come twice in an epoch and some do not come. A permutation has each row once.",
    ),
    Mistake(
        "no step is taken",
        STEP,
        "pass",
        "(19)",
        "The gradients are computed and not used: the parameters never change.",
    ),
    Mistake(
        "one step for each epoch, with the last batch",
        f"            {STEP}  # (16)–(19)\n{APPEND}",
        f"{APPEND}\n        {STEP}",
        "(19)",
        "The step stands outside of the loop over batches. Each batch gives a step.",
    ),
    Mistake(
        "one step for each epoch, with the first batch",
        STEP,
        f"{STEP} if start == 0 else None",
        "(19)",
        "Only the first batch of each epoch moves the parameters.",
    ),
    Mistake(
        "gradients and parameters are swapped",
        STEP,
        "optimizer.step(grads, model.params)",
        "(19)",
        "The first argument is what is moved, the second is the gradient. You move the gradients.",
    ),
    Mistake(
        "two steps for each batch",
        STEP,
        f"{STEP}\n            {STEP}",
        "(19)",
        "A gradient holds where it was computed: one step for each.",
    ),
    Mistake(
        "a step with the gradient of the batch before",
        STEP,
        "optimizer.step(model.params, before if losses else grads)\n            before = grads",
        "(19)",
        "The gradient that is used is that of the batch before, at parameters that have moved on.",
    ),
    Mistake(
        "the sign of the gradients is reversed",
        STEP,
        "optimizer.step(model.params, {name: -grad for name, grad in grads.items()})",
        "(19)",
        "The optimizer subtracts already. With the sign reversed, J rises.",
    ),
    Mistake(
        "the gradients are divided by B",
        STEP,
        "optimizer.step(model.params, {name: grad / len(batch) for name, grad in grads.items()})",
        "(11)",
        "The gradients are means over the batch already, Eq. (11).",
    ),
    Mistake(
        "a copy of the parameters is trained",
        STEP,
        "optimizer.step({name: theta.copy() for name, theta in model.params.items()}, grads)",
        "(19)",
        "The step moves the arrays that it is given. Copies are moved, and the model stays as it was.",
    ),
    Mistake("one epoch only", EPOCH, "for _ in range(1):", "", "The loop over epochs runs once."),
    Mistake("one epoch too few", EPOCH, "for _ in range(1, epochs):", "", "range(1, n) has n − 1 numbers."),
    Mistake(
        "the first epoch only, by an early return",
        "    return losses",
        "        return losses",
        "",
        "The return stands inside of the loop over epochs, and ends it after the first one.",
    ),
    Mistake(
        "the first batch only, by an early return",
        f"{APPEND}\n    return losses",
        f"{APPEND}\n            return losses",
        "",
        "The return stands inside of the loop over batches, and ends it after the first one.",
    ),
    Mistake(
        "one number is returned for each epoch",
        APPEND,
        APPEND[4:],
        "",
        "J of each step is asked for. Yours is appended once for each epoch.",
    ),
    Mistake(
        "the last J is returned", "return losses", "return J", "", "J of each step is asked for, in a list."
    ),
    Mistake(
        "the mean of J is returned",
        "return losses",
        "return np.mean(losses)",
        "",
        "J of each step is asked for, in a list.",
    ),
    Mistake(
        "J of the last epoch is returned",
        ORDER,
        "losses, order = [], rng.permutation(len(X))",
        "",
        "The list is begun anew in each epoch.",
    ),
    Mistake(
        "J after the step is returned",
        "losses.append(J)",
        "losses.append(model.losses(batch, *model.forward(batch)).total)",
        "",
        "You return J of each batch after the step. What is asked for is the J that was differentiated.",
    ),
    Mistake(
        "J is summed over the batch",
        "losses.append(J)",
        "losses.append(J * len(batch))",
        "(10)",
        "J is a mean over the batch, and is returned as it is.",
    ),
)

EXERCISE = Exercise(
    12,
    "training_loop",
    "a training loop",
    "(1)–(19)",
    (Task(train, _cases, OUTPUTS, {"X": "nd"}, MISTAKES, observe=_observe),),
    ("nsae.training.loop:PlainStep.__call__", "nsae.training.loop:train"),
)
