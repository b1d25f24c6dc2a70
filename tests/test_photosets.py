"""Photos in tar files: made here, small."""

import io
import tarfile

import numpy as np
import pytest

from nsae.photosets import cifar10_jpeg, corel1k

Image = pytest.importorskip("PIL.Image")


def write_tar(path, shades, size):
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w") as tar:
        for name, shade in shades.items():
            file = io.BytesIO()
            Image.new("RGB", size, (shade, 0, 255 - shade)).save(file, "PNG")  # decoded by content: no loss
            info = tarfile.TarInfo(name)
            info.size = file.tell()
            file.seek(0)
            tar.addfile(info, file)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    return tmp_path


def test_cifar10(folder):
    shades = {"train/dog/1.jpg": 10, "train/airplane/2.jpg": 20, "test/truck/3.jpg": 30, "notes.txt": 0}
    write_tar(folder / "cifar10_jpeg.tar.xz", shades, (32, 32))
    images, labels = cifar10_jpeg("train")
    assert (images.shape, images.dtype) == ((2, 32, 32, 3), np.uint8)
    assert labels.tolist() == [5, 0]
    assert images[:, 0, 0, 0].tolist() == [10, 20]
    assert cifar10_jpeg("test")[1].tolist() == [9]
    with pytest.raises(ValueError, match="split"):
        cifar10_jpeg("all")


def test_corel(folder):
    write_tar(folder / "corel1k.tar", {"210.jpg": 21, "005.jpg": 5, "999.jpg": 99}, (38, 25))
    images, labels = corel1k(side=12)
    assert images.shape == (3, 12, 12, 3)
    assert labels.tolist() == [0, 2, 9]
    assert images[:, 0, 0, 0].tolist() == [5, 21, 99]


def test_a_file_that_is_not_there(folder):
    with pytest.raises(FileNotFoundError, match="set NSAE_DATA"):
        corel1k()
