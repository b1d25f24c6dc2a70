"""A fit that has learned nothing says so, and one that has learned something is quiet."""

import tracemalloc
import warnings

import numpy as np
import pytest

from nsae import Codes, CollapseWarning, Encoder, SparseAutoencoder
from nsae.equations.activations import ReLU
from nsae.equations.layers import Dense
from nsae.models.explained_variance import explained_variance


@pytest.fixture
def blobs(rng):
    """Rows in [0, 1] around 6 centres: easily learned."""
    centres = rng.random((6, 12))
    return np.clip(centres[rng.integers(0, 6, 600)] + 0.03 * rng.normal(size=(600, 12)), 0, 1)


def fit(X, **options):
    return SparseAutoencoder(
        **{"n_units": 24, "epochs": 40, "batch_size": 50, "random_state": 0, **options}
    ).fit(X)


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0.01},
        {"k": 2, "learning_rate": 0.01},
        {"l1": 0.01, "unit_norm": True, "learning_rate": 0.01},
        {"activation": "sigmoid", "kl": 0.05, "rho": 0.2, "learning_rate": 0.03},
        {"output": "sigmoid", "loss": "cross_entropy", "learning_rate": 0.02},
    ],
    ids=str,
)
def test_a_fit_that_has_learned_is_quiet(blobs, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(blobs, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1": 100.0, "unit_norm": True, "learning_rate": 0.01}, "samples activate no unit.*Lower l1=100"),
        ({"l1": 30.0, "learning_rate": 0.01}, "samples activate no unit|All codes are near zero"),
        (
            {"activation": "sigmoid", "kl": 1000.0, "rho": 1e-5, "learning_rate": 0.1},
            "codes are near zero.*kl=1000",
        ),
        ({"epochs": 1, "learning_rate": 1e-6}, "explained variance is -.*epochs=1.*1e-06"),
        ({"weight_decay": 100.0, "learning_rate": 0.01}, "near zero|explained variance|no unit"),
    ],
    ids=str,
)
def test_a_collapse_is_told_with_what_may_help(blobs, options, message):
    with pytest.warns(CollapseWarning, match=message) as caught:
        fit(blobs, **options)
    assert caught[0].filename == __file__  # the line that called fit


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda X: X * 255, {"output": "sigmoid"}, "goes from 0 to 255.*cannot be reconstructed"),
        (lambda X: X * 2 - 1, {"output": "sigmoid"}, "cannot be reconstructed"),
        (lambda X: X * 255, {"activation": "sigmoid"}, "sigmoid units are nearly 0 or 1"),
        (lambda X: X * -255, {"activation": "sigmoid"}, "sigmoid units are nearly 0 or 1"),
    ],
)
def test_data_that_no_sigmoid_gives_or_takes(blobs, change, options, message):
    with pytest.warns(CollapseWarning, match=message):
        fit(change(blobs), epochs=1, **options)


def test_constant_data_has_no_variance_to_explain():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(np.full((50, 4), 0.5), epochs=5, learning_rate=0.01)


def test_the_command_line_tells_it_in_one_line(tmp_path, rng, capsys):
    from nsae.cli import main

    np.save(tmp_path / "X.npy", rng.random((60, 5)))
    command = ["train", str(tmp_path / "X.npy"), "-o", str(tmp_path / "m.npz"), "--units", "4"]
    assert main([*command, "--epochs", "60", "--learning-rate", "0.05", "--l1", "100", "--unit-norm"]) == 0
    error = capsys.readouterr().err
    (line,) = [line for line in error.splitlines() if "activate no unit" in line or "near zero" in line]
    assert line.startswith("nsae: warning: ")
    assert "--l1 100" in line


def test_rows_of_zeros_may_have_codes_of_zeros(rng):
    X = (rng.random((2000, 40)) < 0.03) * rng.random((2000, 40))
    X[rng.random(2000) < 0.7] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(X, l1=0.02, unit_norm=True, n_units=32, epochs=30)


@pytest.mark.parametrize("sparse", [True, False])
def test_the_explained_variance_of_wide_rows_takes_little_memory(rng, sparse):
    """128 rows of float64 alone would be 41 MB, and so would each of the arrays that are computed from them."""
    n, d = 128, 40_000
    X = np.zeros((n, d), np.float32)
    X[np.arange(n), rng.integers(0, d, n)] = 1
    W = rng.normal(size=(2, d)).astype(np.float32)
    c = np.zeros(d, np.float32)
    encoder = Encoder(Dense(W, c[:2]), Dense(W.T.copy() / d, c), ReLU(), "linear", {})
    data = Codes.from_dense(X) if sparse else X
    tracemalloc.start()
    explained = explained_variance(encoder, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    error = np.square(X - encoder.inverse_transform(encoder.transform(X)), dtype=float).sum()
    total = np.square(X - X.mean(axis=0, dtype=float), dtype=float).sum()
    assert explained == pytest.approx(1 - error / total, rel=1e-6)


def test_one_large_number_is_no_reason_to_warn(blobs):
    blobs[5, 3] = 25
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(blobs, activation="sigmoid", learning_rate=0.03)


def test_a_data_frame_gives_no_warning_about_names(blobs):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blobs, columns=[f"c{i}" for i in range(12)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(frame, k=2, learning_rate=0.01)
