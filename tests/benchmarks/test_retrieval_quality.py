"""The methods that rankings are compared by, by hand and on small images; and the script as a whole."""

import json

import numpy as np
import pytest
from small_images import bars

from nsae import Codes

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def script(benchmark_module):
    return benchmark_module("retrieval_quality")


@pytest.fixture(scope="module")
def methods(benchmark_module):
    return benchmark_module("helpers.retrieval_methods")


@pytest.fixture(scope="module")
def report(benchmark_module):
    return benchmark_module("helpers.retrieval_report")


# ---- methods


def test_histogram_by_hand(methods):
    images = np.uint8([[[0, 63], [64, 255]]])
    encode = methods.histogram(images, 0, bins=4, root=False)
    assert encode(images).tolist() == [[0.5, 0.25, 0, 0.25]]
    color = np.uint8([[[[0, 0, 0], [255, 255, 255]]]])  # a black pixel and a white one
    shares = methods.histogram(color, 0, bins=2, root=True)(color)
    np.testing.assert_allclose(shares, [[0.5**0.5, 0, 0, 0, 0, 0, 0, 0.5**0.5]])


def test_dct_keeps_energy_and_puts_a_constant_first(methods, rng):
    images = np.full((1, 8, 8), 255, np.uint8)
    np.testing.assert_allclose(methods.dct(images, 0, low=3, mean=True)(images), [[8] + [0] * 8], atol=1e-5)
    assert methods.dct(images, 0, low=3, mean=False)(images).shape == (1, 8)
    noise = rng.integers(256, size=(3, 8, 8), dtype=np.uint8)
    all_of_it = methods.dct(noise, 0, low=8, mean=True)(noise)
    np.testing.assert_allclose((all_of_it**2).sum(axis=1), (methods.flat(noise) ** 2).sum(axis=1), rtol=1e-5)


def test_haar_by_hand(methods):
    images = np.uint8([[[255, 0], [0, 0]]])
    np.testing.assert_allclose(methods.haar(images, 0, levels=1, details=0)(images), [[0.5]])
    np.testing.assert_allclose(methods.haar(images, 0, levels=1, details=1)(images), [[0.5] * 4])
    flat = np.full((1, 4, 4), 255, np.uint8)
    np.testing.assert_allclose(methods.haar(flat, 0, levels=2, details=1)(flat), [[4, 0, 0, 0]], atol=1e-6)


def test_itq_gives_signs_that_keep_neighbours(methods):
    images, labels = bars(60)
    B = methods.itq(images, 0, bits=16)(images)
    assert set(np.unique(B)) == {-1, 1}
    same = labels[:, None] == labels
    assert (B @ B.T)[same].mean() > (B @ B.T)[~same].mean()


OPTIONS = {
    "raw": {},
    "histogram": {"bins": 4, "root": True},
    "dct": {"low": 4, "mean": True},
    "haar": {"levels": 2, "details": 1},
    "pca": {"n": 6, "whiten": 0.5},
    "random_projection": {"n": 20},
    "itq": {"bits": 8},
    "bag_of_words": {"words": 16, "patch": 4, "grid": (1, 2)},
    "dictionary": {"atoms": 16, "patch": 4, "threshold": 1.0, "grid": (2,)},
}


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_each_method_gives_a_row_an_image(methods, name, color, monkeypatch):
    if name in ("bag_of_words", "dictionary"):
        pytest.importorskip("sklearn")
        monkeypatch.setattr(methods, "N_PATCHES", 2000)
    images, _ = bars(40, color=color)
    encode = methods.METHODS[name](images, 0, **OPTIONS[name])
    F = encode(images)
    assert len(F) == 40
    assert F.dtype == np.float32
    assert np.isfinite(F).all()
    assert len(np.unique(F, axis=0)) > 1
    np.testing.assert_allclose(encode(images[:3]), F[:3], atol=1e-5)  # whatever the others are
    tried = list(methods.settings(name, images))
    assert all(set(options) == set(OPTIONS[name]) for options in tried)


# ---- figures


def test_intervals_are_those_of_a_mean(script, rng):
    hits = (rng.random(1000) < 0.3).astype(float)
    same = np.full(1000, 0.25)
    row = script.row({"precision@1": hits, "precision@20": same, "map": same, "map@1000": hits}, bytes=64)
    assert (row["map"], row["interval"]["map"], row["bytes"]) == (0.25, [0.25, 0.25], 64)
    low, high = row["interval"]["precision@1"]
    error = (hits.mean() * (1 - hits.mean()) / 1000) ** 0.5
    np.testing.assert_allclose([low, high], hits.mean() + np.array([-1.96, 1.96]) * error, atol=0.005)


