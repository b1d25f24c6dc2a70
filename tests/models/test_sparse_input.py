"""Estimator and encoder with sparse data: as with the dense array, and at the cost of its nonzeros."""

import tracemalloc
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from nsae import Encoder, SparseAutoencoder, check_gradients, explain_step
from nsae.codes import Codes
from nsae.deep import SoftmaxClassifier, StackedAutoencoder
from nsae.errors import CollapseWarning


def table(seed=0, n=230, d=40, density=0.2, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = (rng.random((n, d)) * (rng.random((n, d)) < density)).astype(dtype)
    X[7] = 0
    return X


def csr(X):
    """X as an object with the arrays of a csr_matrix, and nothing else."""
    codes = Codes.from_dense(X)
    return SimpleNamespace(indptr=codes.indptr, indices=codes.units, data=codes.values, shape=X.shape)


def model(**options):
    options = {"k": 5, "epochs": 3, "batch_size": 64, "random_state": 0, "dtype": "float64", **options}
    return SparseAutoencoder(30, **options)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(table())


@pytest.mark.parametrize("options", [{}, {"k": None}, {"k": None, "activation": "sigmoid"}], ids=str)
@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_every_method_answers_as_for_the_dense_array(options, backend):
    X, new = table(), table(1)
    dense, sparse = (model(backend=backend, **options).fit(A) for A in (X, csr(X)))
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(sparse.transform(csr(new)), dense.transform(new), **close)
    np.testing.assert_allclose(sparse.encode(csr(new)).to_dense(), dense.encode(new).to_dense(), **close)
    np.testing.assert_array_equal(sparse.dead_units(csr(new)), dense.dead_units(new))
    assert sparse.score(csr(new)) == pytest.approx(dense.score(new))
    codes = dense.encode(new)
    np.testing.assert_allclose(
        sparse.inverse_transform(csr(codes.to_dense())), dense.inverse_transform(codes), **close
    )
    for _ in range(2):
        dense.partial_fit(new)
        sparse.partial_fit(csr(new))
    for ours, theirs in zip(
        sparse.autoencoder_.params.values(), dense.autoencoder_.params.values(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, **close)
    assert sparse.n_features_in_ == 40


def test_matrices_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    X = table(dtype=np.float32)
    expected = model().fit(X)
    for kind in (sparse.csr_matrix, sparse.csr_array):
        ours = model().fit(kind(X))
        np.testing.assert_allclose(ours.transform(kind(X)), expected.transform(X), rtol=1e-9, atol=1e-12)
    with pytest.raises(TypeError, match="tocsr"):
        model().fit(sparse.csc_matrix(X))


def test_autoencoders_stack_on_codes():
    X = table()
    first = model().fit(X)
    codes = first.encode(X)
    second = SparseAutoencoder(12, k=3, epochs=3, batch_size=64, random_state=1, dtype="float64")
    dense = SparseAutoencoder(12, k=3, epochs=3, batch_size=64, random_state=1, dtype="float64")
    second.fit(codes)
    dense.fit(codes.to_dense())
    np.testing.assert_allclose(
        second.transform(codes), dense.transform(codes.to_dense()), rtol=1e-9, atol=1e-12
    )
    with pytest.raises(ValueError, match="X has 12 features, but SparseAutoencoder is expecting 30"):
        second.encode(second.encode(codes))


def test_an_encoder_from_a_file_takes_codes(fitted, tmp_path):
    fitted.save(tmp_path / "model.npz")
    encoder, X = Encoder.load(tmp_path / "model.npz"), table(1, dtype=np.float32)
    np.testing.assert_allclose(
        encoder.transform(Codes.from_dense(X)), encoder.transform(X), rtol=1e-9, atol=1e-12
    )
    with pytest.raises(ValueError, match="X has 3 features, but Encoder is expecting 40"):
        encoder.encode(Codes.from_dense(X[:, :3]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_do_not_depend_on_the_rows_beside_them_nor_codes_on_the_backend(monkeypatch, dtype):
    encoder = model(dtype=dtype, k=5).fit(table()).encoder()
    X = Codes.from_dense(table(2, n=300))
    monkeypatch.setattr("nsae.models.layer_codes.SPARSE_ROWS", 37)
    codes = encoder.encode(X, backend="numpy")
    dense = encoder.transform(X)
    np.testing.assert_array_equal(codes.to_dense(), dense)
    for i in (0, 7, 36, 37, 299):
        np.testing.assert_array_equal(encoder.encode(X[i], backend="numpy").to_dense(), dense[i : i + 1])
    pytest.importorskip("numba")
    np.testing.assert_array_equal(encoder.encode(X, backend="numba").to_dense(), dense)
    np.testing.assert_array_equal(encoder.encode(X[299], backend="numba").to_dense(), dense[299:])


def test_one_row_and_a_row_of_zeros(fitted):
    X = table(1)
    for rows in (X[:1], X[7:8]):
        Z = fitted.transform(csr(rows))
        np.testing.assert_allclose(Z, fitted.transform(rows), rtol=1e-9, atol=1e-12)
    model().fit(csr(X[:1]))
    empty = model(epochs=1).fit(csr(np.zeros((5, 4))))
    np.testing.assert_allclose(empty.transform(csr(np.zeros((2, 4)))), empty.transform(np.zeros((2, 4))))


def test_a_fit_goes_on_from_its_checkpoint(monkeypatch, tmp_path):
    X, path = csr(table()), tmp_path / "fit.npz"
    whole = model().fit(X)
    from nsae.training.checkpoint import Checkpoint

    calls = []

    def stop(self, *args):
        calls.append(1)
        if len(calls) == 7:  # in the second epoch
            raise RuntimeError("stopped")
        write(self, *args)

    write = Checkpoint.write_if_due
    monkeypatch.setattr(Checkpoint, "write_if_due", stop)
    with pytest.raises(RuntimeError, match="stopped"):
        model().fit(X, checkpoint=path, checkpoint_minutes=0)
    monkeypatch.undo()
    other = table()
    other[3, 3] += 1
    for data in (csr(other), table()):
        with pytest.raises(ValueError, match="other"):
            model().fit(data, checkpoint=path)
    again = model().fit(X, checkpoint=path)
    for ours, theirs in zip(
        again.autoencoder_.params.values(), whole.autoencoder_.params.values(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    for name in whole.history_.keys() - {"seconds"}:
        assert again.history_[name] == whole.history_[name]


def test_warnings_are_those_of_the_dense_array():
    X = table()
    for options, data in (
        ({"output": "sigmoid"}, 40 * X),
        ({"k": None, "activation": "sigmoid"}, 100 * X - 1),
        ({"k": None, "l1": 1e3, "epochs": 40, "learning_rate": 0.1}, X),
    ):
        texts = []
        for A in (data, csr(data)):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model(**options).fit(A)
            texts.append([str(w.message) for w in caught if w.category is CollapseWarning])
        assert texts[0]
        assert texts[0] == texts[1]


def test_cross_entropy_needs_the_unit_interval():
    options = {"k": None, "output": "sigmoid", "loss": "cross_entropy"}
    with pytest.raises(ValueError, match="cross_entropy"):
        model(**options).fit(csr(2 * table()))
    X = table() > 0
    dense, sparse = model(**options).fit(X), model(**options).fit(csr(X))
    np.testing.assert_allclose(sparse.history_["loss"], dense.history_["loss"], rtol=1e-10)


def test_gradients_are_right_and_a_step_is_explained(capsys):
    X = table()[[0, 1, 2, 3, 5], :12]  # a sample of zeros would be on the kink of ReLU
    for options in ({}, {"k": None, "output": "sigmoid", "loss": "cross_entropy"}):
        ours = SparseAutoencoder(7, random_state=0, **{"k": 3, **options})
        assert check_gradients(ours, csr(X)).ok
        ours.fit(csr(X))
        assert check_gradients(ours, csr(X)).ok
        step = explain_step(ours, csr(X))
        np.testing.assert_array_equal(step["X"], X)
    capsys.readouterr()


def test_stacks_and_softmax_learn_from_sparse_data():
    X = table(n=120)
    labels = (X[:, 0] > 0).astype(int)
    layers = [
        SparseAutoencoder(20, k=5, random_state=0, epochs=3),
        SparseAutoencoder(10, k=3, random_state=1, epochs=3),
    ]
    dense, sparse = (
        StackedAutoencoder(layers, softmax_epochs=3, epochs=3, random_state=0).fit(A, labels)
        for A in (X, csr(X))
    )
    np.testing.assert_allclose(sparse.predict_proba(csr(X)), dense.predict_proba(X), atol=1e-4)
    softmax = SoftmaxClassifier(epochs=3, random_state=0)
    np.testing.assert_allclose(
        softmax.fit(csr(X), labels).predict_proba(csr(X)), softmax.fit(X, labels).predict_proba(X), atol=1e-5
    )


@pytest.mark.parametrize("backend", ["numpy", "auto"])
@pytest.mark.parametrize("k", [None, 4])
def test_nothing_is_made_dense(backend, k):
    """The dense array of 20,000 rows would take 320 MB; a batch of 100 is a two hundredth of it."""
    n, d = 20_000, 4000
    rng = np.random.default_rng(0)
    units = np.sort(rng.integers(0, d, (n, 5)), axis=1).astype(np.int32)
    units += np.arange(5, dtype=np.int32)  # so that none is there twice
    data = SimpleNamespace(
        indptr=np.arange(0, 5 * n + 1, 5),
        indices=units.ravel(),
        data=np.ones(5 * n, np.float32),
        shape=(n, d + 5),
    )
    small = SimpleNamespace(
        indptr=data.indptr[:301], indices=units[:300].ravel(), data=data.data[:1500], shape=(300, d + 5)
    )
    ours = SparseAutoencoder(8, k=k, batch_size=100, epochs=1, random_state=0, backend=backend)
    ours.fit(small).encode(small)  # compiles
    tracemalloc.start()
    ours.fit(data)
    ours.encode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        peak < 60e6
    )  # of which 32 MB are up to 1,000 dense reconstructions in float64, that warnings look at


def test_sparse_data_is_a_tag_of_scikit_learn():
    utils = pytest.importorskip("sklearn.utils")
    from nsae import ImageEncoder

    assert utils.get_tags(SparseAutoencoder()).input_tags.sparse
    assert not utils.get_tags(ImageEncoder()).input_tags.sparse
