"""The classes for ann-benchmarks and big-ann-benchmarks have these projects' interfaces, and find what they should.

With a checkout of the projects, named by the environment variables ANN_BENCHMARKS and BIG_ANN_BENCHMARKS, the
classes also stand on their own base classes, and their own reading of the configuration finds them.
"""

import importlib
import inspect
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nsae import Codes
from nsae.interchange import write_csr
from nsae.retrieval.distances import hamming, jaccard

pytest.importorskip("numba")

FOLDERS = Path(__file__).parents[2] / "benchmarks"
ANN = {  # The methods that ann-benchmarks calls, with the names of their parameters.
    "fit": ["X"],
    "query": ["q", "n"],
    "batch_query": ["X", "n"],
    "get_batch_results": [],
    "get_memory_usage": [],
    "get_additional": [],
    "done": [],
}
BIG_ANN = {
    "track": [],
    "fit": ["dataset"],
    "load_index": ["dataset"],
    "set_query_arguments": ["query_args"],
    "query": ["X", "k"],
    "range_query": ["X", "radius"],
    "get_results": [],
    "get_additional": [],
    "done": [],
}


@pytest.fixture(scope="module")
def ann(benchmark_module):
    return benchmark_module("ann_benchmarks.module")


@pytest.fixture(scope="module")
def big(benchmark_module):
    return benchmark_module("big_ann_benchmarks.exact")


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 12)) + 0.1 * rng.normal(size=(400, 12)) + 3
    return X[40:].astype(np.float32), X[:40].astype(np.float32)


