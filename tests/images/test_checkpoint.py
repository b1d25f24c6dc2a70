"""An ImageEncoder that was stopped in either of its autoencoders goes on, and ends with the same bits."""

import numpy as np
import pytest

from nsae import ImageEncoder
from nsae.training import history

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 12, 12), dtype=np.uint8)


def encoder():
    return ImageEncoder(
        16, k=3, patch_units=8, epochs=3, patch_epochs=2, n_patches=2500, random_state=0, n_threads=1
    )


class Killed(BaseException):
    """As a signal would do."""


@pytest.mark.parametrize("step", [2, 5, 7])  # 3 steps an epoch of the first, 1 of the second
def test_stopped_and_called_again(monkeypatch, tmp_path, step):
    expected, path = encoder().fit(IMAGES), tmp_path / "learning"
    steps, real = [], history.EpochLog.add

    def add(self, X, report):
        if len(steps) == step:
            raise Killed
        steps.append(1)
        real(self, X, report)

    with monkeypatch.context() as patch:
        patch.setattr(history.EpochLog, "add", add)
        with pytest.raises(Killed):
            encoder().fit(IMAGES, checkpoint=path, checkpoint_minutes=0)
    assert len(list(tmp_path.iterdir())) == (1 if step < 6 else 2)
    taken = []
    monkeypatch.setattr(
        history.EpochLog, "add", lambda self, X, report: (taken.append(1), real(self, X, report))
    )
    resumed = encoder().fit(IMAGES, checkpoint=path)
    assert len(taken) == 9 - step
    assert list(tmp_path.iterdir()) == []
    for name in ("patch_model_", "model_"):
        ours, theirs = (getattr(model, name).autoencoder_.params for model in (resumed, expected))
        assert all(ours[p].tobytes() == theirs[p].tobytes() for p in "WbVc"), name
    np.testing.assert_array_equal(resumed.encode(IMAGES).to_dense(), expected.encode(IMAGES).to_dense())


def test_other_images_are_refused(monkeypatch, tmp_path):
    path = tmp_path / "learning"
    with monkeypatch.context() as patch:
        patch.setattr("nsae.images.encoder.os.unlink", lambda _: None)
        encoder().fit(IMAGES, checkpoint=path)
    with pytest.raises(ValueError, match="of a fit with other data"):
        encoder().fit(255 - IMAGES, checkpoint=path)
