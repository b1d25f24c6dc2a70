"""benchmarks/knobs.py: each knob is turned, and does what it is there for."""

import json

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def knobs(benchmark_module):
    return benchmark_module("knobs")


def test_quick_run_with_pictures(knobs, capsys, tmp_path):
    assert knobs.main(["--quick", "--json", "--pictures", str(tmp_path)]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == {"lambda", "beta", "rho", "k"}
    assert list(figures["k"]) == ["2", "4", "8", "16", "32"]  # no more than there are units
    assert figures["k"]["4"]["l0"] <= 4
    assert {path.name for path in tmp_path.iterdir()} == {
        f"knobs_{name}.png" for name in ("lambda", "beta", "rho", "k", "mean_activations")
    }


def test_patterns_are_in_the_order_of_use(knobs, rng):
    X = rng.random((60, 9))
    model, figures = knobs.fit(X, {"k": 1}, 2, 6)
    often = (model.transform(X) > 0).sum(axis=0)
    first = knobs.most_active(model, X)[0]
    assert (first == model.encoder().patterns()[often.argmax()]).all()
    assert figures["dead"] == pytest.approx((often == 0).mean())
