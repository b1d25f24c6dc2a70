"""What counts as the same picture: edits of one photo do, pages of text, drawings and bursts do not."""

import io
import os
import shutil

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from PIL import ImageDraw, ImageFont

from nsae import ImageEncoder, ImageLibrary, ImageReadError
from nsae.images.library import same_picture
from nsae.images.library.disjoint_sets import DisjointSets
from nsae.images.library.duplicates import DuplicateGroup
from nsae.images.library.same_picture import is_same_picture, join_same_pictures, orientations, signature_of

posix = pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")


def photo(seed, size=(300, 200)):
    """A picture with coarse and fine detail."""
    rng = np.random.default_rng(seed)
    layers = []
    for scale in (4, 12, 40):
        noise = rng.integers(0, 256, (scale * size[1] // size[0] + 1, scale, 3), dtype=np.uint8)
        layers.append(np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), float))
    return Image.fromarray((layers[0] * 0.5 + layers[1] * 0.3 + layers[2] * 0.2).astype(np.uint8))


def page(seed, size=(425, 550)):
    """A page of words that mean nothing."""
    rng, image = np.random.default_rng(seed), Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for y in range(40, size[1] - 40, 14):
        words = ["".join(map(chr, rng.integers(97, 123, rng.integers(2, 10)))) for _ in range(15)]
        line = " ".join(words)
        while draw.textlength(line, font=font) > size[0] - 80:
            line = line[:-1]
        draw.text((40, y), line, font=font, fill="black")
    return image


def drawing(seed, size=(400, 300)):
    """A few black lines on white."""
    rng, image = np.random.default_rng(seed), Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        draw.line([tuple(map(int, rng.integers(0, size))) for _ in range(3)], fill="black", width=2)
    return image


def jpeg(image, quality):
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=quality)
    return Image.open(stored)


EDITS = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "larger": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    "jpeg 50": lambda image: jpeg(image, 50),
}
TURNS = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "both": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
}


def put(image, path):
    image.save(path)
    return path


def groups(paths, **options):
    sets = DisjointSets(len(paths))
    join_same_pictures(paths, sets.join, **options)
    return sets.groups()


@pytest.mark.parametrize("make", [photo, page, drawing])
def test_edits_are_the_same_picture(tmp_path, make):
    paths = [put(make(i), tmp_path / f"{i}.png") for i in range(6)]
    for name, edit in EDITS.items():
        edited = [put(edit(Image.open(path)), tmp_path / f"{name} {path.name}") for path in paths]
        assert groups([*paths, *edited]) == [[i, i + 6] for i in range(6)], name


@pytest.mark.parametrize("make", [photo, page, drawing])
def test_mirrored_and_turned_ones_only_if_asked_for(tmp_path, make):
    paths = [put(make(i), tmp_path / f"{i}.png") for i in range(4)]
    for name, turn in TURNS.items():
        turned = [
            put(jpeg(turn(Image.open(path)), 90), tmp_path / f"{name} {path.stem}.jpg") for path in paths
        ]
        assert groups([*paths, *turned]) == [], name
        assert groups([*paths, *turned], invariant=True) == [[i, i + 4] for i in range(4)], name


@pytest.mark.parametrize("invariant", [False, True])
def test_pages_drawings_and_bursts_are_different_pictures(tmp_path, invariant):
    images = [make(i) for i in range(20) for make in (page, drawing)]
    for i in range(10):  # a camera that moves by a few pixels
        images += [photo(i).crop((4 * d, 2 * d, 280 + 4 * d, 186 + 2 * d)) for d in range(3)]
    paths = [put(image, tmp_path / f"{i}.png") for i, image in enumerate(images)]
    assert groups(paths, invariant=invariant) == []


def test_one_part_that_differs_makes_another_picture(tmp_path):
    image, other = photo(0), photo(0)
    other.paste(photo(1).crop((0, 0, 30, 30)), (200, 100))
    signatures = [signature_of(put(one, tmp_path / f"{i}.png")) for i, one in enumerate((image, other))]
    assert not is_same_picture(*signatures)


def test_other_proportions_are_another_picture(tmp_path):
    wide = signature_of(put(photo(0).resize((300, 150)), tmp_path / "wide.png"))
    assert not is_same_picture(signature_of(put(photo(0), tmp_path / "a.png")), wide)


