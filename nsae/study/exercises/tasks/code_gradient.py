"""Exercise 7: the code gradient, Eq. (13)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import between, sizes


def code_gradient(
    dU: np.ndarray, V: np.ndarray, Z: np.ndarray, lam: float, beta: float, rho: float
) -> np.ndarray:
    """Return dZ (B, h), the gradient of the whole loss with respect to the code, Eq. (13).

    (13)  dZ = dU V                                              through the reconstruction, Eq. (3)
             + (λ / B) sign Z                                    through L1, Eq. (7); sign 0 is 0
             + (β / B) (−ρ / ρ̂ + (1 − ρ) / (1 − ρ̂))              through KL, Eq. (8); a row (h,)

    ρ̂ (h,) is the mean of each unit over the batch.

    Parameters
    ----------
    dU : (B, d) array
        From Eq. (11).  It has its 1/B already.
    V : (d, h) array
        Weights of the decoder.
    Z : (B, h) array
        The codes, in [0, 1).
    lam, beta, rho : float
        λ, β and ρ.

    Examples
    --------
    >>> dU, V, Z = np.array([[1.0, -1.0], [0.5, 0.0]]), np.array([[2.0], [1.0]]), np.array([[0.5], [0.0]])
    >>> code_gradient(dU, V, Z, 0.2, 0.0, 0.5).tolist()
    [[1.1], [1.0]]
    """
    through_output = dU @ V  # (13) (B, h)
    l1 = lam / len(Z) * np.sign(Z)  # (13) (B, h)
    rho_hat = Z.mean(axis=0)  # (8) (h,)
    kl = beta / len(Z) * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))  # (13) (h,)
    return through_output + l1 + kl  # (13) (B, h)


def _cases() -> list[Case]:
    weights = (0.3, 0.8, 0.2), (0.5, 0.1, 0.4), (0.2, 0.4, 0.1)
    cases = []
    for (rng, B, d, h), lam, beta, rho in zip(sizes(), *weights, strict=True):
        Z = between(rng, B, h)
        Z[rng.random((B, h)) < 0.3] = 0  # where sign z is 0
        Z[0] = 0.5  # so that no unit is 0 everywhere
        Z[1, 0] = 0
        weights_of = {"lam": lam, "beta": beta, "rho": rho}
        cases.append({"dU": rng.normal(size=(B, d)), "V": rng.normal(size=(d, h)), "Z": Z, **weights_of})
    return cases


SUM = "through_output + l1 + kl"
SLOPE = "(-rho / rho_hat + (1 - rho) / (1 - rho_hat))"
RHO_HAT = "ρ̂ is one number for each unit: its mean over the samples of the batch."
L1 = "L1, Eq. (7), is (λ/B) Σ|z|."
MISTAKES = (
    Mistake(
        "brackets are missing in the KL term",
        "(1 - rho) / (1 - rho_hat)",
        "(1 - rho) / 1 - rho_hat",
        "(13)",
        "(1 − ρ)/1 − ρ̂ is read as (1 − ρ) − ρ̂. The denominator 1 − ρ̂ needs brackets.",
    ),
    Mistake(
        "V is transposed",
        "dU @ V",
        "dU @ V.T",
        "(13)",
        "dU is (B, d) and V is (d, h). The product sums over the d outputs, so d must be the inner size of both.",
    ),
    Mistake(
        "the reconstruction is forgotten",
        SUM,
        "l1 + kl",
        "(13)",
        "Each activation changes the reconstruction, through V.",
    ),
    Mistake(
        "the sign of the reconstruction's term is reversed",
        "= dU @ V",
        "= -dU @ V",
        "(13)",
        "∂u/∂z is V, with a plus.",
    ),
    Mistake(
        "the reconstruction's term is divided by B",
        "dU @ V",
        "dU @ V / len(Z)",
        "(13)",
        "1/B is in dU already, Eq. (11). You divide by B twice.",
    ),
    Mistake(
        "both penalties are forgotten",
        SUM,
        "through_output",
        "(13)",
        "dZ is the gradient of the whole loss, and L1 and KL are parts of it.",
    ),
    Mistake(
        "the L1 penalty is forgotten",
        SUM,
        "through_output + kl",
        "(13)",
        f"{L1} Its derivative belongs to dZ.",
    ),
    Mistake(
        "the sign of the L1 term is reversed",
        "lam /",
        "-lam /",
        "(13)",
        f"{L1} Its derivative makes a step shrink z.",
    ),
    Mistake(
        "1/B is forgotten in the L1 term",
        "lam / len(Z)",
        "lam",
        "(13)",
        f"{L1} It is a mean over the batch, and so is its derivative.",
    ),
    Mistake("the L1 term is divided by B twice", "lam / len(Z)", "lam / len(Z) ** 2", "(13)", L1),
    Mistake(
        "the L1 term is divided by B·h",
        "lam / len(Z)",
        "lam / Z.size",
        "(13)",
        f"{L1} It sums over the units.",
    ),
    Mistake(
        "the L1 term is divided by h in place of B",
        "lam / len(Z)",
        "lam / Z.shape[1]",
        "(13)",
        f"{L1} It is a mean over the B samples.",
    ),
    Mistake(
        "λ is forgotten", "lam / len(Z)", "1 / len(Z)", "(13)", f"{L1} The weight λ stays in the derivative."
    ),
    Mistake(
        "the L1 term pushes units that are off",
        "np.sign(Z)",
        "1",
        "(13)",
        f"{L1} The derivative of |z| is sign z, which is 0 where z is 0: a unit that is off is not pushed.",
    ),
    Mistake(
        "z in place of its sign",
        "np.sign(Z)",
        "Z",
        "(13)",
        f"{L1} The derivative of |z| is sign z. λz would be the derivative of a squared penalty, which leaves small "
        "activations small.",
    ),
    Mistake(
        "the sign of 0 is taken as −1",
        "np.sign(Z)",
        "np.where(Z > 0, 1, -1)",
        "(13)",
        f"{L1} The sign of 0 is 0: a unit that is off is not pushed.",
    ),
    Mistake(
        "the sign is taken by dividing",
        "np.sign(Z)",
        "Z / np.abs(Z)",
        "(13)",
        f"{L1} z/|z| is its derivative only where z is not 0. At 0 it is 0/0, and the sign of 0 should be 0.",
    ),
    Mistake(
        "the L1 term is 2z",
        "np.sign(Z)",
        "2 * Z",
        "(13)",
        f"{L1} 2z is the derivative of z², not of |z|.",
    ),
    Mistake(
        "the KL penalty is forgotten", SUM, "through_output + l1", "(13)", "KL, Eq. (8), is part of the loss."
    ),
    Mistake(
        "1/B is forgotten in the KL term",
        "beta / len(Z)",
        "beta",
        "(13)",
        "ρ̂ is a mean of B numbers, so one activation moves it by 1/B: ∂ρ̂/∂z = 1/B.",
    ),
    Mistake(
        "the KL term is divided by B twice",
        "beta / len(Z)",
        "beta / len(Z) ** 2",
        "(13)",
        "∂ρ̂/∂z is 1/B, once.",
    ),
    Mistake(
        "the KL term is divided by h in place of B",
        "beta / len(Z)",
        "beta / Z.shape[1]",
        "(13)",
        "ρ̂ is a mean over the B samples: ∂ρ̂/∂z = 1/B.",
    ),
    Mistake("β is forgotten", "beta / len(Z)", "1 / len(Z)", "(13)", "The KL penalty has the weight β."),
    Mistake(
        "the sign of the first KL term is reversed",
        "(-rho",
        "(rho",
        "(13)",
        "The derivative of −ρ log ρ̂ is −ρ/ρ̂. Below ρ the KL term must be negative, so that a step raises ρ̂.",
    ),
    Mistake(
        "the sign of the second KL term is reversed",
        "+ (1 - rho) /",
        "- (1 - rho) /",
        "(13)",
        "The derivative of −(1 − ρ) log(1 − ρ̂) is +(1 − ρ)/(1 − ρ̂): the inner derivative of 1 − ρ̂ is −1.",
    ),
    Mistake(
        "the sign of the KL term is reversed",
        "+ l1 + kl",
        "+ l1 - kl",
        "(13)",
        "The terms of the loss are added.",
    ),
    Mistake(
        "ρ̂ over the wrong axis",
        "Z.mean(axis=0)",
        "Z.mean(axis=1)",
        "(8)",
        f"{RHO_HAT} Yours is a mean for each sample.",
    ),
    Mistake(
        "ρ̂ over the wrong axis, as a column",
        "Z.mean(axis=0)",
        "Z.mean(axis=1, keepdims=True)",
        "(8)",
        f"{RHO_HAT} Yours is a mean for each sample.",
    ),
    Mistake(
        "one ρ̂ for all units",
        "Z.mean(axis=0)",
        "Z.mean()",
        "(8)",
        f"{RHO_HAT} Yours is the mean of all entries.",
    ),
    Mistake(
        "a sum in place of the mean in ρ̂",
        "Z.mean(axis=0)",
        "Z.sum(axis=0)",
        "(8)",
        f"{RHO_HAT} Yours is a sum.",
    ),
    Mistake(
        "ρ and ρ̂ are swapped",
        SLOPE,
        "(-rho_hat / rho + (1 - rho_hat) / (1 - rho))",
        "(13)",
        "ρ̂ is what changes: it is the logarithm of ρ̂ that is differentiated, and so ρ̂ comes below the line.",
    ),
    Mistake(
        "it is averaged over the batch",
        f"return {SUM}",
        f"return ({SUM}).mean(axis=0)",
        "(13)",
        "dZ has a row for each sample, as Z has.",
    ),
)

EXERCISE = Exercise(
    7,
    "code_gradient",
    "code gradient",
    "(13)",
    (Task(code_gradient, _cases, ("dZ",), {"dU": "Bd", "V": "dh", "Z": "Bh", "dZ": "Bh"}, MISTAKES),),
    (
        "nsae.equations.layers:Dense.input_grad",
        "nsae.equations.sparsity:l1_gradient",
        "nsae.equations.sparsity:kl_gradient",
    ),
)