def test_means_and_spread_over_seeds(script):
    runs = [{"map": 0.5, "bytes": 192, "interval": {}}, {"map": 0.75, "bytes": 192, "interval": {}}]
    both = script.over_seeds(runs)
    assert (both["map"], both["spread"], both["seeds"], both["bytes"]) == (0.625, {"map": 0.25}, 2, 192)
    assert "spread" not in script.over_seeds(runs[:1])


def test_blocks_are_as_all_at_once(script, methods, rng):
    images = rng.integers(256, size=(30, 4, 4), dtype=np.uint8)
    rows = methods.flat(images)
    reduce = script.smaller(rows, 5, 0.0)
    small = script.in_blocks(methods.flat, images, reduce)
    assert small.shape == (30, 5)
    np.testing.assert_array_equal(small, small.astype(np.float16))  # 2 bytes each
    # principal components of another make, up to one factor
    P = (rows - rows.mean(axis=0)) @ np.linalg.svd(rows - rows.mean(axis=0))[2][:5].T  # (30, 5)
    pairs = np.triu_indices(30, 1)
    ratios = [np.linalg.norm(A[:, None] - A, axis=2)[pairs] for A in (small, P)]
    np.testing.assert_allclose(ratios[0] / ratios[1], np.mean(ratios[0] / ratios[1]), rtol=0.02)


# ---- in the place of the second autoencoder


@pytest.fixture(scope="module")
def second_layers(benchmark_module):
    return benchmark_module("helpers.second_layers")


def test_variance_that_a_code_explains_by_hand(second_layers):
    T, D = np.float32([[1, 0], [0, 1], [-1, 0], [0, -1]]), np.float32([[1, 0], [-1, 0], [0, 1]])
    codes = Codes.from_dense(np.float32([[0.5, 0, 0], [0, 0, 0.5], [0, 0.5, 0], [0, 0, 0]]))
    # The factor 2 makes three of the four rows whole again, and the fourth has no code.
    assert second_layers.explained(T, codes, D) == pytest.approx(3 / 4)
    assert second_layers.explained(T, Codes.from_dense(np.zeros((4, 3), np.float32)), D) == 0


def test_spherical_k_means_finds_directions(second_layers, rng):
    directions = np.linalg.qr(rng.normal(size=(8, 8)))[0][:5]  # (5, 8)
    T = (directions[np.arange(200) % 5] + 0.05 * rng.normal(size=(200, 8))).astype(np.float32)
    T /= np.linalg.norm(T, axis=1, keepdims=True)
    C, seconds = second_layers.spherical_k_means(T, 20, 0)
    np.testing.assert_allclose(np.linalg.norm(C, axis=1), 1, rtol=1e-5)
    assert ((C @ directions.T).max(axis=0) > 0.99).all()
    assert (T @ C.T).max(axis=1).mean() > (T @ directions.T).max(axis=1).mean()
    assert len(second_layers.spherical_k_means(T[:3], 20, 0)[0]) == 3
    assert seconds > 0


def test_what_is_retained_by_hand(benchmark_module):
    rows = benchmark_module("helpers.retrieval_rows")
    code = {
        "precision@1": np.array([1, 0]),
        "precision@10": np.array([0.6, 0.6]),
        "map@1000": np.array([0.5] * 2),
    }
    vector = {
        "precision@1": np.array([1, 1]),
        "precision@10": np.array([0.4, 0.6]),
        "map@1000": np.array([0.25] * 2),
    }
    kept = rows.retained(code, vector)
    assert kept == pytest.approx({"retention@1": 0.5, "retention@10": 1.2, "retention_map@1000": 2})


# ---- the script


@pytest.fixture(scope="module")
def run(script, tmp_path_factory):
    """The answer of a quick run on bars, a file with its output, and what it printed."""
    from contextlib import redirect_stdout
    from io import StringIO

    images, labels = bars(170)
    problem = script.Problem(images[20:], labels[20:], images[:20], labels[:20], False)
    keep, script.load = script.load, lambda name, quick: problem
    printed = StringIO()
    with redirect_stdout(printed):
        assert script.main(["--data", "mnist", "--quick", "--json"]) == 0
    script.load = keep
    file = tmp_path_factory.mktemp("run") / "mnist.out"
    file.write_text(printed.getvalue(), encoding="utf-8")
    return json.loads(printed.getvalue().splitlines()[-1]), file


