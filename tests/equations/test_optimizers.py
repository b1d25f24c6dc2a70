import numpy as np
import pytest

from nsae.equations.optimizers import Adam

ALPHA, BETA1, BETA2, EPS = 0.01, 0.9, 0.999, 1e-8


def adam_of_the_paper(theta, gradients):
    """Algorithm 1, for one number at a time; yields (m, v, m̂, v̂, θ) after each step."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        m_hat, v_hat = m / (1 - BETA1**t), v / (1 - BETA2**t)
        theta = theta - ALPHA * m_hat / (v_hat**0.5 + EPS)
        yield m, v, m_hat, v_hat, theta


@pytest.fixture
def run():
    """Our Adam beside the paper's, on the same gradients: (ours, theirs) after each of 20 steps."""
    gradients = np.random.default_rng(0).normal(size=20)
    theta, optimizer, ours = {"a": np.array([0.7])}, Adam(ALPHA, BETA1, BETA2, EPS), []
    for g in gradients:
        optimizer.step(theta, {"a": np.array([g])})
        ours.append((optimizer.m1["a"][0], optimizer.m2["a"][0], theta["a"][0]))
    return ours, list(adam_of_the_paper(0.7, gradients))


def test_eq16_first_moment(run):
    np.testing.assert_allclose([o[0] for o in run[0]], [p[0] for p in run[1]], rtol=1e-12)


def test_eq17_second_moment(run):
    np.testing.assert_allclose([o[1] for o in run[0]], [p[1] for p in run[1]], rtol=1e-12)


def test_eq18_bias_correction():
    """After one step of any size the corrected moments are g and g², so the step is α sign g."""
    for g in (1e-3, 5.0, -2e4):
        theta = {"a": np.array([0.0])}
        Adam(ALPHA, eps=0.0).step(theta, {"a": np.array([g])})
        assert theta["a"][0] == pytest.approx(-ALPHA * np.sign(g), rel=1e-12)


def test_eq19_step(run):
    np.testing.assert_allclose([o[2] for o in run[0]], [p[4] for p in run[1]], rtol=1e-12)


def test_epsilon_stands_outside_the_root():
    theta = {"a": np.array([0.0])}
    Adam(1.0, eps=3.0).step(theta, {"a": np.array([1.0])})
    assert theta["a"][0] == pytest.approx(-1 / (1 + 3))


def test_steps_are_in_place_and_leave_gradients_alone():
    theta, g = np.ones(3, np.float32), np.full(3, 0.5, np.float32)
    Adam().step({"a": theta}, {"a": g})
    assert (theta < 1).all()
    assert theta.dtype == np.float32
    assert (g == 0.5).all()


def test_eq34_clip():
    """A gradient longer than τ goes in at length τ, all parameters by one factor; a shorter one as it is."""
    params = {"a": np.zeros(2), "b": np.zeros(1)}
    for grads, factor in (({"a": [3.0, 0.0], "b": [4.0]}, 0.4), ({"a": [0.3, 0.0], "b": [0.4]}, 1.0)):
        adam = Adam(max_grad_norm=2.0)
        grads = {name: np.array(g) for name, g in grads.items()}
        adam.step(params, grads)
        for name, g in grads.items():
            np.testing.assert_allclose(adam.m1[name], 0.1 * factor * g, rtol=1e-12)
    assert Adam(max_grad_norm=2.0).clip_factor(0.0) == 1
    assert Adam().clip_factor(1e9) == 1
