"""Two photos: the same file, the same pixels, the same picture, alike, or different."""

import json
import shutil

import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import ImageEncoder, ImageReadError, SparseAutoencoder, datasets
from nsae.cli import main
from nsae.images.compare_photos import compare_photos

FEW = {"patch_units": 64, "n_patches": 5000, "epochs": 5, "patch_epochs": 1, "n_units": 128, "k": 16}


@pytest.fixture(scope="module")
def encoder():
    return ImageEncoder(random_state=0, image_size=48, **FEW).fit(datasets.photos()).encoder()


@pytest.fixture
def photos(tmp_path):
    """Two photos, and others that are made of the first one."""
    boats, parrots = (path for path in datasets.photos() if path.name[:2] in ("09", "23"))
    shutil.copy(boats, tmp_path / "boats.jpg")
    shutil.copy(boats, tmp_path / "copy.jpg")
    shutil.copy(parrots, tmp_path / "parrots.jpg")
    with Image.open(boats) as image:
        image.save(tmp_path / "boats.png")
        image.resize((64, 96)).save(tmp_path / "small.jpg")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
        image.crop((20, 30, 100, 150)).save(tmp_path / "cut.png")
    (tmp_path / "broken.jpg").write_bytes(boats.read_bytes()[:300])
    return tmp_path


@pytest.mark.parametrize(("other", "verdict"), [
    ("boats.jpg", "same file"),
    ("copy.jpg", "same file"),
    ("boats.png", "same pixels"),
    ("small.jpg", "same picture"),
    ("mirrored.png", "alike"),
    ("cut.png", "alike"),
    ("parrots.jpg", "different"),
])  # fmt: skip
def test_the_verdict(other, verdict, photos, encoder):
    found = compare_photos(photos / "boats.jpg", photos / other, encoder, radius=0.6)
    assert found.verdict == verdict
    assert (
        found.distance == compare_photos(photos / other, photos / "boats.jpg", encoder, radius=0.6).distance
    )
    if verdict in ("same file", "same pixels"):
        assert found.distance < 1e-6
    elif verdict == "different":
        assert found.distance > 0.6
    else:
        assert 0 < found.distance <= 0.6


def test_mirrored_pictures_are_the_same_if_that_is_asked_for(photos, encoder):
    pair = photos / "boats.jpg", photos / "mirrored.png"
    assert compare_photos(*pair, encoder, radius=0.6, invariant=True).verdict == "same picture"
    pair = photos / "boats.jpg", photos / "parrots.jpg"
    assert compare_photos(*pair, encoder, radius=0.6, invariant=True).verdict == "different"


def test_the_radius_of_what_is_alike(photos, encoder):
    pair = photos / "boats.jpg", photos / "parrots.jpg"
    assert compare_photos(*pair, encoder, radius=2).verdict == "alike"
    assert compare_photos(*pair, encoder, radius=0).verdict == "different"
    for radius in (-1, float("nan")):
        with pytest.raises(ValueError, match="cosine distance of 0 or more"):
            compare_photos(*pair, encoder, radius=radius)


def test_what_cannot_be_compared(photos, encoder):
    for other in ("broken.jpg", "none.jpg"):
        with pytest.raises(ImageReadError, match=other):
            compare_photos(photos / "boats.jpg", photos / other, encoder, radius=0.6)
    rows = SparseAutoencoder(4, k=2, epochs=1).fit([[0.0, 1.0], [1.0, 0.0]]).encoder()
    with pytest.raises(ValueError, match="rows of numbers"):
        compare_photos(photos / "boats.jpg", photos / "copy.jpg", rows, radius=0.6)


# ---- nsae same


@pytest.fixture
def model(photos, encoder, monkeypatch):
    encoder.save(photos / "model.npz")
    monkeypatch.chdir(photos)
    return ["-m", "model.npz", "--radius", "0.6"]


@pytest.mark.parametrize(("other", "verdict", "code"), [
    ("copy.jpg", "same file", 0),
    ("small.jpg", "same picture", 0),
    ("cut.png", "alike", 0),
    ("parrots.jpg", "different", 1),
])  # fmt: skip
def test_the_exit_code_is_the_answer(other, verdict, code, model, capsys):
    assert main(["same", "boats.jpg", other, *model]) == code
    (said,) = capsys.readouterr().out.splitlines()
    assert main(["same", "boats.jpg", other, *model, "--json"]) == code
    figures = json.loads(capsys.readouterr().out)
    assert (figures["verdict"], figures["radius"]) == (verdict, 0.6)
    assert said == f"boats.jpg and {other}: {verdict}, cosine distance {figures['distance']:.4f}"


@pytest.mark.parametrize("words", [
    ["boats.jpg", "none.jpg"],
    ["broken.jpg", "boats.jpg"],
    ["boats.jpg", "copy.jpg", "--radius", "-1"],
    ["boats.jpg", "copy.jpg", "-m", "none.npz"],
])  # fmt: skip
def test_errors_are_exit_2(words, model, capsys):
    assert main(["same", *words[:2], *model, *words[2:]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nsae: error: ")
