"""Benchmark scripts as modules."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OF_DASK = "distributed"  # a script, and a package of Dask


def import_script(name):
    """Return the module of that name; the script with the name of a package gets another one."""
    if name != OF_DASK:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path  # it puts its own folder last
    return module


@pytest.fixture(scope="module")
def benchmark_module():
    """Imports a script of benchmarks/ by its name; its folder is on the path, as it is when Python runs it."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    yield import_script
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if BENCHMARKS in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]
