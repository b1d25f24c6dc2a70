"""SoftmaxClassifier and StackedAutoencoder: what they learn, their stages, and what they refuse."""

import pickle

import numpy as np
import pytest

from nsae import NotFittedError, SparseAutoencoder
from nsae.datasets import glyphs
from nsae.deep import SoftmaxClassifier, Stack, StackedAutoencoder, softmax
from nsae.equations.layers import Dense


@pytest.fixture(scope="module")
def characters():
    pytest.importorskip("matplotlib")  # which brings the fonts
    images, labels = glyphs(3000, random_state=0)
    keep = np.isin(labels, np.unique(labels)[:5])
    return images[keep].reshape(keep.sum(), -1), labels[keep]


def stacked(**options):
    first = SparseAutoencoder(40, k=10, epochs=3, random_state=0)
    second = SparseAutoencoder(20, activation="sigmoid", kl=0.1, rho=0.2, epochs=3, random_state=1)
    return StackedAutoencoder(
        [first, second],
        **{"epochs": 10, "softmax_epochs": 10, "batch_size": 20, "random_state": 0, **options},
    )


# ---- softmax


def test_softmax_learns_what_can_be_told_by_a_line(rng):
    centres = 3 * np.eye(4)
    y = rng.integers(4, size=400)
    X = centres[y] + 0.3 * rng.standard_normal((400, 4))
    names = np.array(["north", "east", "south", "west"])[y]
    model = SoftmaxClassifier(epochs=200, random_state=0).fit(X, names)
    assert model.score(X, names) > 0.99
    assert model.classes_.tolist() == ["east", "north", "south", "west"]
    assert model.n_features_in_ == 4
    assert model.history_[-1] < model.history_[0]
    P = model.predict_proba(X)
    assert P.shape == (400, 4)
    assert P.dtype == np.float32
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(X), model.classes_[P.argmax(axis=1)])


def test_softmax_ends_where_the_gradient_is_zero(rng):
    """With weight decay J has one minimum, and the steps end near it."""
    X, y = rng.standard_normal((200, 3)), rng.integers(3, size=200)
    model = SoftmaxClassifier(weight_decay=0.1, epochs=300, random_state=0).fit(X, y)
    _, grads = model.stack_.loss_and_grads(X, y)
    assert max(np.abs(grad).max() for grad in grads.values()) < 0.01
    start = Stack([], [], Dense(np.zeros((3, 3)), np.zeros(3), 0.1)).loss_and_grads(X, y)[1]
    assert max(np.abs(grad).max() for grad in start.values()) > 0.02


def test_the_same_seed_gives_the_same_weights_and_rows_are_alone(rng):
    X, y = rng.random((300, 6)), rng.integers(3, size=300)
    one, two = (SoftmaxClassifier(epochs=3, random_state=1).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.stack_.top.W, two.stack_.top.W)
    other = SoftmaxClassifier(epochs=3, random_state=2).fit(X, y)
    assert (one.stack_.top.W != other.stack_.top.W).any()
    np.testing.assert_allclose(one.predict_proba(X[:7]), one.predict_proba(X)[:7], rtol=1e-5)


# ---- the stack


def test_the_three_stages_are_what_fit_does(characters):
    X, y = characters
    whole = stacked().fit(X, y)
    steps = stacked().pretrain(X)
    assert [layer.n_features_in_ for layer in steps.layers_] == [784, 40]
    steps.fit_softmax(X, y)
    before = steps.score(X, y)
    encoder = steps.layers_[0].autoencoder_.encoder_layer
    np.testing.assert_array_equal(steps.stack_.layers[0].W, encoder.W)
    steps.fine_tune(X, y)
    assert (steps.stack_.layers[0].W != encoder.W).any()  # a copy: the autoencoder stays as it was
    assert steps.score(X, y) > before
    for name, theta in steps.stack_.params.items():
        np.testing.assert_array_equal(theta, whole.stack_.params[name])


