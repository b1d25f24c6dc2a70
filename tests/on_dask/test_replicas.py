"""What a worker keeps of the fits that run at once."""

import numpy as np
import pytest

pytest.importorskip("distributed")

from nsae import SparseAutoencoder
from nsae.distributed import replicas
from nsae.distributed.replicas import NO_REPLICA, Snapshot, Task, part_of_batch
from nsae.models.building import initial_autoencoder, new_state, training_options


@pytest.fixture(autouse=True)
def none_kept(monkeypatch):
    monkeypatch.setattr(replicas, "_replicas", {})


def test_four_fits_at_once_need_no_state_twice():
    """Each keeps its replica while the others take their turns; a fifth takes the place of the oldest."""
    X, rng = np.random.default_rng(0).random((20, 6)), np.random.default_rng(0)
    model = SparseAutoencoder(8, epochs=1, batch_size=10, backend="numpy")
    state = new_state(model, initial_autoencoder(model, X, rng), rng)
    snapshot = Snapshot(0, state, training_options(model), 10, False)

    def ask(fit, snapshot=None):
        return part_of_batch(Task(fit, 0, None, 10, None, False), X, np.arange(10), None, snapshot)

    for _ in range(2):  # the second time, the states replace those of the same fits
        for fit in "abcd":
            assert ask(fit, snapshot) is not NO_REPLICA
    assert all(ask(fit) is not NO_REPLICA for fit in "abcd")
    assert ask("e", snapshot) is not NO_REPLICA
    assert [fit for fit in "abcde" if ask(fit) is NO_REPLICA] == ["a"]
