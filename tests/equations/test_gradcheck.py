"""The gradients are right, and the check that says so can tell when they are not."""

import numpy as np
import pytest
from combinations import legal_combinations
from mutations import MUTATIONS, broken_backward

from nsae import SparseAutoencoder, check_gradients
from nsae.equations.activations import ReLU, Sigmoid
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.gradcheck import compare_gradients
from nsae.equations.layers import Dense


@pytest.mark.parametrize(("g", "options"), list(legal_combinations()))
def test_eq22_gradient_check(build, rng, g, options):
    check = check_gradients(build(g, **options), rng.random((6, 5)))
    assert check.max_error < 1e-8
    assert check.checked > 0.9 * (check.checked + check.skipped)
    assert set(check.errors) == {"W", "b", "V", "c"}


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_of_backward_is_caught(build, rng, name):
    mutation = MUTATIONS[name]
    model, X = build(mutation.g, **mutation.options), rng.random((6, 5))
    assert check_gradients(model, X).max_error < 1e-8
    with broken_backward(mutation):
        check = check_gradients(model, X)
    assert check.max_error > 1e-4
    assert not check.ok


def test_j_returned_is_the_j_that_is_differentiated(build, rng):
    """Small steps against the gradients lower the returned J by what they promise, ε‖∇J‖²."""
    X = rng.random((6, 5))
    for g, options in legal_combinations():
        model = build(g, **options)
        J, grads = model.loss_and_grads(X)
        promised = sum(float(np.sum(grad**2)) for grad in grads.values())
        for name, theta in model.params.items():
            theta -= 1e-6 * grads[name]
        assert J - model.loss_and_grads(X)[0] == pytest.approx(1e-6 * promised, rel=1e-3)


def test_random_directions_agree_with_all_coordinates(build, rng):
    check = check_gradients(build(Sigmoid(), kl=0.2), rng.random((6, 5)), directions=5)
    assert check.max_error < 1e-8
    assert check.checked == 20


def test_kinks_are_skipped_and_counted():
    """At a pre-activation of 0 the difference is half a slope; it is left out, not blamed."""
    encoder, decoder = Dense(np.array([[1.0]]), np.array([-1.0])), Dense(np.array([[1.0]]), np.array([0.0]))
    check = check_gradients(Autoencoder(encoder, decoder, ReLU()), np.array([[1.0]]))
    assert check.skipped == 2  # W and b move the unit across; V and c do not
    assert check.errors["V"] < 1e-8
    # and an array of which nothing could be checked does not pass as right
    assert np.isnan(check.errors["W"])
    assert not check.max_error < 1e-8


def test_wrong_gradients_do_not_hide_behind_kinks(rng, monkeypatch):
    """So many samples that some unit is always near its kink: the step is made smaller, not given up."""
    X, model = rng.random((2000, 30)), SparseAutoencoder(64, k=8, random_state=0)
    right = check_gradients(model, X, directions=10)
    assert right.max_error < 1e-6
    assert right.checked > 30
    real = Autoencoder.backward
    monkeypatch.setattr(
        Autoencoder, "backward", lambda *a: {n: -g if n in "Wb" else g for n, g in real(*a).items()}
    )
    assert not check_gradients(model, X, directions=10).max_error < 0.1


def test_nonsense_is_refused(rng):
    model = SparseAutoencoder(4, random_state=0)
    with pytest.raises(ValueError, match="directions=0"):
        check_gradients(model, rng.random((5, 3)), directions=0)
    with pytest.raises(ValueError, match="2-D"):
        check_gradients(model, rng.random(3))


def test_compare_any_loss_and_any_parameter():
    theta = {"a": np.array([0.3, -0.7])}
    right = {"a": np.cos(theta["a"])}
    assert compare_gradients(lambda: float(np.sin(theta["a"]).sum()), theta, right).max_error < 1e-8
    wrong = {"a": -right["a"]}
    assert compare_gradients(lambda: float(np.sin(theta["a"]).sum()), theta, wrong).max_error > 1
    np.testing.assert_array_equal(theta["a"], [0.3, -0.7])  # put back


