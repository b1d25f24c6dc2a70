"""Encoder: the frozen model.  The same bits as the estimator's, and the same for a row alone."""

import copy
import os
import pickle
import subprocess
import sys
import tracemalloc
from typing import ClassVar

import numpy as np
import pytest
from blas_order import blas_sums_by_place

from nsae import Codes, Encoder, ModelFormatError, SparseAutoencoder
from nsae.equations.activations import JumpReLU, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.models import layer_codes as module
from nsae.models.few_rows import GROUP, FewRows, SmallBlock
from nsae.models.layer_codes import BLOCK_ROWS, LARGE_ROWS, MANY, layer_codes
from nsae.models.model_file import write_model
from nsae.system.threads import at_most

OPTIONS = [
    {},
    {"k": 3},
    {"k": 3, "dtype": "float64"},
    {"activation": "sigmoid", "output": "sigmoid"},
    {"activation": "sigmoid", "output": "sigmoid", "dtype": "float64"},
]
DATA = np.random.default_rng(0).random((60, 7))


def encoder(d, h, g, dtype="float64", output="linear", seed=0):
    rng = np.random.default_rng(seed)
    W, V = (rng.normal(size=shape).astype(dtype) for shape in ((h, d), (d, h)))
    b, c = (rng.normal(size=n).astype(dtype) for n in (h, d))
    return Encoder(Dense(W, b), Dense(V, c), g, output, {})


def equal(a, b):
    return all(getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in ("indptr", "units", "values"))


@pytest.fixture(params=OPTIONS, ids=str)
def model(request):
    return SparseAutoencoder(12, epochs=2, random_state=0, **request.param).fit(DATA)


# ---- what it computes


def test_the_same_bits_as_the_estimator_and_the_file(model, tmp_path):
    model.save(tmp_path / "model.npz")
    for other in (model.encoder(), Encoder.load(tmp_path / "model.npz")):
        Z = model.transform(DATA)
        assert other.transform(DATA).tobytes() == Z.tobytes()
        assert equal(other.encode(DATA), model.encode(DATA))
        assert other.inverse_transform(Z).tobytes() == model.inverse_transform(Z).tobytes()
        assert (other.n_features, other.n_units) == (7, 12)
        assert other.patterns().tobytes() == model.autoencoder_.decoder_layer.W.T.tobytes()


def test_it_computes_what_training_computes(model):
    X = DATA.astype(model.dtype)
    Z, U = model.autoencoder_.forward(X)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if model.dtype == "float32" else {"rtol": 1e-12}
    np.testing.assert_allclose(model.transform(X), Z, **tolerance)
    np.testing.assert_allclose(model.inverse_transform(Z), model.autoencoder_.reconstruct(U), **tolerance)


def test_dtypes_and_shapes(model):
    Z = model.transform(DATA)
    X_hat = model.inverse_transform(Z)
    assert (Z.shape, Z.dtype, X_hat.shape, X_hat.dtype) == ((60, 12), model.dtype, (60, 7), model.dtype)
    codes = model.encode(DATA)
    assert (codes.shape, codes.values.dtype) == ((60, 12), model.dtype)
    np.testing.assert_array_equal(codes.to_dense(), Z)
    assert model.inverse_transform(codes).tobytes() == X_hat.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        np.ndarray.tolist,
        lambda X: np.repeat(X, 3, axis=1)[:, ::3],
        lambda X: X.astype(">f8"),
        lambda X: X[::-1][::-1],
    ],
)
@pytest.mark.parametrize("n", [1, BLOCK_ROWS, 300])
def test_the_layout_of_the_input_does_not_matter(change, n):
    X = np.random.default_rng(0).random((n, 7))
    enc = encoder(7, 12, KSparse(3))
    assert equal(enc.encode(change(X)), enc.encode(X))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float16])
def test_the_numbers_may_be_of_any_kind(dtype):
    X = np.random.default_rng(0).integers(0, 2, (40, 7)).astype(dtype)
    enc = encoder(7, 12, KSparse(3))
    assert equal(enc.encode(X), enc.encode(X.astype(float)))