def test_orientations_are_those_of_a_square(tmp_path):
    image = photo(0)
    signature = signature_of(put(image, tmp_path / "a.png"))
    found = orientations(signature)
    assert len({one.grey.tobytes() for one in found}) == 8
    for turn in (Image.Transpose.ROTATE_90, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_180):
        turned = signature_of(put(image.transpose(turn), tmp_path / "t.png"))
        assert sum(is_same_picture(one, turned) for one in found) == 1


def test_a_large_group_takes_a_comparison_for_each_photo(tmp_path, monkeypatch):
    paths = [put(jpeg(photo(0), 60 + i), tmp_path / f"{i}.jpg") for i in range(40)]
    calls, compare = [], same_picture.is_same_picture
    monkeypatch.setattr(same_picture, "is_same_picture", lambda *pair: calls.append(pair) or compare(*pair))
    assert groups(paths) == [list(range(40))]
    assert len(calls) <= 2 * 40


def test_files_that_cannot_be_read(tmp_path):
    paths = [put(photo(i % 2), tmp_path / f"{i}.png") for i in range(4)]
    paths.insert(1, tmp_path / "none.png")
    told = []
    assert groups(paths, on_error=told.append) == [[0, 3], [2, 4]]
    assert [os.fspath(error.path) for error in told] == [os.fspath(paths[1])]
    with pytest.raises(ImageReadError, match="no such file"):
        groups(paths)
    assert groups([]) == []


# ---- in a library


@pytest.fixture
def library(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(12):
        put(photo(i), root / f"{i:02}.png")
    encoder = ImageEncoder(16, k=3, patch_units=16, epochs=1, patch_epochs=1, n_patches=1000, random_state=0)
    library = ImageLibrary(encoder.fit(sorted(root.iterdir())), root)
    library.update()
    return library


def test_each_group_has_its_kind(library):
    shutil.copyfile(library.root / "00.png", library.root / "copy.png")
    put(EDITS["half"](photo(1)), library.root / "small.png")
    put(TURNS["turned"](photo(2)), library.root / "turned.png")
    put(EDITS["jpeg 50"](photo(0)), library.root / "zero.jpg")
    library.update()
    of_files = [DuplicateGroup("same file", ("00.png", "copy.png"))]
    of_pictures = {
        ("same picture", ("00.png", "copy.png", "zero.jpg")),
        ("same picture", ("01.png", "small.png")),
    }
    assert library.duplicates(kinds=["same file"]) == of_files
    assert {(g.kind, g.ids) for g in library.duplicates()} == of_pictures
    turned = {(g.kind, g.ids) for g in library.duplicates(invariant=True)}
    assert turned == of_pictures | {("same picture", ("02.png", "turned.png"))}
    with pytest.raises(ValueError, match="'same file', 'same picture', 'same scene'"):
        library.duplicates(kinds=["same thing"])


def test_pages_with_equal_codes_are_scenes_and_no_duplicates(library):
    for i in range(5):
        put(page(i), library.root / f"page {i}.png")
    library.update()
    pages = [f"page {i}.png" for i in range(5)]
    codes = library.index.codes[[library.index.row_of(pages[0])] * 5]
    library.index.add(codes, pages, on_duplicate="replace")  # to an encoder, all pages may be one
    assert library.duplicates() == []
    assert library.duplicates(1e-6) == [DuplicateGroup("same scene", tuple(pages))]


@posix
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_with_two_names_is_no_duplicate(library, link):
    link(library.root / "00.png", library.root / "name.png")
    library.index.add(library.index.codes[[0]], ["name.png"])  # as in indexes that were made before
    assert library.duplicates() == library.duplicates(1e-6) == []
    shutil.copyfile(library.root / "00.png", library.root / "copy.png")
    library.update()
    if "name.png" not in library.index:
        library.index.add(library.index.codes[[0]], ["name.png"])
    (group,) = library.duplicates()
    assert group.kind == "same file"
    assert len(group.ids) == 2
    assert "copy.png" in group.ids


def test_a_photo_that_has_changed_is_no_copy_of_what_it_was(library):
    shutil.copyfile(library.root / "00.png", library.root / "copy.png")
    library.update()
    put(photo(50), library.root / "copy.png")
    assert library.duplicates() == []
    (library.root / "00.png").unlink()
    assert library.duplicates() == []
