"""SoftmaxClassifier and StackedAutoencoder: what ``stack`` computes, as estimators.

Both learn in float32, in NumPy.  A stack learns in three stages, and each of them is a method: ``pretrain``
(without labels), ``fit_softmax`` (the layers stay as they are), and ``fine_tune`` (all layers move).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nsae.deep.descend import (
    Steps,
    check_labels,
    check_steps,
    classes_of,
    copied,
    descend,
    known_classes,
    random_top,
)
from nsae.deep.softmax import softmax
from nsae.deep.stack import Stack
from nsae.errors import NotFittedError
from nsae.models.sklearn_contract import Parameters
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.validation import at_least, generator
from nsae.validation.sparse import check_rows

if TYPE_CHECKING:
    from typing_extensions import Self

BLOCK_ROWS = 4096  # that are predicted at once


class StackClassifier:
    """What a fitted stack does with data.  ``stack_`` and ``classes_`` (C,) are its attributes."""

    stack_: Stack
    classes_: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities (n, C) float32 of the classes, Eq. (43), for X (n, d)."""
        return np.concatenate([softmax(U) for _, U in self._blocks(X)])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the likeliest class of each row of X (n, d): (n,) labels as ``fit`` got them."""
        numbers = np.concatenate([U.argmax(axis=1) for _, U in self._blocks(X)])  # (n,)
        return self.classes_[numbers]

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the accuracy, from 0 to 1, for X (n, d) and its labels ``y`` (n,)."""
        right = self.predict(X)
        y = check_labels(y, len(right))
        return float(np.mean(right == y))

    @property
    def n_features_in_(self) -> int:
        """d."""
        return int((*self.stack_.layers, self.stack_.top)[0].W.shape[1])

    def _blocks(self, X: np.ndarray) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """Yield what ``Stack.forward`` returns for one block of rows after the other."""
        name = type(self).__name__
        if not hasattr(self, "stack_"):
            raise NotFittedError(f"This {name} is not fitted yet. Call fit(X, y) first.")
        X = check_rows(X, owner=name, n_features=self.n_features_in_)
        yield from _forward(self.stack_, X)


def _forward(stack: Stack, X: np.ndarray) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    for start in range(0, len(X), BLOCK_ROWS):
        yield stack.forward(X[start : start + BLOCK_ROWS].astype(np.float32, copy=False))


