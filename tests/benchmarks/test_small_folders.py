"""Folders of few photos: what is drawn, what is judged, and the script as a whole."""

import json

import numpy as np
import pytest

pytest.importorskip("PIL")

from nsae import Codes, ImageEncoder
from nsae.datasets import dead_leaves


@pytest.fixture(scope="module")
def script(benchmark_module):
    return benchmark_module("small_folders")


def photos(n=60, size=96):
    """Made pictures of two kinds: as they are, and much darker."""
    images, labels = dead_leaves(n, size=size), np.arange(n) % 20 // 10
    images[labels == 1] //= 4
    return images, labels


def test_folders_and_queries_are_of_one_half(script):
    for half in (0, 1):
        folder = script.draw(1000, 20, half, 3)
        assert (len(folder.inside), len(folder.asked)) == (20, 480)
        assert {*folder.inside % 2, *folder.asked % 2} == {half}
        assert not set(folder.inside) & set(folder.asked)
    again, other = (script.draw(1000, 20, 1, seed).inside for seed in (3, 4))
    assert again.tolist() == folder.inside.tolist() != other.tolist()
    whole = script.draw(1000, 1000, 1, 0)
    assert whole.inside.tolist() == list(range(1000))
    assert whole.asked.tolist() == list(range(1, 1000, 2))


@pytest.mark.parametrize("sparse", [False, True])
def test_precision_by_hand(script, sparse):
    X = np.float32([[1, 0.1], [0.9, 0.2], [0.1, 1]])
    Q = np.float32([[1, 0.1], [0, 1]])
    rows = [Codes.from_dense(A) if sparse else A for A in (X, Q)]
    labels = np.array([0, 1, 1, 0, 1])
    folder = script.Folder(np.array([0, 1, 2]), np.array([3, 4]))
    assert script.precision_at_1(folder, labels, *rows) == 1  # photos 0 and 2
    itself = folder._replace(asked=np.array([0, 2]))
    assert script.precision_at_1(itself, labels, *rows) == 0.5  # photos 1 and 1: the first is of another kind


def test_the_script_as_a_whole(script, tmp_path, monkeypatch, capsys):
    images, labels = photos()
    monkeypatch.setattr(script.archives, "corel1k", lambda side: (images, labels))
    monkeypatch.setattr(script, "PRETRAINED_K", (8,))
    encoder = ImageEncoder(64, k=32, n_patches=5000, patch_units=32, epochs=2, random_state=0).fit(
        images[::2]
    )
    encoder.save(tmp_path / "encoder.npz")
    asked = []

    def index(photos):
        asked.append(len(photos))
        return encoder.encode_images

    monkeypatch.setattr(script, "indexed", index)
    words = ["--quick", "--json", "--encoder", str(tmp_path / "encoder.npz"), "--sizes", "1", "5", "60"]
    assert script.main(words) == 0
    out = capsys.readouterr().out
    found = json.loads(out.splitlines()[-1])
    assert list(found["corel1k"]) == ["1", "5", "60"]
    assert asked == [1, 5, 60]  # what is reported alone
    for row in found["corel1k"].values():
        assert {"nsae", "histogram", "own_units_k32", "pretrained_k8", "learned", "best_possible"} <= set(row)
        assert 0 <= row["nsae"] <= row["best_possible"] <= 1
    one = found["corel1k"]["1"]
    assert one["nsae"] == one["histogram"] == one["learned"] == one["best_possible"]  # there is but one hit
    assert found["corel1k"]["60"]["histogram"] > 0.9  # dark or not
    assert "reported" in out


def test_a_folder_is_indexed_by_the_command(script, monkeypatch):
    images, _labels = photos(5)
    given = []

    def run(words):
        given.append(words)
        return script.nsae.cli.main([*words, "--whole", "--units", "16", "--k", "4", "--epochs", "2"])

    monkeypatch.setattr(script, "run_nsae", run)
    codes = script.indexed(images[:3])(images[3:])
    assert given[0][0] == "index"
    assert codes.shape == (2, 16)


def test_an_index_that_cannot_be_made(script, monkeypatch):
    images, _labels = photos(4)
    monkeypatch.setattr(script, "run_nsae", lambda words: 1)
    with pytest.raises(RuntimeError):
        script.indexed(images)
