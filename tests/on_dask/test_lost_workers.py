"""Where a cluster has lost all its workers, a warning says so, and the work goes on once there are some again."""

import warnings
from threading import Thread

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

from nsae import SparseAutoencoder
from nsae.distributed import cluster as of_cluster
from nsae.distributed import fit


@pytest.fixture
def empty():
    """A client of a cluster without a worker, and the cluster."""
    options = {"n_workers": 0, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client, cluster


def estimator():
    return SparseAutoencoder(4, epochs=1, batch_size=8, random_state=0, backend="numpy")


def test_a_warning_comes_and_the_work_goes_on(empty, monkeypatch):
    client, cluster = empty
    X = np.random.default_rng(0).random((16, 6))
    monkeypatch.setattr(of_cluster, "WITHOUT_WORKERS", 0.2)
    fitted = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        work = Thread(target=lambda: fitted.append(fit(estimator(), da.from_array(X, (8, 6)), client=client)))
        work.start()
        work.join(2)
        assert work.is_alive()
        cluster.scale(1)
        work.join(60)
    said = [str(warning.message) for warning in told if "no worker" in str(warning.message)]
    assert len(said) == 1  # It is said once.
    assert "no worker for 0.2 seconds" in said[0]
    assert "cluster.scale(2)" in said[0]
    ours, theirs = fitted[0].autoencoder_.params, estimator().fit(X).autoencoder_.params
    assert all(np.allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6) for name in ours)


def test_nothing_is_said_where_workers_are(empty, monkeypatch):
    client, cluster = empty
    cluster.scale(1)
    client.wait_for_workers(1, timeout=60)
    monkeypatch.setattr(of_cluster, "WITHOUT_WORKERS", 0.01)
    X = da.from_array(np.random.default_rng(0).random((16, 6)), (8, 6))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The cluster has had no worker")
        fit(estimator(), X, client=client)


def test_what_is_no_client_is_refused_as_before():
    with pytest.raises(TypeError, match="got int"):
        fit(estimator(), da.zeros((16, 6)), client=5)