class SoftmaxClassifier(StackClassifier, Parameters):
    """Softmax regression, Eq. (43), on codes or on any other rows of numbers.

    Parameters
    ----------
    weight_decay : float
        γ, Eq. (9).
    epochs, batch_size, learning_rate
        Passes over the data, samples a step, and α of Adam, Eq. (19), which falls to 0 on a line.
    random_state : int, numpy.random.Generator or None
        For the initial weights and the order of samples.

    Attributes
    ----------
    stack_ : Stack
        The weights, in a stack without layers.
    classes_ : (C,) array
        The labels, sorted.
    history_ : list of float
        The mean loss J of each epoch's batches, each as it was before its step.
    n_features_in_ : int
        d.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae.deep import SoftmaxClassifier
    >>> X = np.eye(3, dtype=np.float32).repeat(20, axis=0)
    >>> y = np.repeat(["a", "b", "c"], 20)
    >>> SoftmaxClassifier(epochs=200, random_state=0).fit(X, y).score(X, y)
    1.0
    """

    def __init__(
        self,
        *,
        weight_decay: float = 1e-4,
        epochs: int = 30,
        batch_size: int = 100,
        learning_rate: float = 1e-2,
        random_state: int | np.random.Generator | None = None,
    ):
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn from X (n, d) and its labels ``y`` (n,), starting anew.

        Raises
        ------
        ValueError, TypeError
            Data, labels or hyperparameters that cannot be used; a classifier fitted before stays as it was.
        FloatingPointError
            The loss became NaN or infinite.
        """
        check_steps(self.weight_decay, self.batch_size, self.learning_rate)
        at_least("epochs", self.epochs, 1, whole=True)
        X = check_rows(X, owner=type(self).__name__)
        classes, numbers = classes_of(y, len(X))
        rng = generator(self.random_state)
        stack = Stack([], [], random_top(X.shape[1], len(classes), self.weight_decay, rng))
        steps = Steps(int(self.epochs), int(self.batch_size), self.learning_rate)
        self.history_ = descend(stack, X, numbers, steps, rng)
        self.stack_, self.classes_ = stack, classes
        return self


class StackedAutoencoder(StackClassifier, Parameters):
    """Sparse autoencoders on top of each other, with softmax above them and fine-tuning through all: Eq. (44).

    Each autoencoder learns the codes of the one below it, without labels.  Then softmax learns from the codes of
    the last one, and then all layers move together.  Decoders serve in the first stage alone.

    Parameters
    ----------
    layers : sequence of SparseAutoencoder
        From below, each with its own options.  They are copied and stay as they are.
    weight_decay : float
        γ of Eq. (9) for softmax and for fine-tuning: of all layers.
    softmax_epochs, epochs : int
        Passes over the data of softmax alone, and of fine-tuning; with ``epochs=0`` there is no fine-tuning.
    batch_size : int
        Samples a step, of both.
    learning_rate : float
        α of Adam in fine-tuning, which falls to 0 on a line.  Softmax alone learns with ten times as much.
    random_state : int, numpy.random.Generator or None
        For softmax and for the order of samples.  The layers have their own.

    Attributes
    ----------
    layers_ : list of SparseAutoencoder
        As the first stage left them.
    stack_ : Stack
        Encoders and softmax as they stand.
    classes_ : (C,) array
        The labels, sorted.
    history_ : list of float
        The mean loss J of each epoch of the last stage, each batch as it was before its step.
    n_features_in_ : int
        d.

    Examples
    --------
    >>> from nsae import SparseAutoencoder
    >>> from nsae.datasets import glyphs
    >>> from nsae.deep import StackedAutoencoder
    >>> images, labels = glyphs(500, random_state=0)
    >>> X = images.reshape(500, -1)
    >>> layers = [SparseAutoencoder(50, k=10, random_state=0), SparseAutoencoder(30, k=10, random_state=1)]
    >>> StackedAutoencoder(layers, epochs=5, random_state=0).fit(X, labels).transform(X).shape
    (500, 30)
    """

    def __init__(
        self,
        layers: Sequence[SparseAutoencoder],
        *,
        weight_decay: float = 1e-4,
        softmax_epochs: int = 20,
        epochs: int = 20,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        random_state: int | np.random.Generator | None = None,
    ):
        self.layers = layers
        self.weight_decay = weight_decay
        self.softmax_epochs = softmax_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn in all three stages from X (n, d) and its labels ``y`` (n,), starting anew.

        Raises
        ------
        ValueError, TypeError
            Data, labels, layers or hyperparameters that cannot be used.
        FloatingPointError
            A loss became NaN or infinite.
        """
        self._check()
        classes_of(
            y, len(check_rows(X, owner=type(self).__name__))
        )  # before minutes of learning without labels
        self.pretrain(X).fit_softmax(X, y)
        return self.fine_tune(X, y) if self.epochs else self

    def pretrain(self, X: np.ndarray) -> Self:
        """Let each layer learn the codes of the one below it, from X (n, d), without labels.

        ``X`` may have more rows than those that have labels.  Errors are those of :meth:`fit`.
        """
        self._check()
        Z = check_rows(X, owner=type(self).__name__)
        learned = []
        for layer in self.layers:
            fitted = copy.copy(layer).fit(Z)
            learned.append(fitted)
            Z = fitted.encoder().transform(Z)  # (n, h_l)
        self.layers_ = learned
        for name in ("stack_", "classes_"):  # of other layers
            self.__dict__.pop(name, None)
        return self

    def fit_softmax(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn softmax from the codes of X (n, d) and the labels ``y`` (n,); the layers stay as they are.

        Errors are those of :meth:`fit`, and NotFittedError before ``pretrain``.
        """
        self._check()
        if not hasattr(self, "layers_"):
            raise NotFittedError("The layers have not learned yet. Call pretrain(X) first, or fit(X, y).")
        cores = [layer.autoencoder_ for layer in self.layers_]
        X = check_rows(X, owner=type(self).__name__, n_features=cores[0].encoder_layer.W.shape[1])
        classes, numbers = classes_of(y, len(X))
        rng = generator(self.random_state)
        encoders = [copied(core.encoder_layer, self.weight_decay) for core in cores]
        top = random_top(len(encoders[-1].b), len(classes), self.weight_decay, rng)
        stack = Stack(encoders, [core.g for core in cores], top)
        codes = np.concatenate([Z[-1] for Z, _ in _forward(stack, X)])  # (n, h_L)
        steps = Steps(int(self.softmax_epochs), int(self.batch_size), 10 * self.learning_rate)
        self.history_ = descend(Stack([], [], top), codes, numbers, steps, rng)
        self.stack_, self.classes_ = stack, classes
        return self

    def fine_tune(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Move all layers together, from X (n, d) and the labels ``y`` (n,), for ``epochs`` epochs.

        A second call goes on from the first.  Errors are those of :meth:`fit`, and NotFittedError before
        ``fit_softmax``.  After an error the stack stays as it was.
        """
        self._check()
        if not hasattr(self, "stack_"):
            raise NotFittedError("Softmax has not learned yet. Call fit_softmax(X, y) first, or fit(X, y).")
        X = check_rows(X, owner=type(self).__name__, n_features=self.n_features_in_)
        numbers = known_classes(y, len(X), self.classes_)
        stack = copy.deepcopy(self.stack_)
        steps = Steps(int(self.epochs), int(self.batch_size), self.learning_rate)
        self.history_ = descend(stack, X, numbers, steps, generator(self.random_state))
        self.stack_ = stack
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the codes (n, h_L) float32 of the last layer, as it stands, for X (n, d)."""
        return np.concatenate([Z[-1] for Z, _ in self._blocks(X)])

    def _check(self) -> None:
        layers = list(self.layers) if isinstance(self.layers, Sequence) else []
        wrong = [type(layer).__name__ for layer in layers if not isinstance(layer, SparseAutoencoder)]
        if not layers or wrong:
            raise TypeError(
                f"layers={wrong or self.layers!r} came, where a list of SparseAutoencoder was expected, such as "
                "[SparseAutoencoder(200), SparseAutoencoder(100)]."
            )
        check_steps(self.weight_decay, self.batch_size, self.learning_rate)
        at_least("softmax_epochs", self.softmax_epochs, 1, whole=True)
        at_least("epochs", self.epochs, 0, whole=True)