def test_estimators_can_be_checked_fitted_or_not(rng):
    X = rng.random((8, 6))
    model = SparseAutoencoder(5, k=2, random_state=0, epochs=2)
    assert check_gradients(model, X).max_error < 1e-8
    W = model.fit(X).autoencoder_.encoder_layer.W.copy()
    assert check_gradients(model, X).max_error < 1e-8
    np.testing.assert_array_equal(model.autoencoder_.encoder_layer.W, W)
    assert W.dtype == np.float32  # the check ran on a copy in float64


# ---- somebody's own gradients


def own(shape=(3, 2), seed=0):
    """A loss with one array, the array, and its right gradient: J = Σ sin(a)·weight."""
    rng = np.random.default_rng(seed)
    a, weight = rng.normal(size=shape), rng.normal(size=shape)
    return lambda: float(np.sum(np.sin(a) * weight)), {"a": a}, {"a": np.cos(a) * weight}


def test_a_right_gradient_is_called_right_and_everything_is_put_back():
    loss, params, grads = own()
    before = params["a"].copy()
    check = compare_gradients(loss, params, grads)
    assert check.ok
    assert str(check) == f"a    right  error {check.errors['a']:.2g}"
    np.testing.assert_array_equal(params["a"], before)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda g: -g, "the sign is wrong"),
        (lambda g: 4 * g, "4 times what it should be"),
        (lambda g: g / 8, "0.125 times what it should be"),
        (lambda g: 0 * g, "the gradient is 0 everywhere, and the slope is not"),
        (lambda g: g.T.copy(), "it is transposed"),
        (lambda g: g + np.eye(3), "3 of 9 entries differ"),
    ],
)
def test_the_verdict_names_what_is_wrong(change, verdict):
    loss, params, grads = own((3, 3))
    check = compare_gradients(loss, params, {"a": change(grads["a"])})
    assert check.findings["a"].verdict == verdict
    assert not check.ok
    assert f"WRONG  error {check.errors['a']:.2g}  {verdict}; a[" in str(check)


def test_the_entry_that_differs_most_is_named_with_both_values():
    loss, params, grads = own((3, 4))
    right = grads["a"][2, 1]
    grads["a"][2, 1] += 0.5
    finding = compare_gradients(loss, params, grads).findings["a"]
    assert finding.entry == (2, 1)
    assert finding.numeric == pytest.approx(right)
    assert finding.analytic == pytest.approx(right + 0.5)
    assert "1 of 12 entries differ; a[2, 1]: numeric" in str(compare_gradients(loss, params, grads))
    assert "slopes differ; along direction " in str(compare_gradients(loss, params, grads, directions=4))


def test_a_loss_that_reads_a_copy_is_told():
    _, params, grads = own()
    constant = float(np.sum(params["a"]))
    check = compare_gradients(lambda: constant, params, grads)
    assert "does it use the array itself, or a copy?" in str(check)


