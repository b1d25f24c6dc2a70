import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

from nsae import demo
from nsae.cli import main


@pytest.fixture
def small(monkeypatch):
    """The demo on fewer glyphs and two epochs, so that the test is quick."""
    glyphs, model = demo.glyphs, demo.SparseAutoencoder
    monkeypatch.setattr(demo, "N_QUERIES", 40)
    monkeypatch.setattr(demo, "glyphs", lambda n, **options: glyphs(440, **options))
    monkeypatch.setattr(demo, "SparseAutoencoder", lambda h, **options: model(h, **{**options, "epochs": 2}))


@pytest.mark.usefixtures("small")
def test_demo_prints_a_table_and_draws_three_pictures(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    for word in ("raw pixels", "L1", "KL", "k-sparse", "L0", "dead", "prec@1", "prec@10", "mAP"):
        assert word in table
    pictures = sorted((tmp_path / "out").iterdir())
    assert [picture.name for picture in pictures] == ["filters.png", "loss_curves.png", "search.png"]
    for picture in pictures:
        assert np.asarray(Image.open(picture).convert("L")).std() > 1  # not blank
    assert main(["demo", "-o", str(tmp_path / "out")]) == 1  # not overwritten
    assert "--force" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_demo_figures(tmp_path):
    results = demo.run_demo(tmp_path / "out", quiet=True)
    assert list(results) == ["raw pixels", "L1", "KL", "k-sparse"]
    assert results["raw pixels"]["bytes"] == 3136
    assert results["k-sparse"]["l0"] <= 32
    for figures in results.values():
        assert 0 < figures["map"] < 1
        assert 0 < figures["precision@10"] <= figures["precision@1"] <= 1
