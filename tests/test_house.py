"""The rules of the house: numbered equations, one-way imports, small files, NumPy alone."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nsae

PACKAGE = Path(nsae.__file__).parent
TESTS = Path(__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
NUMBERS = re.findall(
    r"^### \((\d+)\)", (PACKAGE / "equations" / "README.md").read_text(encoding="utf-8"), re.M
)

# Who may import whom: a module imports only from its own layer's list.
TOPICS = {"activations", "layers", "losses", "sparsity", "optimizers"}
BASE = {"errors", "header", "storage", "progress", "validation", "codes", "modelfile"}
MAY_IMPORT = {
    **{topic: set() for topic in TOPICS},
    "errors": set(),
    "backends": {"errors"},
    "storage": set(),
    "progress": set(),
    "codes": set(),
    "validation": {"batches"},
    "batches": set(),
    "header": {"activations"},
    "modelfile": {"errors", "storage"},
    "autoencoder": TOPICS,
    "gradcheck": {"validation"},
    "auxiliary": {"activations", "autoencoder"},
    "resampling": {"autoencoder", "optimizers"},
    "deadunits": {"auxiliary", "resampling"},
    "schedules": {"autoencoder", "optimizers"},
    "steps": {"activations", "autoencoder", "backends", "deadunits", "fast_dense", "fast_ksparse", "layers"}
    | {"optimizers"},
    "state": {"autoencoder", "optimizers"},
    "blas": set(),
    "interrupts": set(),
    "threads": {"blas"},
    "kernels": set(),
    "fast_dense": TOPICS | {"autoencoder", "auxiliary", "deadunits", "kernels", "state", "steps", "threads"},
    "fast_ksparse": TOPICS | {"autoencoder", "deadunits", "kernels", "state", "steps", "threads"},
    "history": {"autoencoder", "steps"},
    "training": {
        "backends",
        "batches",
        "autoencoder",
        "deadunits",
        "history",
        "interrupts",
        "layers",
        "optimizers",
        "progress",
        "schedules",
        "steps",
    },
    "hyperparameters": {"backends", "errors", "schedules"},
    "parameters": set(),
    # images: Encoder.load hands the file of an ImageEncoder on
    "encoder": TOPICS | BASE | {"backends", "images", "kernels", "threads"},
    "initial": {"autoencoder", "batches", "layers"},
    "estimator": TOPICS
    | BASE
    | {
        "autoencoder",
        "auxiliary",
        "deadunits",
        "encoder",
        "fitted",
        "history",
        "hyperparameters",
        "initial",
        "parameters",
        "resampling",
        "training",
    },
    "fitted": BASE | {"encoder", "history", "hyperparameters"},
    "retrieval": {"backends", "codes", "errors", "kernels", "storage", "threads"},
    "images": BASE
    | {
        "activations",
        "backends",
        "encoder",
        "estimator",
        "hyperparameters",
        "interrupts",
        "kernels",
        "layers",
        "parameters",
    }
    | {"retrieval", "threads"},
    "download": {"errors", "storage", "datasets"},
    "datasets": {"errors", "storage"},
    "archives": {"datasets", "errors"},
    "outputs": {"errors", "retrieval", "storage"},
    "indexfiles": {"codes", "encoder", "errors", "images", "retrieval", "sources"},
    "drawing": {"codes", "errors", "images", "indexfiles", "outputs", "plots", "queries", "retrieval"},
    "queries": {"codes", "errors", "images", "indexfiles", "retrieval", "sources"},
    "sources": {"datasets", "errors", "images", "outputs", "progress"},
}


def imports_of(source):
    """The nsae modules (first part of their name) that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "nsae" else [f"nsae.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("nsae."):
                yield name.split(".")[1]


@pytest.mark.parametrize("number", NUMBERS)
def test_each_equation_has_code_docstring_and_test(number):
    code = "\n".join(source.read_text(encoding="utf-8") for source in SOURCES)
    tests = "\n".join(test.read_text(encoding="utf-8") for test in TESTS.rglob("test_*.py"))
    assert re.search(rf"#[^\n]*\({number}\)", code), f"no line of code carries # ({number})"
    cited = set()
    for first, last in re.findall(r"Eqs?\. \((\d+)\)(?:(?:–| and )\((\d+)\))?", code):
        cited |= set(range(int(first), int(last or first) + 1)) if last else {int(first)}
    for first, last in re.findall(r"Eqs\. \((\d+)\) and \((\d+)\)", code):
        cited |= {int(first), int(last)}
    assert int(number) in cited, f"no docstring cites Eq. ({number})"
    assert f"def test_eq{int(number):02d}_" in tests, f"no test is named test_eq{int(number):02d}_…"


def test_no_equation_number_is_given_twice_and_none_is_made_up():
    assert len(NUMBERS) == len(set(NUMBERS))
    for source in SOURCES:
        for number in re.findall(r"Eqs?\. \((\d+)\)", source.read_text(encoding="utf-8")):
            assert number in NUMBERS, (
                f"{source.name} cites Eq. ({number}), which equations/README.md does not give"
            )


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: str(s.relative_to(PACKAGE)))
def test_imports_point_one_way(source):
    module = source.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if module in MAY_IMPORT:
        assert set(imports_of(source)) <= MAY_IMPORT[module] | {module}


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: str(s.relative_to(PACKAGE)))
def test_files_are_small(source):
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 400


def test_the_math_can_be_read_in_one_sitting():
    files = [*sorted(TOPICS), "autoencoder", "gradcheck", "training"]
    lines = sum(len((PACKAGE / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in files)
    assert lines <= 750


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: str(s.relative_to(PACKAGE)))
def test_everything_public_is_documented(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) is not None
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_importing_nsae_loads_numpy_and_nothing_else():
    heavy = ["numba", "PIL", "matplotlib", "tqdm", "scipy", "sklearn", "pandas", "torch"]
    code = f"import sys, nsae; print([m for m in {heavy} if m in sys.modules], 'numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[0] == "[] True"


def test_every_public_name_is_there_when_asked_for():
    for name in nsae.__all__:
        assert getattr(nsae, name).__module__.startswith("nsae.")
        assert name in dir(nsae)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nsae.nonsense  # noqa: B018


def test_version_is_the_same_everywhere():
    setup = (PACKAGE.parent / "setup.py").read_text(encoding="utf-8")
    assert f'VERSION = "{nsae.__version__}"' in setup
    assert f"## {nsae.__version__}" in (PACKAGE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
