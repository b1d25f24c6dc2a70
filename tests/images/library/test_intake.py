"""What is hashed is what is decoded; one file counts once; one update at a time."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import CodeIndex, ImageEncoder
from nsae.images import ImageLibrary
from nsae.images.library import intake, scan
from nsae.images.library.scan import UNSURE, UpdateReport, look
from nsae.system.storage import locked_file

posix = pytest.mark.skipif(os.name == "nt", reason="links and locks as POSIX has them")
OLD = 10**18  # a time long ago


def pixels(seed):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return small.resize((16, 16), Image.Resampling.BICUBIC)


def put(path, seed, time_ns=OLD):
    pixels(seed).save(path)
    os.utime(path, ns=(time_ns, time_ns))
    return path


@pytest.fixture(scope="module")
def encoder():
    images = np.stack([np.asarray(pixels(seed)) for seed in range(60)])
    options = {"patch_units": 16, "epochs": 2, "patch_epochs": 1, "n_patches": 2000, "shrink_threshold": 0}
    return ImageEncoder(32, k=4, random_state=0, **options).fit(images)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(4):
        put(tmp_path / f"photos/{i}.png", i)
    return tmp_path / "photos"


def code_of(library, id):
    return library.index.codes[library.index.row_of(id)].to_dense()


def right_code(library, seed):
    return library.encode([np.asarray(pixels(seed))]).to_dense()


# ---- a photo that changes meanwhile


@pytest.mark.parametrize("when", ["before it is read", "while it is read", "after it is read"])
def test_a_photo_that_changes_while_it_is_indexed(encoder, root, monkeypatch, when):
    """Hash and time were taken apart from the picture: the old picture's code was kept for ever."""
    read = intake.read_whole

    def changing(path):
        if path.name == "1.png" and when == "before it is read":
            put(path, 9, OLD + 1)
        data = read(path)
        if path.name == "1.png" and when == "while it is read":
            put(path, 9, OLD + 1)
        return data

    library = ImageLibrary(encoder, root)
    monkeypatch.setattr(intake, "read_whole", changing)
    library.update()
    if when == "after it is read":
        put(root / "1.png", 9, OLD + 1)
    monkeypatch.setattr(intake, "read_whole", read)
    put(root / "copy of the new one.png", 9)
    library.update()
    for id in ("1.png", "copy of the new one.png"):
        np.testing.assert_allclose(code_of(library, id), right_code(library, 9), atol=1e-5)
    assert library.update() == UpdateReport()


def test_a_photo_that_changes_while_its_index_is_learned(root, tmp_path, monkeypatch):
    from nsae.cli import main

    fit = ImageEncoder.fit

    def changing(encoder, images, **options):
        put(root / "1.png", 9, OLD + 1)
        return fit(encoder, images, **options)

    monkeypatch.setattr(ImageEncoder, "fit", changing)
    monkeypatch.setattr("nsae.cli.make.FEW", 0)
    words = ["--units", "16", "--k", "4", "--epochs", "1", "--image-size", "16"]
    assert main(["index", str(root), "-o", str(tmp_path / "i.nsae"), *words]) == 0
    library = ImageLibrary.open(tmp_path / "i.nsae")
    put(root / "copy of the new one.png", 9)
    library.update()
    for id in ("1.png", "copy of the new one.png"):
        np.testing.assert_allclose(code_of(library, id), right_code(library, 9), atol=1e-5)


def test_a_young_file_is_looked_into_again(encoder, root):
    """It may change within the same tick of the clock, and keep size and time."""
    now = time.time_ns()
    library = ImageLibrary(encoder, root)
    for name in ("a.bmp", "b.bmp"):
        put(root / name, 5, now)
    library.update()
    assert library._files["a.bmp"].mtime_ns == UNSURE
    put(root / "a.bmp", 6, now)
    assert library.update() == UpdateReport(changed=["a.bmp"])


def test_a_photo_is_no_copy_of_itself(encoder, root):
    """Not even where a table says so: its code may be of another picture."""
    library = ImageLibrary(encoder, root)
    library.update()
    wrong = library.index.codes[library.index.row_of("0.png")]
    library.index.add(wrong, ["1.png"], on_duplicate="replace")
    report = library.add(["1.png"])
    assert report.changed == ["1.png"]
    np.testing.assert_allclose(code_of(library, "1.png"), right_code(library, 1), atol=1e-5)