@pytest.fixture(scope="module")
def fitted(ann, vectors):
    return {metric: made(ann, metric, vectors[0]) for metric in ("angular", "euclidean")}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a function that copies what is named of a checkout into a folder that Python imports from."""

    def copied(variable, *names):
        if variable not in os.environ:
            pytest.skip(f"{variable} does not name a checkout")
        for name in names:
            source, target = Path(os.environ[variable]) / name, tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    packages = ("ann_benchmarks", "benchmark", "neurips23")
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        monkeypatch.delitem(sys.modules, name)
    yield copied
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def made(ann, metric, X):
    algo = ann.SparseCodes(metric, {"n_units": 32, "k": 6, "epochs": 3})
    algo.fit(X)
    return algo


def signature(method):
    return [name for name in inspect.signature(method).parameters if name != "self"]


def nearest(X, Q, metric, n):
    """The rows of the n nearest of each query, in float64."""
    X, Q = X.astype(float), Q.astype(float)
    if metric == "angular":
        X, Q = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (X, Q))
    return np.argsort(((Q[:, None] - X[None]) ** 2).sum(-1), axis=1, kind="stable")[:, :n]


@pytest.mark.parametrize("name", ["SparseCodes", "Sets"])
def test_methods_are_those_that_ann_benchmarks_calls(ann, name):
    for method, names in ANN.items():
        assert signature(getattr(getattr(ann, name), method)) == names, method


@pytest.mark.parametrize("metric", ["angular", "euclidean"])
def test_with_all_rows_reranked_hits_are_the_nearest_vectors(fitted, vectors, metric):
    X, Q = vectors
    before = X.copy(), Q.copy()
    algo = fitted[metric]
    algo.set_query_arguments(6, len(X))
    algo.batch_query(Q, 10)
    np.testing.assert_array_equal(algo.get_batch_results(), nearest(X, Q, metric, 10))
    np.testing.assert_array_equal(algo.query(Q[0], 10), nearest(X, Q[:1], metric, 10)[0])
    assert str(algo) == "nsae(32 units, k=6), keep=6, rerank=360"
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Q, before[1])


def test_more_units_and_more_candidates_find_more(fitted, vectors):
    X, Q = vectors
    algo, true, recalls = fitted["euclidean"], nearest(X, Q, "euclidean", 10), {}
    for arguments in ((1, 0), (6, 0), (6, 40)):
        algo.set_query_arguments(*arguments)
        algo.batch_query(Q, 10)
        recalls[arguments] = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(algo.res, true, strict=True)])
        each = [algo.query(q, 10) for q in Q]
        np.testing.assert_array_equal(algo.get_batch_results(), each)
    assert recalls[1, 0] < recalls[6, 0] < recalls[6, 40]
    assert recalls[6, 0] < 1  # The search is exact over codes, and not over vectors.


def test_few_rows_give_few_hits_and_done_lets_go(ann, vectors):
    algo = made(ann, "euclidean", vectors[0][:7])
    algo.batch_query(vectors[1], 10)
    assert [len(set(rows)) for rows in algo.get_batch_results()] == [7] * 40
    assert algo.get_memory_usage() > 1000
    algo.done()
    algo.done()
    with pytest.raises(AttributeError):
        algo.query(vectors[1][0], 3)


@pytest.mark.parametrize(("name", "metric"), [("SparseCodes", "jaccard"), ("Sets", "angular")])
def test_a_metric_of_the_other_class_is_refused(ann, name, metric):
    with pytest.raises(NotImplementedError, match=metric):
        getattr(ann, name)(metric)


def test_sets_are_searched_exactly_numbers_that_no_set_has_included(ann, rng):
    sets = [rng.choice(30, rng.integers(1, 12), replace=False) for _ in range(200)]
    queries = [np.r_[rng.choice(30, 5, replace=False), 1000 + np.arange(u)] for u in range(6)]
    algo = ann.Sets("jaccard")
    algo.fit(sets)
    Z, Q = np.zeros((200, 1010)), np.zeros((6, 1010))
    for rows, dense in ((sets, Z), (queries, Q)):
        for i, row in enumerate(rows):
            dense[i, row] = 1
    expected = np.argsort(jaccard(Q, Z).astype(np.float32), axis=1, kind="stable")[:, :10]
    algo.batch_query(queries, 10)
    np.testing.assert_array_equal(algo.get_batch_results(), expected)
    with pytest.raises(ValueError, match="4096"):
        algo.query(np.arange(5000), 3)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_bits_are_searched_exactly(ann, rng, dtype):
    X, Q = rng.random((200, 40)) < 0.5, rng.random((8, 40)) < 0.5
    X[:, 39] = False
    algo = ann.Sets("hamming")
    algo.fit(X.astype(dtype))
    expected = np.argsort(hamming(Q, X), axis=1, kind="stable")[:, :10]
    for queries in (Q.astype(dtype), Q, Q.astype(np.uint8), [np.flatnonzero(q) for q in Q]):
        np.testing.assert_array_equal([algo.query(q, 10) for q in queries], expected)


@pytest.mark.parametrize(
    "X",
    [
        [np.array([0, 1, 1], np.uint8), np.array([1, 0, 1], np.uint8)],  # a list of sets, and bits in each
        np.array([[2, 0, 1, 0], [1, 2, 3, 4]]),  # how often each number is there
        np.array([[0.5, 1.0, 2.0]]),
        [np.array([1.5, 3.0])],
        [np.array([-1, 3])],
    ],
    ids=str,
)
def test_what_may_be_bits_or_sets_is_refused(ann, X):
    with pytest.raises(ValueError, match="2-D array of 0 and 1"):
        ann.Sets("jaccard").fit(X)


def test_bits_of_another_width_are_refused_and_rows_of_numbers_are_sets(ann):
    algo = ann.Sets("jaccard")
    algo.fit(np.eye(4, dtype=np.uint8))
    with pytest.raises(ValueError, match="2-D array of 0 and 1"):
        algo.query(np.array([0, 1, 0], np.uint8), 1)
    algo.fit(np.array([[3, 1], [0, 2], [1, 2]]))
    assert algo.query(np.array([2, 1]), 1).tolist() == [2]
    algo.fit([np.array([0, 1]), np.array([1]), np.array([], int)])
    assert [algo.query(np.array(q), 1)[0] for q in ([1, 0], [1])] == [0, 1]


def test_the_configuration_names_what_there_is(ann, big):
    yaml = pytest.importorskip("yaml")
    ours = yaml.safe_load((FOLDERS / "ann_benchmarks" / "config.yml").read_text())
    for points in ours.values():
        for entry in points["any"]:
            assert hasattr(ann, entry["constructor"])
            for group in entry["run_groups"].values():
                assert isinstance(group["args"], list)
    theirs = yaml.safe_load((FOLDERS / "big_ann_benchmarks" / "config.yaml").read_text())
    assert list(theirs) == ["sparse-small", "sparse-1M", "sparse-full"]
    for entry in theirs.values():
        assert hasattr(big, entry["nsae"]["constructor"])


def test_ann_benchmarks_itself_finds_and_makes_the_classes(project, vectors):
    pytest.importorskip("yaml")
    pytest.importorskip("psutil")
    names = ["__init__.py", "definitions.py", "algorithms/__init__.py", "algorithms/base"]
    folder = project("ANN_BENCHMARKS", *(f"ann_benchmarks/{name}" for name in names))
    algorithms = folder / "ann_benchmarks" / "algorithms"
    shutil.copytree(FOLDERS / "ann_benchmarks", algorithms / "nsae")
    definitions = importlib.import_module("ann_benchmarks.definitions")
    base = importlib.import_module("ann_benchmarks.algorithms.base.module").BaseANN
    for points, metric, name in (("float", "euclidean", "nsae"), ("bit", "jaccard", "nsae-sets")):
        found = definitions.get_definitions(12, points, metric, 10, str(algorithms))
        (definition,) = [found for found in found if found.algorithm == name]
        assert definitions.algorithm_status(definition).name == "AVAILABLE"
        algo = definitions.instantiate_algorithm(definition)
        assert isinstance(algo, base)
        for method in [method for method in vars(base) if not method.startswith("_")]:
            assert signature(getattr(algo, method)) == signature(getattr(base, method))[1:] or method in ANN
            assert signature(getattr(type(algo), method)) == signature(getattr(base, method)), method
        if points == "float":
            assert len(definition.query_argument_groups) == 15
            algo._options.update(n_units=32, k=6, epochs=1)
            algo.fit(vectors[0])
            for group in ([4, 0], [6, 30]):
                algo.set_query_arguments(*group)
                assert len(set(algo.query(vectors[1][0], 10))) == 10


def test_methods_are_those_that_big_ann_benchmarks_calls(big):
    for method, names in BIG_ANN.items():
        assert signature(getattr(big.Exact, method)) == names, method
    with pytest.raises(NotImplementedError, match="euclidean"):
        big.Exact("euclidean", {})
    with pytest.raises(NotImplementedError):
        big.Exact("ip", {}).range_query(None, 1.0)


def test_sparse_vectors_are_searched_exactly(big, monkeypatch, rng):
    Z, Q = (rng.normal(size=(n, 50)) * (rng.random((n, 50)) < 0.2) for n in (500, 9))
    blocks = [Codes.from_dense(part.astype(np.float32)) for part in (Z[:300], Z[300:])]
    data = SimpleNamespace(get_dataset_iterator=lambda rows: (as_csr(block) for block in blocks))
    monkeypatch.setattr(big, "DATASETS", {"some": lambda: data})
    algo = big.Exact("ip", {"threads": 2})
    assert not algo.load_index("some")
    algo.fit("some")
    algo.set_query_arguments({"threads": 1})
    wider = np.c_[Q, np.ones((9, 3))]  # units that no row has
    for queries in (Q, wider):
        algo.query(as_csr(Codes.from_dense(queries.astype(np.float32))), 10)
        assert algo.get_results().dtype == np.int32
        np.testing.assert_array_equal(algo.get_results(), np.argsort(-(Q @ Z.T), axis=1)[:, :10])
    assert str(algo) == "nsae(exact)"
    algo.done()


def test_blocks_may_differ_in_width(big, rng):
    Z = rng.normal(size=(60, 20)) * (rng.random((60, 20)) < 0.3)
    Z[:30, 12:] = 0
    narrow, wide = (Codes.from_dense(part.astype(np.float32)) for part in (Z[:30, :12], Z[30:]))
    for blocks in ((narrow, wide), (wide, narrow)):
        algo = big.Exact("ip", {})
        algo.index(as_csr(block) for block in blocks)
        rows = Z if blocks[0] is narrow else np.r_[Z[30:], Z[:30]]
        algo.query(as_csr(wide[:9]), 5)
        np.testing.assert_array_equal(algo.get_results(), np.argsort(-(Z[30:39] @ rows.T), axis=1)[:, :5])


def test_units_in_any_order_and_twice_are_taken(big):
    matrix = SimpleNamespace(
        indptr=np.array([0, 3, 3, 4], np.int32),
        indices=np.array([4, 1, 4, 2]),
        data=np.array([1.0, 2.0, 5.0, 3.0]),
        shape=(3, 6),
    )
    codes = big.as_codes(matrix)
    np.testing.assert_array_equal(codes.to_dense(), [[0, 2, 0, 0, 6, 0], [0] * 6, [0, 0, 3, 0, 0, 0]])
    assert big.as_codes(matrix, 3).to_dense().tolist() == [[0, 2, 0], [0] * 3, [0, 0, 3]]


def test_big_ann_benchmarks_own_base_class_and_files_are_taken(project, big, rng):
    for package in ("psutil", "scipy", "h5py"):
        pytest.importorskip(package)
    folder = project(
        "BIG_ANN_BENCHMARKS",
        "benchmark/__init__.py",
        "benchmark/algorithms",
        "benchmark/datasets.py",
        "benchmark/dataset_io.py",
        "neurips23/__init__.py",
        "neurips23/sparse/base.py",
    )
    shutil.copytree(FOLDERS / "big_ann_benchmarks", folder / "neurips23" / "sparse" / "nsae")
    module = importlib.import_module("neurips23.sparse.nsae.exact")
    base = importlib.import_module("neurips23.sparse.base").BaseSparseANN
    files = importlib.import_module("benchmark.dataset_io")
    assert issubclass(module.Exact, base)
    for method in [method for method in vars(base.__mro__[1]) if not method.startswith("_")]:
        expected = signature(getattr(base, method))
        assert signature(getattr(module.Exact, method)) == expected, method
    Z = rng.random((60, 20)) * (rng.random((60, 20)) < 0.3)
    files.write_sparse_matrix(files.csr_matrix(Z), folder / "x.csr")
    write_csr(folder / "ours.csr", Codes.from_dense(Z.astype(np.float32)))
    assert (folder / "ours.csr").read_bytes() == (folder / "x.csr").read_bytes()
    algo = module.Exact("ip", {})
    algo.index([files.read_sparse_matrix(folder / "x.csr", do_mmap=True)])
    algo.query(files.csr_matrix(Z[:5]), 3)
    np.testing.assert_array_equal(algo.get_results(), np.argsort(-(Z[:5] @ Z.T), axis=1)[:, :3])


def as_csr(codes):
    """Codes as an object with the attributes of a CSR matrix; SciPy need not be there."""
    return SimpleNamespace(indptr=codes.indptr, indices=codes.units, data=codes.values, shape=codes.shape)
