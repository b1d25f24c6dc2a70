"""Codes to and from SciPy, PyTorch and pairs of top units."""

import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae import Codes, MissingExtraError
from nsae.interchange import from_scipy, from_top, from_torch, to_scipy, to_top, to_torch

VALUES = st.sampled_from([0.0, 0.0, 1.0, 0.5, -2.0])
TABLES = hnp.arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(1, 5)), elements=VALUES)
Z = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [1, 4, 1, 1]], np.float32)


def csr(indptr, indices, data, shape):
    """What SciPy's matrices have, without SciPy."""
    arrays = {"indptr": np.asarray(indptr), "indices": np.asarray(indices), "data": np.asarray(data)}
    return types.SimpleNamespace(**arrays, shape=shape)


def assert_same(codes, table):
    assert (codes.indptr.dtype, codes.units.dtype, codes.values.dtype) == (np.int64, np.int32, table.dtype)
    expected = Codes.from_dense(table)
    for name in ("indptr", "units", "values"):
        np.testing.assert_array_equal(getattr(codes, name), getattr(expected, name))
    assert codes.n_units == table.shape[1]


# ---- what comes in becomes canonical


@given(TABLES, st.randoms(), st.sampled_from([np.int32, np.int64, np.uint16]))
def test_any_order_zeros_and_repeats_become_one_form(table, random, dtype):
    indptr, indices, data = [0], [], []
    for row in table:
        entries = [(j, part) for j, value in enumerate(row) for part in ((value, 0) if value else ())]
        entries += [(j, value) for j in range(len(row)) if random.random() < 0.3 for value in (1, -1)]
        random.shuffle(entries)
        indices += [j for j, _ in entries]
        data += [value for _, value in entries]
        indptr.append(len(indices))
    matrix = csr(np.array(indptr, dtype), np.array(indices, dtype), np.array(data, np.float32), table.shape)
    assert_same(from_scipy(matrix), table)


def test_what_is_in_order_is_shared_also_if_it_cannot_be_written():
    codes = Codes.from_dense(Z)
    for array in (codes.indptr, codes.units, codes.values):
        array.flags.writeable = False
    again = from_scipy(csr(codes.indptr, codes.units, codes.values, codes.shape))
    for name in ("indptr", "units", "values"):
        assert np.shares_memory(getattr(again, name), getattr(codes, name))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("f8", "f8"),
        ("f4", "f4"),
        ("f2", "f4"),
        ("?", "f4"),
        ("i1", "f4"),
        ("u2", "f4"),
        ("i4", "f8"),
        (">f4", "f4"),
    ],
)
def test_dtypes(given, kept):
    codes = from_scipy(csr([0, 1], [1], np.ones(1, given), (1, 3)))
    assert codes.values.dtype == kept


REFUSED = [
    (csr([0, 1], [3], [1.0], (1, 3)), ValueError, "Column numbers from 0 to 2 were expected, got 3"),
    (csr([0, 1], [-1], [1.0], (1, 3)), ValueError, "got -1"),
    (csr([0, 2], [1], [1.0], (1, 3)), ValueError, "is truncated"),
    (csr([0, 1], [1], [], (1, 3)), ValueError, "is truncated"),
    (csr([1, 1], [1], [1.0], (1, 3)), ValueError, "start at 0"),
    (csr([0, 1, 0], [1], [1.0], (2, 3)), ValueError, "not decrease"),
    (csr([0, 1], [1], [1.0], (2, 3)), ValueError, "must have 3 numbers"),
    (csr([0, 1], [1], [np.nan], (1, 3)), ValueError, "row 0 has nan in column 1"),
    (csr([0, 0, 1], [1], [-np.inf], (2, 3)), ValueError, "row 1 has -inf in column 1"),
    (csr([0, 1], [1], [1j], (1, 3)), TypeError, "Real numbers were expected, got complex128"),
    (csr([0, 1], [1], ["a"], (1, 3)), TypeError, "Real numbers"),
    (csr([0.0, 1.0], [1], [1.0], (1, 3)), TypeError, "indptr of a sparse matrix must be whole"),
    (csr([0, 1], [[1]], [1.0], (1, 3)), ValueError, "indices of a sparse matrix must be 1-D"),
    (csr([0, 0], np.zeros(0, int), [], (1, 0)), ValueError, "Columns may be from 1"),
    (csr([0, 0], np.zeros(0, int), [], (1, 1 << 31)), ValueError, "Columns may be from 1"),
    (csr([0, 1], [1], [1.0], (3,)), ValueError, r"A sparse matrix \(samples, features\) was expected"),
    (np.eye(3), TypeError, "Codes.from_dense"),
]


@pytest.mark.parametrize(("matrix", "error", "message"), REFUSED)
def test_what_is_no_matrix_of_codes_is_refused(matrix, error, message):
    with pytest.raises(error, match=message):
        from_scipy(matrix)


# ---- SciPy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scipy_and_back(dtype):
    sparse = pytest.importorskip("scipy.sparse")
    codes = Codes.from_dense(Z.astype(dtype))
    array = to_scipy(codes)
    assert isinstance(array, sparse.csr_array)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array.toarray(), Z)
    assert np.shares_memory(array.data, codes.values)
    assert np.shares_memory(array.indices, codes.units)
    for form in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr"):
        assert_same(from_scipy(array.asformat(form)), Z.astype(dtype))
        assert_same(from_scipy(sparse.csr_matrix(array).asformat(form)), Z.astype(dtype))
    assert_same(from_scipy(to_scipy(codes[2:2])), Z[:0].astype(dtype))


