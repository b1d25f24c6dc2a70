"""benchmarks/published.py: every task runs, what is kept, and the fit of Gabor functions."""

import json

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def published(benchmark_module):
    return benchmark_module("published")


@pytest.fixture(scope="module")
def gabor(benchmark_module):
    return benchmark_module("helpers.gabor")


@pytest.mark.filterwarnings("ignore")  # two epochs are too few to learn anything
def test_quick_run(published, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path / "nowhere"))
    assert published.main(["--quick", "--json", "--pictures", str(tmp_path)]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == set(published.TASKS)
    assert {"ours", "raw", "published"} <= set(figures["self_taught"])
    assert {"before", "after"} <= set(figures["stacked"])
    assert 0 <= figures["k_sparse"]["error"] <= 1
    assert 0 <= figures["cifar_linear"]["units_24"] <= 1
    assert all(row["minutes"] > 0 and row["seeds"] == 1 for row in figures.values())
    assert (tmp_path / "published_patches.png").exists()


def test_tasks_that_do_not_run_are_kept_and_medians_are_of_each_number(published, tmp_path, monkeypatch):
    monkeypatch.setattr(published.results, "RESULTS", tmp_path)
    old = {"figures": {"stacked": {"before": 0.5}, "cifar_linear": {"units_400": 0.6, "minutes": 1}}}
    published.results.save(tmp_path / "published.json", old)
    monkeypatch.setitem(
        published.TASKS, "cifar_linear", lambda quick, seed, units: {f"units_{units}": [0.7, 0.9, 0.8][seed]}
    )
    assert published.main(["--only", "cifar_linear", "--units", "1600", "--seeds", "3", "--save"]) == 0
    figures = json.loads((tmp_path / "published.json").read_text())["figures"]
    assert figures["stacked"] == {"before": 0.5}
    row = figures["cifar_linear"]
    assert (row["units_400"], row["units_1600"], row["seeds"]) == (0.6, 0.8, 3)
    monkeypatch.setitem(published.TASKS, "stacked", lambda quick, seed: {"after": 0.9})
    assert published.main(["--only", "stacked", "--save"]) == 0
    figures = json.loads((tmp_path / "published.json").read_text())["figures"]
    assert figures["stacked"].keys() == {"after", "seeds", "minutes"}  # measured anew, as a whole
    assert figures["cifar_linear"] == row


def test_weight_decay_is_chosen_without_the_test_set(benchmark_module, rng):
    digits = benchmark_module("helpers.published_digits")
    y = rng.integers(3, size=300)
    Z = np.eye(3)[y] + 0.1 * rng.standard_normal((300, 3))
    found, decay = digits.classify(Z[:200], y[:200], Z[200:], 0, epochs=50)
    assert np.mean(found == y[200:]) > 0.95
    assert decay in digits.DECAYS


def test_a_gabor_function_is_found_and_noise_is_not(gabor, rng):
    row, column = np.mgrid[:8, :8]
    x = (column - 3.3) * np.cos(0.7) + (row - 4.1) * np.sin(0.7)
    y = (row - 4.1) * np.cos(0.7) - (column - 3.3) * np.sin(0.7)
    edge = np.exp(-0.5 * ((x / 1.7) ** 2 + (y / 2.6) ** 2)) * np.cos(2 * np.pi * 0.17 * x + 0.4)
    noise = rng.standard_normal((5, 64))
    R2 = gabor.fit_gabor(np.vstack([3 * edge.ravel() + 1, noise]), 8)
    assert R2[0] > 0.97
    assert (R2[1:] < 0.6).all()
    assert ((R2 >= 0) & (R2 <= 1 + 1e-9)).all()


def test_pooled_codes_are_sums_over_quadrants_of_soft_thresholds(benchmark_module, rng):
    photos = benchmark_module("helpers.published_photos")
    images = rng.integers(256, size=(6, 32, 32, 3), dtype=np.uint8)
    codes = photos.PatchCodes(images, units=5, n_patches=300, seed=0)
    F = codes(images, 0.5)
    assert F.shape == (6, 20)
    windows = np.lib.stride_tricks.sliding_window_view(images[2] / 255, (6, 6), axis=(0, 1))
    expected = np.zeros((2, 2, 5))
    for r in range(27):
        for c in range(27):
            patch = windows[r, c].transpose(1, 2, 0).ravel()
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10 / 255**2)
            expected[r * 2 // 27, c * 2 // 27] += np.maximum(codes.A @ patch + codes.a - 0.5, 0)
    np.testing.assert_allclose(F[2], expected.ravel(), rtol=1e-3)
    assert (codes(images, 1.0) <= F).all()
