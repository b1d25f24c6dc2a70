"""Principal components of pooled vectors."""

import numpy as np
import pytest

from nsae.images.features.pca import PCA


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_eq41_principal_components(rng, power):
    """Those of the covariance, to their sign, each divided by a power of its standard deviation."""
    F = (rng.normal(size=(400, 6)) * [5, 4, 3, 2, 1, 0.5]) @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 2
    m = 4
    variances, R = np.linalg.eigh(np.cov(F.T, bias=True))  # ascending
    variances, R = variances[::-1][:m], R[:, ::-1][:, :m]  # (m,), (6, m)
    s = np.sqrt(m / np.sum(variances ** (1 - power)))
    pca = PCA.fit(F.astype(np.float32), m, power, rng)
    expected = s * (R / variances ** (power / 2)).T  # (m, 6)
    signs = np.sign(np.sum(pca.A * expected, axis=1, keepdims=True))
    np.testing.assert_allclose(pca.A, signs * expected, rtol=0, atol=2e-4)
    np.testing.assert_allclose(pca.a, -pca.A @ F.mean(axis=0), atol=2e-4)
    components = pca(F.astype(np.float32))  # (400, m)
    assert components.var(axis=0).mean() == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(components.var(axis=0), s**2 * variances ** (1 - power), rtol=1e-3)
