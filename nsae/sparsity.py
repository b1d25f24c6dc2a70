"""Sparsity penalties on the code: L1, Eq. (7), and KL, Eq. (8), each with its term of Eq. (13).

Both act on Z (B, h).  A weight of zero is no penalty: value 0.0, and no gradient is computed.
"""

from __future__ import annotations

import numpy as np


def l1_penalty(Z: np.ndarray, lam: float) -> float:
    """(λ/B) Σ|z|, Eq. (7)."""
    return lam * float(np.sum(np.abs(Z))) / len(Z)  # (7)


def l1_gradient(Z: np.ndarray, lam: float) -> np.ndarray:
    """(λ/B) sign z, the second term of Eq. (13); sign 0 = 0."""
    return (lam / len(Z)) * np.sign(Z)  # (13) (B, h)


def mean_activation(Z: np.ndarray) -> np.ndarray:
    """ρ̂ (h,): each unit's mean over the *batch*, as Eq. (8) needs it.

    Kept one rounding error away from 0 and 1: a saturated sigmoid may return exactly 0 or 1, where
    (8) is infinite.  The clip is not differentiated; its gradient would be 0 and the unit lost.
    """
    eps = np.finfo(Z.dtype).eps
    return np.clip(Z.mean(axis=0), eps, 1 - eps)  # (8) (h,)


def kl_penalty(Z: np.ndarray, beta: float, rho: float) -> float:
    """β Σⱼ [ρ log(ρ/ρ̂ⱼ) + (1 − ρ) log((1 − ρ)/(1 − ρ̂ⱼ))], Eq. (8)."""
    rho_hat = mean_activation(Z)  # (h,)
    on, off = np.log(rho / rho_hat), np.log((1 - rho) / (1 - rho_hat))  # (h,) each
    return beta * float(np.sum(rho * on + (1 - rho) * off))  # (8)


def kl_gradient(Z: np.ndarray, beta: float, rho: float) -> np.ndarray:
    """(β/B)(−ρ/ρ̂ + (1 − ρ)/(1 − ρ̂)), the third term of Eq. (13): the same row for every sample."""
    rho_hat = mean_activation(Z)  # (h,)
    return (beta / len(Z)) * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))  # (13) (h,)
