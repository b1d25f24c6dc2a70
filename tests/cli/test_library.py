"""nsae index --update and nsae duplicates, as a user meets them."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import CodeIndex, Encoder
from nsae.cli import main
from nsae.images.library import image_library as module
from nsae.images.library import intake

FAST = ["--whole", "--units", "24", "--k", "4", "--epochs", "3", "--image-size", "8"]


def put(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos/sub").mkdir(parents=True)
    for i in range(5):
        put(tmp_path / f"photos/{i}.png", i)
        put(tmp_path / f"photos/sub/{i}.png", 10 + i)
    (tmp_path / "photos/broken.png").write_bytes(b"no image")
    return tmp_path / "photos"


@pytest.fixture
def index(photos, tmp_path, capsys):
    target = tmp_path / "photos.nsae"
    assert main(["index", str(photos), "-o", str(target), *FAST]) == 0
    capsys.readouterr()
    return target


def update(photos, index, *options):
    return main(["index", str(photos), "-o", str(index), "--update", *options])


def test_what_index_wrote_is_up_to_date(photos, index, capsys, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a file was read")

    monkeypatch.setattr(intake, "read_whole", refused)
    assert update(photos, index, "--json") == 0
    said = capsys.readouterr()
    nothing = {"added": [], "changed": [], "moved": [], "missing": [], "failed": [], "left_out": []}
    assert json.loads(said.out) == {"index": str(index), "rows": 10, **nothing}
    assert said.err == ""


def test_update_keeps_the_encoder(photos, index, capsys):
    model = (index / "model.npz").read_bytes()
    put(photos / "new.png", 20)
    put(photos / "0.png", 21)
    (photos / "1.png").unlink()
    os.rename(photos / "2.png", photos / "sub/two.png")
    (photos / "also broken.png").write_bytes(b"")
    assert update(photos, index) == 0
    said = capsys.readouterr()
    rows = dict(line.rsplit(maxsplit=1) for line in said.out.splitlines())
    assert {name.strip(): rows[name] for name in rows if name.strip() != "index"} == {
        **{"rows": "10", "added": "1", "changed": "1", "moved": "1", "missing": "1", "failed": "1"},
        "left_out": "0",
    }
    assert "also broken.png: the file is empty" in said.err
    assert (index / "model.npz").read_bytes() == model
    library = CodeIndex.load(index)
    assert "new.png" in library
    assert "sub/two.png" in library
    assert "1.png" not in library
    expected = Encoder.load(index / "model.npz")
    pixels = np.asarray(Image.open(photos / "0.png").resize((8, 8), Image.Resampling.BILINEAR), np.float32)
    code = expected.encode(pixels.reshape(1, -1) / np.float32(255))
    np.testing.assert_array_equal(library.codes[library.row_of("0.png")].units, code.units)
    assert main(["similar", str(photos / "new.png"), "-i", str(index), "-k", "2"]) == 0


def test_strict_updates_and_fails(photos, index, capsys):
    (photos / "also broken.png").write_bytes(b"")
    put(photos / "new.png", 20)
    assert update(photos, index, "--strict") == 1
    assert "1 images and folders could not be read" in capsys.readouterr().err
    assert "new.png" in CodeIndex.load(index)


@pytest.mark.parametrize(
    "options", [["--model", "m.npz"], ["--metric", "l2"], ["--force"], ["--whole"], ["--units", "7"]]
)
def test_update_trains_nothing(photos, index, options, capsys):
    assert update(photos, index, *options) == 2
    assert options[0] in capsys.readouterr().err


def test_update_needs_an_index_and_its_folder(photos, index, tmp_path, capsys):
    assert update(photos, tmp_path / "none.nsae") == 1
    assert "Leave out --update" in capsys.readouterr().err
    assert update(photos / "0.png", index) == 1
    assert "folder of photos" in capsys.readouterr().err
    assert update(tmp_path / "away", index) == 1
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert update(tmp_path / "empty", index) == 1
    assert "--root" in capsys.readouterr().err
    assert update(tmp_path / "empty", index, "--root", str(tmp_path / "empty")) == 1
    assert "none of the 10 photos" in capsys.readouterr().err
    assert len(CodeIndex.load(index)) == 10


def test_interrupted_keeps_what_is_finished(photos, index, monkeypatch, capsys):
    put(photos / "a.png", 30)
    put(photos / "b.png", 31)
    monkeypatch.setattr(module, "BLOCK", 1)
    decode = intake.decode_image

    def interrupted(data, path, **options):
        if path.name == "b.png":
            raise KeyboardInterrupt
        return decode(data, path, **options)

    monkeypatch.setattr(intake, "decode_image", interrupted)
    assert update(photos, index) == 130
    library = CodeIndex.load(index)
    assert "a.png" in library
    assert "b.png" not in library


# ---- another folder


def snapshot(index):
    return {path.name: path.read_bytes() for path in index.glob("[!.]*")}


def test_an_album_of_the_indexed_folder_empties_no_index(photos, index, capsys):
    for i in range(5):
        os.rename(photos / f"sub/{i}.png", photos / f"sub/of album {i}.png")
    assert update(photos, index) == 0
    capsys.readouterr()
    before = snapshot(index)
    assert update(photos / "sub", index) == 1
    said = capsys.readouterr().err
    assert f"an index of {photos}" in said
    assert f"--root {photos / 'sub'}" in said
    assert (
        update(photos / "sub", index, "--root", str(photos / "sub")) == 1
    )  # half of the photos are not there
    said = capsys.readouterr().err
    assert "lacks" in said
    assert "--prune" in said
    assert snapshot(index) == before
    assert update(photos / "sub", index, "--root", str(photos / "sub"), "--prune", "--json") == 0
    assert CodeIndex.load(index).ids == [f"of album {i}.png" for i in range(5)]


def test_another_cameras_folder_of_the_same_names_changes_no_index(photos, index, tmp_path, capsys):
    before = snapshot(index)
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    for i in range(5):
        put(other / f"{i}.png", 50 + i)
        put(other / f"sub/{i}.png", 60 + i)
    for words in ([], ["--root", str(other)]):
        assert update(other, index, *words) == 1
        assert snapshot(index) == before
    os.rename(photos, tmp_path / "away")  # and not if the indexed folder is not there
    assert update(other, index) == 1
    assert "none of the 10 photos" in capsys.readouterr().err
    assert snapshot(index) == before


def test_a_folder_that_has_moved_is_found(photos, index, tmp_path, capsys):
    os.rename(photos, tmp_path / "new")
    new, query = tmp_path / "new", str(tmp_path / "new" / "0.png")
    assert main(["similar", query, "-i", str(index), "-0"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "--root" in said.err
    assert main(["duplicates", "-i", str(index)]) == 1
    assert "--root" in capsys.readouterr().err
    for command in (["similar", query, "-0"], ["duplicates", "--radius", "2", "-0"]):
        assert main([*command, "-i", str(index), "--root", str(new)]) == 0
        paths = [path for path in capsys.readouterr().out.split("\0") if path]
        assert paths
        assert all(os.path.exists(path) for path in paths)
    for command in (
        ["explain", query, str(new / "1.png")],
        ["units", "3"],
        ["evaluate", "--labels", "folder"],
        ["similar", query, "--html", str(tmp_path / "p.html")],
    ):
        assert main([*command, "-i", str(index), "--root", str(new)]) == 0
    assert "raw pixels are not" not in capsys.readouterr().err
    assert update(new, index, "--json") == 0
    assert json.loads(capsys.readouterr().out)["missing"] == []
    assert main(["similar", query, "-i", str(index), "-0"]) == 0
    assert main(["index", "-o", str(index), "--update"]) == 0  # the index knows where its photos are


def test_more_than_a_third_that_is_gone_is_refused(photos, index, capsys):
    for i in range(4):
        (photos / f"{i}.png").unlink()
    before = snapshot(index)
    assert update(photos, index) == 1
    assert "lacks 4 of the 10" in capsys.readouterr().err
    assert snapshot(index) == before
    assert update(photos, index, "--prune") == 0
    assert len(CodeIndex.load(index)) == 6


def test_paths_of_photos_that_are_gone_are_not_printed(photos, index, capsys):
    (photos / "1.png").unlink()
    assert main(["similar", str(photos / "0.png"), "-i", str(index), "-k", "99", "-0"]) == 0
    said = capsys.readouterr()
    assert len(said.out.split("\0")) - 1 == 8
    assert "1 of 9 hits" in said.err


# ---- what is left out


def test_thumbnails_and_deleted_files_of_others_are_left_out(photos, tmp_path, capsys):
    folders = ["@eaDir", "#recycle", "System Volume Information", ".thumbnails", "$RECYCLE.BIN", "lost+found"]
    for folder in folders:
        (photos / "sub" / folder).mkdir()
        put(photos / "sub" / folder / "0.png", 70)
    target = tmp_path / "i.nsae"
    assert main(["index", str(photos), "-o", str(target), *FAST]) == 0
    assert len(CodeIndex.load(target)) == 10
    assert (
        main(["index", str(photos / "sub" / "@eaDir"), "-o", str(tmp_path / "j"), *FAST]) == 0
    )  # as is asked


def test_excluded_names_stay_excluded(photos, tmp_path, capsys):
    target = tmp_path / "i.nsae"
    words = ["--exclude", "1.*", "--exclude", "sub/2.png"]
    assert main(["index", str(photos), "-o", str(target), *FAST, *words]) == 0
    assert sorted(CodeIndex.load(target).ids) == [
        *(f"{i}.png" for i in (0, 2, 3, 4)),
        *(f"sub/{i}.png" for i in (0, 3, 4)),
    ]
    capsys.readouterr()
    assert update(photos, target, "--json") == 0
    assert json.loads(capsys.readouterr().out)["added"] == []
    assert update(photos, target, "--exclude", "sub", "--json") == 0  # and are no photos that are lost
    assert json.loads(capsys.readouterr().out)["missing"] == [f"sub/{i}.png" for i in (0, 3, 4)]
    assert update(photos, target) == 0
    assert len(CodeIndex.load(target)) == 4


def test_kinds_that_cannot_be_read_are_counted(photos, tmp_path, monkeypatch, capsys):
    from nsae.images import kinds

    monkeypatch.setattr(kinds, "_pillow_reads", lambda format: False)
    kinds.register_plugins.cache_clear()
    kinds._readable.cache_clear()
    for name in ("a.heic", "b.HEIC", "c.avif", "d.jxl", "e.nef", "f.cr2", "g.webp", "notes.txt"):
        (photos / name).write_bytes(b"x")
    target = tmp_path / "i.nsae"
    assert main(["index", str(photos), "-o", str(target), *FAST]) == 0
    said = capsys.readouterr().err
    for line in (
        "2 HEIC files are left out. pillow-heif",
        "1 AVIF file is",
        "1 JPEG XL",
        "2 camera raw",
        "1 WebP",
    ):
        assert line in said
    assert update(photos, target, "--json") == 0
    said = capsys.readouterr()
    assert "2 HEIC files" in said.err
    assert len(json.loads(said.out)["left_out"]) == 7
    kinds.register_plugins.cache_clear()
    kinds._readable.cache_clear()


# ---- duplicates


@pytest.fixture
def twins(photos, index, capsys):
    shutil.copyfile(photos / "0.png", photos / "sub/copy.png")
    Image.open(photos / "3.png").save(photos / "three.bmp")
    assert update(photos, index) == 0
    capsys.readouterr()
    return index


GROUPS = [["0.png", "sub/copy.png"], ["3.png", "three.bmp"]]
KINDS = ["same file", "same picture"]


def test_duplicates_as_lines(photos, twins, capsys):
    assert main(["duplicates", "-i", str(twins), "--radius", "1e-6"]) == 0
    named = zip(KINDS, GROUPS, strict=True)
    expected = "\n\n".join("\n".join([f"{kind}:", *(str(photos / id) for id in ids)]) for kind, ids in named)
    assert capsys.readouterr().out == expected + "\n"


def test_duplicates_as_json(photos, twins, capsys):
    assert main(["duplicates", "-i", str(twins), "--radius", "1e-6", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["metric"], answer["radius"]) == ("cosine", 1e-6)
    assert [[photo["id"] for photo in group] for group in answer["groups"]] == GROUPS
    assert answer["kinds"] == KINDS
    assert all(os.path.exists(photo["path"]) for group in answer["groups"] for photo in group)
    assert main(["duplicates", "-i", str(twins), "--json", "-0"]) == 2


@pytest.mark.skipif(os.name == "nt", reason="names as POSIX has them")
def test_duplicates_end_in_nul(photos, twins):
    odd = os.fsencode(photos) + b"/caf\xe9\n.png"
    os.rename(photos / "sub/copy.png", odd)
    assert update(photos, twins) == 0
    command = [sys.executable, "-m", "nsae", "duplicates", "-i", str(twins), "--radius", "1e-6", "-0"]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    *groups, rest = out.split(b"\0\0")
    assert {frozenset(group.split(b"\0")) for group in groups} == {
        frozenset([os.fsencode(photos / "0.png"), odd]),
        frozenset([os.fsencode(photos / "3.png"), os.fsencode(photos / "three.bmp")]),
    }
    assert rest == b""


def test_no_duplicates_print_nothing(index, capsys):
    assert main(["duplicates", "-i", str(index), "--radius", "0"]) == 0
    assert capsys.readouterr().out == ""


def test_duplicates_of_rows_are_refused(tmp_path, capsys):
    CodeIndex(4).save(tmp_path / "codes")
    assert main(["duplicates", "-i", str(tmp_path / "codes")]) == 1
    assert "no library of photos" in capsys.readouterr().err
