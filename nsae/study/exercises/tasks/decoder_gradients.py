"""Exercise 6: the gradients of the decoder, Eq. (12)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes, sparse


def decoder_gradients(
    dU: np.ndarray, Z: np.ndarray, V: np.ndarray, c: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return dV (d, h) and dc (d,), the gradients of the decoder's weights and bias, Eq. (12).

    (12)  dV = dUᵀ Z + γ V       dV[l, j] = Σ over i of dU[i, l] z[i, j], and the weight decay γ V[l, j]
          dc = Σ over i of dU[i]

    The weight decay, Eq. (9), is (γ/2)‖V‖².  The bias is not decayed.

    Parameters
    ----------
    dU : (B, d) array
        From Eq. (11).  It has its 1/B already.
    Z : (B, h) array
        The codes.
    V, c : (d, h) and (d,) arrays
        Weights and bias of the decoder.
    gamma : float
        γ, the weight decay.

    Examples
    --------
    >>> dU, Z = np.array([[0.5, 0.0], [1.0, -1.0]]), np.array([[2.0], [1.0]])
    >>> dV, dc = decoder_gradients(dU, Z, np.array([[1.0], [3.0]]), np.array([0.0, 0.0]), 0.5)
    >>> dV.tolist(), dc.tolist()
    ([[2.5], [0.5]], [1.5, -1.0])
    """
    dV = dU.T @ Z + gamma * V  # (12) (d, h)
    dc = dU.sum(axis=0)  # (12) (d,)
    return dV, dc


def _cases() -> list[Case]:
    return [
        {
            "dU": rng.normal(size=(B, d)),
            "Z": sparse(rng, B, h),
            "V": rng.normal(size=(d, h)),
            "c": rng.normal(size=d),
            "gamma": gamma,
        }
        for (rng, B, d, h), gamma in zip(sizes(), (0.3, 0.7, 0.05), strict=True)
    ]


