"""Numba that is missing or cannot be imported: NumPy does the work, and one warning gives the reason."""

import os
import subprocess
import sys
import warnings

import pytest

from nsae import MissingExtraError
from nsae.system import backends
from nsae.system.backends import resolve_backend

BROKEN = {
    "ImportError": "raise ImportError('Numba needs NumPy 2.2 or less. Got NumPy 2.4.')",
    "SystemError": "raise SystemError('initialization of _internal failed without raising an exception')",
    "AttributeError": "import numpy; numpy.no_such_name",
    "ModuleNotFoundError": "import llvmlite_is_gone",
}

MANY_SEARCHES = """
import numpy as np
from nsae import CodeIndex, SparseAutoencoder
rng = np.random.default_rng(0)
Z = rng.random((3000, 50)) * (rng.random((3000, 50)) < 0.1)
index = CodeIndex(50)
index.add(Z)
for i in range(60):
    hits = index.search(Z[i * 50 : i * 50 + 50], k=3)
model = SparseAutoencoder(8, k=2, epochs=2000, batch_size=64, random_state=0)
model.fit(rng.random((500, 30)).astype("f4"))
print(hits.rows[0, 0], sorted(set(model.history_)) != [], model.encode(rng.random((3, 30))).shape)
"""


@pytest.fixture
def fresh():
    """Nothing is known about Numba, neither before nor after the test."""
    backends._problem_of_numba.cache_clear()
    yield
    backends._problem_of_numba.cache_clear()


@pytest.fixture(params=sorted(BROKEN))
def broken(request, tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(f"print('tried')\n{BROKEN[request.param]}\n")
    return request.param, tmp_path


def test_auto_takes_numpy_for_good_where_numba_cannot_be_imported(broken):
    name, folder = broken
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{MANY_SEARCHES}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tried\n2950 True (3, 8)\n"
    assert done.stderr.count("numba is installed, but cannot be imported") == 1
    assert f"({name}: " in done.stderr


NO_COMPILER = """
from numba.core import caching, dispatcher
def fail(*args):
    raise RuntimeError("no such processor")
caching.FunctionCache.load_overload = lambda *args: None
dispatcher._FunctionCompiler._compile_core = fail
"""


def test_auto_takes_numpy_for_good_where_numba_compiles_nothing():
    """The import went well, and each search failed from the one on for which there was enough to do."""
    pytest.importorskip("numba")
    command = [sys.executable, "-c", NO_COMPILER + MANY_SEARCHES]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2950 True (3, 8)\n"
    assert (
        done.stderr.count("numba is installed, but cannot compile a loop (RuntimeError: no such processor)")
        == 1
    )


def test_numba_that_is_asked_for_and_cannot_be_imported_is_an_error_with_the_reason(broken):
    name, folder = broken
    code = f"""
import sys; sys.path.insert(0, {str(folder)!r})
from nsae import MissingExtraError
from nsae.system.backends import resolve_backend
for _ in range(2):
    try:
        resolve_backend("numba")
    except MissingExtraError as error:
        print(error)
"""
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    first, *lines = out.stdout.splitlines()
    assert first == "tried"
    assert len(lines) == 2
    assert all(f"needs numba, which cannot be imported ({name}: " in line for line in lines)


def test_without_numba_auto_is_numpy_and_says_nothing(fresh, monkeypatch):
    for module in [
        name for name in sys.modules if name == "nsae.kernels" or name.startswith("nsae.kernels.")
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "numba", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_backend("auto") == "numpy"
        with pytest.raises(MissingExtraError, match=r'not installed.*pip install "nsae\[fast\]"'):
            resolve_backend("numba")


def test_little_work_does_not_try_the_import(monkeypatch):
    monkeypatch.setattr(backends, "_problem_of_numba", lambda: pytest.fail("not worth it"))
    assert resolve_backend("auto", 1e3) == "numpy"
    assert resolve_backend("numpy") == "numpy"


def test_unknown_backends_are_refused():
    with pytest.raises(ValueError, match="'auto', 'numpy', 'numba'"):
        resolve_backend("cuda")
