"""Files and folders are written whole or not at all, and leave nothing beside them."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nsae import CodeIndex, SparseAutoencoder
from nsae.system import storage
from nsae.system.storage import atomic_file, flush_folder, locked, new_folder


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


# ---- file systems that cannot do everything: Windows, network drives, memory cards


def index_and_library(folder):
    """Everything that writes an index or a model: new, replaced, updated."""
    codes = np.eye(4, dtype=np.float32)
    index = CodeIndex(4)
    index.add(codes, ids=list("abcd"))
    index.save(folder / "index")
    index.remove(["a"])
    index.save(folder / "index", overwrite=True)
    assert CodeIndex.load(folder / "index").search(codes[1], k=1).ids[0][0] == "b"
    model = SparseAutoencoder(3, k=1, epochs=1, random_state=0).fit(np.eye(4))
    for overwrite in (False, True):
        model.save(folder / "model.npz", overwrite=overwrite)
    assert SparseAutoencoder.load(folder / "model.npz").n_units == 3
    assert names(folder) == ["index", "model.npz"]


def is_folder(handle):
    return stat.S_ISDIR(os.fstat(handle).st_mode)


def test_windows_flushes_only_files_that_are_open_for_writing(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    flush = os.fsync

    def of_windows(handle):
        if not fcntl.fcntl(handle, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)

    monkeypatch.setattr(os, "fsync", of_windows)
    monkeypatch.setattr(storage, "fcntl", None)
    index_and_library(tmp_path)


@pytest.mark.parametrize("code", ["EINVAL", "EACCES", "ENOTSUP", "EBADF", "EIO"])
def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch, code):
    flush = os.fsync

    def of_a_share(handle):
        if is_folder(handle):
            raise OSError(getattr(errno, code), "no flush of folders")
        flush(handle)

    monkeypatch.setattr(os, "fsync", of_a_share)
    index_and_library(tmp_path)


def test_a_folder_that_cannot_be_opened_is_no_error_of_flushing(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, *more, **options):
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", refuse)
    flush_folder(tmp_path)


@pytest.mark.parametrize("code", ["EINVAL", "ENOSYS", "ENOTSUP"])
def test_a_file_system_without_flush_is_no_error(tmp_path, monkeypatch, code):
    def fails(handle):
        raise OSError(getattr(errno, code), "no flush")

    monkeypatch.setattr(os, "fsync", fails)
    index_and_library(tmp_path)


@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT"])
def test_content_that_does_not_reach_the_disk_is_an_error_and_leaves_nothing(
    kind, tmp_path, monkeypatch, code
):
    def fails(handle):
        if not is_folder(handle):
            raise OSError(getattr(errno, code), "lost")

    monkeypatch.setattr(os, "fsync", fails)
    _, write, _ = kind
    with pytest.raises(OSError, match="lost"):
        write(tmp_path / "x", b"one")
    assert not names(tmp_path)


@pytest.mark.parametrize("code", ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EBADF", "EINVAL"])
def test_a_share_without_locks_is_no_error(tmp_path, monkeypatch, code):
    def fails(handle, how):
        raise OSError(getattr(errno, code), "no locks")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", fails)
    index_and_library(tmp_path)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_other_failures_of_a_lock_are_errors_and_close_the_folder(tmp_path, monkeypatch, error):
    def fails(handle, how):
        raise error

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", fails)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with pytest.raises(type(error)), locked(tmp_path):
        pass
    assert before is None or len(os.listdir("/proc/self/fd")) == before


def test_the_second_writer_waits_for_the_first(tmp_path):
    pytest.importorskip("fcntl")
    code = f"""
from pathlib import Path
from nsae.system.storage import locked
with locked(Path({str(tmp_path)!r})):
    print("second", flush=True)
"""
    with locked(tmp_path):
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=3)
    assert other.communicate(timeout=60)[0] == "second\n"


def test_modes_cannot_be_set_everywhere_and_the_umask_is_left_alone(tmp_path, monkeypatch):
    """A FAT card refuses chmod; and a umask that is set for a moment is that of all threads."""
    for name in ("chmod", "umask"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("asked"))
    index_and_library(tmp_path)


def test_a_name_as_long_as_the_file_system_allows(kind, tmp_path):
    _, write, read = kind
    for name in ("x" * 255, "ü" * 127):
        write(tmp_path / name, b"one")
        assert read(tmp_path / name) == b"one"
