"""The rules of the house: its plan, numbered equations, small files and functions, docstrings that tell the truth."""

import ast
import re
import subprocess
import sys

import house
import pytest
from house import PACKAGE

import nsae

ROOT = PACKAGE.parent
SOURCES = house.sources()
EQUATIONS = (PACKAGE / "equations" / "README.md").read_text(encoding="utf-8")
NUMBERS = re.findall(r"^### \((\d+)\)", EQUATIONS, re.M)

LINES_OF_A_FILE = 280  # of code: docstrings and comments do not count, they are what the files are for
LINES_OF_A_FUNCTION = 50
PARAMETERS = 8

every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: str(s.relative_to(PACKAGE)))


# ---- the plan


def test_every_room_stands_on_a_floor():
    assert {house.room_of(house.module_name(source)) for source in SOURCES} == set(house.FLOOR_OF)


def test_imports_point_down():
    assert house.upward_arrows() == []


def test_there_is_no_circle():
    assert house.circles(house.room_graph()) == []
    assert house.circles(house.module_graph()) == []


def test_the_plan_sees_imports_wherever_they_stand(tmp_path, monkeypatch):
    package = tmp_path / "nsae"
    (package / "equations").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text("def f():\n    from nsae.equations import layers\n")
    (package / "equations/__init__.py").write_text("")
    (package / "equations/layers.py").write_text("if TYPE_CHECKING:\n    import nsae.errors\n")
    monkeypatch.setattr(house, "PACKAGE", package)
    assert house.upward_arrows() == [("nsae.errors", "nsae.equations.layers")]
    assert house.circles(house.room_graph()) == [["equations", "errors"]]
    assert house.circles(house.module_graph()) == [["nsae.equations.layers", "nsae.errors"]]


def test_retrieval_knows_no_model_and_the_equations_only_numpy():
    outside = {"equations": {"numpy"}, "errors": set(), "kernels": {"numpy", "numba", "llvmlite"}}
    for source in SOURCES:
        allowed = outside.get(house.room_of(house.module_name(source)))
        if allowed is not None:
            tree = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
            names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
            tree = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
            names |= {node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module}
            roots = {name.partition(".")[0] for name in names}
            assert roots <= allowed | {"nsae"} | set(sys.stdlib_module_names), source
    assert house.room_graph()["retrieval"].isdisjoint({"models", "images", "training", "equations"})
    assert house.room_graph()["equations"] <= {"errors", "validation"}
    assert house.room_graph()["kernels"] == set()


# ---- sizes


@every_source
def test_files_are_small(source):
    assert house.code_lines(source) <= LINES_OF_A_FILE


@every_source
def test_functions_are_short_and_take_few_things(source):
    estimators = _estimators()
    for name, function, lines in house.functions(source):
        if name.removesuffix(".__init__") in estimators:
            continue  # a list of hyperparameters
        assert lines <= LINES_OF_A_FUNCTION, f"{name}: {lines} lines of code"
        parameters = _parameters(function, collected=False)
        assert len(parameters) <= PARAMETERS, f"{name}: {len(parameters)} parameters"


def test_the_math_can_be_read_in_one_sitting():
    files = [*(PACKAGE / "equations").glob("*.py"), PACKAGE / "training" / "loop.py"]
    assert (
        sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 900
    )  # docstrings included


# ---- equations


@pytest.mark.parametrize("number", NUMBERS)
def test_each_equation_has_code_docstring_and_test(number):
    counted = [source for source in SOURCES if "exercises" not in source.parts]  # these say all once more
    code = "\n".join(source.read_text(encoding="utf-8") for source in counted)
    tests = "\n".join(test.read_text(encoding="utf-8") for test in ROOT.glob("tests/**/test_*.py"))
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
            assert number in NUMBERS, f"{source.name} cites Eq. ({number}), which the equations do not give"


def test_the_index_of_equations_has_all_numbers_in_order():
    index = EQUATIONS[: EQUATIONS.index("## Conventions")]
    assert re.findall(r"^\| \[\((\d+)\)\]\(#", index, re.M) == sorted(NUMBERS, key=int)


