"""Encoding on a cluster: the bits of model.encode, in chunks of CSR that Dask can work with."""

import os
import pickle
import signal
import time

import numpy as np
import pytest

pytest.importorskip("distributed")
sparse = pytest.importorskip("scipy.sparse")
import dask
import dask.array as da
import dask.bag as db
from small_images import SMALL, bars

import nsae.distributed
from nsae import ImageEncoder, SparseAutoencoder
from nsae.errors import NotFittedError


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).random((1000, 20))


@pytest.fixture(scope="module")
def model(X):
    # float64, in which codes are the same bits on every machine, wherever a row stands: see models/layer_codes.py
    return SparseAutoencoder(32, k=4, epochs=1, random_state=0, backend="numpy", dtype="float64").fit(X)


def equal(Z, codes):
    """Whether a csr_array has the bits of Codes."""
    same = [np.array_equal(Z.indptr, codes.indptr), np.array_equal(Z.indices, codes.units)]
    return all(same) and np.array_equal(Z.data, codes.values) and Z.shape == codes.shape


def near(Z, codes):
    """Whether a csr_array has the units of Codes, and their values to rounding: images are float32."""
    same = np.array_equal(Z.indptr, codes.indptr) and np.array_equal(Z.indices, codes.units)
    return same and np.allclose(Z.data, codes.values, rtol=1e-4)


@pytest.mark.parametrize("chunks", [(1000, 20), (300, 20), ((0, 1, 999), 20)])
def test_codes_have_the_bits_of_encode_whatever_the_chunks(client, model, X, chunks):
    Z = nsae.distributed.encode(da.from_array(X, chunks), model)
    assert (Z.shape, Z.dtype, type(Z._meta)) == ((1000, 32), np.float64, sparse.csr_array)
    computed = Z.compute()
    assert type(computed) is sparse.csr_array
    assert equal(computed, model.encode(X))


def test_rows_in_pieces_are_put_together_with_a_warning(client, model, X):
    with pytest.warns(UserWarning, match=r"Chunks of shape \(300, 7\) cut rows into pieces"):
        Z = nsae.distributed.encode(da.from_array(X, (300, 7)), model)
    assert Z.chunks[0] == (300, 300, 300, 100)
    assert equal(Z.compute(), model.encode(X))


def test_sparse_chunks_are_encoded(client, model, X):
    X = np.where(X < 0.7, 0, X)
    chunks = da.from_array(X, (300, 20)).map_blocks(sparse.csr_array)
    codes, expected = nsae.distributed.encode(chunks, model).compute(), model.encode(X)
    np.testing.assert_array_equal(codes.indices, expected.units)
    np.testing.assert_allclose(codes.data, expected.values, rtol=1e-12)


def test_chunks_of_codes_can_be_worked_with(client, model, X):
    Z = nsae.distributed.encode(da.from_array(X, (300, 20)), model)
    expected = model.encode(X).to_dense()
    np.testing.assert_array_equal(
        Z.map_blocks(lambda chunk: chunk.toarray(), dtype=Z.dtype).compute(), expected
    )
    np.testing.assert_array_equal(Z[250:350].compute().toarray(), expected[250:350])
    assert [part.shape for part in dask.compute(*Z.to_delayed().ravel())] == [(300, 32)] * 3 + [(100, 32)]


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_without_a_cluster_the_threads_of_dask_encode(model, X, scheduler):
    Z = nsae.distributed.encode(da.from_array(X, (300, 20)), model.encoder())
    assert equal(Z.compute(scheduler=scheduler), model.encode(X))


def test_rows_whose_number_is_not_known_are_encoded(client, model, X):
    array = da.from_array(X, (300, 20))
    some = array[array[:, 0] > 0.5]
    Z = nsae.distributed.encode(some, model)
    assert np.isnan(Z.shape[0])
    assert equal(Z.compute(), model.encode(X[X[:, 0] > 0.5]))


def test_the_model_is_one_node_of_the_graph(model, X):
    Z = nsae.distributed.encode(da.from_array(X, (10, 20)), model)
    tasks = dict(Z.__dask_graph__())
    large = [key for key, task in tasks.items() if "nsae-model" in str(key)]
    assert len(large) == 1
    of_codes = [task for key, task in tasks.items() if key[0] == Z.name]
    assert len(of_codes) == 100
    assert max(len(pickle.dumps(task)) for task in of_codes) < model.autoencoder_.encoder_layer.W.nbytes


def test_a_task_uses_one_thread(client, model, X):
    def threads(chunk):
        from nsae.distributed.encoding import _chunk_of_codes
        from nsae.system.threads import Threads

        class Spy:
            n_units, encoder_layer = 32, chunk_layer

            def encode(self, chunk):
                return model_codes if Threads().n == 1 else None

        return _chunk_of_codes(chunk, Spy())

    model_codes, chunk_layer = model.encode(X[:3]), model.autoencoder_.encoder_layer
    assert equal(client.submit(threads, X[:3]).result(), model_codes)


