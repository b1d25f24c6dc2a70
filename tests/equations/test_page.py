"""The page of equations: its index points at headings, functions and tests that are there."""

import re

import pytest
from house import PACKAGE

PAGE = PACKAGE / "equations" / "README.md"
TEXT = PAGE.read_text(encoding="utf-8")
TITLES = dict(re.findall(r"^### \((\d+)\) (.*)$", TEXT, re.M))
ROWS = re.findall(r"^\| \[\((\d+)\)\]\(#([^)]*)\) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", TEXT, re.M)


@pytest.mark.parametrize(("number", "anchor", "title", "code", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_index_tells_the_truth(number, anchor, title, code, tests):
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


def github_anchor(heading):
    """The address of a heading on GitHub: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
