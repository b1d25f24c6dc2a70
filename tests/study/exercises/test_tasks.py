"""The exercises: solutions equal nsae, mistakes are told by their name, and right answers are right."""

import doctest
import importlib.util
import inspect
import textwrap
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from nsae.equations import losses, sparsity
from nsae.equations.activations import KSparse, ReLU, Sigmoid
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense, normalise_columns, tangent
from nsae.equations.optimizers import Adam
from nsae.retrieval.distances import cosine
from nsae.study.exercises.exercise import compiled, source_of, variant
from nsae.study.exercises.judge import RIGHT, WRONG, judge
from nsae.study.exercises.learner_file import LearnerFile
from nsae.study.exercises.outcome import call, same
from nsae.study.exercises.recognise import right_outcomes
from nsae.study.exercises.tasks import EXERCISES

ROOT = Path(__file__).parents[3]
TASKS = {task.name: task for exercise in EXERCISES for task in exercise.tasks}
NO_FILE = LearnerFile("answer.py", [], {})
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def solution(name):
    return TASKS[name].function


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ANSWERS = module_of(ROOT / "benchmarks" / "helpers" / "learners_answers.py")
MUTATIONS = module_of(ROOT / "tests" / "equations" / "test_gradcheck.py").MUTATIONS


# ---- mistakes and right answers


@every_task
def test_every_mistake_is_another_answer_and_is_told_by_its_name(task):
    rights = right_outcomes(task)
    assert len({mistake.name for mistake in task.mistakes}) == len(task.mistakes)
    for mistake in task.mistakes:
        text = variant(task, mistake)
        assert text is not None, f"{mistake.name}: {mistake.old!r} is expected once in the solution"
        outcomes = [call(task, compiled(task, text), case) for case in task.cases()]
        assert not all(map(same, [task] * len(rights), outcomes, rights)), mistake.name
        verdict = judge(task, compiled(task, text), NO_FILE)
        assert verdict.state == WRONG
        assert mistake.name in verdict.mistakes
        assert any(mistake.why in line for line in verdict.text)


@every_task
def test_mistakes_that_are_told_together_give_the_same_on_other_inputs_too(task, monkeypatch):
    """Two names are told only for what is one answer, and few mistakes have two names."""
    told = {m.name: judge(task, compiled(task, variant(task, m)), NO_FILE).mistakes for m in task.mistakes}
    for one, other in combinations(task.mistakes, 2):
        together = other.name in told[one.name]
        assert together == (one.name in told[other.name])
    drawn = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn(seed + 1000))
    for one, other in combinations(task.mistakes, 2):
        if other.name in told[one.name]:
            outcomes = [
                [call(task, compiled(task, variant(task, m)), c) for c in task.cases()] for m in (one, other)
            ]
            assert all(map(same, [task] * len(outcomes[0]), *outcomes)), (one.name, other.name)
    assert sum(len(names) > 1 for names in told.values()) <= 4  # most have a name of their own


@every_task
def test_right_answers_are_right_however_they_are_written(task):
    assert len(ANSWERS.RIGHT[task.name]) >= 2
    for text in (source_of(task.function).solution, *ANSWERS.RIGHT[task.name]):
        verdict = judge(task, compiled(task, text), NO_FILE)
        assert (verdict.state, verdict.mistakes) == (RIGHT, []), (text, verdict.text)


@pytest.mark.parametrize(
    ("name", "mistake"), [(name, m) for name, wrong in ANSWERS.WRONG.items() for m in wrong]
)
def test_mistakes_made_in_other_words_are_told_by_the_same_name(name, mistake):
    task = TASKS[name]
    assert mistake in [m.name for m in task.mistakes]
    assert mistake in judge(task, compiled(task, ANSWERS.WRONG[name][mistake]), NO_FILE).mistakes


@pytest.mark.parametrize("task", [t for t in TASKS.values() if not t.observe], ids=lambda task: task.name)
def test_two_mistakes_at_once_are_told(task):
    """Both, or what comes to the same; each seventh pair."""
    pairs = [pair for pair in combinations(task.mistakes, 2) if variant(task, *pair) is not None]
    for pair in pairs[::11]:
        verdict = judge(task, compiled(task, variant(task, *pair)), NO_FILE)
        stopped = verdict.text and verdict.text[0].startswith(
            "It stopped"
        )  # an error says what is wrong itself
        assert verdict.state == RIGHT or verdict.mistakes or stopped, [m.name for m in pair]


