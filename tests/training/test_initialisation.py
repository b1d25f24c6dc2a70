import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.training.initialisation import random_layers, sample_mean, tied_layers


def test_tied_layers_are_centred_transposes_of_norm_one(rng):
    X = rng.random((50, 6)) + 3
    encoder, decoder = tied_layers(X, 4, rng, "float64", centred_output=True)
    np.testing.assert_array_equal(encoder.W, decoder.W.T)
    np.testing.assert_allclose(np.linalg.norm(decoder.W, axis=0), 1)
    np.testing.assert_allclose(encoder.forward(X), (X - X.mean(axis=0)) @ encoder.W.T, atol=1e-12)
    np.testing.assert_allclose(decoder.b, X.mean(axis=0))
    assert not np.shares_memory(encoder.W, decoder.W)  # tied at the start only


def test_a_sigmoid_output_does_not_start_at_the_mean(rng):
    _, decoder = tied_layers(rng.random((50, 6)), 4, rng, "float32", centred_output=False)
    assert not decoder.b.any()


@pytest.mark.parametrize("h", [30, 80])
def test_units_that_start_from_samples_have_one_that_they_win(rng, h):
    X = rng.random((50, 6)) + 3
    encoder, decoder = tied_layers(X, h, rng, "float64", centred_output=True, from_samples=True)
    A = X - X.mean(axis=0)
    cosines = (A / np.linalg.norm(A, axis=1, keepdims=True)) @ encoder.W.T  # (50, h)
    own = np.isclose(cosines, 1).sum(axis=0)  # the samples that each unit points to
    assert (own == 1).sum() == min(h, 50) if h < 50 else (own == 1).sum() >= 30
    assert own.max() == 1
    np.testing.assert_array_equal(encoder.W, decoder.W.T)
    assert np.linalg.matrix_rank(encoder.W[:10] @ encoder.W[:10].T) == 6
    assert len(np.unique(encoder.W, axis=0)) == h  # two equal units would always tie, and one of them be dead


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_has_the_dtype_asked_for(rng, dtype):
    X = rng.random((50, 6))
    layers = [*random_layers(6, 4, rng, dtype), *tied_layers(X, 4, rng, dtype, centred_output=True)]
    assert {array.dtype.name for layer in layers for array in (layer.W, layer.b)} == {dtype}
    assert [layer.W.shape for layer in layers] == [(4, 6), (6, 4)] * 2


def test_the_mean_of_many_rows_is_taken_from_runs_of_them(rng):
    X = rng.random((20_000, 3)) + np.arange(20_000)[:, None] / 20_000  # it drifts, so runs must be spread
    np.testing.assert_allclose(sample_mean(X), X.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(sample_mean(X[:5000]), X[:5000].mean(axis=0))


def test_units_from_samples_start_at_the_right_scale(rng):
    X = np.sort(rng.random((500, 20)).astype(np.float32), axis=0)  # sorted: the first rows are not typical
    model = SparseAutoencoder(100, k=10, init="scaled samples", random_state=0)
    core = model.core_for(X)
    rows = X - core.decoder_layer.b
    U = core.reconstruct(core.forward(X)[1]) - core.decoder_layer.b
    assert np.vdot(rows, U) / np.vdot(U, U) == pytest.approx(1, abs=0.02)  # no other length is nearer
    assert np.square(rows - U).sum() < 0.5 * np.square(rows).sum()
    np.testing.assert_allclose(np.linalg.norm(core.decoder_layer.W, axis=0), 1, rtol=1e-5)  # V stays