# ---- one file, several names


@posix
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_one_file_counts_once(encoder, root, tmp_path, link):
    link(root / "1.png", root / "0 link.png")
    found = look(root)
    assert len(found.files) == 4
    library = ImageLibrary(encoder, root)
    assert len(library.update().added) == 4
    assert library.duplicates(1e-6) == []
    name = next(iter(found.same_file))
    assert library.similar(root / name, 4).ids[0].tolist().count(found.same_file[name]) == 0
    outside = tmp_path / "link.png"
    link(root / "2.png", outside)
    assert "2.png" not in library.similar(outside, 4).ids[0].tolist()


@posix
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_in_an_old_index_are_no_duplicates(encoder, root, link):
    """A script that keeps the first of a group, and deletes the rest, would delete the only file."""
    library = ImageLibrary(encoder, root)
    link(root / "1.png", root / "link.png")
    library.update()
    library.add(["1.png", "link.png"])  # as earlier versions did
    assert {"1.png", "link.png"} <= set(library.index.ids)
    assert library.duplicates(1e-6) == []
    assert library.update().missing in (["1.png"], ["link.png"])


@posix
def test_a_new_name_of_a_known_file_changes_nothing(encoder, root):
    library = ImageLibrary(encoder, root)
    library.update()
    os.link(root / "3.png", root / "0 before it.png")
    assert library.update() == UpdateReport()


@posix
def test_two_queries_that_are_one_file(encoder, root, tmp_path, capsys):
    from nsae.cli import main

    library = ImageLibrary(encoder, root)
    library.update()
    library.save(tmp_path / "i.nsae")
    os.symlink(root / "1.png", tmp_path / "link.png")
    assert main(["similar", str(tmp_path / "link.png"), "-i", str(tmp_path / "i.nsae"), "-k", "4"]) == 0
    assert "1.png" not in [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]


# ---- two updates


@posix
def test_the_second_update_waits_and_goes_on_from_the_first(encoder, root, tmp_path, capsys):
    library = ImageLibrary(encoder, root)
    library.save(tmp_path / "i.nsae")
    first, second = (ImageLibrary.open(tmp_path / "i.nsae") for _ in range(2))
    reports = []
    with locked_file(tmp_path / "i.nsae" / ".update.lock", lambda: None):
        waiting = threading.Thread(target=lambda: reports.append(second.update(verbose=True)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        first._alone = lambda verbose: __import__("contextlib").nullcontext()  # it holds the lock
        assert len(first.update().added) == 4
    waiting.join(30)
    assert reports == [UpdateReport()]  # there was nothing left to do
    assert len(second) == 4
    assert "waits" in capsys.readouterr().err


@posix
def test_two_processes_that_update_one_library(encoder, root, tmp_path):
    for i in range(60):
        put(root / f"more {i}.png", 100 + i)
    ImageLibrary(encoder, root).save(tmp_path / "i.nsae")
    command = [sys.executable, "-m", "nsae", "index", str(root), "-o", str(tmp_path / "i.nsae"), "--update"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        assert process.wait(120) == 0, process.stderr.read()
        process.stderr.close()
    CodeIndex.verify(tmp_path / "i.nsae")
    assert len(CodeIndex.load(tmp_path / "i.nsae")) == 64
    assert ImageLibrary.open(tmp_path / "i.nsae").update() == UpdateReport()


def test_a_library_that_was_indexed_anew_is_not_mixed(encoder, root, tmp_path):
    library = ImageLibrary(encoder, root)
    library.update()
    library.save(tmp_path / "i.nsae")
    images = np.stack([np.asarray(pixels(seed)) for seed in range(30)])
    other = ImageEncoder(32, k=4, patch_units=16, epochs=1, patch_epochs=1, n_patches=500, random_state=5)
    anew = ImageLibrary(other.fit(images), root)
    anew.save(tmp_path / "i.nsae", overwrite=True)
    with pytest.raises(ValueError, match="Open it again"):
        library.update()


def test_what_is_removed_meanwhile_is_left_for_the_next_update(encoder, root, monkeypatch):
    compare = scan.compare

    def removing(*args):
        changes = compare(*args)
        (root / "2.png").unlink()
        return changes

    monkeypatch.setattr("nsae.images.library.image_library.compare", removing)
    assert len(ImageLibrary(encoder, root).update().added) == 3
