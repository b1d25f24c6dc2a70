"""The photos that come with the package."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from nsae import datasets

MAKER = Path(__file__).parents[2] / "benchmarks" / "make_photos.py"


def test_there_are_24_photos_which_are_small():
    paths = datasets.photos()
    assert [path.name[:3] for path in paths] == [f"{n:02}_" for n in range(1, 25)]
    assert sum(path.stat().st_size for path in paths) <= 250_000
    assert "unrestricted usage" in (paths[0].parent / "README.md").read_text(encoding="utf-8")


def test_they_can_be_read_and_no_two_are_alike():
    Image = pytest.importorskip("PIL.Image")
    small = []
    for path in datasets.photos():
        with Image.open(path) as image:
            assert (image.format, image.mode, max(image.size)) == ("JPEG", "RGB", 160)
            small.append(np.asarray(image.resize((8, 8)), float).ravel())
    different = np.linalg.norm(np.array(small)[:, None] - small, axis=2)  # (24, 24)
    assert different[~np.eye(24, dtype=bool)].min() > 300


def test_the_script_makes_the_files_of_the_package(tmp_path, monkeypatch, capsys):
    Image = pytest.importorskip("PIL.Image")
    monkeypatch.syspath_prepend(str(MAKER.parent))
    import make_photos

    with tarfile.open(tmp_path / "kodak.tar", "w") as archive:
        for n in range(1, 25):
            file = io.BytesIO()
            Image.new("RGB", (768, 512) if n % 2 else (512, 768), (10 * n, 0, 0)).save(file, "PNG")
            info = tarfile.TarInfo(f"{n:02}.png")
            info.size = file.tell()
            archive.addfile(info, io.BytesIO(file.getvalue()))
    (tmp_path / "made").mkdir()
    assert make_photos.main([str(tmp_path / "kodak.tar"), str(tmp_path / "made")]) == 0
    assert capsys.readouterr().out.startswith("24 photos, ")
    made = sorted((tmp_path / "made").iterdir())
    assert [path.name for path in made] == [path.name for path in datasets.photos()]
    for n, path in enumerate(made, start=1):
        with Image.open(path) as image:
            assert image.size == ((160, 107) if n % 2 else (107, 160))
            assert abs(image.getpixel((50, 50))[0] - 10 * n) <= 2
