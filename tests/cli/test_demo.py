import re

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

from nsae import datasets
from nsae.cli import demo, main


@pytest.fixture
def small(monkeypatch):
    """The demo on fewer glyphs and two epochs, so that the test is quick."""
    glyphs, model, encoder = demo.glyphs, demo.SparseAutoencoder, demo.ImageEncoder
    monkeypatch.setattr(demo, "N_QUERIES", 40)
    monkeypatch.setattr(demo, "glyphs", lambda n, **options: glyphs(440, **options))
    monkeypatch.setattr(demo, "SparseAutoencoder", lambda h, **options: model(h, **{**options, "epochs": 2}))
    few = {"patch_units": 64, "n_patches": 5000, "epochs": 5, "patch_epochs": 1, "n_units": 128, "k": 16}
    monkeypatch.setattr(demo, "ImageEncoder", lambda **options: encoder(**options, **few))


@pytest.mark.usefixtures("small")
def test_demo_prints_a_table_and_draws_four_pictures(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    for word in (
        "raw pixels",
        "L1",
        "KL",
        "k-sparse",
        "ImageEncoder",
        "L0",
        "dead",
        "prec@1",
        "prec@10",
        "mAP",
    ):
        assert word in table
    rows = [line.split()[0] for line in table.splitlines() if line]
    assert rows.index("ImageEncoder") < rows.index("raw") < rows.index("L1")  # what it is good at comes first
    pictures = sorted((tmp_path / "out").glob("*.png"))
    names = ["filters.png", "loss_curves.png", "photos.png", "search.png"]
    assert [picture.name for picture in pictures] == names
    for picture in pictures:
        assert np.asarray(Image.open(picture).convert("L")).std() > 1  # not blank
    assert main(["demo", "-o", str(tmp_path / "out")]) == 1  # not overwritten
    assert "--force" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_demo_brings_photos_to_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    assert "24 photos are in nsae_demo/photos, and indexed in nsae_demo/photos.nsae" in said
    command = re.search(r"nsae (similar .*)", said)[1]
    assert main([*command.split(), "-k", "3"]) == 0
    head, *hits = capsys.readouterr().out.splitlines()
    assert head == "nsae_demo/photos/09_sailing_boats.jpg  (cosine distance)"
    assert len(hits) == 3
    assert any("10_sailing_boat.jpg" in hit for hit in hits)
    photos = sorted((tmp_path / "nsae_demo" / "photos").iterdir())
    assert [photo.read_bytes() for photo in photos] == [photo.read_bytes() for photo in datasets.photos()]
    # They are there already, and a change of theirs is somebody's.
    (tmp_path / "nsae_demo" / "photos.nsae").rename(tmp_path / "elsewhere.nsae")
    for picture in (tmp_path / "nsae_demo").glob("*.png"):
        picture.unlink()
    photos[0].write_bytes(b"mine")
    assert main(["demo"]) == 1
    assert "photos exists already" in capsys.readouterr().err
    assert photos[0].read_bytes() == b"mine"
    assert main(["demo", "--force"]) == 0
    assert photos[0].read_bytes() == datasets.photos()[0].read_bytes()


@pytest.mark.usefixtures("small")
def test_demo_figures(tmp_path):
    results = demo.run_demo(tmp_path / "out", quiet=True)
    assert list(results) == ["ImageEncoder", "raw pixels", "L1", "KL", "k-sparse"]
    assert results["raw pixels"]["bytes"] == 784  # a byte a pixel, as they come
    assert results["k-sparse"]["l0"] <= 32
    assert results["ImageEncoder"]["map"] > results["raw pixels"]["map"]  # what patches are for
    for figures in results.values():
        assert 0 < figures["map"] < 1
        assert 0 < figures["precision@10"] <= figures["precision@1"] <= 1


@pytest.mark.usefixtures("small")
def test_ctrl_c_stops_the_demo(tmp_path, monkeypatch, capsys):
    model = demo.SparseAutoencoder

    def interrupted(h, **options):
        unfitted = model(h, **options)
        fit = unfitted.fit

        def stop(X):
            fit(X)
            assert unfitted.on_interrupt == "raise"
            raise KeyboardInterrupt

        unfitted.fit = stop
        return unfitted

    monkeypatch.setattr(demo, "SparseAutoencoder", interrupted)
    assert main(["demo", "-o", str(tmp_path / "out")]) == 130
    assert "KL" not in capsys.readouterr().out  # the first model was the last
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "photos",
        "photos.nsae",
        "photos.png",
    ]


def test_the_demo_finds_out_first_that_it_cannot_write(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "glyphs", lambda *_, **__: pytest.fail("work began"))
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["demo", "-o", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_what_an_earlier_demo_has_left_is_not_replaced(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    assert main(["demo", "-o", str(tmp_path)]) == 1
    said = f"{tmp_path / 'photos'} exists already. Choose another name, or replace it: --force."
    assert capsys.readouterr().err == f"nsae: error: {said}\n"


@pytest.mark.usefixtures("small")
def test_units_that_are_active_most_often_come_first():
    X = np.random.default_rng(0).random((50, 6), dtype=np.float32)
    model = demo.SparseAutoencoder(8, k=2, random_state=0).fit(X)
    often = (model.transform(X) > 0).sum(axis=0)
    first = demo._most_active(model, X)[0]
    np.testing.assert_array_equal(first, model.encoder().patterns()[often.argmax()])