def test_a_quick_run_has_the_keys_that_are_promised(run):
    table = run[0]["mnist"]
    assert {
        "raw",
        "pca",
        "pca@192",
        "itq",
        "nsae",
        "nsae_binary",
        "nsae_k128",
        "nsae_l1",
        "nsae_kl",
        "nsae_kl_k32",
        "vector",
        "kmeans",
        "kmeans_k128",
        "samples",
    } <= set(table)
    keys = {"precision@1", "precision@10", "precision@20", "precision@100", "map", "map@1000"}
    for figures in table.values():
        assert keys | {"soft_knn", "linear_probe"} <= set(figures)
        assert 0 <= figures["interval"]["map"][0] <= figures["map"] <= figures["interval"]["map"][1] <= 1
    assert table["raw"]["bytes"] == 144
    assert [table[name]["bytes"] for name in ("nsae", "nsae_binary", "nsae_k128")] == [192, 64, 768]
    assert all(figures["bytes"] <= 192 for name, figures in table.items() if name.endswith("@192"))
    assert table["nsae"]["map"] > table["random_projection"]["map"]  # bars lie anywhere: no pixel tells
    for name in ("nsae", "nsae_binary", "nsae_k8", "nsae_k128", "kmeans", "kmeans_k128"):
        figures = table[name]
        assert figures["retention@1"] == pytest.approx(
            figures["precision@1"] / table["vector"]["precision@1"]
        )
        assert {"retention@10", "retention_map@1000"} <= set(figures)
    for name in ("nsae", "nsae_k128", "kmeans", "kmeans_k128"):
        assert 0 < table[name]["explained_variance"] <= 1
        assert table[name]["second_layer_s"] > 0


def test_runs_are_shown_together(script, report, run, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    table, file = run
    other = tmp_path / "other.out"
    other.write_text("a table\n" + json.dumps({"corel1k": table["mnist"]}), encoding="utf-8")
    monkeypatch.setattr(script, "load", None)  # nothing is computed
    picture = tmp_path / "curves.png"
    saved = tmp_path / "all.json"
    options = ["--from", str(file), str(other), "--json", "--plot", str(picture), "--save", str(saved)]
    assert script.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    both = {"mnist": table["mnist"], "corel1k": table["mnist"]}
    assert json.loads(lines[-1]) == both
    again = report.read([saved])
    assert again["corel1k"]["raw"]["map"] == pytest.approx(table["mnist"]["raw"]["map"], rel=1e-5)
    head, rows = report.quality_rows(both, report.ROWS)
    assert head == ["", "bytes", "MNIST: mAP", "prec@1", "Corel-1K: prec@20", "prec@1"]
    assert rows[0][:2] == ["raw pixels", "144"]
    assert "bag of visual words" not in [row[0] for row in rows]  # not run: no row
    assert "MNIST 20 queries, 1 seed; Corel-1K 20 queries, 1 seed" in report.judged_by(both)
    assert picture.stat().st_size > 10_000


def test_a_file_without_json(report, tmp_path):
    (tmp_path / "a.out").write_text("a table\n", encoding="utf-8")
    with pytest.raises(ValueError, match="--json"):
        report.read([tmp_path / "a.out"])


def test_rows_of_one_method_replace_those_of_an_earlier_run(script, report, tmp_path, capsys, monkeypatch):
    images, labels = bars(170)
    problem = script.Problem(images[20:], labels[20:], images[:20], labels[:20], False)
    monkeypatch.setattr(script, "load", lambda name, quick: problem)
    assert script.main(["--data", "mnist", "--only", "raw", "--json"]) == 0
    again = tmp_path / "raw.out"
    again.write_text(capsys.readouterr().out, encoding="utf-8")
    first = tmp_path / "all.out"
    first.write_text(json.dumps({"mnist": {"raw": {"map": 2}, "nsae": {"map": 0.5}}}), encoding="utf-8")
    table = report.read([first, again])["mnist"]
    assert set(table) == {"raw", "nsae"}
    assert table["nsae"] == {"map": 0.5}
    assert table["raw"]["map"] <= 1
