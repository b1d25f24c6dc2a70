"""fit_images is ImageEncoder.fit, with the images on workers."""

import os
import signal

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")
import dask.array as da
import dask.bag as db

from nsae import ImageEncoder, ImageReadError
from nsae.distributed import fit_images
from nsae.distributed.image_fitting import OnWorkers
from nsae.images import pipeline, pooled_components
from nsae.images.features import neighbours, pca

SMALL = {"k": 3, "patch_units": 12, "epochs": 2, "patch_epochs": 1, "n_patches": 2000, "n_components": 12}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Many blocks of images, of pooled vectors and of neighbours, though there are few images."""
    monkeypatch.setattr(pipeline, "BLOCK_BYTES", 4 * 12 * 21 * 20)
    monkeypatch.setattr(pooled_components, "POOLED_BYTES", 4 * 12 * 21 * 60)
    monkeypatch.setattr(neighbours, "GRAPH_PRODUCTS", 120 * 50)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (120, 12, 12), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory, images):
    Image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("photos")
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return sorted(folder.iterdir())


def encoder(**options):
    return ImageEncoder(16, random_state=0, **{"n_threads": 1, **SMALL, **options})


def check_same(ours, theirs):
    """All that was learned is the same bits."""
    assert ours.geometry_ == theirs.geometry_
    for name, arrays in {"whitening_": ("mean", "S"), "pca_": ("A", "a")}.items():
        for array in arrays:
            here, there = (getattr(getattr(model, name), array) for model in (ours, theirs))
            assert here.tobytes() == there.tobytes(), (name, array)
    if theirs.neighbours_ is None:
        assert ours.neighbours_ is None
    else:
        assert ours.neighbours_.output_W.tobytes() == theirs.neighbours_.output_W.tobytes()
    for name in ("patch_model_", "model_"):
        here, there = (getattr(model, name).autoencoder_.params for model in (ours, theirs))
        assert all(here[p].tobytes() == there[p].tobytes() for p in "WbVc"), name


@pytest.mark.parametrize("kind", ["array", "dask array", "paths", "bag"])
def test_it_learns_what_a_local_fit_learns(client, images, files, kind):
    given = {
        "array": images,
        "dask array": da.from_array(images, (50, 5, 12)),
        "paths": files,
        "bag": db.from_sequence(files, npartitions=3),
    }[kind]
    options = {} if "array" in kind else {"image_size": 12, "color": False}
    options |= {"max_images": 100, "neighbour_steps": 2}
    ours = fit_images(encoder(**options), given)
    theirs = encoder(**options).fit(images if "array" in kind else files)
    assert ours.neighbours_ is not None
    check_same(ours, theirs)


def test_one_worker_learns_the_same(images):
    """Each task says the same wherever it runs; the client alone puts the answers together."""
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster, set_as_default=False) as alone,
    ):
        check_same(fit_images(encoder(), images, client=alone), encoder().fit(images))


def test_the_threads_of_a_local_fit_are_those_of_the_client(client, images):
    check_same(fit_images(encoder(n_threads=2), images), encoder(n_threads=2).fit(images))


def test_bad_files_are_reported_once_and_the_others_go_on(client, files, tmp_path):
    bad = [tmp_path / "empty.png", tmp_path / "missing.png"]
    bad[0].write_bytes(b"")
    given = [*files[:7], bad[0], *files[7:60], bad[1], *files[60:]]
    options = {"image_size": 12, "color": False}
    ours, theirs = [], []
    check_same(
        fit_images(encoder(**options), given, on_error=ours.append),
        encoder(**options).fit(given, on_error=theirs.append),
    )
    assert [(e.path, e.reason) for e in ours] == [(e.path, e.reason) for e in theirs]
    assert [e.path for e in ours] == bad
    with pytest.raises(ImageReadError, match=r"empty\.png"):
        fit_images(encoder(**options), given)
    with pytest.raises(ValueError, match="None of the files could be read"):
        fit_images(encoder(**options), bad, on_error=ours.append)


@pytest.mark.parametrize("step", [pca._covariance_times, neighbours._nearest_to_some])
@pytest.mark.parametrize("victims", [1, 2])
def test_workers_that_are_killed_change_nothing(client, images, monkeypatch, step, victims):
    """Those that have the pooled vectors, in the middle of a round; they are made again."""
    client.cluster.scale(2)  # A nanny that could not start its worker again on a busy machine is gone.
    client.wait_for_workers(2, timeout=60)
    killed, real = [], OnWorkers.on_parts

    def on_parts(self, function, parts, *shared):
        for result in real(self, function, parts, *shared):
            yield result
            if function is step and not killed:
                killed.extend(list(client.run(os.getpid, on_error="ignore").values())[:victims])
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(OnWorkers, "on_parts", on_parts)
    options = {"neighbour_steps": 2}
    ours = fit_images(encoder(**options), images)
    assert killed  # On a busy machine, the second worker may still be starting after the test before.
    check_same(ours, encoder(**options).fit(images))


def test_what_is_no_image_is_refused(client, images):
    with pytest.raises(ValueError, match=r"\(n, H, W\)"):
        fit_images(encoder(), da.zeros((30, 5)))
    with pytest.raises(TypeError, match="int64"):
        fit_images(encoder(), da.zeros((30, 12, 12), dtype=np.int64))
    unknown = da.from_array(images, (50, 12, 12))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        fit_images(encoder(), unknown[da.from_array(np.ones(120, bool), 50)])
    with pytest.raises(ValueError, match="Divide by the largest"):
        fit_images(encoder(), da.full((30, 12, 12), 7.0))
    with pytest.raises(TypeError, match="single path"):
        fit_images(encoder(), "photos")
