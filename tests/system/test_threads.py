"""The thread pool, and BLAS held to one thread beside it."""

import concurrent.futures
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from nsae import CodeIndex, ImageEncoder, SparseAutoencoder
from nsae.images import load_images
from nsae.system import blas, numpy_blas, threads
from nsae.system.threads import Threads, thread_count


@pytest.fixture
def many(monkeypatch):
    """Any work is enough for more than one thread."""
    monkeypatch.setattr(threads, "MIN_WORK", 0)


@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_ranges_cover_everything_once(many, n, n_threads):
    seen, parts = np.zeros(n, int), []

    def loop(part, lo, hi, step):
        seen[lo:hi] += step
        parts.append(part)

    with Threads(n_threads) as pool:
        pool.parallel_for(n, loop, 2)
    assert (seen == 2).all()
    assert sorted(parts) == list(range(len(parts)))
    assert len(parts) <= pool.n


def test_an_error_in_any_thread_is_raised(many):
    def loop(part, lo, hi):
        if lo > 0:
            raise ZeroDivisionError("here")

    pytest.importorskip("threadpoolctl")
    with Threads(2) as pool, pytest.raises(ZeroDivisionError, match="here"):
        pool.parallel_for(2, loop)


def test_little_work_stays_on_one_thread():
    names = []
    with Threads(4) as pool:
        pool.parallel_for(100, lambda *_: names.append(threading.current_thread()), work=100)
    assert names == [threading.main_thread()]


def test_always_takes_all_threads_for_little_work():
    pytest.importorskip("threadpoolctl")
    parts = []
    with Threads(3) as pool:
        pool.parallel_for(3, lambda part, lo, hi: parts.append(part), always=True)
    assert sorted(parts) == [0, 1, 2]


