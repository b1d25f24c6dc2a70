"""The encoder that comes with nsae: learned, written and judged."""

import json

import numpy as np
import pytest
from small_images import SMALL

pytest.importorskip("PIL")

import nsae
from nsae.datasets import dead_leaves
from nsae.images.pipeline import ImagePipeline


@pytest.fixture(scope="module")
def script(benchmark_module):
    return benchmark_module("pretrain_photos")


def test_it_is_learned_written_in_half_the_bytes_and_judged(script, tmp_path, monkeypatch, capsys):
    images, labels = dead_leaves(210, size=96), np.arange(210) % 4 // 2
    learn = script.learn
    small = {**SMALL, "n_units": 128, "k": 32, "patch_size": 8, "stride": 8, "n_patches": 2000}
    monkeypatch.setattr(script, "learn", lambda images: learn(images, **small))
    monkeypatch.setattr(script.datasets, "caltech101", lambda side: (images, labels))
    monkeypatch.setattr(script.archives, "corel1k", lambda side: (images, labels))
    path = tmp_path / "photos.npz"
    assert script.main(["--write", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["corel1k"]) == {"nsae", "nsae_k32", "vector", "color_histogram"}
    assert result["bytes"] == path.stat().st_size
    assert result["seconds_to_first_code"] > result["of_which_numpy"] > 0
    encoder = nsae.load_encoder(path)
    assert isinstance(encoder, ImagePipeline)
    assert "Caltech-101" in encoder.header["learned_from"]
    with np.load(path) as stored:
        assert stored["pca_A"].dtype == np.float16
