"""scikit-learn's contract, checked by scikit-learn itself.  nsae does not import it."""

import subprocess
import sys

import numpy as np
import pytest

from nsae import SparseAutoencoder

pytest.importorskip("sklearn", minversion="1.7")
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

DATA = np.random.default_rng(0).random((60, 6))

INSTANCES = [
    SparseAutoencoder(),
    SparseAutoencoder(16, k=3, epochs=2),
    SparseAutoencoder(8, unit_norm=True, l1=0.01, epochs=2, tol=0.1, dtype="float64"),
    SparseAutoencoder(8, activation="sigmoid", kl=0.1, epochs=2),
    SparseAutoencoder(8, output="sigmoid", epochs=2),
]


@pytest.mark.filterwarnings("ignore", category=SkipTestWarning)
@pytest.mark.parametrize("model", INSTANCES, ids=repr)
def test_check_estimator(model):
    done = check_estimator(model, on_fail="raise", on_skip=None)
    assert sum(check["status"] == "passed" for check in done) > 40
    skipped = {check["check_name"] for check in done if check["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}  # it wants SCIPY_ARRAY_API set


CROSS_ENTROPY = SparseAutoencoder(
    8, activation="sigmoid", output="sigmoid", loss="cross_entropy", epochs=2, random_state=0
)


@pytest.mark.filterwarnings("ignore", category=SkipTestWarning)
def test_check_estimator_for_cross_entropy():
    """Many checks feed data beyond [0, 1], which this loss must refuse; that is all they may find."""
    done = check_estimator(CROSS_ENTROPY, on_fail=None, on_skip=None)
    failed = [check["exception"] for check in done if check["status"] == "failed"]
    assert 0 < len(failed) < len(done) - 15
    assert [error for error in failed if "[0, 1]" not in f"{error} {error.__context__}"] == []


@pytest.mark.parametrize("model", [*INSTANCES, CROSS_ENTROPY], ids=repr)
def test_clone(model):
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert not copy.__sklearn_is_fitted__()
    check_is_fitted(copy.fit(DATA))


def test_pipeline():
    pipeline = make_pipeline(MinMaxScaler(), CROSS_ENTROPY)
    Z = pipeline.fit_transform(DATA * 100)
    assert Z.shape == (60, 8)
    assert pipeline.inverse_transform(Z).shape == DATA.shape
    assert pipeline.get_feature_names_out().tolist() == [f"sparseautoencoder{j}" for j in range(8)]
    assert pipeline.score(DATA * 100) == pipeline[-1].score(pipeline[0].transform(DATA * 100))


def test_grid_search_finds_the_better_setting():
    search = GridSearchCV(
        SparseAutoencoder(12, epochs=20, batch_size=8, random_state=0),
        {"k": [1, 6], "learning_rate": np.array([1e-6, 1e-2])},
        cv=3,
    )
    search.fit(DATA)
    assert search.best_params_ == {"k": 6, "learning_rate": 1e-2}
    assert search.best_score_ == pytest.approx(search.cv_results_["mean_test_score"].max())
    assert search.best_score_ > 0.1


def test_nsae_does_not_import_scikit_learn():
    code = "import sys, nsae; nsae.SparseAutoencoder(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