def test_two_mistakes_in_two_outputs_are_both_named():
    task = TASKS["decoder_gradients"]
    by_name = {m.name: m for m in task.mistakes}
    pair = by_name["the weight decay is forgotten"], by_name["a mean for a sum in dc"]
    verdict = judge(task, compiled(task, variant(task, *pair)), NO_FILE)
    assert verdict.mistakes == ["the weight decay is forgotten and a mean for a sum in dc"]
    assert verdict.text[0] == "Two mistakes are made at once:"


# What the tests of the equations break in backward, and the exercise and mistake where a learner does the same.
SAME_AS = {
    "output gradient, sign": ("output_gradient", "the sign is reversed"),
    "output gradient, sum for mean": ("output_gradient", "1/B is forgotten: a sum for a mean"),
    "output gradient, mean over features": ("output_gradient", "a mean over features too"),
    "output sigmoid, missing slope": ("output_gradient", "the slope of the sigmoid is missing"),
    "output sigmoid, slope applied where it cancels": (
        "output_gradient",
        "the slope is applied where it cancels",
    ),
    "dense, dW sign": ("encoder_gradients", "the sign of dW is reversed"),
    "dense, db sign": ("encoder_gradients", "the sign of db is reversed"),
    "dense, db mean for sum": ("encoder_gradients", "a mean for a sum in db"),
    "dense, db over the wrong axis": (
        "decoder_gradients",
        "dc sums over the wrong axis, and is cut to length",
    ),
    "dense, missing weight decay": ("encoder_gradients", "the weight decay is forgotten"),
    "dense, weight decay sign": ("encoder_gradients", "the sign of the weight decay is reversed"),
    "dense, input gradient sign": ("code_gradient", "the sign of the reconstruction's term is reversed"),
    "code gradient, missing decoder term": ("code_gradient", "the reconstruction is forgotten"),
    "code gradient, missing penalties": ("code_gradient", "both penalties are forgotten"),
    "gate, missing": ("encoder_gradients", "the gate is forgotten"),
    "gate, missing for k-sparse": ("k_sparse_backward", "the gate is forgotten"),
    "gate, sigmoid applied twice": ("encoder_gradients", "the sigmoid is applied twice"),
    "sigmoid, sign": ("encoder_gradients", "the sign of the sigmoid's slope is reversed"),
    "relu, gate reversed": ("encoder_gradients", "the gate of ReLU is reversed"),
    "k-sparse, gate reversed": ("k_sparse_backward", "the gate is reversed"),
    "l1, missing": ("code_gradient", "the L1 penalty is forgotten"),
    "l1, sign": ("code_gradient", "the sign of the L1 term is reversed"),
    "l1, sum for mean": ("code_gradient", "1/B is forgotten in the L1 term"),
    "kl, missing": ("code_gradient", "the KL penalty is forgotten"),
    "kl, sign of the first term": ("kl_gradient", "the sign of the first term is reversed"),
    "kl, sign of the second term": ("kl_gradient", "the sign of the second term is reversed"),
    "kl, sum for mean": ("kl_gradient", "1/B is forgotten"),
    "kl, mean over features": ("kl_gradient", "ρ̂ over the wrong axis, and cut to length"),
}


def test_every_way_in_which_the_tests_break_backward_is_a_known_mistake():
    assert set(SAME_AS) == set(MUTATIONS)
    for name, mistake in SAME_AS.values():
        assert mistake in [m.name for m in TASKS[name].mistakes]


