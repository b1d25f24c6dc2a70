"""Progress on stderr, with tqdm and without."""

import os
import sys
from pathlib import Path

import pytest

import nsae
from nsae import SparseAutoencoder
from nsae.system.progress import Progress


@pytest.fixture
def no_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)


def count(total, **options):
    with Progress("work", total, **options) as progress:
        for i in range(total):
            progress.update(loss=i / 8)


def test_silent_unless_enabled(capfd):
    count(3, enabled=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("no_tqdm")
def test_lines_without_tqdm(capfd):
    count(3, enabled=True, every=0)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "work: 1/3  loss 0",
        "work: 2/3  loss 0.125",
        "work: 3/3  loss 0.25",
    ]


@pytest.mark.usefixtures("no_tqdm")
def test_a_quick_run_prints_its_end_alone(capfd):
    count(100, enabled=True)
    assert capfd.readouterr().err == "work: 100/100  loss 12.38\n"


def test_a_bar_with_tqdm(capfd):
    pytest.importorskip("tqdm")
    count(3, enabled=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "3/3" in err
    assert "loss=0.25" in err


@pytest.mark.usefixtures("no_tqdm")
@pytest.mark.parametrize("verbose", [False, True])
def test_fit(capfd, rng, verbose):
    SparseAutoencoder(2, epochs=3, verbose=verbose).fit(rng.random((9, 2)))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("training: 3/3  loss ") == verbose
    assert bool(err) == verbose


@pytest.mark.filterwarnings("ignore")
def test_in_a_notebook_there_is_one_bar_of_text_and_no_warning():
    """tqdm.auto would warn where ipywidgets is missing, and its bars turn red where a fit converges early."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("tqdm")
    code = (
        "import numpy as np, nsae\n"
        "X = np.random.default_rng(0).random((99, 5))\n"
        "nsae.SparseAutoencoder(4, k=2, epochs=7, verbose=True, backend='numpy').fit(X)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    path = {"PYTHONPATH": str(Path(nsae.__file__).parent.parent)}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute(env={**os.environ, **path})
    *streams, result = notebook.cells[0].outputs
    assert {(stream["output_type"], stream["name"]) for stream in streams} == {("stream", "stderr")}
    text = "".join(stream["text"] for stream in streams)
    assert "Warning" not in text
    assert text.count("\n") == 1  # at the end; before it, the line is written over
    last = text.strip().split("\r")[-1]
    assert last.startswith("training: 100%")
    assert "7/7" in last
    assert result["data"]["text/html"].startswith("<table><caption>SparseAutoencoder, fitted")
