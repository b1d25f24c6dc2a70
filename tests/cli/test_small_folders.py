"""Folders that are hardly enough to learn from: one photo, equal ones, five."""

import json

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

import nsae
from nsae import CodeIndex, ImageEncoder
from nsae.cli import main, make
from nsae.datasets import dead_leaves
from nsae.images.library.intake import Intake
from nsae.images.pipeline import ImagePipeline

OPTIONS = ["--units", "64", "--k", "8", "--epochs", "4", "--image-size", "56"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few patches, so that tests are quick."""
    monkeypatch.setattr(
        make, "ImageEncoder", lambda **params: ImageEncoder(n_patches=4000, patch_units=64, **params)
    )


def write(folder, n, equal=False):
    folder.mkdir()
    for i, picture in enumerate(dead_leaves(n, size=40, random_state=7)):
        Image.fromarray(picture if not equal else np.full_like(picture, 90)).save(folder / f"{i:02d}.png")
    return folder


def index_and_ask(folder, tmp_path, capsys, *words, options=OPTIONS):
    """The distances from the first photo, and what was said."""
    target = str(tmp_path / "i.nsae")
    assert main(["index", str(folder), "-o", target, *options, *words]) == 0
    said = capsys.readouterr().err
    assert main(["similar", str(folder / "00.png"), "-i", target, "-k", "99", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["results"][0]["hits"]
    assert main(["duplicates", "-i", target]) == 0
    return [hit["distance"] for hit in hits], said


@pytest.mark.parametrize("words", [[], ["--grey"], ["--whole"]])
def test_one_photo(words, tmp_path, capsys):
    distances, said = index_and_ask(write(tmp_path / "one", 1), tmp_path, capsys, *words)
    assert distances == []
    assert ("1 photo is too few to learn from" in said) == (words != ["--whole"])


@pytest.mark.parametrize("words", [[], ["--whole"]])
def test_equal_photos(words, tmp_path, capsys):
    distances, _ = index_and_ask(write(tmp_path / "equal", 40, equal=True), tmp_path, capsys, *words)
    assert len(distances) == 39
    codes = CodeIndex.load(tmp_path / "i.nsae").codes
    if codes.counts.all():  # Pixels that are all equal may give a code of zeros, which is near to nothing.
        np.testing.assert_allclose(distances, 0, atol=1e-6)
    assert len({codes.row(i)[0].tobytes() for i in range(40)}) == 1


def test_five_photos_share_units(tmp_path, capsys):
    """Without made pictures, each photo has units of its own, and all are at distance 1 from each other."""
    distances, said = index_and_ask(write(tmp_path / "five", 5), tmp_path, capsys)
    assert "5 different photos are too few to learn from" in said
    assert min(distances) < 0.99


@pytest.mark.parametrize(("n", "words"), [(1, []), (5, []), (12, []), (12, ["--k", "7"])])
def test_few_photos_are_coded_by_the_encoder_that_comes_with_nsae(n, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ImageEncoder, "fit", lambda *_, **__: pytest.fail("something was learned"))
    distances, said = index_and_ask(write(tmp_path / "few", n), tmp_path, capsys, *words, options=[])
    assert "too few to learn from, so the encoder that comes with nsae is used" in said
    assert len(distances) == n - 1
    assert not distances or distances[0] < 0.99
    index = CodeIndex.load(tmp_path / "i.nsae")
    pretrained = nsae.load_encoder("photos")
    assert index.n_units == pretrained.n_units + n
    assert index.codes.counts.max() <= (int(words[1]) if words else 32)
    # Each photo excites its own unit most, and the stored encoder gives the codes that are in the index.
    stored = nsae.load_encoder(tmp_path / "i.nsae" / "model.npz")
    folder = tmp_path / "few"
    codes = nsae.encode_photos(stored, sorted(map(str, folder.iterdir())))
    assert np.array_equal(codes.values, index.codes.values)
    strongest = codes.keep(1).units
    assert sorted(strongest) == list(range(pretrained.n_units, pretrained.n_units + n))


def test_enough_photos_are_learned_from_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make, "FEW", 6)
    monkeypatch.setattr(make, "ENOUGH", 6)
    monkeypatch.setattr(make, "dead_leaves", lambda *_, **__: pytest.fail("pictures were made"))
    _, said = index_and_ask(write(tmp_path / "six", 6), tmp_path, capsys)
    assert "too few" not in said


def test_more_photos_than_are_learned_from_are_read_in_blocks(tmp_path, monkeypatch, capsys):
    """Before, all photos were in memory at once."""
    learned, held = [], []
    fit, take_in = ImageEncoder.fit, Intake._take_in

    def fitted(encoder, images, **options):
        learned.append(len(images))
        return fit(encoder, images, **options)

    def taken(intake, photos):
        held.append(sum(photo.pixels is not None for photo in photos))
        return take_in(intake, photos)

    options = {"max_images": 5, "n_patches": 2000, "patch_units": 32}
    monkeypatch.setattr(make, "FEW", 0)
    monkeypatch.setattr(make, "ENOUGH", 0)
    monkeypatch.setattr(make, "ImageEncoder", lambda **params: ImageEncoder(**options, **params))
    monkeypatch.setattr(ImageEncoder, "fit", fitted)
    monkeypatch.setattr(ImagePipeline, "block_size", 4)
    monkeypatch.setattr(Intake, "_take_in", taken)
    distances, _ = index_and_ask(write(tmp_path / "twelve", 12), tmp_path, capsys)
    assert learned == [5]
    assert len(distances) == 11
    assert held == [4, 4, 4]


def test_the_encoder_of_the_package_is_a_model_by_its_name(tmp_path, capsys, monkeypatch):
    """A file of that name in the folder at hand is not it."""
    folder, target = write(tmp_path / "few", 3), str(tmp_path / "i.nsae")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").write_bytes(b"no model")
    assert main(["index", str(folder), "-o", target, "--model", "photos"]) == 0
    assert main(["info", "photos"]) == 0
    assert "Caltech-101" in capsys.readouterr().out
    stored = nsae.load_encoder(tmp_path / "i.nsae" / "model.npz")
    assert stored.n_units == nsae.load_encoder("photos").n_units


def test_k_0_means_all_units(tmp_path, capsys):
    _, said = index_and_ask(
        write(tmp_path / "few", 3),
        tmp_path,
        capsys,
        options=["--k", "0", "--epochs", "1", "--image-size", "56"],
    )
    assert "made pictures" in said
    assert CodeIndex.load(tmp_path / "i.nsae").n_units == 103  # one for each picture
