"""Sparsity penalties on the code, L1, Eq. (7), and KL, Eq. (8), and the term of Eq. (13) that each adds."""

from __future__ import annotations

import numpy as np


def l1_penalty(Z: np.ndarray, lam: float) -> float:
    """Return (λ/B) Σ|z|, Eq. (7), for codes Z (B, h) and the weight ``lam`` = λ."""
    return lam * float(np.sum(np.abs(Z))) / len(Z)  # (7)


def l1_gradient(Z: np.ndarray, lam: float) -> np.ndarray:
    """Return (λ/B) sign Z (B, h), the second term of Eq. (13), for codes Z and ``lam`` = λ; sign 0 = 0."""
    return (lam / len(Z)) * np.sign(Z)  # (13) (B, h)


def kl_penalty(Z: np.ndarray, beta: float, rho: float) -> float:
    """Return β Σⱼ KL(ρ ‖ ρ̂ⱼ), Eq. (8).

    Parameters
    ----------
    Z : (B, h) array
        Activations of a sigmoid.
    beta : float
        β, the weight.
    rho : float
        ρ in (0, 1), the mean activation that each unit should have.
    """
    return beta * kl_divergence(mean_activation(Z), rho)  # (8)


def kl_gradient(Z: np.ndarray, beta: float, rho: float) -> np.ndarray:
    """Return the third term of Eq. (13), a row (h,) that is the same for all samples.

    It is the product of the derivative β·∂KL/∂ρ̂ⱼ and of ∂ρ̂ⱼ/∂z = 1/B.  ``Z``, ``beta`` and ``rho`` are
    those of :func:`kl_penalty`.
    """
    return (beta / len(Z)) * kl_slope(mean_activation(Z), rho)  # (13) (h,)


def mean_activation(Z: np.ndarray) -> np.ndarray:
    """Return ρ̂ (h,) of Eq. (8): the mean of each unit over the batch Z (B, h), kept within (0, 1)."""
    return within_unit_interval(Z.mean(axis=0))  # (8) (h,)


def within_unit_interval(rho_hat: np.ndarray) -> np.ndarray:
    """Return ρ̂ (h,) with values at least one rounding error away from 0 and 1, where Eq. (8) is infinite.

    A saturated sigmoid may return exactly 0 or 1.  This clip of ``rho_hat`` is left out of the derivative:
    with it, the gradient would be 0 and the unit could never recover.
    """
    eps = np.finfo(rho_hat.dtype).eps
    return np.clip(rho_hat, eps, 1 - eps)  # (h,)


def kl_divergence(rho_hat: np.ndarray, rho: float) -> float:
    """Return Σⱼ KL(ρ ‖ ρ̂ⱼ) of Eq. (8), from the mean activations ``rho_hat`` (h,) and the target ``rho``."""
    on, off = np.log(rho / rho_hat), np.log((1 - rho) / (1 - rho_hat))  # (h,) each
    return float(np.sum(rho * on + (1 - rho) * off))  # (8)


def kl_slope(rho_hat: np.ndarray, rho: float) -> np.ndarray:
    """Return ∂KL/∂ρ̂ = −ρ/ρ̂ + (1 − ρ)/(1 − ρ̂) (h,), Eq. (13), at ``rho_hat`` (h,) for the target ``rho``."""
    return -rho / rho_hat + (1 - rho) / (1 - rho_hat)  # (13) (h,)
