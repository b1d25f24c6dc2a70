"""A model and an optimizer that note what a training loop does with them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from nsae.equations.activations import ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam, Arrays
from nsae.study.exercises.exercise import Case, Function, UnreadableError

LEARNED = (
    1.6  # J at the end may be so many times that of nsae's loop: other shuffles gave up to 1.23, no steps 4
)


class WatchedModel(Autoencoder):
    """An autoencoder that notes each batch that backward sees, and J at it."""

    def watch(self) -> WatchedModel:
        """Begin to take notes."""
        self.batches: list[np.ndarray] = []
        self.losses_seen: list[float] = []
        self.grads: list[Arrays] = []
        return self

    def backward(self, X: np.ndarray, Z: np.ndarray, U: np.ndarray) -> Arrays:
        """Return the gradients for the batch ``X``, with Z and U as ``forward`` made them."""
        grads = super().backward(X, Z, U)
        self.batches.append(np.array(X))
        self.losses_seen.append(self.losses(X, Z, U).total)
        self.grads.append({name: grad.copy() for name, grad in grads.items()})
        return grads


class WatchedAdam(Adam):
    """Adam that notes whether each step has the gradients that were computed last, and just before it."""

    def watch(self, model: WatchedModel) -> WatchedAdam:
        """Begin to take notes on the training of ``model``."""
        self.model, self.fresh, self.own = model, 0, 0
        self.after: list[int] = []  # how many batches had gone through backward before each step
        return self

    def step(self, params: Arrays, grads: Arrays) -> None:
        """Move ``params`` against ``grads``."""
        last = self.model.grads[-1] if self.model.grads else {}
        same = last.keys() == grads.keys() and all(np.array_equal(last[n], grads[n]) for n in last)
        own = self.model.params
        self.own += params.keys() == own.keys() and all(params[name] is own[name] for name in own)
        self.fresh += same and len(self.model.grads) not in self.after
        self.after.append(len(self.model.grads))
        super().step(params, grads)


OUTPUTS = (
    "the number of steps",
    "the number of batches that went through backward",
    "the sizes of the batches, from the largest",
    "how often each row was in a batch",
    "the number of epochs that have every row once",
    "the number of epochs with the rows in the order of X",
    "the number of epochs with the rows in the order of the first epoch",
    "after which batches a step was taken",
    "the number of steps that moved model.params",
    "the number of steps with the gradient of the batch just before",
    "whether J has fallen to what nsae's loop gets (1 is yes)",
    "how many numbers are returned",
    "whether they are J of each step (1 is yes)",
    "how many times as large as J they are, rounded",
)


def observe(function: Function, case: Case, right: Function) -> Any:
    """Call a training loop, ``function``, on a ``case``, and return what it did.

    That is a value for each of ``OUTPUTS``; None if it returned None.  ``right`` is the loop that shows how far J
    should fall.
    """
    X, epochs, model = case["X"].copy(), case["epochs"], case["model"].watch()
    start = {name: value.copy() for name, value in model.params.items()}
    case["optimizer"].watch(model)
    returned = function(*case.values())
    if returned is None:
        return None
    rows = {row.tobytes(): i for i, row in enumerate(X)}
    seen = [[rows.get(row.tobytes(), -1) for row in batch] for batch in model.batches]
    in_order = [row for batch in seen for row in batch]
    orders, counts = _epochs(in_order, epochs), Counter(in_order)
    try:
        listed = np.ravel(np.asarray(returned, np.float64))
    except (TypeError, ValueError):
        raise UnreadableError("something that is no list of numbers") from None
    seen_losses = np.array(model.losses_seen)
    each = len(listed) == len(seen)
    return (
        case["optimizer"].t,
        len(seen),
        sorted(map(len, seen), reverse=True),
        [counts[i] for i in range(len(X))],
        sum(sorted(order) == list(range(len(X))) for order in orders),
        sum(order == list(range(len(order))) for order in orders),
        sum(order == orders[0] for order in orders),
        case["optimizer"].after,
        case["optimizer"].own,
        case["optimizer"].fresh,
        float(_has_learned(model, start, X, case, right)),
        len(listed),
        float(each and np.allclose(listed, seen_losses)),
        np.round(np.median(listed / seen_losses)) if each and len(seen) else 0.0,
    )


def _epochs(rows: list[int], epochs: int) -> list[list[int]]:
    """Return the rows in the order in which they came, in as many parts as there are epochs."""
    size = len(rows) // epochs
    return [rows[i * size : (i + 1) * size] for i in range(epochs)]


def _has_learned(model: Autoencoder, start: Arrays, X: np.ndarray, case: Case, right: Function) -> bool:
    """Whether J is as low as after nsae's loop from the same start."""
    ours = small_model(np.random.default_rng(0), X.shape[1], len(start["b"]))
    for name, value in ours.params.items():
        value[...] = start[name]
    right(
        ours,
        Adam(case["optimizer"].learning_rate),
        X,
        case["epochs"],
        case["batch_size"],
        np.random.default_rng(1),
    )
    J, theirs = (m.losses(X, *m.forward(X)).total for m in (model, ours))
    return bool(J <= LEARNED * theirs)


def small_model(rng: np.random.Generator, d: int, h: int) -> WatchedModel:
    """Return a model with d features and h units, drawn by ``rng``."""
    encoder, decoder = Dense.random(d, h, rng, "float64"), Dense.random(h, d, rng, "float64")
    return WatchedModel(encoder, decoder, ReLU(), l1=0.01).watch()