def blas_threads():
    """Of NumPy's BLAS; a test before may have loaded another one."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    found = [
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    ]
    return max(found) if found else pytest.skip("no BLAS of NumPy that threadpoolctl knows")


def test_blas_is_held_until_the_last_one_lets_go():
    before = blas_threads()
    with Threads(2):
        with Threads(2):
            assert blas_threads() == 1
            assert blas.n_threads() == before
        assert blas_threads() == 1
    assert blas_threads() == before


def test_blas_is_let_go_after_a_fit_that_fails():
    before, X = blas_threads(), np.ones((20, 3), np.float32)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError):
        SparseAutoencoder(4, learning_rate=1e30, epochs=3).fit(X * 1e18)
    assert blas_threads() == before


def test_no_more_threads_than_blas_was_given():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert Threads().n == 1


def test_without_threadpoolctl_blas_has_its_threads_and_we_have_one(monkeypatch, many):
    monkeypatch.setattr(blas, "can_limit", lambda: False)
    monkeypatch.setattr(blas, "limit_to_one_thread", lambda: pytest.fail("nobody can hold it"))
    with Threads(2) as pool:
        assert pool.n == 1
        pool.parallel_for(3, lambda part, lo, hi: None)


@pytest.mark.parametrize(
    "fails", ["raise ImportError", "raise AttributeError", "ThreadpoolController = None"]
)
def test_a_threadpoolctl_that_does_not_work_is_as_good_as_none(fails, tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(fails)
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from nsae import SparseAutoencoder
from nsae.system import blas
from nsae.system.numpy_blas import blas_thread_functions
from nsae.system.threads import Threads
model = SparseAutoencoder(4, k=2, epochs=1).fit(np.eye(4))
known = blas_thread_functions() is not None
assert (Threads(2).n, blas.can_limit()) == (2 if known else 1, known)
if known:
    read, _ = blas_thread_functions()
    before = read()
    with Threads(2):
        assert read() == 1
        assert blas.n_threads() == before
    assert read() == before
print(model.encode(np.eye(4)).shape)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "(4, 4)\n"


def test_numpys_own_blas_is_asked_for_its_threads(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    functions = numpy_blas.blas_thread_functions()
    if functions is None:
        pytest.skip("NumPy has another BLAS here")
    get_threads, _ = functions
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert get_threads() == 1

    def no_library(path):
        raise OSError("not there")

    monkeypatch.setattr(numpy_blas.ctypes, "CDLL", no_library)
    assert numpy_blas.blas_thread_functions() is None
    monkeypatch.setattr(numpy_blas.ctypes, "CDLL", lambda path: object())  # a library without such functions
    assert numpy_blas.blas_thread_functions() is None


# ---- n_threads


def uses(tmp_path, rng):
    """Everything that takes n_threads, by name."""
    X, index = rng.random((40, 6)), CodeIndex(6)
    index.add(X)
    images = rng.random((30, 8, 8))
    tiny = {"patch_size": 4, "stride": 2, "patch_units": 8, "n_components": 4, "grid": 1, "n_patches": 100}
    return {
        "fit": lambda n: SparseAutoencoder(4, k=2, epochs=1, n_threads=n).fit(X),
        "partial_fit": lambda n: SparseAutoencoder(4, k=2, n_threads=n).partial_fit(X),
        "ImageEncoder": lambda n: ImageEncoder(4, k=2, epochs=1, patch_epochs=1, n_threads=n, **tiny).fit(
            images
        ),
        "search": lambda n: index.search(X, n_threads=n),
        "search for one": lambda n: index.search(X[0], n_threads=n, backend="numpy"),
        "within": lambda n: index.within(X, 0.5, n_threads=n),
        "load_images": lambda n: load_images([], side=4, n_threads=n),
        "Threads": Threads,
    }


@pytest.mark.parametrize("name", list(uses(None, np.random.default_rng(0))))
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-2, ValueError), (10**9, ValueError)]
    + [(value, TypeError) for value in (True, 2.5, 2.0, "2", float("nan"), np.True_, [2])],
)
def test_what_is_no_number_of_threads_is_refused_by_name(name, value, error, tmp_path, rng):
    if name == "load_images":
        pytest.importorskip("PIL")
    with pytest.raises(error, match=r"n_threads=.*-1 for all processors"):
        uses(tmp_path, rng)[name](value)


@pytest.mark.parametrize("name", list(uses(None, np.random.default_rng(0))))
@pytest.mark.parametrize("value", [None, -1, 1, 3, np.int64(2), np.int8(-1)])
def test_numbers_of_threads(name, value, tmp_path, rng):
    if name == "load_images":
        pytest.importorskip("PIL")
    uses(tmp_path, rng)[name](value)


def test_minus_one_is_all_processors(monkeypatch):
    monkeypatch.setattr(threads, "n_cpus", lambda: 5)
    assert (thread_count(-1), thread_count(None), thread_count(2)) == (5, 5, 2)
    pytest.importorskip("threadpoolctl")
    assert Threads(-1).n == 5
    monkeypatch.setattr(blas, "n_threads", lambda: 3)
    assert (Threads(-1).n, Threads(None).n) == (5, 3)


def test_a_number_of_numpy_is_saved_with_the_model(tmp_path, rng):
    model = SparseAutoencoder(4, k=2, epochs=1, n_threads=np.int64(-1)).fit(rng.random((20, 5)))
    model.save(tmp_path / "model.npz")
    assert SparseAutoencoder.load(tmp_path / "model.npz").n_threads == -1


# ---- errors, nesting, forks


def test_an_error_is_raised_when_all_threads_have_ended(many):
    pytest.importorskip("threadpoolctl")
    ended = []

    def loop(part, lo, hi):
        if part == 1:
            raise ZeroDivisionError
        time.sleep(0.3 * part)
        ended.append(part)

    with Threads(4) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.parallel_for(4, loop)
        assert sorted(ended) == [0, 2, 3]


def test_nothing_to_do():
    with Threads(3) as pool:
        pool.parallel_for(0, lambda part, lo, hi: None, always=True)


@pytest.mark.parametrize("fails", ["shutdown", "__init__"])
def test_blas_is_restored_when_the_pool_fails(fails, monkeypatch):
    before = blas_threads()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, fails, interrupt)
    with pytest.raises(KeyboardInterrupt), Threads(2):
        pass
    assert blas_threads() == before


def test_blas_is_restored_after_many_fits_side_by_side_some_of_which_fail(rng):
    before, X = blas_threads(), rng.random((60, 5)).astype(np.float32)
    expected = SparseAutoencoder(6, k=2, epochs=2, random_state=0).fit(X).autoencoder_.encoder_layer.W
    wrong = []

    def work(number):
        for i in range(10):
            model = SparseAutoencoder(6, k=2, epochs=2, random_state=0, learning_rate=1e-3)
            if (number + i) % 3 == 0:
                model.set_params(learning_rate=1e30)
                with pytest.raises(FloatingPointError), np.errstate(all="ignore"):
                    model.fit(X * 1e18)
            elif not np.array_equal(model.fit(X).autoencoder_.encoder_layer.W, expected):
                wrong.append((number, i))

    others = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert not wrong
    assert blas_threads() == before
    assert blas._users == 0


def in_a_fork(work, seconds=60):
    """What ``work()`` returns in a forked child, as text; a child that does not end is an error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, repr(work()).encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    deadline = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    with os.fdopen(read) as file:
        return file.read()


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def sums(pool):
    seen = np.zeros(10)

    def loop(part, lo, hi):
        seen[lo:hi] += 1

    pool.parallel_for(10, loop, always=True)
    return seen.sum()


