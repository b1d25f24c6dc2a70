"""Progress on stderr, with tqdm and without."""

import sys

import pytest

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
