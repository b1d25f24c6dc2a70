"""A library in step with its folder: what is found, what is encoded, what survives."""

import json
import os
import shutil

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import CodeIndex, Encoder, ImageEncoder, ModelFormatError, SparseAutoencoder, load_encoder
from nsae.errors import ImageReadError
from nsae.images import ImageLibrary, load_image
from nsae.images.library import image_library as module
from nsae.images.library import intake
from nsae.images.library.duplicates import DuplicateGroup
from nsae.images.library.scan import Stamp, UpdateReport, compare, table_from_bytes, table_to_bytes

posix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and names as POSIX has them")


def pixels(seed, side=16):
    """A smooth picture of its own."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def put(path, seed, **options):
    """A photo; its time is one that no other write of the test has."""
    Image.fromarray(pixels(seed, **options)).save(path)
    put.clock += 1
    os.utime(path, ns=(put.clock * 10**9, put.clock * 10**9))
    return path


put.clock = 1_000_000_000


@pytest.fixture(scope="session")
def encoder():
    images = np.stack([pixels(seed) for seed in range(60)])
    return ImageEncoder(
        32, k=4, patch_units=16, epochs=2, patch_epochs=1, n_patches=2000, shrink_threshold=0, random_state=0
    ).fit(images)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "photos/sub").mkdir(parents=True)
    for i in range(4):
        put(tmp_path / f"photos/{i}.png", i)
        put(tmp_path / f"photos/sub/{i}.png", 10 + i)
    return tmp_path / "photos"


ALL = [*(f"{i}.png" for i in range(4)), *(f"sub/{i}.png" for i in range(4))]


@pytest.fixture
def library(encoder, root):
    library = ImageLibrary(encoder, root)
    library.update()
    return library


@pytest.fixture
def encoded(monkeypatch):
    """The names of the files that were decoded to be encoded."""
    names = []
    decode = intake.decode_image

    def decoded(data, path, **options):
        names.append(path.name)
        return decode(data, path, **options)

    monkeypatch.setattr(intake, "decode_image", decoded)
    monkeypatch.setattr(intake, "n_cpus", lambda: 1)  # two threads may both decode one content
    return names


def in_step(library):
    """Every row is the code of its file as it is now, and every readable file has one."""
    fresh = ImageLibrary(library.encoder, library.root)
    fresh.update()
    assert sorted(library.index.ids) == sorted(fresh.index.ids)
    for id in fresh.index.ids:
        here, there = (one.index.codes[one.index.row_of(id)] for one in (library, fresh))
        np.testing.assert_array_equal(here.units, there.units)
        # the last bits may depend on the batch in which BLAS projected them
        np.testing.assert_allclose(here.values, there.values, rtol=1e-5)


def test_the_first_update_adds_all(encoder, root):
    library = ImageLibrary(encoder, root)
    report = library.update()
    assert report == UpdateReport(added=ALL)
    assert str(report) == "8 added"
    assert library.index.ids == ALL
    expected = encoder.encode([root / id for id in ALL])
    np.testing.assert_allclose(library.index.codes.to_dense(), expected.to_dense(), atol=1e-5)


def test_nothing_changed_reads_no_file(library, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a file was read")

    monkeypatch.setattr(intake, "read_whole", refused)
    monkeypatch.setattr("nsae.images.library.scan.hashed", refused)
    report = library.update()
    assert report == UpdateReport()
    assert str(report) == "nothing has changed"


def test_new_changed_moved_and_missing(library, root, encoded):
    put(root / "new.png", 20)
    put(root / "1.png", 21)
    (root / "2.png").rename(root / "sub/renamed.png")
    (root / "sub/3.png").unlink()
    report = library.update()
    assert report == UpdateReport(
        added=["new.png"], changed=["1.png"], moved=[("2.png", "sub/renamed.png")], missing=["sub/3.png"]
    )
    assert str(report) == "1 added, 1 changed, 1 moved, 1 missing"
    assert sorted(encoded) == ["1.png", "new.png"]
    in_step(library)
    assert library.update() == UpdateReport()


def test_a_change_of_the_same_size_is_found(library, root):
    """BMP: all pictures of one size are files of one size."""
    put(root / "a.bmp", 30)
    library.update()
    put(root / "a.bmp", 31)
    assert library.update().changed == ["a.bmp"]
    in_step(library)


def test_what_was_touched_copied_or_swapped_is_not_encoded_again(library, root, encoded):
    os.utime(root / "0.png")
    shutil.copyfile(root / "1.png", root / "copy.png")
    contents = [(root / f"{i}.png").read_bytes() for i in (2, 3)]
    (root / "2.png").write_bytes(contents[1])
    (root / "3.png").write_bytes(contents[0])
    report = library.update()
    assert report == UpdateReport(added=["copy.png"], changed=["2.png", "3.png"])
    assert encoded == []
    in_step(library)
    assert library.update() == UpdateReport()


def test_equal_new_files_are_encoded_once(library, root, encoded):
    put(root / "x.png", 40)
    for name in ("y.png", "z.png"):
        shutil.copyfile(root / "x.png", root / name)
    assert library.update().added == ["x.png", "y.png", "z.png"]
    assert encoded == ["x.png"]
    in_step(library)


def test_a_moved_file_takes_no_other_for_its_old_self(library, root):
    """Two of equal content, of which one is gone and one new name came: one move, one that stays."""
    shutil.copyfile(root / "0.png", root / "twin.png")
    library.update()
    (root / "twin.png").rename(root / "moved.png")
    assert library.update() == UpdateReport(moved=[("twin.png", "moved.png")])
    in_step(library)


# ---- nothing is lost


def test_without_the_folder_nothing_is_pruned(library, root, tmp_path):
    before = library.index.ids
    root.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        library.update()
    root.mkdir()
    with pytest.raises(FileNotFoundError, match="none of the 8 photos"):
        library.update()
    put(root / "stray.png", 50)
    with pytest.raises(FileNotFoundError, match="drive"):
        library.update()
    assert library.index.ids == before
    shutil.rmtree(root)
    (tmp_path / "away").rename(root)
    assert library.update() == UpdateReport()


def test_all_photos_moved_at_once_are_no_missing_drive(library, root, tmp_path):
    library.save(tmp_path / "library")
    library = ImageLibrary.open(tmp_path / "library")
    made_by = library.index.made_by
    (root / "deep").mkdir()
    for id in ALL:
        (root / id).rename(root / "deep" / id.replace("/", " "))
    report = library.update()
    assert len(report.moved) == 8
    assert not report.missing
    in_step(library)
    assert library.index.made_by == ImageLibrary.open(tmp_path / "library").index.made_by == made_by
    assert made_by is not None


def test_prune_false_keeps_rows(library, root):
    (root / "0.png").unlink()
    for _ in range(2):
        assert library.update(prune=False) == UpdateReport(missing=["0.png"])
    assert "0.png" in library.index
    assert library.update() == UpdateReport(missing=["0.png"])
    assert "0.png" not in library.index


def test_a_folder_that_cannot_be_listed_keeps_its_rows(library, root, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "sub":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    put(root / "new.png", 60)
    report = library.update()
    assert report.added == ["new.png"]
    assert report.missing == []
    assert report.failed == [("sub", "the folder cannot be listed (Permission denied)")]
    assert "sub/1.png" in library.index


def test_files_that_cannot_be_looked_at_keep_their_rows(library, root, monkeypatch):
    """As in a folder that may be listed and not entered."""
    stat = os.stat

    def refuse(path, **options):
        if os.fspath(path).endswith("sub/1.png"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    report = library.update()
    assert [id for id, _ in report.failed] == ["sub/1.png"]
    assert report.missing == []
    assert "sub/1.png" in library.index


# ---- odd files


def test_a_broken_file_is_tried_once(library, root, encoded):
    (root / "broken.png").write_bytes(b"no image")
    ((id, reason),) = library.update().failed
    assert id == "broken.png"
    assert "not an image" in reason
    assert library.failed == {id: reason}
    assert library.update() == UpdateReport()
    assert encoded == ["broken.png"]
    (root / "broken.png").rename(root / "still broken.png")
    assert library.update() == UpdateReport()
    assert list(library.failed) == ["still broken.png"]
    put(root / "still broken.png", 70)
    assert library.update() == UpdateReport(changed=[], added=["still broken.png"])
    assert library.failed == {}
    in_step(library)


def test_a_photo_that_breaks_leaves_the_index(library, root):
    (root / "0.png").write_bytes(b"")
    report = library.update()
    assert [id for id, _ in report.failed] == ["0.png"]
    assert "0.png" not in library.index
    (root / "0.png").unlink()
    assert library.update() == UpdateReport()
    assert library.failed == {}


@posix
def test_names_links_and_loops(encoder, root, tmp_path):
    os.symlink(root, root / "sub/loop")
    os.symlink(root / "self.png", root / "self.png")
    os.symlink(tmp_path / "nowhere.png", root / "dangling.png")
    put(tmp_path / "elsewhere.png", 80)
    os.symlink(tmp_path / "elsewhere.png", root / "link.png")
    os.mkfifo(root / "pipe.png")
    odd = [b"caf\xe9.png", "ü\n\x1b[2J.png".encode(), b"a\\b.png", b" .png"]
    for i, name in enumerate(odd):
        shutil.copyfile(root / f"{i % 4}.png", os.path.join(os.fsencode(root), name))
    library = ImageLibrary(encoder, root)
    report = library.update()
    assert sorted(report.added) == sorted([*ALL, "link.png", *map(os.fsdecode, odd)])
    library.save(tmp_path / "l.nsae")
    again = ImageLibrary.open(tmp_path / "l.nsae")
    assert again.update() == UpdateReport()
    hits = again.similar(os.path.join(os.fsdecode(os.fsencode(root)), os.fsdecode(odd[0])), 1)
    assert hits.ids.tolist() == [["0.png"]]
    (tmp_path / "elsewhere.png").unlink()  # as on a drive that is not there
    assert again.update() == UpdateReport(failed=[("link.png", "a link that leads to no file")])
    assert "link.png" in again.index


# ---- on disk


def test_save_and_open(library, root, tmp_path):
    folder = tmp_path / "l.nsae"
    library.save(folder)
    with pytest.raises(FileExistsError):
        library.save(folder)
    again = ImageLibrary.open(folder)
    assert (again.index.ids, again.root, again.folder) == (ALL, root, folder)
    assert again.update() == UpdateReport()
    put(root / "new.png", 90)
    before = (folder / "manifest.json").stat().st_ino
    assert again.update() == UpdateReport(added=["new.png"])  # and that is saved
    assert ImageLibrary.open(folder).index.ids == again.index.ids
    assert (folder / "manifest.json").stat().st_ino != before
    CodeIndex.verify(folder)
    assert load_encoder(folder / "model.npz").header == again.encoder.header


def test_nothing_changed_writes_nothing(library, tmp_path):
    library.save(tmp_path / "l.nsae")
    again = ImageLibrary.open(tmp_path / "l.nsae")

    def times():
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "l.nsae").glob("[!.]*")}

    before = times()
    again.update()
    assert times() == before


def test_a_folder_that_moved_as_a_whole(library, root, tmp_path):
    library.save(tmp_path / "l.nsae")
    root.rename(tmp_path / "new place")
    moved = ImageLibrary.open(tmp_path / "l.nsae", root=tmp_path / "new place")
    assert moved.update() == UpdateReport()
    assert ImageLibrary.open(tmp_path / "l.nsae").root == tmp_path / "new place"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_was_encoded_before_an_interruption_is_kept(encoder, root, tmp_path, monkeypatch, error):
    library = ImageLibrary(encoder, root)
    library.save(tmp_path / "l.nsae")
    monkeypatch.setattr(module, "BLOCK", 3)
    decode, names = intake.decode_image, []

    def interrupted(data, path, **options):
        names.append(path.name)
        if path.relative_to(root).as_posix() == ALL[6] and len(names) < 10:
            raise error
        return decode(data, path, **options)

    monkeypatch.setattr(intake, "decode_image", interrupted)
    monkeypatch.setattr(intake, "n_cpus", lambda: 1)
    with pytest.raises(error):
        library.update()
    names += ["this is only raised once"] * 10
    again = ImageLibrary.open(tmp_path / "l.nsae")
    assert again.index.ids == ALL[:6]
    assert again.update() == UpdateReport(added=ALL[6:])
    in_step(again)


def test_saved_on_the_way(encoder, root, tmp_path, monkeypatch):
    library = ImageLibrary(encoder, root)
    library.save(tmp_path / "l.nsae")
    monkeypatch.setattr(module, "BLOCK", 3)
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(module.time, "monotonic", iter(range(0, 10**9, 1000)).__next__)
    sizes, take_in = [], intake.Intake._take_in

    def watched(self, photos):
        sizes.append(len(CodeIndex.load(tmp_path / "l.nsae")))
        return take_in(self, photos)

    monkeypatch.setattr(intake.Intake, "_take_in", watched)
    library.update()
    assert sizes[0] == 0
    assert sizes[2] > 0
    assert len(CodeIndex.load(tmp_path / "l.nsae")) == 8


def test_an_index_without_a_table_of_files_is_brought_in_step(library, encoder, root, tmp_path, encoded):
    """As earlier versions wrote them: which content was encoded is not known, so all is encoded again."""
    extra = {"model.npz": encoder.to_bytes(), "source.json": json.dumps({"root": str(root)}).encode()}
    library.index.save(tmp_path / "old", extra_files=extra)
    put(root / "0.png", 99)
    again = ImageLibrary.open(tmp_path / "old")
    assert again.update().changed == ALL
    assert len(encoded) == 8
    in_step(again)
    assert ImageLibrary.open(tmp_path / "old").update() == UpdateReport()


def test_what_is_no_library_is_refused(tmp_path, encoder, root):
    index = CodeIndex(4)
    index.save(tmp_path / "codes")
    with pytest.raises(ModelFormatError, match="index of rows"):
        ImageLibrary.open(tmp_path / "codes")
    extra = {"model.npz": encoder.to_bytes(), "source.json": b'{"root": "x"}'}
    index.save(tmp_path / "other", extra_files=extra)
    with pytest.raises(ModelFormatError, match="4 units and an encoder of 32"):
        ImageLibrary.open(tmp_path / "other")
    with pytest.raises(ModelFormatError, match="table of files"):
        table_from_bytes(b"[]")
    with pytest.raises(ValueError, match="rows of numbers"):
        ImageLibrary(SparseAutoencoder(4, epochs=1).fit(np.eye(5)), root)


def test_an_encoder_of_whole_images(root, tmp_path):
    X = np.stack([load_image(root / id, side=8).ravel() for id in ALL])
    model = SparseAutoencoder(16, k=3, epochs=3, random_state=0).fit(X)
    model.preprocessing_ = {"side": 8, "color": True}
    library = ImageLibrary(model, root, metric="l2")
    library.update()
    np.testing.assert_array_equal(library.index.codes.values, model.encode(X).values)
    model.save(tmp_path / "m.npz")
    plain = Encoder.load(tmp_path / "m.npz")
    ImageLibrary(plain, root).save(tmp_path / "l.nsae")
    assert (tmp_path / "l.nsae" / "model.npz").stat().st_size == (tmp_path / "m.npz").stat().st_size
    assert len(ImageLibrary.open(tmp_path / "l.nsae").update().added) == 8
    with pytest.raises(ValueError, match="l2 distance"):
        library.duplicates(kinds=["same scene"])
    assert library.duplicates() == library.duplicates(0) == []


def test_the_table_keeps_every_name():
    table = {"a\udcff/ü\n.png": Stamp(3, 10**18 + 1, "ab", None), "b": Stamp(0, -5, None, "why")}
    assert table_from_bytes(table_to_bytes(table)) == table


# ---- asking


def test_similar_takes_files_and_arrays(library, root, tmp_path):
    inside = library.similar(root / "sub" / ".." / "1.png", 3)
    assert "1.png" not in inside.ids[0]
    outside = shutil.copyfile(root / "1.png", tmp_path / "copy.png")
    assert library.similar(outside, 3).ids[0, 0] == "1.png"
    for array in (pixels(1), pixels(1) / 255):
        hits = library.similar(array, 3)
        assert hits.ids[0, 0] == "1.png"
        assert hits.distances[0, 0] == pytest.approx(0, abs=1e-6)
    assert library.similar(pixels(1)[:, :, 0], 2).counts.tolist() == [2]
    assert library.similar(outside, 3, exclude=["1.png"]).ids[0, 0] != "1.png"
    with pytest.raises(ImageReadError):
        library.similar(tmp_path / "nothing.png")


def test_duplicates(library, root):
    assert library.duplicates() == library.duplicates(0) == []
    shutil.copyfile(root / "0.png", root / "sub/copy.png")
    Image.fromarray(pixels(2)).save(root / "again.bmp")  # the same pixels in another file
    library.update()
    groups = {group.kind: set(group.ids) for group in library.duplicates()}
    assert groups == {"same file": {"0.png", "sub/copy.png"}, "same picture": {"2.png", "again.bmp"}}
    (group,) = library.duplicates(kinds=["same file"])
    assert set(group.ids) == {"0.png", "sub/copy.png"}
    (group,) = library.duplicates(2.0)
    assert (group.kind, group.ids) == ("same scene", tuple(library.index.ids))
    assert (root / "sub/copy.png").exists()
    for radius in (-1, float("nan")):
        with pytest.raises(ValueError, match="radius"):
            library.duplicates(radius)


def test_duplicates_of_zero_codes_only_by_content(library, root):
    """A code without any unit is at distance 1 from all; equal files are duplicates even so."""
    library.index.add(np.zeros((2, 32)), ["0.png", "1.png"], on_duplicate="replace")
    shutil.copyfile(root / "0.png", root / "copy.png")
    library.update()
    assert library.duplicates(0) == [DuplicateGroup("same file", ("0.png", "copy.png"))]


def test_a_gallery_is_written(library, root, tmp_path):
    page = library.gallery(tmp_path / "g.html", [root / "0.png", pixels(3)], 2, title="Mine")
    assert "Mine" in page.read_text(encoding="utf-8")


def test_compare_of_an_empty_folder(tmp_path):
    changes = compare(tmp_path, {"a.png": Stamp(1, 1, "x")})
    assert (changes.missing, changes.new) == (["a.png"], {})
