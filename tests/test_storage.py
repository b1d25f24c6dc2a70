"""Files and folders are written whole or not at all, and leave nothing beside them."""

import os
import stat

import pytest

from nsae.storage import atomic_file, atomic_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_file(path, content, **options):
    with atomic_file(path, **options) as file:
        file.write(content)


def write_folder(path, content, **options):
    with atomic_folder(path, **options) as folder:
        (folder / "part").write_bytes(content)


def read_file(path):
    return path.read_bytes()


def read_folder(path):
    assert names(path) == ["part"]
    return (path / "part").read_bytes()


@pytest.fixture(params=["file", "folder"])
def kind(request):
    """(the context manager, write, read)"""
    if request.param == "file":
        return atomic_file, write_file, read_file
    return atomic_folder, write_folder, read_folder


def test_writes_and_replaces(kind, tmp_path):
    _, write, read = kind
    write(tmp_path / "x", b"one")
    assert read(tmp_path / "x") == b"one"
    write(tmp_path / "x", b"two", overwrite=True)
    assert read(tmp_path / "x") == b"two"
    assert names(tmp_path) == ["x"]


def test_a_name_without_a_folder(kind, tmp_path, monkeypatch):
    _, write, read = kind
    monkeypatch.chdir(tmp_path)
    write("x", b"one")
    assert read(tmp_path / "x") == b"one"


def test_overwriting_is_refused_before_anything_is_written(kind, tmp_path):
    _, write, read = kind
    write(tmp_path / "x", b"one")
    with pytest.raises(FileExistsError, match="exists already"):
        write(tmp_path / "x", b"two")
    assert read(tmp_path / "x") == b"one"
    assert names(tmp_path) == ["x"]


def test_a_dangling_link_counts_as_taken(kind, tmp_path):
    _, write, _ = kind
    (tmp_path / "x").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write(tmp_path / "x", b"one")


def test_a_missing_parent_is_refused(kind, tmp_path):
    _, write, _ = kind
    with pytest.raises(FileNotFoundError, match="Create it first"):
        write(tmp_path / "no" / "x", b"one")
    assert not names(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [b"old", None])
def test_an_error_leaves_the_old_content_and_nothing_else(kind, tmp_path, error, old):
    manager, write, read = kind
    if old is not None:
        write(tmp_path / "x", old)

    def fail_halfway():
        with manager(tmp_path / "x", overwrite=True) as new:
            _ = new.write(b"new") if manager is atomic_file else (new / "part").write_bytes(b"new")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert names(tmp_path) == ([] if old is None else ["x"])
    if old is not None:
        assert read(tmp_path / "x") == old


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_old_content(kind, tmp_path, monkeypatch, failing):
    """A folder is replaced in two renames, a file in one; whichever fails, the old one is there."""
    manager, write, read = kind
    if manager is atomic_file and failing == 2:
        pytest.skip("a file is replaced in one rename")
    write(tmp_path / "x", b"old")
    replace, calls = os.replace, []

    def sometimes(*arguments):
        calls.append(arguments)
        if len(calls) == failing:
            raise OSError("no")
        return replace(*arguments)

    monkeypatch.setattr(os, "replace", sometimes)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "x", b"new", overwrite=True)
    assert read(tmp_path / "x") == b"old"
    assert names(tmp_path) == ["x"]


def test_an_old_folder_that_cannot_be_put_back_is_not_deleted(tmp_path, monkeypatch):
    write_folder(tmp_path / "x", b"old")
    replace, calls = os.replace, []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError("no")
        return replace(*arguments)

    monkeypatch.setattr(os, "replace", once)
    with pytest.raises(OSError, match="no"):
        write_folder(tmp_path / "x", b"new", overwrite=True)
    (aside,) = tmp_path.glob(".x.*.old")
    assert read_folder(aside / "x") == b"old"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_modes_follow_the_umask(kind, tmp_path):
    _, write, _ = kind
    before = os.umask(0o027)
    try:
        write(tmp_path / "x", b"one")
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "x").stat().st_mode)
    assert mode == (0o640 if (tmp_path / "x").is_file() else 0o750)
