"""The cache of compiled loops: it depends on every source of a loop, and no loop depends on it."""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from house import PACKAGE

from nsae import CodeIndex, ImageEncoder, SparseAutoencoder, kernels
from nsae.kernels.compile import RECORDS, sources_hash

pytestmark = pytest.mark.skipif(
    not hasattr(kernels.adam, "signatures"), reason="the compiler is switched off"
)

FIT = """
import numpy as np
from nsae import SparseAutoencoder
X = np.random.default_rng(0).random((8, 6)).astype("f4")
model = SparseAutoencoder(4, k=2, epochs=1, batch_size=8, backend="numba", random_state=0, n_threads=1).fit(X)
print(model.autoencoder_.encoder_layer.W.tolist())
"""
SQUARES = """
import numpy as np
from nsae import kernels
print(kernels.squares(np.ones(3), np.ones(3), 0.0, 0, 3), sum(kernels.squares.stats.cache_hits.values()))
"""


@pytest.fixture
def copied(tmp_path):
    """A copy of the package, without what was compiled."""
    shutil.copytree(PACKAGE, tmp_path / "nsae", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder, code, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment = {**inherited, "PYTHONPATH": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def change(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_loop_is_compiled_anew_when_another_file_that_it_is_made_from_changes(copied):
    """``update_units`` of ksparse_step.py has ``adam`` of adam.py compiled into it."""
    before, _ = run(copied, FIT)
    change(copied / "nsae/kernels/adam.py", "theta[i] -= rates", "theta[i] -= 2 * rates")
    after, _ = run(copied, FIT)
    assert after != before


def test_a_process_takes_what_another_has_compiled_and_removes_what_is_out_of_date(copied, tmp_path):
    assert run(copied, SQUARES)[0].split() == ["3.0", "0"]
    assert run(copied, SQUARES)[0].split() == ["3.0", "1"]
    assert run(copied, SQUARES, NUMBA_CACHE_DIR=str(tmp_path / "mine"))[0].split() == ["3.0", "0"]
    assert run(copied, SQUARES, NUMBA_CACHE_DIR=str(tmp_path / "mine"))[0].split() == ["3.0", "1"]
    kept = copied / "nsae/kernels/__pycache__"
    before = set(kept.glob("*.nb?"))
    change(copied / "nsae/kernels/options.py", '"""How', '"""Changed: how')
    assert run(copied, SQUARES)[0].split() == ["3.0", "0"]
    after = set(kept.glob("*.nb?"))
    assert len(after) == len(before) == 2
    assert not before & after


def test_the_cache_depends_on_the_files_of_all_records_that_kernels_are_given(rng):
    """A compiled loop finds the fields of a record by their position, which may change with the record's file."""
    X, images = rng.random((300, 12)).astype(np.float32), rng.random((20, 8, 8))
    for options in ({"k": 2}, {"l1": 0.1}, {"activation": "sigmoid", "output": "sigmoid", "kl": 0.1}):
        more = {
            "max_grad_norm": 1.0,
            "unit_norm": "k" in options,
            "aux_weight": 0.1 if "k" in options else 0.0,
        }
        SparseAutoencoder(16, epochs=1, backend="numba", dead_after=1, **options, **more).fit(X)
    tiny = {"patch_size": 4, "stride": 2, "patch_units": 8, "n_components": 4, "grid": 1, "n_patches": 100}
    ImageEncoder(8, k=2, epochs=1, patch_epochs=1, backend="numba", **tiny).fit(images).encode(images)
    index = CodeIndex(16)
    index.add(np.maximum(rng.normal(size=(3000, 16)), 0))
    for queries, k in ((index.codes[:200], 5), (index.codes[:3], 5), (index.codes[:3], 2000)):
        index.search(queries, k=k, backend="numba")

    package = Path(kernels.__file__).parent.parent  # which may be an installed one
    files = {package / name for name in RECORDS} | set((package / "kernels").glob("*.py"))
    records = set()
    for module in [module for name, module in sys.modules.items() if name.startswith("nsae.kernels.")]:
        for kernel in vars(module).values():
            for signature in getattr(kernel, "signatures", ()):
                for argument in signature:
                    records |= records_in(argument)
    assert {record.__name__ for record in records} >= {"AdamRates", "CodeArrays", "PoolingScratch"}
    for record in records:
        assert Path(inspect.getfile(record)) in files, (
            f"{record} is to be in RECORDS of nsae/kernels/compile.py"
        )


def records_in(argument):
    """The named tuples of a Numba type, and those in them."""
    found = {argument.instance_class} if hasattr(argument, "instance_class") else set()
    for part in getattr(argument, "types", ()):
        found |= records_in(part)
    return found


@pytest.mark.parametrize("file", ["kernels/adam.py", *RECORDS])
def test_a_change_of_any_of_these_files_compiles_anew(copied, file):
    code = "from nsae.kernels.compile import sources_hash; print(sources_hash())"
    before, again = run(copied, code)[0], run(copied, code)[0]
    (copied / "nsae" / file).write_text(
        (copied / "nsae" / file).read_text(encoding="utf-8") + "\n", encoding="utf-8"
    )
    assert before == again != run(copied, code)[0]


def test_every_kernel_has_a_cache_that_knows_all_sources():
    modules = [module for name, module in sys.modules.items() if name.startswith("nsae.kernels.")]
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if getattr(value, "signatures", None) is not None
    }
    assert {getattr(kernels, name) for name in kernels.__all__ if name.islower()} <= found
    for kernel in found:
        assert sources_hash() in kernel._cache._impl.filename_base, (
            f"{kernel} is not made by njit of compile.py"
        )
        assert sources_hash() not in kernel.py_func.__qualname__


def test_without_a_place_for_it_loops_are_compiled_and_one_warning_says_so(copied):
    (copied / "nsae/kernels/__pycache__").write_text("a file, so that no folder can be made")
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"), "/dev/null/nothing")
    out, err = run(copied, SQUARES, **nowhere, PYTHONDONTWRITEBYTECODE="1")
    assert out.split() == ["3.0", "0"]
    assert err.count("cannot be kept") == 1
    assert "NUMBA_CACHE_DIR" in err


@pytest.mark.parametrize("what", ["save", "load"])
def test_a_cache_that_cannot_be_written_or_read_is_no_error(copied, what):
    fail = f"""
import errno
from numba.core.caching import IndexDataCacheFile
def fails(*args):
    raise OSError(errno.ENOSPC, "No space left on device")
IndexDataCacheFile.{what} = IndexDataCacheFile.flush = fails
"""
    out, err = run(copied, fail + SQUARES)
    assert out.split() == ["3.0", "0"]
    assert err.count("cannot be kept") == 1
    assert "No space left on device" in err


@pytest.mark.parametrize("damage", [b"", b"\x80\x04\x95garbage"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_cache_is_replaced(copied, kind, damage):
    run(copied, SQUARES)
    for file in (copied / "nsae/kernels/__pycache__").glob(f"*.{kind}"):
        file.write_bytes(damage)
    out, err = run(copied, SQUARES)
    assert (out.split(), err) == (["3.0", "0"], "")
    out, err = run(copied, SQUARES)
    assert (out.split(), err) == (["3.0", "1"], "")


def test_two_processes_that_compile_for_different_types_at_once_keep_both(copied):
    """Each sees the index of before, as if the other had not written yet, and the first index is the last."""
    race = """
import numpy as np
from nsae import kernels
files = kernels.squares._cache._cache_file
load, save = files._load_index, files._save_index
indexes = []
files._load_index = dict
files._save_index = lambda index: (save(index), indexes.append(index))
for real in (np.float32, np.float64):
    kernels.squares(np.ones(3, real), np.ones(3, real), real(0), 0, 3)
save(indexes[0])
"""
    run(copied, race)
    single = SQUARES.replace("np.ones(3)", "np.ones(3, np.float32)").replace("0.0", "np.float32(0)")
    assert run(copied, single)[0].split() == ["3.0", "1"]
    assert run(copied, SQUARES)[0].split() == ["3.0", "0"]  # not in the index, and so compiled again
    assert run(copied, SQUARES)[0].split() == ["3.0", "1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_forked_while_another_thread_compiles_can_compile(copied):
    out, _ = run(
        copied,
        """
import os, threading, time
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from nsae import kernels
compiles = threading.Event()
def compile_for_a_second():
    with global_compiler_lock:
        compiles.set()
        time.sleep(1)
threading.Thread(target=compile_for_a_second).start()
compiles.wait()
child = os.fork()
if child == 0:
    kernels.squares(np.ones(3), np.ones(3), 0.0, 0, 3)
    os._exit(0)
end = time.monotonic() + 60
while os.waitpid(child, os.WNOHANG) == (0, 0):
    if time.monotonic() > end:
        os.kill(child, 9)
        raise SystemExit("the child hangs")
    time.sleep(0.05)
print("compiled")
""",
    )
    assert out == "compiled\n"
