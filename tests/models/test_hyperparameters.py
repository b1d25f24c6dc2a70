"""Hyperparameters that do not go together are refused before anything is done."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.validation import generator

X = np.random.default_rng(0).random((40, 5))

REFUSED = [
    ({"k": 9}, ValueError, ["k=9", "n_units=8", "Lower k"]),
    ({"k": 0}, ValueError, ["k=0", "at least 1"]),
    ({"k": 2.0}, TypeError, ["k=2.0", "float", "a whole number"]),
    ({"k": True}, TypeError, ["k=True", "bool"]),
    ({"k": 2, "activation": "sigmoid"}, ValueError, ["k=2", "activation='sigmoid'", "k=None"]),
    ({"kl": 0.1}, ValueError, ["kl=0.1", "ReLU", "activation='sigmoid'"]),
    ({"kl": 0.1, "k": 2}, ValueError, ["kl=0.1", "k-sparse", "activation='sigmoid'"]),
    *(
        ({"kl": 0.1, "activation": "sigmoid", "rho": rho}, ValueError, [f"rho={rho}"])
        for rho in (0, 1, -0.1, 1.5, float("nan"), float("inf"))
    ),
    ({"kl": 0.1, "activation": "sigmoid", "rho": "half"}, TypeError, ["rho='half'", "a number"]),
    ({"activation": "tanh"}, ValueError, ["activation='tanh'", "'relu', 'sigmoid'"]),
    ({"activation": "JumpReLU"}, ValueError, ["activation='jumprelu'", "trained elsewhere", "Use k"]),
    ({"activation": None}, ValueError, ["activation=None", "'relu', 'sigmoid'"]),
    ({"output": "relu"}, ValueError, ["output='relu'", "'linear', 'sigmoid'"]),
    ({"loss": "mse"}, ValueError, ["loss='mse'", "'squared', 'cross_entropy'"]),
    ({"loss": "cross_entropy"}, ValueError, ["cross_entropy", "output='sigmoid'"]),
    *(
        ({"dtype": dtype}, ValueError, ["dtype=", "'float32', 'float64'"])
        for dtype in ("float16", np.float16, np.int32, float, None, ">f4")
    ),
    *(({"n_units": n}, TypeError, [f"n_units={n!r}", "a whole number"]) for n in (2.5, "8", True, None)),
    *(
        ({name: n}, ValueError, [f"{name}={n}", "at least 1"])
        for name in ("n_units", "epochs", "batch_size", "patience")
        for n in (0, -1)
    ),
    *(
        ({name: value}, ValueError, [f"{name}={value}", "finite", "at least 0"])
        for name in ("l1", "kl", "weight_decay", "learning_rate", "tol")
        for value in (-0.1, float("nan"), float("inf"))
    ),
    *(
        ({name: value}, TypeError, [f"{name}={value!r}", "a number"])
        for name in ("l1", "learning_rate")
        for value in ("0.1", None, True, [0.1], 1j)
    ),
]


@pytest.mark.parametrize(("params", "error", "words"), REFUSED)
def test_refused(params, error, words):
    model = SparseAutoencoder(**{"n_units": 8, **params})  # __init__ never objects
    for learn in (model.fit, model.partial_fit):
        with pytest.raises(error) as caught:
            learn(X)
        for word in words:
            assert word in str(caught.value)
    assert not model.__sklearn_is_fitted__()


@pytest.mark.parametrize("random_state", [-1, 1.5, "seed", {}])
def test_bad_random_state(random_state):
    with pytest.raises(ValueError, match=r"random_state=.*whole number.*Generator.*None"):
        SparseAutoencoder(8, random_state=random_state).fit(X)


@pytest.mark.parametrize(
    "params",
    [
        {"n_units": np.int64(8), "k": np.int32(8), "batch_size": np.uint8(7)},
        {"l1": np.float32(0.1), "weight_decay": Fraction(1, 8), "learning_rate": np.float64(0.1), "tol": 1},
        {"dtype": np.float64},
        {"dtype": np.dtype("float32")},
        {"kl": 0.1, "rho": np.float32(0.5), "activation": "sigmoid"},
        {"rho": 7},  # not used
        {"output": "sigmoid", "loss": "cross_entropy"},
        {"output": "sigmoid", "loss": "squared"},
        *(
            {"random_state": seed}
            for seed in (0, np.int64(1), [1, 2], np.random.default_rng(0), np.random.RandomState(0))
        ),
    ],
)
def test_accepted(params):
    SparseAutoencoder(**{"n_units": 8, "epochs": 1, **params}).fit(X)


def test_the_same_generator_from_the_same_seed():
    for make in (lambda: 3, lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)):
        assert generator(make()).random() == generator(make()).random()
    assert generator(None).random() != generator(None).random()


SPOILT = X.copy()
SPOILT[30, 2] = np.nan


@pytest.mark.parametrize(
    ("params", "data"),
    [*((params, X) for params, *_ in REFUSED[:8]), ({}, SPOILT), ({"learning_rate": 1e39}, X)],
)
@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_a_failure_leaves_the_fitted_model_as_it_was(params, data, learn):
    model = SparseAutoencoder(8, epochs=2, random_state=0).fit(X)
    fitted = {name: value for name, value in vars(model).items() if name.endswith("_") or name[0] == "_"}
    before = pickle.dumps(fitted)
    model.set_params(**params)
    with np.errstate(all="ignore"), pytest.raises((ValueError, TypeError, FloatingPointError)):
        getattr(model, learn)(data)
    assert all(getattr(model, name) is value for name, value in fitted.items())
    assert pickle.dumps(fitted) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_units", "x" * 10**6),
        ("n_units", -(10**5000)),
        ("k", 10**5000),
        ("epochs", list(range(10**5))),
        ("learning_rate", "x" * 10**6),
        ("random_state", "x" * 10**6),
        ("n_threads", "x" * 10**6),
        ("n_threads", 10**5000),
        ("x" * 10**6, 1),
    ],
    ids=[f"{i}" for i in range(9)],
)
def test_an_error_is_short_whatever_came(name, value):
    with pytest.raises((ValueError, TypeError)) as error:
        SparseAutoencoder().set_params(**{name: value}).fit(np.ones((3, 2)))
    assert len(str(error.value)) < 700
    assert name[:50] in str(error.value)
