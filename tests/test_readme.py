"""README's sample prints what README says, and its links lead somewhere."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_sample_prints_what_it_says():
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    found = re.search(r"<!-- sample -->\n```python\n(.*?)```\n\nprints\n\n```text\n(.*?)```", README, re.S)
    sample, expected = found.groups()
    assert len([line for line in sample.splitlines() if line.strip()]) <= 13
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(sample, {})
    assert printed.getvalue() == expected


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
