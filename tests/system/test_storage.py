"""Files and folders are written whole or not at all, and leave nothing beside them."""

import os
import stat

import pytest

from nsae.system.storage import atomic_file, new_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_file(path, content, **options):
    with atomic_file(path, **options) as file:
        file.write(content)


def write_folder(path, content):
    with new_folder(path) as folder:
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
    return new_folder, write_folder, read_folder


def test_writes(kind, tmp_path):
    _, write, read = kind
    write(tmp_path / "x", b"one")
    assert read(tmp_path / "x") == b"one"
    assert names(tmp_path) == ["x"]


def test_a_file_is_replaced(tmp_path):
    write_file(tmp_path / "x", b"one")
    write_file(tmp_path / "x", b"two", overwrite=True)
    assert read_file(tmp_path / "x") == b"two"
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
def test_an_error_leaves_nothing(kind, tmp_path, error):
    manager, _, _ = kind

    def fail_halfway():
        with manager(tmp_path / "x") as new:
            _ = new.write(b"new") if manager is atomic_file else (new / "part").write_bytes(b"new")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert not names(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    write_file(tmp_path / "x", b"old")

    def fail_halfway():
        with atomic_file(tmp_path / "x", overwrite=True) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert names(tmp_path) == ["x"]
    assert read_file(tmp_path / "x") == b"old"


def _refuse(*_):
    raise OSError("no")


def test_a_rename_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write_file(tmp_path / "x", b"old")
    monkeypatch.setattr(os, "replace", _refuse)
    with pytest.raises(OSError, match="no"):
        write_file(tmp_path / "x", b"new", overwrite=True)
    assert names(tmp_path) == ["x"]
    assert read_file(tmp_path / "x") == b"old"


def test_a_rename_that_fails_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "rename", _refuse)
    with pytest.raises(OSError, match="no"):
        write_folder(tmp_path / "x", b"new")
    assert not names(tmp_path)


def test_a_folder_that_came_meanwhile_stays(tmp_path):
    def race():
        with new_folder(tmp_path / "x") as folder:
            (folder / "part").write_bytes(b"new")
            write_folder(tmp_path / "x", b"other")

    with pytest.raises(OSError, match="x"):
        race()
    assert read_folder(tmp_path / "x") == b"other"
    assert names(tmp_path) == ["x"]


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
