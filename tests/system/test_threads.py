"""The thread pool, and BLAS held to one thread beside it."""

import threading

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.system import blas, threads
from nsae.system.threads import Threads


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
    threadpoolctl = pytest.importorskip("threadpoolctl")
    found = [
        library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"
    ]
    return max(found) if found else pytest.skip("no BLAS that threadpoolctl knows")


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
