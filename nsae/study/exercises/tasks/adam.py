"""Exercise 10: Adam, Eqs. (16)–(19)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task


def adam_step(
    theta: np.ndarray,
    grad: np.ndarray,
    m1: np.ndarray,
    m2: np.ndarray,
    t: int,
    alpha: float,
    betas: tuple[float, float],
    eps: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the new theta, m1 and m2 after one step of Adam, Eqs. (16)–(19).

    (16)  m1 ← β₁ m1 + (1 − β₁) dθ
    (17)  m2 ← β₂ m2 + (1 − β₂) dθ²
    (18)  m̂1 = m1 / (1 − β₁ᵗ)        m̂2 = m2 / (1 − β₂ᵗ)
    (19)  θ ← θ − α m̂1 / (√m̂2 + ε)

    Squares, roots and quotients are taken entry by entry.  Return new arrays; leave those given as they are.

    Parameters
    ----------
    theta, grad : arrays of the same shape
        A parameter θ, and its gradient dθ.
    m1, m2 : arrays of the same shape
        The moments after the step before, not corrected; 0 before the first step.
    t : int
        The number of this step; the first one is 1.
    alpha : float
        α, the learning rate.
    betas : pair of float
        β₁ and β₂.
    eps : float
        ε.

    Examples
    --------
    The first step is about as long as the learning rate, whatever the size of the gradient:

    >>> zero = np.zeros(2)
    >>> theta, m1, m2 = adam_step(np.array([1.0, 1.0]), np.array([5.0, -0.02]), zero, zero, 1, 0.1, (0.9, 0.999), 1e-8)
    >>> theta.round(4).tolist(), m1.round(4).tolist(), m2.round(7).tolist()
    ([0.9, 1.1], [0.5, -0.002], [0.025, 4e-07])
    """
    beta1, beta2 = betas
    m1 = beta1 * m1 + (1 - beta1) * grad  # (16)
    m2 = beta2 * m2 + (1 - beta2) * grad**2  # (17)
    m1_hat = m1 / (1 - beta1**t)  # (18)
    m2_hat = m2 / (1 - beta2**t)  # (18)
    theta = theta - alpha * m1_hat / (np.sqrt(m2_hat) + eps)  # (19)
    return theta, m1, m2


def _cases() -> list[Case]:
    cases = []
    for seed, t in enumerate((1, 2, 7, 40)):
        rng = np.random.default_rng(seed)
        shape = [(4, 3), (5,), (2, 3), (3, 2)][seed]
        before = 0.0 if t == 1 else 1.0  # the moments before the first step are 0
        case = {"theta": rng.normal(size=shape), "grad": rng.normal(size=shape) * 0.1}
        case |= {"m1": before * rng.normal(size=shape) * 0.1, "m2": before * rng.uniform(0.001, 0.01, shape)}
        cases.append({**case, "t": t, "alpha": 0.05, "betas": (0.8, 0.95), "eps": 1e-3})
    return cases


