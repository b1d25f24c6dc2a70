"""scikit-learn's contract, checked by scikit-learn itself.  nsae does not import it."""

import copy
import subprocess
import sys
from html import escape

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.system.threads import Threads, n_cpus

pytest.importorskip("sklearn", minversion="1.6")
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
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


# scikit-learn's checks that are not run or not passed, each with its reason.
SKIPPED = {
    "check_array_api_input": "it is run where the environment variable SCIPY_ARRAY_API is set",
}


@pytest.mark.filterwarnings("ignore", category=SkipTestWarning)
@pytest.mark.parametrize("model", INSTANCES, ids=repr)
def test_check_estimator(model):
    done = check_estimator(model, on_fail="raise", on_skip=None)
    assert sum(check["status"] == "passed" for check in done) > 40
    assert {check["check_name"] for check in done if check["status"] != "passed"} <= set(SKIPPED)


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


# ---- processes


def searched(model, grid, n_jobs, X):
    return GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_grid_search_in_two_processes_finds_what_one_finds(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    X = np.random.default_rng(1).random((300, 40), np.float32)
    model = SparseAutoencoder(30, epochs=3, batch_size=50, backend=backend, n_threads=1, random_state=0)
    one, two = (searched(model, {"k": [2, 8], "learning_rate": [1e-3, 1e-2]}, n, X) for n in (1, 2))
    for split in range(2):
        scores = f"split{split}_test_score"
        np.testing.assert_array_equal(two.cv_results_[scores], one.cv_results_[scores])
    assert two.best_params_ == one.best_params_
    np.testing.assert_array_equal(two.transform(X), one.transform(X))
    assert two.best_estimator_.backend_ == backend


def test_two_processes_share_the_processors():
    """joblib gives each of its processes a part of the processors, and a fit takes no more threads than that."""

    # In here, so that it is sent by value: a process has not these tests.
    class ThreadsOfAFit(SparseAutoencoder):
        """Scores by how many threads a fit in this process has."""

        def score(self, X, y=None):
            with Threads(self.n_threads) as threads:
                return float(threads.n)

    search = searched(ThreadsOfAFit(4, epochs=1), {"k": [1, 2]}, 2, DATA)
    assert search.cv_results_["mean_test_score"].tolist() == [max(n_cpus() // 2, 1)] * 2


# ---- metadata


def test_a_checkpoint_is_routed_where_it_was_asked_for(tmp_path):
    path = tmp_path / "training.npz"
    model = SparseAutoencoder(4, epochs=1, random_state=0)
    with config_context(enable_metadata_routing=True):
        asked = clone(model.set_fit_request(checkpoint=True, keep_checkpoint="kept"))
        assert not hasattr(SparseAutoencoder(4), "_metadata_request")
        make_pipeline(MinMaxScaler(), asked).fit(DATA, checkpoint=path, kept=True)
        assert path.exists()
        # In the middle of a pipeline it is fit_transform that gets the keyword.
        other = tmp_path / "other.npz"
        make_pipeline(asked, MinMaxScaler()).fit(DATA, checkpoint=other, kept=True)
        assert other.exists()
        with pytest.raises(TypeError, match=r"no keyword 'sample_weight'.*checkpoint, checkpoint_minutes"):
            model.set_fit_request(sample_weight=True)


def test_what_was_not_asked_for_is_refused_as_of_scikit_learns_own_estimators(tmp_path):
    class Own(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None, *, checkpoint=None):
            return self

        def transform(self, X):
            return X

    def refusal(model):
        with pytest.raises(Exception, match="checkpoint") as error:
            make_pipeline(model).fit(DATA, checkpoint=tmp_path / "training.npz")
        return type(error.value), str(error.value).replace(type(model).__name__, "")

    with config_context(enable_metadata_routing=True):
        assert refusal(SparseAutoencoder(4, epochs=1)) == refusal(Own())
    with pytest.raises(RuntimeError, match="not enabled"):
        SparseAutoencoder(4).set_fit_request(checkpoint=True)


def test_without_routing_a_pipeline_gives_the_keyword_to_the_step_that_it_names(tmp_path):
    path = tmp_path / "training.npz"
    keywords = {"sparseautoencoder__checkpoint": path, "sparseautoencoder__keep_checkpoint": True}
    for pipeline in (
        make_pipeline(MinMaxScaler(), SparseAutoencoder(4, epochs=1, random_state=0)),
        make_pipeline(SparseAutoencoder(4, epochs=1, random_state=0), MinMaxScaler()),
    ):
        pipeline.fit(DATA, **keywords)
        path.unlink()


def test_requests_are_copied_and_pickled():
    with config_context(enable_metadata_routing=True):
        model = SparseAutoencoder(4).set_fit_request(checkpoint=True)
        other = copy.deepcopy(model).set_fit_request(checkpoint=False)
        assert model.get_metadata_routing().fit.requests["checkpoint"] is True
        assert other.get_metadata_routing().fit.requests["checkpoint"] is False


# ---- what a notebook shows


def test_a_notebook_shows_scikit_learns_diagram():
    model = SparseAutoencoder(4, k=2)
    assert 'class="sk-top-container' in model._repr_html_()
    assert escape(repr(model)) in model._repr_html_()
    assert repr(model) in make_pipeline(MinMaxScaler(), model)._repr_html_()
    with config_context(display="text"):
        assert model._repr_html_() is None


def test_nsae_does_not_import_scikit_learn():
    code = "import sys, nsae; nsae.SparseAutoencoder(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