# The answers of a learner who calls nsae's own functions, which are then broken.
G = {"sigmoid": Sigmoid(), "relu": ReLU()}
CALLS_NSAE = {
    "output_gradient": lambda X, X_hat, slope: losses.output_gradient(X, X_hat, sigmoid_then_squared=slope),
    "decoder_gradients": lambda dU, Z, V, c, gamma: Dense(V, c, gamma).param_grads(dU, Z),
    "encoder_gradients": lambda dZ, Y, Z, X, W, b, gamma, g: Dense(W, b, gamma).param_grads(
        dZ * G[g].grad(Z), X
    ),
    "code_gradient": lambda dU, V, Z, lam, beta, rho: (
        Dense(V, V[:, 0]).input_grad(dU) + sparsity.l1_gradient(Z, lam) + sparsity.kl_gradient(Z, beta, rho)
    ),
    "kl_gradient": lambda Z, beta, rho: sparsity.kl_gradient(Z, beta, rho),
    "k_sparse_backward": lambda dZ, Y, Z: dZ * KSparse(2).grad(Z),
}


@pytest.mark.parametrize("name", [n for n, (owner, *_) in MUTATIONS.items() if owner is not Autoencoder])
def test_nsaes_own_functions_broken_in_that_way_are_told_by_the_name(name, monkeypatch):
    """All but those that are broken in ``backward`` itself, which has no exercise of its own."""
    owner, function, term, broken, _, _ = MUTATIONS[name]
    exercise, mistake = SAME_AS[name]
    answer = CALLS_NSAE[exercise]
    assert judge(TASKS[exercise], answer, NO_FILE).state == RIGHT
    original = getattr(owner, function)
    source = textwrap.dedent(inspect.getsource(original))
    body = source[source.rfind('"""') + 3 :] if '"""' in source else source
    names = {}
    exec(source[: len(source) - len(body)] + body.replace(term, broken), original.__globals__, names)
    monkeypatch.setattr(owner, function, names[function])
    assert mistake in judge(TASKS[exercise], answer, NO_FILE).mistakes


def test_there_are_enough_of_them():
    assert len(EXERCISES) == 13
    assert [exercise.number for exercise in EXERCISES] == list(range(1, 14))
    assert sum(len(task.mistakes) for task in TASKS.values()) > 300


# ---- the docstrings


@every_task
def test_the_example_of_a_docstring_holds(task):
    (test,) = doctest.DocTestFinder(recurse=False).find(
        task.function, globs={"np": np, task.name: task.function}
    )
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


@every_task
def test_no_explanation_tells_the_solution(task):
    """Explanations are sentences, without code of NumPy and without what the solution has in that place."""
    for mistake in task.mistakes:
        about_numpy = mistake.name.startswith(("np.max", "both forms", "ties go"))
        assert about_numpy or "np." not in mistake.why
        assert mistake.why.endswith((".", "?", ".)"))
        code = mistake.old.strip()
        assert len(code) < 9 or code not in mistake.why


# ---- the solutions are nsae


@pytest.fixture
def numbers(rng):
    B, d, h = 6, 3, 5
    return {"X": rng.random((B, d)), "Z": rng.uniform(0.1, 0.9, (B, h)), "U": rng.normal(size=(B, d))}


def test_the_losses_and_penalties_are_nsaes(numbers):
    X, Z, U = numbers["X"], numbers["Z"], numbers["U"]
    assert solution("squared_error")(X, U) == pytest.approx(losses.squared_error(X, U))
    assert solution("cross_entropy")(X, U) == pytest.approx(losses.cross_entropy(X, U))
    assert solution("kl_penalty")(Z, 0.3, 0.1) == pytest.approx(sparsity.kl_penalty(Z, 0.3, 0.1))
    np.testing.assert_allclose(solution("kl_gradient")(Z, 0.3, 0.1), sparsity.kl_gradient(Z, 0.3, 0.1))