def test_what_does_not_fit_is_refused_before_anything_is_computed(model, X):
    encode = nsae.distributed.encode
    with pytest.raises(ValueError, match="The array has 19 columns, and the model was fitted on 20"):
        encode(da.from_array(X[:, 1:]), model)
    with pytest.raises(ValueError, match=r"Rows \(n, d\) or images"):
        encode(da.from_array(X[0]), model)
    with pytest.raises(NotFittedError):
        encode(da.from_array(X), SparseAutoencoder(32))
    with pytest.raises(TypeError, match="A fitted model or an encoder was expected, got str"):
        encode(da.from_array(X), "model.npz")
    with pytest.raises(TypeError, match="a list of paths was expected, got ndarray"):
        encode(X, model)
    with pytest.raises(TypeError, match="a list of paths was expected, got str"):
        encode("photos", model)
    with pytest.raises(ValueError, match="The list of paths is empty"):
        encode([], model)


def test_a_bad_chunk_is_named(client, model, X):
    X = X.copy()
    X[650, 3] = np.nan
    with pytest.raises(ValueError, match=r"Chunk 2 of the array .*X has NaN in row 50, column 3"):
        nsae.distributed.encode(da.from_array(X, (300, 20)), model).compute()
    wide = da.from_array(X[:600], (300, 20)).map_blocks(
        lambda x: x[:, 1:], dtype=X.dtype
    )  # declares 20 columns
    with pytest.raises(ValueError, match=r"Chunk [01] of the array .*X has 19 features"):
        nsae.distributed.encode(wide, model).compute()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    Image = pytest.importorskip("PIL.Image")
    images, _ = bars(24)
    root = tmp_path_factory.mktemp("photos")
    paths = [root / f"{i:02}.png" for i in range(24)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    paths[7].write_bytes(b"no image")
    encoder = ImageEncoder(12, 3, image_size=12, random_state=0, backend="numpy", **SMALL).fit(images)
    return paths, images, encoder


def test_an_unreadable_file_is_reported_and_the_others_go_on(client, photos):
    paths, _, encoder = photos
    expected = encoder.encode([path for path in paths if path != paths[7]])
    encoded = nsae.distributed.encode(paths, encoder, files_per_task=5)
    for some in (encoded, nsae.distributed.encode(db.from_sequence(map(str, paths), npartitions=3), encoder)):
        codes, kept, failures = dask.compute(*some)
        assert near(codes, expected)
        assert kept == [str(path) for path in paths if path != paths[7]]
        assert [path for path, _ in failures] == [str(paths[7])]
    assert encoded.codes.dtype == codes.dtype
    none = nsae.distributed.encode([paths[7]], encoder)
    assert none.codes.compute().shape == (0, 12)


def test_arrays_of_images_are_encoded(client, photos):
    _, images, encoder = photos
    Z = nsae.distributed.encode(da.from_array(images, (10, 12, 12)), encoder)
    assert Z.shape == (24, 12)
    assert near(Z.compute(), encoder.encode(images))


def test_a_worker_that_is_killed_changes_nothing(client, model, X, tmp_path):
    def slow(chunk, block_info=None):
        (tmp_path / f"{os.getpid()} {time.time()}").touch()
        time.sleep(0.1)
        return chunk

    array = da.from_array(X, (50, 20)).map_blocks(slow, dtype=X.dtype)
    future = client.compute(nsae.distributed.encode(array, model))
    while len(list(tmp_path.iterdir())) < 6:
        time.sleep(0.01)
    pid = client.run(os.getpid).popitem()[1]
    os.kill(pid, signal.SIGKILL)
    assert equal(future.result(timeout=60), model.encode(X))
    assert any(path.name.startswith(f"{pid} ") for path in tmp_path.iterdir())


def test_dask_ml_transforms_and_fits_by_chunks(client, model, X):
    wrappers = pytest.importorskip("dask_ml.wrappers")
    array = da.from_array(X, (250, 20))
    Z = wrappers.ParallelPostFit(estimator=model).transform(array)
    assert Z.dtype == np.float64
    np.testing.assert_array_equal(Z.compute(), model.transform(X))

    new = SparseAutoencoder(32, k=4, random_state=0, backend="numpy", dtype="float64")
    fitted = wrappers.Incremental(new, shuffle_blocks=False).fit(array)
    expected = SparseAutoencoder(32, k=4, random_state=0, backend="numpy", dtype="float64")
    for start in range(0, 1000, 250):
        expected.partial_fit(X[start : start + 250])
    np.testing.assert_array_equal(
        fitted.estimator_.autoencoder_.params["W"], expected.autoencoder_.params["W"]
    )
    np.testing.assert_array_equal(fitted.transform(array).compute(), expected.transform(X))
