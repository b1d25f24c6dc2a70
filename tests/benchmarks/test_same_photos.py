"""The benchmark of nsae same: its pairs are what it says, and it runs."""

import io
import json
import tarfile

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import ImageEncoder, datasets

FEW = {"patch_units": 64, "n_patches": 5000, "epochs": 5, "patch_epochs": 1, "n_units": 128, "k": 16}


@pytest.fixture(scope="module")
def same_photos(benchmark_module):
    return benchmark_module("same_photos")


def test_crops_are_parts_of_the_photo(same_photos):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    for seed in range(20):
        part = np.asarray(same_photos.cropped(Image.fromarray(pixels), np.random.default_rng(seed)))
        h, w = part.shape[:2]
        assert 23 <= h <= 36
        assert 35 <= w <= 54
        windows = np.lib.stride_tricks.sliding_window_view(pixels, part.shape)
        assert (windows == part).all(axis=(3, 4, 5)).any()


def test_it_runs(same_photos, tmp_path, monkeypatch, capsys):
    """On the photos of the package as if they were Corel-1K's: 12 of two subjects."""
    with tarfile.open(tmp_path / "corel1k.tar", "w") as archive:
        for n, path in enumerate(datasets.photos()):
            info = tarfile.TarInfo(f"{n if n < 12 else 88 + n}.jpg")
            info.size = path.stat().st_size
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    encoder = ImageEncoder(random_state=0, image_size=48, **FEW).fit(datasets.photos())
    encoder.save(tmp_path / "model.npz")
    command = ["--json", "--model", str(tmp_path / "model.npz"), "--radius", "0.5"]
    assert same_photos.main(command) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["photos"] == 12
    for name in ("resized", "JPEG 50"):
        assert figures["edited"][name]["same picture"] == 1
    for row in figures["edited"].values():
        assert sum(row.values()) == pytest.approx(1)
        assert row["same file"] == row["same pixels"] == 0
    assert all(0 <= fraction <= 1 for fraction in figures["alike"].values())
    # Where 1 of 100 is to be alike, it is so.
    assert same_photos.main([*command[:-1], str(figures["radius_of_1_percent"])]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["alike"]["different subjects"] <= 0.05
    assert again["radius_of_1_percent"] == figures["radius_of_1_percent"]