@forks
def test_a_child_that_is_forked_while_blas_is_limited_has_all_its_threads():
    before = blas_threads()

    def work():
        inside = blas_threads()
        with Threads(2) as pool:
            return inside, blas_threads(), float(sums(pool))

    with Threads(2):
        assert in_a_fork(lambda: (work(), blas_threads(), blas._users)) == repr(
            ((before, 1, 10.0), before, 0)
        )
        assert blas_threads() == 1
    assert blas_threads() == before


@forks
def test_a_child_that_is_forked_within_the_block_can_go_on():
    pytest.importorskip("threadpoolctl")

    def work():
        total = float(sums(pool))
        pool.__exit__()
        return total

    with Threads(2) as pool:
        sums(pool)
        assert in_a_fork(work) == "10.0"
        assert sums(pool) == 10


@forks
def test_a_fork_waits_while_another_thread_changes_the_limit():
    pytest.importorskip("threadpoolctl")
    held = threading.Event()

    def hold():
        with blas._lock:
            held.set()
            time.sleep(0.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    n = in_a_fork(blas.n_threads, seconds=20)
    other.join()
    assert n == repr(blas.n_threads())


def fit_and_search(seed):
    """Compiled where Numba is there, on two threads; for other processes, so it is a function of the module."""
    backend = "numba" if importlib.util.find_spec("numba") else "numpy"
    X = np.random.default_rng(0).random((64, 8)).astype(np.float32)
    model = SparseAutoencoder(8, k=2, epochs=2, random_state=seed, n_threads=2, backend=backend).fit(X)
    index = CodeIndex(8)
    index.add(model.encode(X))
    hits = index.search(model.encode(X[:5]), k=3, n_threads=2, backend=backend)
    return model.autoencoder_.encoder_layer.W.tolist(), hits.rows.tolist()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_other_processes_compute_the_same(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method}")
    expected = [fit_and_search(seed) for seed in range(4)]  # Threads have been used before the fork.
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(fit_and_search, range(4)).get(timeout=600) == expected


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib_computes_the_same(backend):
    joblib = pytest.importorskip("joblib")
    expected = [fit_and_search(seed) for seed in range(4)]
    run = joblib.Parallel(n_jobs=2, backend=backend, timeout=600)
    assert run(joblib.delayed(fit_and_search)(seed) for seed in range(4)) == expected
