"""docs/interchange.md: its samples, in order, print what the page says."""

import io
import re
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "interchange.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"<!-- sample: (\w+) -->\n```python\n(.*?)```\n```text\n(.*?)```", PAGE, re.S)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_samples_print_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, scope = [name for name, _, _ in SAMPLES], {}
    assert names == ["scipy", "top", "torch", "csr", "models", "safetensors"]
    assert len(names) == PAGE.count("```python")
    for name, code, said in SAMPLES:
        if name == "torch" and find_spec("torch") is None:
            continue
        if name == "scipy" and find_spec("scipy") is None:
            pytest.skip("the page begins with SciPy")
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(code, scope)
        assert printed.getvalue() == said, name