def test_an_array_of_no_dimension_and_one_that_is_a_view():
    scale, whole = np.array(2.0), np.arange(12.0).reshape(3, 4)
    params = {"scale": scale, "part": whole[::2, 1:]}
    loss = lambda: float(scale**2 + np.sum(whole**2))  # noqa: E731
    assert compare_gradients(loss, params, {"scale": 2 * scale, "part": 2 * whole[::2, 1:]}).ok


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p, g: ([1], g), TypeError, "params came as list, where a dict"),
        (lambda p, g: ({}, {}), ValueError, "params is empty"),
        (lambda p, g: (p, {}), ValueError, "grads has no 'a'"),
        (lambda p, g: (p, {**g, "b": g["a"]}), ValueError, "params has no 'b', which grads has"),
        (lambda p, g: (p, {"a": g["a"].T}), ValueError, r"shape \(2, 3\).*\(3, 2\): it is transposed"),
        (lambda p, g: (p, {"a": g["a"][:2]}), ValueError, r"shape \(2, 2\).* has \(3, 2\)\. A gradient"),
        (lambda p, g: (p, {"a": g["a"].tolist()}), TypeError, "came as list, where a NumPy array"),
        (
            lambda p, g: ({"a": np.ones((3, 2), int)}, g),
            TypeError,
            "params.* is int64.*lost in whole numbers",
        ),
        (lambda p, g: ({"a": p["a"].astype("f4")}, g), TypeError, "params.* is float32.*rounding"),
        (lambda p, g: (p, {"a": g["a"].astype("f4")}), TypeError, "grads.* is float32.*astype"),
        (lambda p, g: (p, {"a": g["a"] * 1j}), TypeError, "complex128"),
        (lambda p, g: (p, {"a": g["a"] + [0, np.nan]}), ValueError, r"NaN or infinity, first at \(0, 1\)"),
        (lambda p, g: ({"a": p["a"][:0]}, {"a": g["a"][:0]}), ValueError, "empty"),
        (lambda p, g: ({"a": np.broadcast_to(1.0, (3, 2))}, g), ValueError, "cannot be changed in place"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused_with_the_reason(change, error, message):
    loss, params, grads = own()
    with pytest.raises(error, match=message):
        compare_gradients(loss, *change(params, grads))


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (3.0, TypeError, "loss came as float, where a function"),
        (lambda: None, TypeError, "returned NoneType"),
        (lambda: np.ones(3), TypeError, "returned ndarray"),
        (lambda: np.float32(1), TypeError, "returned float32"),
        (lambda: float("nan"), ValueError, "returned nan"),
        (np.random.default_rng(0).random, ValueError, "for the same parameters"),
    ],
)
def test_losses_that_are_none_are_refused_with_the_reason(loss, error, message):
    _, params, grads = own()
    with pytest.raises(error, match=message):
        compare_gradients(loss, params, grads)


def test_parameters_are_put_back_when_the_loss_fails():
    _, params, grads = own()
    before, calls = params["a"].copy(), []

    def loss():
        calls.append(1)
        if len(calls) > 4:
            raise OSError("somebody's own error")
        return float(np.sum(params["a"]))

    with pytest.raises(OSError, match="somebody"):
        compare_gradients(loss, params, grads)
    np.testing.assert_array_equal(params["a"], before)


@pytest.mark.parametrize("scale", [1e-3, 1e4, 1e6])
def test_rounding_of_large_and_small_numbers_is_no_mistake(rng, scale):
    X = rng.random((40, 20)) * scale
    model = SparseAutoencoder(8, k=3, epochs=3, random_state=0, backend="numpy").fit(X)
    check = check_gradients(model, X[:8])
    assert all(finding.verdict == "right" for finding in check.findings.values()), str(check)


def test_what_could_not_be_compared_has_a_word_of_its_own():
    check = check_gradients(SparseAutoencoder(8, k=3, random_state=0), np.zeros((4, 20)))
    assert not check.ok
    assert "b    NOT COMPARED  a unit switches on or off" in str(check)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"eps": 1e-20}, ValueError, "eps=1e-20 is expected to be finite and at least 1e-09"),
        ({"eps": 0}, ValueError, "eps=0"),
        ({"eps": -1e-5}, ValueError, "eps=-1e-05"),
        ({"eps": "a"}, TypeError, "eps='a'"),
        ({"directions": 2.5}, TypeError, "directions=2.5"),
    ],
)
def test_steps_and_directions_that_are_none(options, error, message):
    with pytest.raises(error, match=message):
        compare_gradients(*own(), **options)


def test_keys_of_any_kind_and_matrices():
    loss, params, grads = own()
    check = compare_gradients(loss, {("l", 1): params["a"]}, {("l", 1): grads["a"]})
    assert "('l', 1) right" in str(check)
    with pytest.raises(TypeError, match="matrix"):
        compare_gradients(loss, params, {"a": np.matrix(grads["a"])})