def test_what_scipy_made_of_a_product_is_taken():
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    A = sparse.csr_array(rng.random((20, 30)) * (rng.random((20, 30)) < 0.3))
    product = A @ A.T @ A  # SciPy does not sort what a product gives
    np.testing.assert_allclose(from_scipy(product).to_dense(), product.toarray(), rtol=1e-14)


# ---- PyTorch


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_and_back(dtype):
    torch = pytest.importorskip("torch")
    codes = Codes.from_dense(Z.astype(dtype))
    tensor = to_torch(codes)
    assert (tensor.layout, str(tensor.dtype)) == (torch.sparse_csr, f"torch.{dtype}")
    assert tensor.crow_indices().dtype == tensor.col_indices().dtype == torch.int64
    np.testing.assert_array_equal(tensor.to_dense().numpy(), Z)
    for other in (tensor, tensor.to_dense(), tensor.to_sparse_coo()):
        assert_same(from_torch(other), Z.astype(dtype))
    assert_same(from_torch(tensor.to_dense().bfloat16()), Z)
    assert_same(from_torch(to_torch(codes[2:2])), Z[:0].astype(dtype))
    codes.values.flags.writeable = False
    assert_same(from_torch(to_torch(codes)), Z.astype(dtype))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_tensors_that_cannot_be_taken():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"Use tensor.detach"):
        from_torch(torch.ones(2, 3, requires_grad=True))
    with pytest.raises(ValueError, match=r"on the device meta. Use tensor.cpu"):
        from_torch(torch.ones(2, 3, device="meta"))
    with pytest.raises(ValueError, match=r"\(n, h\) was expected"):
        from_torch(torch.ones(3))
    with pytest.raises(TypeError, match="to_sparse_csr"):
        from_torch(torch.eye(3).to_sparse_csc())
    with pytest.raises(TypeError, match="A tensor of PyTorch was expected, got ndarray"):
        from_torch(Z)
    with pytest.raises(ValueError, match="row 1 has nan"):
        from_torch(torch.tensor([[0.0, 1], [torch.nan, 0]]))
    with pytest.raises(ValueError, match=r"Use tensor.detach"):
        from_top(torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, dtype=int), 5)


# ---- top units


@given(TABLES, st.one_of(st.none(), st.integers(1, 6)))
def test_top_units_and_back(table, k):
    codes = Codes.from_dense(table)
    values, indices = to_top(codes, k)
    assert (values.dtype, indices.dtype, values.shape) == (np.float32, np.int64, indices.shape)
    kept = codes if k is None else codes.keep(k)
    assert values.shape[1] == (kept.counts.max(initial=0) if k is None else k)
    assert_same(from_top(values, indices, codes.n_units), kept.to_dense())
    for row, count in zip(values, kept.counts, strict=True):
        assert (np.diff(row[:count]) <= 0).all()
        assert (row[count:] == 0).all()


def test_top_units_by_hand():
    values, indices = to_top(Codes.from_dense(Z), 2)
    assert values.tolist() == [[2, 1], [0, 0], [3, 0], [4, 1]]
    assert indices.tolist() == [[1, 3], [0, 0], [0, 0], [1, 0]]
    twice = from_top(np.array([[1.0, 2.0, 0.0]]), np.array([[3, 3, 0]]), 4)
    assert twice.to_dense().tolist() == [[0, 0, 0, 3]]
    for nothing in (np.zeros((2, 0)), np.zeros((0, 3))):
        assert from_top(nothing, nothing, 4).to_dense().tolist() == [[0] * 4] * len(nothing)


def test_top_units_of_torch():
    torch = pytest.importorskip("torch")
    different = Z * np.array([1, 2, 3, 4], np.float32)  # of equal values, PyTorch may take any
    values, indices = torch.tensor(different).topk(2, dim=1, sorted=False)
    assert_same(from_top(values, indices, 4), Codes.from_dense(different).keep(2).to_dense())


@pytest.mark.parametrize(
    ("values", "indices", "error", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 2), int), ValueError, "same shape"),
        (np.ones(3), np.ones(3, int), ValueError, "same shape"),
        (np.ones((1, 1)), np.full((1, 1), 9), ValueError, "Column numbers from 0 to 4 were expected, got 9"),
        (np.ones((1, 1)), np.ones((1, 1)), TypeError, "Indices in whole numbers were expected, got float64"),
        (np.full((1, 1), np.nan), np.ones((1, 1), int), ValueError, "row 0 has nan"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(values, indices, error, message):
    with pytest.raises(error, match=message):
        from_top(values, indices, 5)


# ---- NumPy alone


def test_nothing_is_imported_before_it_is_used():
    program = (
        "import sys, nsae\n"
        "assert not any(name.startswith('nsae.interchange') for name in sys.modules)\n"
        "nsae.interchange.load_published\n"
        "print({name.partition('.')[0] for name in sys.modules} & {'scipy', 'torch', 'safetensors'})\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )


@pytest.mark.parametrize(("convert", "package"), [(to_scipy, "scipy"), (to_torch, "torch")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, convert, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.sparse", None)
    with pytest.raises(MissingExtraError, match=rf'pip install "nsae\[{package}\]"'):
        convert(Codes.from_dense(Z))
