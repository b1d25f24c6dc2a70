"""Photos from tar files, here tiny ones."""

import io
import tarfile

import numpy as np
import pytest

from nsae.datasets.archives import CALTECH101, CIFAR10, caltech101, cifar10_jpeg, corel1k

Image = pytest.importorskip("PIL.Image")


def jpeg(level, size=(32, 32)):
    file = io.BytesIO()
    Image.new("RGB", size, (level, level, 255 - level)).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def tar(tmp_path, monkeypatch):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))

    def write(name, members):
        with tarfile.open(tmp_path / name, "w:xz" if name.endswith("xz") else "w") as archive:
            for member, data in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            folder = tarfile.TarInfo("train")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            return tmp_path / name

    return write


def write_cifar(tar):
    members = {f"train/{name}/{i:04}.jpg": jpeg(20 * c + i) for c, name in enumerate(CIFAR10) for i in (1, 0)}
    return tar("cifar10_jpeg.tar.xz", {**dict(reversed(members.items())), "test/bird/0000.jpg": jpeg(200)})


def test_cifar(tar):
    write_cifar(tar)
    images, labels = cifar10_jpeg()
    assert (images.shape, images.dtype) == ((20, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(labels, np.repeat(np.arange(10), 2))
    expected = 20 * labels + np.arange(20) % 2
    assert np.abs(images[..., 0].astype(int) - expected[:, None, None]).max() <= 2
    images, labels = cifar10_jpeg("test")
    assert (len(images), labels.tolist()) == (1, [2])
    with pytest.raises(ValueError, match="split='valid'"):
        cifar10_jpeg("valid")


def test_corel(tar):
    tar("corel1k.tar", {f"{n:03}.jpg": jpeg(n // 5, (96, 64)) for n in (700, 5, 105, 999)})
    images, labels = corel1k(side=16)
    assert (images.shape, images.dtype) == ((4, 16, 16, 3), np.uint8)
    assert labels.tolist() == [0, 1, 7, 9]
    assert np.abs(images[:, 8, 8, 0].astype(int) - [1, 21, 140, 199]).max() <= 2
    with pytest.raises(ValueError, match="side=0"):
        corel1k(0)


def test_caltech(tar):
    kinds = ["yin_yang", "Faces", "Faces", "accordion"]
    members = {f"{kind}/{4 - i:04}.jpg": jpeg(60 * i, (96, 112)) for i, kind in enumerate(kinds)}
    tar("caltech101_small.tar", members)
    images, labels = caltech101(side=16)
    assert (images.shape, images.dtype, labels.dtype) == ((4, 16, 16, 3), np.uint8, np.int64)
    assert [CALTECH101[label] for label in labels] == ["Faces", "Faces", "accordion", "yin_yang"]
    assert np.abs(images[:, 8, 8, 0].astype(int) - [120, 60, 180, 0]).max() <= 2
    assert (len(CALTECH101), sorted(CALTECH101)) == (101, CALTECH101)
    with pytest.raises(ValueError, match="side=0"):
        caltech101(0)


@pytest.mark.parametrize("load", [cifar10_jpeg, corel1k, caltech101])
def test_what_is_not_there(load, tmp_path, monkeypatch):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="NSAE_DATA"):
        load()


def test_what_is_damaged(tar):
    path = write_cifar(tar)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match="Fetch it again"):
        cifar10_jpeg()
    tar("corel1k.tar", {"3.jpg": jpeg(1)[:300]})
    with pytest.raises(ValueError, match=r"3\.jpg cannot be decoded"):
        corel1k()
    for name in ("1000.jpg", "a.jpg"):
        tar("corel1k.tar", {name: jpeg(1)})
        with pytest.raises(ValueError, match=r"0\.jpg to 999\.jpg"):
            corel1k()
    tar("cifar10_jpeg.tar.xz", {"train/tram/0.jpg": jpeg(1)})
    with pytest.raises(ValueError, match=r"split/class/number\.jpg"):
        cifar10_jpeg()
    for name in ("0.jpg", "tram/0.jpg"):
        tar("caltech101_small.tar", {name: jpeg(1)})
        with pytest.raises(ValueError, match=r"kind/number\.jpg"):
            caltech101()
    archives = {
        "cifar10_jpeg.tar.xz": cifar10_jpeg,
        "corel1k.tar": corel1k,
        "caltech101_small.tar": caltech101,
    }
    for name, load in archives.items():
        tar(name, {})
        with pytest.raises(ValueError, match="in it"):
            load()
