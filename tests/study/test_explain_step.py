"""explain_step prints what training computes, and notices what is wrong with it."""

import numpy as np
import pytest
from combinations import legal_combinations
from mutations import MUTATIONS, broken_backward

import nsae
from nsae import SparseAutoencoder, explain_step
from nsae.equations.activations import ReLU


@pytest.mark.parametrize(("g", "options"), list(legal_combinations())[::5])
def test_every_gradient_is_compared_and_every_number_is_the_models(build, rng, g, options, capsys):
    model, X = build(g, **options), rng.random((6, 5))
    step = explain_step(model, X)
    printed = capsys.readouterr().out
    assert printed == str(step) + "\n"
    J, grads = model.loss_and_grads(X)
    assert float(step["J"]) == pytest.approx(J)
    for name, grad in grads.items():
        np.testing.assert_allclose(step[f"d{name}"], grad)
    Z, U = model.forward(X)
    np.testing.assert_array_equal(step["Z"], Z)
    np.testing.assert_array_equal(step["U"], U)
    assert all(line.error < 1e-7 for line in step.parts["backward"])
    assert {line.name for line in step.parts["backward"]} == {"dU", "dV", "dc", "dZ", "dY", "dW", "db"}


def test_shapes_ranges_and_zeros_are_printed(build, capsys):
    X = np.eye(5)[:3]
    explain_step(build(ReLU()), X)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "given       (3, 5)" in lines["X"]
    assert lines["X"].endswith("80%")
    assert "(1)         (3, 7)" in lines["Y"]
    assert "(11)        (3, 5)" in lines["dU"]
    assert "(16)–(19)   (7, 5)" in lines["ΔW"]


def test_where_backward_is_broken_the_error_is_on_that_line(build, rng):
    model, X = build(ReLU(), l1=0.1), rng.random((6, 5))
    with broken_backward(MUTATIONS["l1, missing"]):
        wrong = [line.name for line in explain_step(model, X).parts["backward"] if not line.error < 1e-6]
    assert wrong == ["dZ", "dY", "dW", "db"]  # from where the term is missing to the end
    with broken_backward(MUTATIONS["dense, dW sign"]):
        wrong = [line.name for line in explain_step(model, X).parts["backward"] if not line.error < 1e-6]
    assert wrong == ["dV", "dW"]


@pytest.mark.parametrize(
    "options", [{"k": 2, "unit_norm": True}, {"activation": "sigmoid", "kl": 0.2}], ids=str
)
def test_a_fitted_model_goes_on_and_stays_as_it_is(rng, options):
    X = rng.random((30, 6))
    model = SparseAutoencoder(
        5, epochs=3, shuffle=False, batch_size=30, dtype="float64", random_state=0, backend="numpy", **options
    ).fit(X)
    before = {name: theta.copy() for name, theta in model.autoencoder_.params.items()}
    step = explain_step(model, X)
    model.partial_fit(X)  # takes the step that was explained
    for name, theta in model.autoencoder_.params.items():
        np.testing.assert_allclose(step[f"Δ{name}"], theta - before[name], atol=1e-12)


def test_a_model_that_is_not_fitted_starts_adam_anew(rng):
    step = explain_step(SparseAutoencoder(5, random_state=0, learning_rate=1e-3), rng.random((8, 6)))
    np.testing.assert_allclose(np.abs(step["Δc"]), 1e-3, rtol=1e-4)  # α, as (18) makes the first step


def test_arrays_are_drawn(rng, tmp_path):
    pytest.importorskip("matplotlib")
    step = explain_step(SparseAutoencoder(5, random_state=0), rng.random((8, 6)), figure=True)
    step.figure.savefig(tmp_path / "step.png")
    titles = " ".join(axis.get_title() for axis in step.figure.axes)
    for name in ("X  given", "Y  (1)", "dU  (11)", "dW  (15)"):
        assert name in titles
    assert "arrays and numbers" in repr(step)


def test_data_that_does_not_fit_is_refused(rng):
    model = SparseAutoencoder(5, epochs=1).fit(rng.random((8, 6)))
    with pytest.raises(ValueError, match="features"):
        explain_step(model, rng.random((8, 7)))
    assert nsae.explain_step is explain_step


def test_an_unfitted_model_takes_the_step_that_fit_would(rng):
    X = rng.random((8, 6))
    options = {"k": 2, "unit_norm": True, "learning_rate": 0.1, "max_grad_norm": 0.01, "dtype": "float64"}
    model = SparseAutoencoder(
        5, epochs=1, batch_size=8, shuffle=False, random_state=0, backend="numpy", **options
    )
    before = {name: theta.copy() for name, theta in model.core_for(X).params.items()}
    step = explain_step(model, X)
    assert "(16)–(20)" in str(step)
    model.fit(X)
    for name, theta in model.autoencoder_.params.items():
        np.testing.assert_allclose(step[f"Δ{name}"], theta - before[name], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({}, {"learning_rate": 0.1}),
        ({"n_units": 60, "k": 1, "aux_weight": 0.5, "dead_after": 1}, {}),
        ({}, {"lr_schedule": "linear"}),
    ],
    ids=str,
)
def test_the_options_of_now_count(rng, options, change):
    X = rng.random((30, 6))
    fixed = {"epochs": 3, "batch_size": 30, "dtype": "float64", "backend": "numpy", "schedule_steps": 10}
    model = SparseAutoencoder(**{"n_units": 5, "random_state": 0, **fixed, **options}).fit(X)
    model.set_params(**change)
    before = {name: theta.copy() for name, theta in model.autoencoder_.params.items()}
    step = explain_step(model, X)
    model.partial_fit(X)
    for name, theta in model.autoencoder_.params.items():
        np.testing.assert_allclose(step[f"Δ{name}"], theta - before[name], atol=1e-12)
    assert float(step["J"]) == pytest.approx(model.history_["loss"][-1])


def test_a_name_that_there_is_not(rng):
    step = explain_step(SparseAutoencoder(5, random_state=0), rng.random((8, 6)))
    with pytest.raises(KeyError, match="dU"):
        step["foo"]
    with pytest.raises(TypeError, match="SparseAutoencoder or an Autoencoder"):
        explain_step(None, rng.random((8, 6)))