# ---- a row's code does not depend on the rows beside it


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("g", [ReLU(), Sigmoid(), KSparse(3)], ids=lambda g: type(g).__name__)
@pytest.mark.parametrize("h", [1, 2, 5, 16, 31, 64, 257])
def test_rows_are_independent(g, h, dtype):
    exact = dtype == "float64" or not blas_sums_by_place()
    rng = np.random.default_rng(h)
    for d in (1, 2, 3, 8, 33, 64, 257, 784):
        X = rng.normal(size=(1100, d)).astype(dtype)
        enc = encoder(d, h, g, dtype)
        whole = enc.transform(X)
        for start, n in (
            (0, 1),
            (1099, 1),
            (BLOCK_ROWS - 1, 2),
            (3, 31),
            (1, 32),
            (64, 65),
            (7, 500),
            (76, 1024),
        ):
            part, same = enc.transform(X[start : start + n]), whole[start : start + n]
            if exact:
                assert part.tobytes() == same.tobytes(), (d, start, n)
            else:
                np.testing.assert_allclose(part, same, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 127, 128, 129, 1023, 1024, 1025])
def test_around_the_ends_of_blocks(n):
    X = np.random.default_rng(0).normal(size=(n, 9))
    enc = encoder(9, 20, KSparse(4))
    codes, Z = enc.encode(X), enc.transform(X)
    assert len(codes) == len(Z) == n
    np.testing.assert_array_equal(codes.to_dense(), Z)
    for i in {0, n // 2, n - 1}:
        assert equal(codes[i], enc.encode(X[i : i + 1]))
    np.testing.assert_allclose(
        Z, KSparse(4)(X @ enc.encoder_layer.W.T + enc.encoder_layer.b), rtol=1e-10, atol=1e-12
    )


def peak(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_by_a_block():
    enc = encoder(8, 2000, KSparse(2), "float32")
    dense = 12_288 * 2000 * 4
    X = np.random.default_rng(0).random((12_288, 8))
    codes = enc.encode(X)
    assert peak(lambda: enc.encode(X)) < dense / 3
    assert peak(lambda: enc.inverse_transform(codes)) < dense / 3
    model = SparseAutoencoder(2000, k=2, epochs=1).fit(X[:10])
    assert peak(lambda: model.score(X)) < dense / 3


# ---- codes back to data


def test_inverse_transform_by_hand():
    enc = Encoder(
        Dense(np.eye(2), np.zeros(2)), Dense(np.array([[1.0, 2], [3, 4]]), np.ones(2)), ReLU(), "linear", {}
    )
    np.testing.assert_array_equal(enc.inverse_transform([[1, 0], [1, 2]]), [[2, 4], [6, 12]])
    enc.output = "sigmoid"
    np.testing.assert_allclose(enc.inverse_transform([[1, 0]]), 1 / (1 + np.exp([[-2, -4]])))


@pytest.mark.parametrize("n", [1, 128, 129, 300])
def test_inverse_transform_of_codes_and_of_their_dense_form(n):
    enc = encoder(5, 9, KSparse(2), output="sigmoid")
    Z = enc.transform(np.random.default_rng(0).normal(size=(n, 5)))
    codes = Codes.from_dense(Z)
    assert enc.inverse_transform(codes).tobytes() == enc.inverse_transform(Z).tobytes()
    expected = 1 / (1 + np.exp(-(Z @ enc.decoder_layer.W.T + enc.decoder_layer.b)))
    np.testing.assert_allclose(enc.inverse_transform(codes), expected, rtol=1e-12)


def test_widths_are_checked():
    enc = encoder(5, 9, ReLU())
    for use in (enc.encode, enc.transform):
        with pytest.raises(ValueError, match="X has 9 features, but Encoder is expecting 5"):
            use(np.zeros((2, 9)))
    with pytest.raises(ValueError, match="X has 5 features, but inverse_transform is expecting 9"):
        enc.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="5 units, and this model has 9"):
        enc.inverse_transform(Codes.from_dense(np.ones((2, 5))))


def test_using_it_changes_nothing(model):
    X = DATA.copy()
    X.flags.writeable = False
    before = {name: value.tobytes() for name, value in model.autoencoder_.params.items()}
    Z = model.transform(X)
    Z[...] = -1
    model.encoder().patterns()[...] = -1
    assert {name: value.tobytes() for name, value in model.autoencoder_.params.items()} == before


# ---- files of its own


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_encoder_with_jumprelu_survives_its_file(tmp_path, rng, dtype):
    theta = np.linspace(0, 2, 12, dtype=dtype)
    made = encoder(7, 12, JumpReLU(theta), dtype)
    made.header |= {
        "kind": "sparse_autoencoder",
        "params": {"activation": "jumprelu", "k": None, "output": "linear"},
    }
    made.save(tmp_path / "model.npz")
    loaded, X = Encoder.load(tmp_path / "model.npz"), rng.normal(size=(300, 7))
    assert equal(loaded.encode(X), made.encode(X))
    Z = loaded.transform(X)
    np.testing.assert_array_equal(loaded.encode(X).to_dense(), Z)
    assert ((Z == 0) | (theta < Z)).all()
    assert ((Z > 0).any(axis=0) & (Z == 0).any(axis=0)).all()
    with pytest.raises(FileExistsError):
        made.save(tmp_path / "model.npz")
    made.save(tmp_path / "model.npz", overwrite=True)
    with pytest.raises(
        ModelFormatError, match=r"holds an encoder .* nsae.load_encoder\(path\), or nsae.Encoder.load"
    ):
        SparseAutoencoder.load(tmp_path / "model.npz")


@pytest.mark.parametrize(
    "theta",
    [None, np.ones(11), np.ones((12, 1)), np.ones(12, np.float32), np.full(12, -1.0), np.full(12, np.nan)],
)
def test_thresholds_that_do_not_fit_are_a_format_error(tmp_path, theta):
    header = {
        "kind": "sparse_autoencoder",
        "params": {"activation": "jumprelu", "k": None, "output": "linear"},
    }
    arrays = {"W": np.ones((12, 7)), "b": np.ones(12), "V": np.ones((7, 12)), "c": np.ones(7), "theta": theta}
    write_model(tmp_path / "model.npz", header, {name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(ModelFormatError, match="is not a whole nsae model file"):
        Encoder.load(tmp_path / "model.npz")


# ---- NumPy alone


def test_load_and_encode_with_numpy_alone(tmp_path):
    model = SparseAutoencoder(12, k=3, epochs=1, random_state=0).fit(DATA)
    model.save(tmp_path / "model.npz")
    np.save(tmp_path / "x.npy", DATA)
    script = (
        "import sys\n"
        "for name in 'numba PIL matplotlib tqdm scipy sklearn'.split(): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from nsae import Encoder\n"
        "enc, X = Encoder.load('model.npz'), np.load('x.npy')\n"
        "np.save('z.npy', enc.transform(X)); np.save('u.npy', enc.encode(X).units)\n"
    )
    path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True
    )
    assert np.load(tmp_path / "z.npy").tobytes() == model.transform(DATA).tobytes()
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), model.encode(DATA).units)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_selection_gives_the_same_bits(rng, dtype):
    pytest.importorskip("numba")
    X = rng.random((300, 12))
    X[5] = X.mean(axis=0)  # hardly a unit is positive at the mean
    encoder = SparseAutoencoder(200, k=7, epochs=1, dtype=dtype, random_state=0).fit(X).encoder()
    plain, compiled = encoder.encode(X, backend="numpy"), encoder.encode(X, backend="numba")
    for name in ("indptr", "units", "values"):
        ours, theirs = getattr(compiled, name), getattr(plain, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(compiled.to_dense(), encoder.transform(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_blocks_have_the_same_bits(monkeypatch, dtype):
    pytest.importorskip("numba")
    enc = encoder(100, 200, KSparse(5), dtype)
    X = np.random.default_rng(0).normal(size=(MANY * LARGE_ROWS + 300, 100)).astype(dtype)
    asked = []
    alike = module._sums_alike
    monkeypatch.setattr(module, "_sums_alike", lambda *args: asked.append(args) or alike(*args))
    with at_most(1):
        large = layer_codes(enc.encoder_layer, enc.g, X, backend="numba")
        assert asked == [(dtype, 200, 100)]
        monkeypatch.setattr(module, "_sums_alike", lambda *args: False)
        assert equal(layer_codes(enc.encoder_layer, enc.g, X, backend="numba"), large)
        assert equal(layer_codes(enc.encoder_layer, enc.g, X, backend="numpy"), large)


def test_where_a_blas_sums_large_blocks_otherwise_they_are_not_used(monkeypatch):
    matmul, shapes = np.matmul, []

    def other_sums(W, Xt, **options):
        shapes.append(Xt.shape[1])
        return matmul(W * (1 + 1e-15 * (Xt.shape[1] > BLOCK_ROWS)), Xt, **options)

    pytest.importorskip("numba")
    enc = encoder(101, 200, KSparse(5))
    X = np.random.default_rng(0).normal(size=(MANY * LARGE_ROWS, 101))
    expected = layer_codes(enc.encoder_layer, enc.g, X, backend="numpy")
    monkeypatch.setattr(np, "matmul", other_sums)
    with at_most(1):
        assert equal(layer_codes(enc.encoder_layer, enc.g, X, backend="numba"), expected)
    assert shapes[0] == LARGE_ROWS
    assert set(shapes[1:]) == {BLOCK_ROWS}
    module._sums_alike.cache_clear()


# ---- few rows, without a whole block


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("h", "k"), [(600, 3), (1024, 32), (3000, 100)])
def test_few_rows_have_the_codes_of_a_block_however_often_one_asks(h, k, dtype):
    rng = np.random.default_rng(h)
    for d in (2, 33, 300):
        X = rng.normal(size=(70, d)).astype(dtype)
        X[5], X[6], X[7] = 0, X[4], 1e-30
        enc = encoder(d, h, KSparse(k), dtype)
        enc.encoder_layer.W[40:60] = enc.encoder_layer.W[39]  # equal units: ties
        taken = []
        for start, n in [(i, 1) for i in range(70)] + [(1, 4), (10, 3)]:
            some = X[start : start + n]
            expected = layer_codes(enc.encoder_layer, enc.g, some)
            for _ in range(2 if start else 4):
                assert equal(enc.encode(some), expected), (d, start)
            assert enc.transform(some).tobytes() == expected.to_dense().tobytes()
            taken.append(enc._fast.codes(some) is not None)
        if enc._fast.usable and d > 2:
            assert sum(taken) > 40, "few rows go through the block"
        assert enc._fast.usable or not any(taken)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("g", [ReLU(), Sigmoid(), KSparse(30)], ids=lambda g: type(g).__name__)
def test_few_rows_of_all_units_have_the_bits_of_a_block(g, dtype):
    rng = np.random.default_rng(0)
    for h, d in ((1, 3), (13, 8), (200, 33), (257, 300), (1000, 40)):
        X = rng.normal(size=(20, d)).astype(dtype)
        X[5] = 0
        enc = encoder(d, h, KSparse(min(h, 30)) if isinstance(g, KSparse) else g, dtype)
        for start, n in [(0, 1), *((i, 1) for i in range(12)), (12, 2), (14, 4)]:
            some = X[start : start + n]
            expected = layer_codes(enc.encoder_layer, enc.g, some)
            assert equal(enc.encode(some), expected), (h, d, start)
            Z = enc.transform(some)
            assert (Z.shape, Z.dtype) == ((n, h), dtype)
            np.testing.assert_array_equal(Z, expected.to_dense())
        if (h, d) == (257, 300):  # A whole block would take many times as long.
            assert enc._small.block_rows <= 32


def test_where_no_smaller_block_has_the_bits_few_rows_are_a_block(monkeypatch):
    enc, X = encoder(30, 60, ReLU()), np.random.default_rng(0).normal(size=(2, 30))
    products = SmallBlock._products
    monkeypatch.setattr(SmallBlock, "_products", lambda self, X, n: products(self, X, n) * (1 + 1e-15 * n))
    for _ in range(3):
        assert equal(enc.encode(X), layer_codes(enc.encoder_layer, enc.g, X))
    assert enc._few_rows(X) is None


def test_where_bits_differ_few_rows_are_a_block(monkeypatch):
    enc, X = encoder(30, 600, KSparse(4)), np.random.default_rng(0).normal(size=(2, 30))
    products = FewRows._products
    monkeypatch.setattr(FewRows, "_products", lambda *args: products(*args) * (1 + 1e-15))
    for _ in range(3):
        assert equal(enc.encode(X), layer_codes(enc.encoder_layer, enc.g, X))
    assert enc._fast.codes(X) is None
    monkeypatch.undo()
    enc._fast = None
    enc.encode(X)
    assert enc._fast.codes(X) is not None or not enc._fast.usable


class Noted(np.ndarray):
    """Notes the shapes of its products, and adds up each of their entries alike."""

    noted: ClassVar[set] = set()

    def __matmul__(self, other):
        if other.ndim == 1:
            return np.asarray(self) @ other
        self.noted.add((*self.shape, *other.shape))
        return (np.asarray(self)[:, None] * other.T).sum(axis=-1)


@pytest.mark.parametrize(("h", "k"), [(600, 3), (2048, 8), (2048, 32)])
def test_products_of_few_rows_have_the_shape_that_was_tried(h, k):
    # A BLAS may add up in another order in a product of another shape.
    rng = np.random.default_rng(h)
    layer = Dense(rng.normal(size=(h, 30)).view(Noted), rng.normal(size=h))
    Noted.noted.clear()
    few = FewRows(layer, k, BLOCK_ROWS)
    tried = Noted.noted.copy()
    Noted.noted.clear()
    taken = [few.codes(x) is not None for x in rng.normal(size=(100, 1, 30))]
    assert sum(taken) > 90
    assert len(Noted.noted) == 1
    assert Noted.noted <= tried


@pytest.mark.parametrize(
    ("h", "d", "k", "dtype"),
    [
        (700, 65, 8, "float64"),
        (2048, 65, 8, "float64"),
        (2048, 784, 20, "float32"),
        (3000, 1500, 3, "float32"),
    ],
)
def test_few_rows_have_the_codes_of_a_block_of_any_candidates(h, d, k, dtype):
    # With these shapes, OpenBLAS's kernels for AVX-512 add up in an order that depends on the shape.
    X = np.random.default_rng(0).normal(size=(80, d)).astype(dtype)
    enc = encoder(d, h, KSparse(k), dtype)
    few = FewRows(enc.encoder_layer, k, BLOCK_ROWS)
    for x in X[:, None]:
        codes = few.codes(x)
        assert codes is None or equal(codes, layer_codes(enc.encoder_layer, enc.g, x))


def test_where_too_many_candidates_share_a_place_few_rows_are_a_block():
    enc, X = encoder(30, 600, KSparse(4)), np.random.default_rng(0).normal(size=(2, 30))
    enc.encoder_layer.b[::GROUP] += 1000
    for _ in range(3):
        assert equal(enc.encode(X), layer_codes(enc.encoder_layer, enc.g, X))
    assert enc._fast.codes(X) is None
    enc.encoder_layer.b[::GROUP] = enc.encoder_layer.b[1::GROUP]
    enc._fast = FewRows(enc.encoder_layer, 4, BLOCK_ROWS)
    assert not enc._fast.usable or enc._fast.codes(X) is not None


class Restored:
    """Is pickled as an object of its class that has this state."""

    def __init__(self, of, state):
        self.of, self.state = of, state

    def __reduce__(self):
        return object.__new__, (self.of,), self.state


@pytest.mark.parametrize("g", [ReLU(), KSparse(4)], ids=lambda g: type(g).__name__)
def test_a_pickle_has_no_trials_of_this_machine(g):
    X = np.random.default_rng(0).normal(size=(2, 30))
    enc = encoder(30, 600, g)
    _, _, expected = (enc.encode(X) for _ in range(3))
    assert enc._asked
    assert enc._fast is not None or enc._small is not None
    size = len(pickle.dumps(encoder(30, 600, g)))
    assert len(pickle.dumps(enc)) <= size + 100  # the fingerprint
    for other in (pickle.loads(pickle.dumps(enc)), copy.deepcopy(enc)):
        assert (other._fast, other._small, other._asked) == (None, None, False)
        assert all(equal(other.encode(X), expected) for _ in range(3))
        assert other.fingerprint == enc.fingerprint


def test_a_pickle_of_an_older_encoder_is_tried_anew():
    X = np.random.default_rng(0).normal(size=(2, 30))
    enc = encoder(30, 600, KSparse(4))
    state = dict(enc.__dict__, _fast="found on another machine", _asked=True)
    del state["_small"], state["_fingerprint"]  # These were not there.
    older = pickle.loads(pickle.dumps(Restored(Encoder, state)))
    assert all(equal(older.encode(X), enc.encode(X)) for _ in range(3))
    assert isinstance(older._fast, FewRows)


def test_an_estimator_keeps_its_encoder_until_it_learns_more():
    X = np.random.default_rng(0).random((64, 20), np.float32)
    model = SparseAutoencoder(700, k=3, epochs=1, random_state=0).fit(X)
    model.encode(X[:1])
    model.transform(X[:1])
    assert model._kept_encoder()._fast is not None
    before = model._kept_encoder()
    model.partial_fit(X)
    assert model._kept_encoder() is not before
    assert equal(
        model.encode(X[:1]), layer_codes(model.autoencoder_.encoder_layer, model.autoencoder_.g, X[:1])
    )
    assert equal(model.with_k(2).encode(X), model.encode(X).keep(2))


def test_where_rounding_could_hide_a_unit_few_rows_are_a_block():
    rng = np.random.default_rng(0)
    enc = encoder(20, 600, KSparse(4))  # float64: bits are the same everywhere
    enc.encoder_layer.W[:] = np.abs(enc.encoder_layer.W[0])
    enc.encoder_layer.b[:] = 0  # all units are equal: more ties than candidates
    x = np.abs(rng.normal(size=(1, 20)))
    for _ in range(3):
        codes = enc.encode(x)
    assert codes.units.tolist() == [0, 1, 2, 3]
    assert enc._fast.usable
    assert enc._fast.codes(x) is None
    assert enc.encode(np.zeros((1, 20), np.float32)).counts[0] <= 4
    with pytest.raises(ValueError, match="NaN"):
        enc.encode(np.full((1, 20), np.nan, np.float32))