MOMENT_1 = "beta1 * m1 + (1 - beta1) * grad"
MOMENT_2 = "beta2 * m2 + (1 - beta2) * grad**2"
CORRECT_1 = "m1 / (1 - beta1**t)"
CORRECT_2 = "m2 / (1 - beta2**t)"
ROOT = "(np.sqrt(m2_hat) + eps)"
SMALL = "The moments start at 0 and are too small at first."
MISTAKES = (
    Mistake(
        "brackets are missing around the denominator of the step",
        "(np.sqrt(m2_hat) + eps)",
        "np.sqrt(m2_hat) + eps",
        "(19)",
        "a/b + ε is read as (a/b) + ε. The denominator √m̂2 + ε needs brackets.",
    ),
    Mistake(
        "brackets are missing in the bias correction of m1",
        CORRECT_1,
        "m1 / 1 - beta1**t",
        "(18)",
        "m1/1 − β₁ᵗ is read as m1 − β₁ᵗ. The denominator needs brackets.",
    ),
    Mistake(
        "brackets are missing in the bias correction",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 / 1 - beta1**t\n    m2_hat = m2 / 1 - beta2**t",
        "(18)",
        "m/1 − βᵗ is read as m − βᵗ. The denominators need brackets.",
    ),
    Mistake(
        "the sign of the step is reversed",
        "theta - alpha",
        "theta + alpha",
        "(19)",
        "The step goes against the gradient, so it is subtracted.",
    ),
    Mistake(
        "ε is inside the root",
        ROOT,
        "np.sqrt(m2_hat + eps)",
        "(19)",
        "ε stands outside the root, as in the paper. Inside, it acts as √ε, which is much larger.",
    ),
    Mistake(
        "ε is forgotten",
        ROOT,
        "np.sqrt(m2_hat)",
        "(19)",
        "Without ε, a parameter whose gradient has always been 0 gives 0/0.",
    ),
    Mistake(
        "the root is forgotten",
        "np.sqrt(m2_hat)",
        "m2_hat",
        "(19)",
        "m̂2 is a mean of squares: its root has the unit of the gradient.",
    ),
    Mistake(
        "m̂2 is forgotten",
        f" / {ROOT}",
        "",
        "(19)",
        "Adam divides by √m̂2 + ε. Without it, this is gradient descent with momentum.",
    ),
    Mistake(
        "the bias correction is forgotten in m1",
        CORRECT_1,
        "m1",
        "(18)",
        f"{SMALL} After one step m1 is only (1 − β₁) dθ.",
    ),
    Mistake(
        "the bias correction is forgotten in m2",
        CORRECT_2,
        "m2",
        "(18)",
        f"{SMALL} After one step m2 is only (1 − β₂) dθ², so the first steps are too long.",
    ),
    Mistake(
        "the bias correction is forgotten",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1\n    m2_hat = m2",
        "(18)",
        f"{SMALL} Both have to be corrected.",
    ),
    Mistake(
        "the bias correction counts from 0",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 / (1 - beta1 ** (t - 1))\n    m2_hat = m2 / (1 - beta2 ** (t - 1))",
        "(18)",
        "t counts steps from 1. With t − 1, the first step divides by 0.",
    ),
    Mistake(
        "the bias correction is one step ahead",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 / (1 - beta1 ** (t + 1))\n    m2_hat = m2 / (1 - beta2 ** (t + 1))",
        "(18)",
        "t is the number of this step already: the first one is 1.",
    ),
    Mistake(
        "β times t in place of a power",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 / (1 - beta1 * t)\n    m2_hat = m2 / (1 - beta2 * t)",
        "(18)",
        "βᵗ is a power: what is left of the start after t steps.",
    ),
    Mistake(
        "the power t is forgotten",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 / (1 - beta1)\n    m2_hat = m2 / (1 - beta2)",
        "(18)",
        "The correction is for the t steps so far, 1 − βᵗ, and fades. 1 − β is that of the first step.",
    ),
    Mistake(
        "the bias correction multiplies",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 * (1 - beta1**t)\n    m2_hat = m2 * (1 - beta2**t)",
        "(18)",
        f"{SMALL} To make them larger, divide by 1 − βᵗ, which is below 1.",
    ),
    Mistake(
        "the betas are swapped in the correction",
        f"{CORRECT_1}  # (18)\n    m2_hat = {CORRECT_2}",
        "m1 / (1 - beta2**t)\n    m2_hat = m2 / (1 - beta1**t)",
        "(18)",
        "m1 is corrected with β₁ and m2 with β₂.",
    ),
    Mistake(
        "the betas are swapped",
        "beta1, beta2 = betas",
        "beta2, beta1 = betas",
        "(16)",
        "β₁ belongs to the first moment, β₂ to the second.",
    ),
    Mistake(
        "β₁ and 1 − β₁ are swapped",
        MOMENT_1,
        "(1 - beta1) * m1 + beta1 * grad",
        "(16)",
        "β₁ is the weight of the past, 1 − β₁ that of the new gradient.",
    ),
    Mistake(
        "β₂ and 1 − β₂ are swapped",
        MOMENT_2,
        "(1 - beta2) * m2 + beta2 * grad**2",
        "(17)",
        "β₂ is the weight of the past, 1 − β₂ that of the new square.",
    ),
    Mistake(
        "1 − β₁ is forgotten",
        "(1 - beta1) * grad",
        "grad",
        "(16)",
        "m1 is a weighted mean of gradients: the new one has the weight 1 − β₁.",
    ),
    Mistake(
        "1 − β₂ is forgotten",
        "(1 - beta2) * grad**2",
        "grad**2",
        "(17)",
        "m2 is a weighted mean of squares: the new one has the weight 1 − β₂.",
    ),
    Mistake("the past is forgotten in m1", "beta1 * m1 + ", "", "(16)", "m1 keeps β₁ of what it was."),
    Mistake("the past is forgotten in m2", "beta2 * m2 + ", "", "(17)", "m2 keeps β₂ of what it was."),
    Mistake(
        "the square is forgotten",
        "grad**2",
        "grad",
        "(17)",
        "m2 is a mean of squares. Otherwise its root may be that of a negative number.",
    ),
    Mistake("m2 is of m1", "grad**2", "m1**2", "(17)", "m2 is a mean of squares of the gradient, not of m1."),
    Mistake(
        "the moments are mixed up",
        f"m1_hat / {ROOT}",
        "m2_hat / (np.sqrt(np.abs(m1_hat)) + eps)",
        "(19)",
        "The step is m̂1 over the root of m̂2, not the other way round.",
    ),
    Mistake(
        "the gradient in place of m̂1",
        "alpha * m1_hat",
        "alpha * grad",
        "(19)",
        "The step follows the mean of gradients, m̂1. With the gradient itself, this is RMSprop.",
    ),
    Mistake(
        "ε stands beside the moment that is not corrected",
        f"m1_hat / {ROOT}",
        "np.sqrt(1 - beta2**t) * m1_hat / (np.sqrt(m2) + eps)",
        "(19)",
        "This is TensorFlow's and Keras's way, where ε is larger at first. In the paper, ε stands beside √m̂2.",
    ),
    Mistake(
        "α is forgotten",
        "alpha * m1_hat",
        "m1_hat",
        "(19)",
        "The length of the step is about the learning rate α.",
    ),
    Mistake(
        "the corrected moments are returned",
        "return theta, m1, m2",
        "return theta, m1_hat, m2_hat",
        "(18)",
        "What is kept for the next step are the moments as they are. The correction is made anew in each step.",
    ),
    Mistake(
        "the old moments are returned",
        "return theta, m1, m2",
        "return theta, (m1 - (1 - beta1) * grad) / beta1, (m2 - (1 - beta2) * grad**2) / beta2",
        "(16)",
        "The next step needs the new moments.",
    ),
    Mistake(
        "the step is returned in place of θ",
        "theta = theta - alpha",
        "theta = -alpha",
        "(19)",
        "What is returned is the new θ, not the step alone.",
    ),
    Mistake(
        "the norm of the gradient in place of its entries",
        "grad**2",
        "np.sum(grad**2)",
        "(17)",
        "The square is taken entry by entry: each entry of θ has a step of its own.",
    ),
)

EXERCISE = Exercise(
    10,
    "adam",
    "one step of Adam",
    "(16) (17) (18) (19)",
    (Task(adam_step, _cases, ("theta", "m1", "m2"), {}, MISTAKES),),
    ("nsae.equations.optimizers:Adam.step",),
)