DECAY = "The derivative of the weight decay, (γ/2)‖V‖², is γ V."
ALREADY = "1/B is in dU already, Eq. (11). What is left is a sum over the batch."
MISTAKES = (
    Mistake(
        "the product is the other way round",
        "dU.T @ Z + gamma * V",
        "Z.T @ dU + gamma * V.T",
        "(12)",
        "dV has the shape of V, (d, h), but this is (h, d): the transpose of it.",
    ),
    Mistake(
        "the product is the other way round, and V is not",
        "dU.T @ Z",
        "Z.T @ dU",
        "(12)",
        "dV has the shape of V, (d, h), but Zᵀ dU is (h, d), so the two cannot be added.",
    ),
    Mistake(
        "the product is the other way round, without weight decay",
        "dU.T @ Z + gamma * V",
        "Z.T @ dU",
        "(12)",
        "dV has the shape of V, (d, h), but this is (h, d). And the derivative of the weight decay belongs to it.",
    ),
    Mistake(
        "nothing is transposed",
        "dU.T @ Z",
        "dU @ Z",
        "(12)",
        "dU is (B, d) and Z is (B, h). The product sums over the batch, so B must be the inner size of both.",
    ),
    Mistake(
        "the wrong one is transposed",
        "dU.T @ Z",
        "dU @ Z.T",
        "(12)",
        "dU is (B, d) and Z is (B, h). The product sums over the batch, so B must be the inner size of both.",
    ),
    Mistake("the weight decay is forgotten", " + gamma * V", "", "(12)", f"{DECAY} It belongs to dV."),
    Mistake(
        "the sign of the weight decay is reversed",
        "+ gamma",
        "- gamma",
        "(12)",
        f"{DECAY} With a minus, weights grow.",
    ),
    Mistake(
        "the weight decay is twice as large",
        "gamma * V",
        "2 * gamma * V",
        "(12)",
        f"{DECAY} The ½ takes the 2 away.",
    ),
    Mistake(
        "the weight decay is half as large",
        "gamma * V",
        "gamma / 2 * V",
        "(12)",
        f"{DECAY} The ½ is used up.",
    ),
    Mistake(
        "the weight decay is divided by B",
        "gamma * V",
        "gamma / len(Z) * V",
        "(12)",
        f"{DECAY} The weights are not a mean over samples, so there is no B.",
    ),
    Mistake(
        "the weight decay adds the sum of squares",
        "gamma * V",
        "gamma / 2 * np.sum(V**2)",
        "(12)",
        f"{DECAY} You add the penalty itself, not its derivative.",
    ),
    Mistake(
        "the weight decay has the squares of the weights",
        "gamma * V",
        "gamma * V**2",
        "(12)",
        f"{DECAY} V² stands in the penalty itself.",
    ),
    Mistake("the weight decay without γ", "gamma * V", "V", "(12)", DECAY),
    Mistake(
        "the weight decay of absolute values",
        "gamma * V",
        "gamma * np.sign(V)",
        "(12)",
        f"{DECAY} γ sign V would be the derivative of γ Σ|V|, another penalty.",
    ),
    Mistake(
        "the bias is decayed too",
        "dU.sum(axis=0)",
        "dU.sum(axis=0) + gamma * c",
        "(12)",
        "The weight decay, Eq. (9), acts on the weights, not on the biases: a small bias makes nothing smoother.",
    ),
    Mistake(
        "the sign of dV is reversed",
        "dU.T @ Z",
        "-dU.T @ Z",
        "(12)",
        "∂u/∂V is z, with a plus. The step subtracts later.",
    ),
    Mistake(
        "the sign of dc is reversed",
        "dU.sum",
        "-dU.sum",
        "(12)",
        "∂u/∂c is 1, with a plus. The step subtracts later.",
    ),
    Mistake(
        "dV is divided by B", "dU.T @ Z", "dU.T @ Z / len(Z)", "(12)", f"{ALREADY} You divide by B twice."
    ),
    Mistake("a mean for a sum in dc", "dU.sum(", "dU.mean(", "(12)", f"{ALREADY} A mean divides by B twice."),
    Mistake(
        "dV is multiplied by B", "dU.T @ Z", "len(Z) * dU.T @ Z", "(12)", "1/B is in dU, and stays there."
    ),
    Mistake(
        "dc sums over the wrong axis",
        "dU.sum(axis=0)",
        "dU.sum(axis=1)",
        "(12)",
        "c has an entry for each feature, and each sample adds to it. So the sum runs over the batch, axis 0.",
    ),
    Mistake(
        "dc sums over the wrong axis, and is cut to length",
        "dU.sum(axis=0)",
        "np.resize(dU.sum(axis=1), dU.shape[1])",
        "(12)",
        "c has an entry for each feature, and each sample adds to it. A sum over the features is one for each sample.",
    ),
    Mistake(
        "dc is the sum of all",
        "dU.sum(axis=0)",
        "dU.sum()",
        "(12)",
        "c has an entry for each feature, so dc is (d,): sum over the batch alone.",
    ),
    Mistake(
        "dc keeps the axis of the batch",
        "dU.sum(axis=0)",
        "dU.sum(axis=0, keepdims=True)",
        "(12)",
        "dc has the shape of c, (d,). This is (1, d).",
    ),
    Mistake(
        "dc is not summed",
        "dU.sum(axis=0)",
        "dU",
        "(12)",
        "The same bias is used for all samples, so their gradients add up over the batch.",
    ),
    Mistake(
        "the gate is in it",
        "dU.T @ Z",
        "dU.T @ (Z > 0)",
        "(12)",
        "∂u/∂V is the code z itself. Whether z is above 0 matters in Eq. (14), on the way to the encoder.",
    ),
    Mistake(
        "the results are in the wrong order",
        "return dV, dc",
        "return dc, dV",
        "(12)",
        "dV comes first, then dc.",
    ),
)

EXERCISE = Exercise(
    6,
    "decoder_gradients",
    "decoder gradients",
    "(12)",
    (
        Task(
            decoder_gradients,
            _cases,
            ("dV", "dc"),
            {"dU": "Bd", "Z": "Bh", "V": "dh", "c": "d", "dV": "dh", "dc": "d"},
            MISTAKES,
        ),
    ),
    ("nsae.equations.layers:Dense.param_grads",),
)