def test_softmax_learns_from_the_codes_of_the_last_layer(characters):
    X, y = characters
    model = stacked(epochs=0).fit(X, y)
    Z = model.layers_[1].transform(model.layers_[0].transform(X))
    np.testing.assert_allclose(model.transform(X), Z, rtol=1e-4, atol=1e-6)
    top = model.stack_.top
    np.testing.assert_allclose(model.predict_proba(X), softmax(top.forward(Z)), rtol=1e-4, atol=1e-6)
    assert model.transform(X).shape == (len(X), 20)


def test_layers_may_learn_from_more_rows_than_have_labels(characters):
    X, y = characters
    model = stacked().pretrain(X).fit_softmax(X[:150], y[:150]).fine_tune(X[:150], y[:150])
    assert model.score(X, y) > 0.3
    model.pretrain(X)
    with pytest.raises(NotFittedError, match="fit_softmax"):
        model.fine_tune(X, y)  # softmax was of other layers
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_the_layers_that_were_given_stay_unfitted_and_so_can_be_used_again(characters):
    X, y = characters
    model = stacked().fit(X, y)
    assert not any(hasattr(layer, "stopped_") for layer in model.layers)
    again = StackedAutoencoder(**model.get_params()).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert "layers=[SparseAutoencoder(" in repr(model)


# ---- what is refused


def test_before_fit(characters):
    X, y = characters
    for call in (lambda m: m.predict(X), lambda m: m.predict_proba(X), lambda m: m.score(X, y)):
        for model in (SoftmaxClassifier(), stacked()):
            with pytest.raises(NotFittedError, match=r"Call fit\(X, y\) first"):
                call(model)
    with pytest.raises(NotFittedError, match="pretrain"):
        stacked().fit_softmax(X, y)
    with pytest.raises(NotFittedError, match="fit_softmax"):
        stacked().fine_tune(X, y)


def test_labels_that_cannot_be_used(rng):
    X = rng.random((10, 3))
    for y, said in (
        (np.zeros(9), "One label for each of 10 rows"),
        (np.zeros((10, 2)), r"shape \(10, 2\)"),
        (np.zeros(10), "at least 2 classes"),
        (np.where(np.arange(10) == 3, np.nan, 1.0), "NaN"),
    ):
        for model in (SoftmaxClassifier(), stacked()):
            with pytest.raises(ValueError, match=said):
                model.fit(X, y)
    model = SoftmaxClassifier(random_state=0).fit(X, np.arange(10) % 2)
    with pytest.raises(ValueError, match="One label"):
        model.score(X, [1, 2])
    with pytest.raises(ValueError, match="4 features"):
        model.predict(rng.random((2, 4)))


def test_fine_tuning_refuses_a_class_that_softmax_has_not_learned(characters):
    X, y = characters
    model = stacked().pretrain(X).fit_softmax(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="has the label 'unknown', and softmax has learned"):
        model.fine_tune(X, np.where(np.arange(len(X)) == 2, "unknown", y.astype("U7")))
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_options_that_cannot_be_used(rng):
    X, y = rng.random((10, 3)), np.arange(10) % 2
    for options in ({"weight_decay": -1}, {"batch_size": 0}, {"learning_rate": float("nan")}, {"epochs": -1}):
        for make in (SoftmaxClassifier, stacked):
            with pytest.raises(ValueError, match=next(iter(options))):
                make(**options).fit(X, y)
    with pytest.raises(ValueError, match="softmax_epochs"):
        stacked(softmax_epochs=0).fit(X, y)
    for layers in ([], 3, [SoftmaxClassifier()]):
        with pytest.raises(TypeError, match="list of SparseAutoencoder"):
            StackedAutoencoder(layers).fit(X, y)


def test_a_loss_that_is_not_finite_is_said_and_changes_nothing(rng):
    X, y = rng.random((50, 3)), np.arange(50) % 2
    model = SoftmaxClassifier(random_state=0).fit(X, y)
    W, model.learning_rate = model.stack_.top.W.copy(), 1e38
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="learning_rate=1e"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.stack_.top.W, W)