# ---- docstrings


@every_source
def test_everything_public_is_documented(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) is not None
    for name, node in _public(tree):
        assert ast.get_docstring(node), f"{name} has no docstring"


@every_source
def test_docstrings_name_the_parameters_that_there_are(source):
    """Each parameter by its name, in whatever sentence; and under "Parameters" none that is not there."""
    wrong = []
    for name, node in _public(ast.parse(source.read_text(encoding="utf-8"))):
        function, text = node, ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            if not inits:
                continue
            function = inits[0]
        parameters = _parameters(function)
        wrong += [
            f"{name}: {p} is not named" for p in parameters if not re.search(rf"(?<!\w){p}(?!\w)", text)
        ]
        wrong += [f"{name}: {p} is no parameter" for p in _listed(text) if p not in parameters]
    assert not wrong, "\n".join(wrong)


def test_the_check_of_docstrings_finds_what_it_should():
    text = "Do it.\n\nParameters\n----------\nX : (n, d) array\n    Data.\n*more\nk, l : int\n\nReturns\n-------\nint\n"
    assert _listed(text) == ["X", "more", "k", "l"]
    (function,) = ast.parse("def f(self, X, *more, k, l=1, **rest): pass").body
    assert _parameters(function) == ["X", "more", "k", "l", "rest"]


def _public(tree):
    """(name, node) of the functions and classes of a module that anyone may use, and their methods."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                decorators = [ast.unparse(d) for d in getattr(inner, "decorator_list", ())]
                method = isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_")
                if method and "overload" not in decorators and "property" not in decorators:
                    yield f"{node.name}.{inner.name}", inner


def _parameters(function, *, collected=True):
    """The names of a function's parameters, without self and cls; those of *more and **rest if ``collected``."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    if collected:
        named = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    names = [argument.arg for argument in named if argument is not None]
    return [name for i, name in enumerate(names) if not (i == 0 and name in ("self", "cls"))]


def _listed(text):
    """The names that stand under "Parameters" in a docstring."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}|\Z)", text, re.M | re.S)
    if section is None:
        return []
    heads = re.findall(r"^(\S[^:\n]*?)(?: :.*)?$", section[1], re.M)
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def _estimators():
    from nsae.models.sklearn_contract import Parameters, Transformer

    nsae.SparseAutoencoder, nsae.ImageEncoder  # noqa: B018  imports both
    return {cls.__name__ for cls in [*Parameters.__subclasses__(), *Transformer.__subclasses__()]}


# ---- the front door


def test_importing_nsae_loads_numpy_and_nothing_else():
    heavy = ["numba", "PIL", "matplotlib", "tqdm", "scipy", "sklearn", "pandas", "torch", "threadpoolctl"]
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
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f'VERSION = "{nsae.__version__}"' in setup
    assert f"## {nsae.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_oldest_versions_are_those_that_are_tested():
    """The table of docs/versions.md, the lowest versions of setup.py and the pins of .ci/run are the same."""
    pins = dict(
        re.findall(r'"([a-z-]+)(?:\[[^"]*\])?==([\d.]+)\.\*"', (ROOT / ".ci" / "run").read_text("utf-8"))
    )
    setup = (ROOT / "setup.py").read_text("utf-8").split("PEERS = ")[0]
    setup += (ROOT / "setup.py").read_text("utf-8").split("setup(")[1]
    table = re.findall(
        r"^\| ([\w-]+) \| ([\d.]+) \|", (ROOT / "docs" / "versions.md").read_text("utf-8"), re.M
    )
    assert len(table) >= 10
    for package, oldest in table:
        name = package.lower()
        lowest = set(re.findall(rf'"{name}(?:\[[^"]*\])?>=([\d.]+)"', setup))
        assert lowest == {oldest}, f"setup.py has {lowest} of {package}, docs/versions.md {oldest}"
        assert pins[name] == oldest, f".ci/run tests {package} {pins[name]}, docs/versions.md has {oldest}"
