"""The library benchmark runs on photos of one's own, and its sums are compared with the right similarity."""

import json

import numpy as np
import pytest
from small_images import bars

from nsae import CodeIndex, Codes

pytest.importorskip("numba")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def speed(benchmark_module):
    return benchmark_module("library_speed")


def test_a_run(speed, tmp_path, capsys):
    for i, image in enumerate(bars(12, side=48, color=True)[0]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    assert speed.main(["--photos", str(tmp_path), "--quick", "--rounds", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["photos"] == 11
    assert len(list(tmp_path.iterdir())) == 12
    assert max(result["explain_error"].values()) < 1e-6
    assert (
        min(
            result[key]
            for key in (
                "photos_per_s",
                "numpy_ms",
                "small_per_s",
                "one_small_ms",
                "one_photo_ms",
                "one_new_s",
            )
        )
        > 0
    )
    assert min(result["save"].values()) > 0


def test_a_wrong_share_is_noticed(speed, rng, monkeypatch):
    codes = Codes.from_dense((rng.random((30, 9)) + 0.1).astype(np.float32))
    assert max(speed.explained(codes, 100).values()) < 1e-6
    right = CodeIndex.explain
    monkeypatch.setattr(CodeIndex, "explain", lambda *a, **o: right(*a, **o)[1:])  # one unit is left out
    assert min(speed.explained(codes, 100).values()) > 1e-3