@pytest.mark.parametrize(
    ("g", "options"),
    [
        (ReLU(), {"l1": 0.1, "weight_decay": 0.05}),
        (Sigmoid(), {"kl": 0.2, "rho": 0.1, "output": "sigmoid", "loss": "squared"}),
        (Sigmoid(), {"l1": 0.1, "kl": 0.2, "output": "sigmoid", "loss": "cross_entropy"}),
        (KSparse(2), {"weight_decay": 0.05}),
    ],
)
def test_the_solutions_together_are_nsaes_backward(build, rng, g, options):
    """Forward and backward, made of the solutions, are those of an Autoencoder."""
    model, X = build(g, **options), rng.random((6, 5))
    W, b, V, c = model.params.values()
    Y = X @ W.T + b
    if isinstance(g, ReLU):
        Z, U = solution("forward")(X, W, b, V, c)
    else:
        Z = solution("sigmoid")(Y) if isinstance(g, Sigmoid) else solution("k_sparse")(Y, 2)
        U = Z @ V.T + c
    np.testing.assert_allclose(model.forward(X)[0], Z, rtol=1e-12)
    np.testing.assert_allclose(model.forward(X)[1], U, rtol=1e-12)
    sigmoid_out = options.get("output") == "sigmoid"
    X_hat = solution("sigmoid")(U) if sigmoid_out else U
    gamma = options.get("weight_decay", 0.0)
    dU = solution("output_gradient")(X, X_hat, sigmoid_out and options["loss"] == "squared")
    dV, dc = solution("decoder_gradients")(dU, Z, V, c, gamma)
    if options.get("kl"):
        dZ = solution("code_gradient")(
            dU, V, Z, options.get("l1", 0.0), options["kl"], options.get("rho", 0.05)
        )
    else:
        dZ = dU @ V + options.get("l1", 0.0) / len(X) * np.sign(Z)
    if isinstance(g, KSparse):
        dY = solution("k_sparse_backward")(dZ, Y, Z)
        dW, db = dY.T @ X + gamma * W, dY.sum(axis=0)
    else:
        kind = "relu" if isinstance(g, ReLU) else "sigmoid"
        dW, db = solution("encoder_gradients")(dZ, Y, Z, X, W, b, gamma, kind)
    for name, grad in model.loss_and_grads(X)[1].items():
        np.testing.assert_allclose({"W": dW, "b": db, "V": dV, "c": dc}[name], grad, rtol=1e-9, atol=1e-12)


def test_the_step_of_adam_is_nsaes(rng):
    theta, ours = {"a": rng.normal(size=(3, 2))}, rng.normal(size=(3, 2))
    theta["a"][...] = ours
    optimizer, m1, m2 = Adam(0.01), np.zeros((3, 2)), np.zeros((3, 2))
    for t in range(1, 6):
        grad = rng.normal(size=(3, 2))
        optimizer.step(theta, {"a": grad})
        ours, m1, m2 = solution("adam_step")(ours, grad, m1, m2, t, 0.01, (0.9, 0.999), 1e-8)
        np.testing.assert_allclose(ours, theta["a"], rtol=1e-12)


def test_unit_norm_is_nsaes(rng):
    V, dV = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    V[:, 2] = 0
    ours = solution("normalise_columns")(V)
    normalise_columns(V)
    np.testing.assert_array_equal(ours, V)
    np.testing.assert_array_equal(solution("tangent")(dV, V), tangent(dV, V))


def test_the_training_loop_is_nsaes(rng):
    """The same steps as ``fit`` with the same start and the same generator."""
    from nsae.training.loop import train
    from nsae.training.state import TrainingOptions, TrainingState

    X, models = rng.random((23, 6)), []
    for _ in range(2):
        start = np.random.default_rng(1)
        models.append(
            Autoencoder(
                Dense.random(6, 4, start, "float64"), Dense.random(4, 6, start, "float64"), ReLU(), l1=0.01
            )
        )
    solution("train")(models[0], Adam(0.02), X, 3, 5, np.random.default_rng(7))
    state = TrainingState.start(models[1], Adam(0.02))
    train(
        state,
        X,
        TrainingOptions(batch_size=5, learning_rate=0.02, backend="numpy"),
        epochs=3,
        rng=np.random.default_rng(7),
    )
    for name, theta in models[0].params.items():
        np.testing.assert_allclose(theta, state.model.params[name], rtol=1e-12)


def test_the_search_gives_nsaes_distances(rng):
    Z = np.maximum(rng.normal(size=(20, 8)), 0)
    Z[3] = 0
    q = np.maximum(rng.normal(size=8), 0)
    norms = np.linalg.norm(Z, axis=1)
    rows, distances = solution("cosine_search")(q, solution("inverted_lists")(Z), norms, 20)
    assert sorted(rows) == list(range(20))
    for row, distance in zip(rows, distances, strict=True):
        assert distance == pytest.approx(float(np.squeeze(cosine(q, Z[row]))), abs=1e-6)
