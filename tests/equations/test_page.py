"""The page of equations: its index points at headings, functions and tests that are there."""

import ast
import re

import numpy as np
import pytest
from house import PACKAGE

from nsae.equations.sparsity import kl_gradient, kl_slope, mean_activation

PAGE = PACKAGE / "equations" / "README.md"
TEXT = PAGE.read_text(encoding="utf-8")
TITLES = dict(re.findall(r"^### \((\d+)\) (.*)$", TEXT, re.M))
ROWS = re.findall(
    r"^\| \[\((\d+)\)\]\(#([^)]*)\) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", TEXT, re.M
)
KERNELS = PACKAGE / "kernels"
# Where the NumPy twins of the kernels stand, under the same names.
DEFINITIONS = [
    PACKAGE / file
    for file in (
        "training/definitions.py",
        "retrieval/search/search_postings.py",
        "images/features/patches.py",
        "images/features/pooling.py",
    )
]


@pytest.mark.parametrize(
    ("number", "anchor", "title", "code", "tests", "twin"), ROWS, ids=[row[0] for row in ROWS]
)
def test_each_row_of_the_index_tells_the_truth(number, anchor, title, code, tests, twin):
    assert title == TITLES[number]
    assert anchor == github_anchor(f"({number}) {title}")
    for file, names in re.findall(r"\[[^]]*\]\(([^)]*)\) ((?:`[^`]*`(?:, )?)+)", code):
        text = (PAGE.parent / file).read_text(encoding="utf-8")
        assert re.search(rf"#[^\n]*\({number}\)", text), f"{file} has no line with # ({number})"
        for name in re.findall(r"`([^`]*)`", names):
            for part in name.split("."):
                assert re.search(rf"(def|class) {part}\b", text), f"{file} does not define {name}"
    for name, file in re.findall(r"\[`([^`]*)`\]\(([^)]*)\)", tests):
        assert f"def {name}(" in (PAGE.parent / file).read_text(encoding="utf-8")
    assert re.search(r"`\w", code)
    assert re.search(r"`test_", tests)
    for file, names in re.findall(r"\[[^]]*\]\(([^)]*)\) ((?:`[^`]*`(?:, )?)+)", twin):
        for name in re.findall(r"`([^`]*)`", names):
            assert name in functions_of(PAGE.parent / file), f"{file} does not define {name}"
            assert any(name in functions_of(file) for file in DEFINITIONS), f"{name} has no definition"
    assert twin == "–" or "`" in twin


def test_the_index_has_a_row_for_each_equation_and_all_the_twins_it_can():
    """A kernel whose docstring or code cites an equation stands in that equation's row."""
    assert {row[0] for row in ROWS} == set(TITLES)
    twins = {row[0]: row[5] for row in ROWS}
    for file in ("dense_step.py", "adam.py"):
        tree = ast.parse((KERNELS / file).read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                first = (ast.get_docstring(node) or "").split("\n")[0]
                for number in re.findall(r"\((\d+)\)", first):
                    assert twins[number] != "–", f"{node.name} cites ({number})"


def test_links_within_the_page_and_to_files_lead_somewhere():
    anchors = {github_anchor(heading) for heading in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    for target in re.findall(r"\]\(([^)]*)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (PAGE.parent / target).is_file(), target


def test_each_equation_is_set_as_math():
    for macro in ("operatorname", "mbox", "phantom"):
        assert f"\\{macro}" not in TEXT, f"GitHub does not render \\{macro}"
    for number in TITLES:
        section = TEXT[TEXT.index(f"### ({number})") :].split("\n##")[0]
        assert section.count("```math\n") >= 1, f"({number}) is not in display math"


def test_the_derivative_of_kl_worked_out_by_hand():
    Z = np.array([[0.1], [0.3]])  # (B, h) = (2, 1)
    assert mean_activation(Z) == pytest.approx([0.2])
    assert kl_slope(np.array([0.2]), 0.1) == pytest.approx([0.625])
    assert kl_gradient(Z, beta=1, rho=0.1) == pytest.approx([0.3125])
    for number in ("0.625", "0.3125"):
        assert number in TEXT


def functions_of(file):
    """The names of the functions that a file defines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def github_anchor(heading):
    """The address of a heading on GitHub: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
