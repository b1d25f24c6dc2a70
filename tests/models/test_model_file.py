"""The model file: what it keeps, what a damaged or foreign one says, and that a failed save harms nothing."""

import io
import json
import os
import pickle

import numpy as np
import pytest

import nsae
from nsae import Encoder, ModelFormatError, SparseAutoencoder
from nsae.models import model_file
from nsae.models.model_file import read_model, write_model

DATA = np.random.default_rng(0).random((30, 3))
LOADERS = [Encoder.load, SparseAutoencoder.load]


@pytest.fixture(scope="module")
def model():
    return SparseAutoencoder(4, k=2, epochs=2, random_state=5, l1=0.1).fit(DATA)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def refused(path, *words, loaders=LOADERS):
    for load in loaders:
        with pytest.raises(ModelFormatError) as caught:
            load(path)
        for word in (str(path), *words):
            assert word in str(caught.value)


# ---- there and back


def test_there_and_back(model, path):
    model.save(path)
    loaded = SparseAutoencoder.load(path)
    assert loaded.get_params() == model.get_params()
    assert loaded.history_ == model.history_
    assert (loaded.n_iter_, loaded.stopped_, loaded.preprocessing_) == (2, "epochs", None)
    assert loaded.n_features_in_ == 3
    assert loaded.transform(DATA).tobytes() == model.transform(DATA).tobytes()


def test_the_file_is_plain(model, path):
    """An outsider with NumPy and json can read it."""
    model.save(path)
    with np.load(path, allow_pickle=False) as stored:
        assert set(stored.files) == {"header", "W", "b", "V", "c"}
        header = json.loads(stored["header"].tobytes())
    assert (header["format"], header["version"], header["kind"]) == ("nsae-model", 2, "sparse_autoencoder")
    assert header["params"] == model.get_params()
    assert (header["n_units"], header["n_features"], header["dtype"]) == (4, 3, "float32")


def test_preprocessing_travels(path):
    model = SparseAutoencoder(4, epochs=1).fit(DATA)
    model.preprocessing_ = {"side": 28, "color": False}
    model.save(path)
    assert SparseAutoencoder.load(path).preprocessing_ == {"side": 28, "color": False}
    assert Encoder.load(path).preprocessing == {"side": 28, "color": False}


def test_what_was_fitted_is_saved_and_not_what_set_params_said_since(path):
    model = SparseAutoencoder(4, k=2, epochs=1, random_state=0).fit(DATA)
    model.set_params(n_units=9, k=None, activation="sigmoid", output="sigmoid", dtype="float64", l1=3.0)
    model.save(path)
    for load in LOADERS:
        assert load(path).transform(DATA).tobytes() == model.transform(DATA).tobytes()
    assert SparseAutoencoder.load(path).get_params()["n_units"] == 4


@pytest.mark.parametrize("seed", [np.int64(7), np.random.default_rng(0), np.random.RandomState(0), [1, 2]])
def test_numpy_hyperparameters_can_be_saved(path, seed):
    options = {"k": np.int32(2), "l1": np.float64(0.1), "epochs": np.int8(1), "dtype": np.float32}
    SparseAutoencoder(np.int64(4), random_state=seed, **options).fit(DATA).save(path)
    params = SparseAutoencoder.load(path).get_params()
    assert (params["n_units"], params["k"], params["l1"], params["dtype"]) == (4, 2, 0.1, "float32")
    assert params["random_state"] == (7 if isinstance(seed, np.int64) else None)


def test_to_bytes_is_what_save_writes(model, path):
    path.write_bytes(model.to_bytes())
    assert Encoder.load(path).transform(DATA).tobytes() == model.transform(DATA).tobytes()


def test_members_of_a_later_writer_are_left_alone(model, path):
    header, arrays = model._content(False)
    write_model(path, {**header, "more": 1}, {**arrays, "extra": np.ones(3)})
    for load in LOADERS:
        load(path)


# ---- saving


def test_an_existing_file_is_kept(model, path):
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"model\.npz exists already"):
        model.save(path)
    assert path.read_text() == "precious"
    model.save(path, overwrite=True)
    Encoder.load(path)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
def test_a_failed_save_leaves_the_old_file_and_nothing_beside_it(model, path, monkeypatch, error):
    model.save(path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(model_file.np, "savez", fail)
    with pytest.raises(type(error)):
        model.save(path, overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model.npz"]


# ---- reading what is no model


def test_missing(path):
    refused(path, "There is no model file")
    refused(path.parent)  # a folder


@pytest.mark.parametrize("with_optimizer", [False, True])
def test_truncated_at_any_length(model, path, with_optimizer):
    model.save(path, with_optimizer=with_optimizer)
    content = path.read_bytes()
    for length in {*range(0, len(content), 13), *range(len(content) - 30, len(content))}:
        path.write_bytes(content[:length])
        refused(path, "not a whole nsae model file", loaders=[Encoder.load])


def test_one_changed_byte_is_refused_or_harmless(model, path):
    """Harmless: a byte of a name's copy, a date, or an attribute in the zip's directory."""
    content = model.to_bytes()
    expected, refusals = model.transform(DATA).tobytes(), 0
    for i in range(len(content)):
        changed = bytearray(content)
        changed[i] ^= 1 << i % 8
        path.write_bytes(changed)
        try:
            loaded = SparseAutoencoder.load(path)
        except ModelFormatError:
            refusals += 1
        else:
            assert loaded.transform(DATA).tobytes() == expected, i
    assert refusals > 0.5 * len(content)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def as_header(text):
    return np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        np.random.default_rng(0).bytes(3000),
        b"Dear reader,\n" * 99,
        pickle.dumps({"W": 1}),
        npz(weights=np.ones(3)),
        npz(header=np.array([{"format": "nsae-model"}], object)),  # needs pickle
        npz(header=as_header("{")),
        npz(header=as_header("[1, 2]")),
        npz(header=as_header("[" * 100_000)),
        npz(header=as_header('{"format": "nsae-model"}')),
        npz(header=as_header('{"format": "another", "version": 1, "kind": "sparse_autoencoder"}')),
        npz(header=as_header('{"format": "nsae-model", "version": "1", "kind": "sparse_autoencoder"}')),
        npz(header=as_header('{"format": "nsae-model", "version": 1, "kind": "sparse_autoencoder"}')),
        npz(header=np.array([0xFF, 0xFE], np.uint8)),
    ],
)
def test_foreign_content(path, content):
    path.write_bytes(content)
    refused(path, "not a whole nsae model file")


def test_an_array_file_of_something_else(path):
    with path.open("wb") as file:
        np.save(file, np.ones((3, 3)))
    refused(path, "not a whole nsae model file")


def test_nothing_is_unpickled(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    path.write_bytes(npz(header=np.array([Bomb()], object), W=np.array([Bomb()], object)))
    refused(path)
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path)
    assert not (tmp_path / "exploded").exists()


# ---- models that say something wrong


def rewritten(model, path, header=None, params=None, with_optimizer=False, **arrays):
    """The model's file with some of its content replaced; None removes."""
    old_header, old_arrays = model._content(with_optimizer)
    new = {**old_header, **(header or {})}
    new["params"] = {**new["params"], **(params or {})}
    new = {name: value for name, value in new.items() if value is not None or name == "preprocessing"}
    arrays = {name: value for name, value in {**old_arrays, **arrays}.items() if value is not None}
    path.write_bytes(
        npz(header=as_header(json.dumps({"format": "nsae-model", "version": 1, **new})), **arrays)
    )


def test_rewritten_as_it_was(model, path):
    rewritten(model, path)
    for load in LOADERS:
        load(path)


def test_a_newer_version(model, path):
    rewritten(model, path, {"version": 3})
    refused(path, "format 3", "reads up to 2", "Upgrade nsae")


def test_a_file_of_version_1_with_the_names_of_then(model, path):
    names = {
        "aux_weight": "auxiliary",
        "lr_schedule": "decay",
        "max_grad_norm": "clip",
        "warmup_steps": "warmup",
    }
    model.set_params(lr_schedule="cosine", warmup_steps=7, max_grad_norm=0.5)
    header, _ = model._content(False)
    params = {names.get(name, name): value for name, value in header["params"].items()}
    rewritten(model, path, {"version": 1, "params": params})
    assert SparseAutoencoder.load(path).get_params() == model.get_params()


def test_another_kind(model, path):
    rewritten(model, path, {"kind": "forest"})
    refused(path, "'forest', not 'sparse_autoencoder'")
    assert read_model(path, "forest", ("b",))[1]["b"].shape == (4,)


@pytest.mark.parametrize("name", ["W", "b", "V", "c"])
@pytest.mark.parametrize(
    "replacement",
    [
        None,
        np.ones((4, 4), "f4"),
        np.ones(5, "f4"),
        np.float32(1),
        np.array(["x"]),
        np.ones((4, 3, 1), "f4"),
    ],
    ids=str,
)
def test_missing_and_misshapen_arrays(model, path, name, replacement):
    rewritten(model, path, **{name: replacement})
    refused(path, "not a whole nsae model file")


@pytest.mark.parametrize("name", ["W", "b", "V", "c"])
@pytest.mark.parametrize("dtype", ["f8", "f2", "i4", "c8", "U3", ">f4"])
def test_arrays_of_a_wrong_dtype(model, path, name, dtype):
    rewritten(model, path, **{name: model.autoencoder_.params[name].astype(dtype)})
    refused(path, str(np.dtype(dtype)))


@pytest.mark.parametrize(
    "params",
    [
        {"k": "2"},
        {"k": 0},
        {"k": 5},
        {"k": 2.0},
        {"k": []},
        {"activation": "tanh", "k": None},
        {"output": "relu"},
        {"output": None},
    ],
    ids=str,
)
def test_wrong_params(model, path, params):
    rewritten(model, path, params=params)
    refused(path, "not a whole nsae model file")


@pytest.mark.parametrize(
    ("header", "params"),
    [
        ({}, {"l1": -1}),
        ({}, {"learning_rate": "fast"}),
        ({}, {"kl": 0.1}),
        ({"history": [1]}, {}),
        ({"history": None}, {}),
        ({"stopped": None}, {}),
    ],
)
def test_what_only_the_estimator_needs(model, path, header, params):
    rewritten(model, path, header, params)
    Encoder.load(path)
    refused(path, "not a whole nsae model file", loaders=[SparseAutoencoder.load])


def test_preprocessing_must_be_there(model, path):
    header, arrays = model._content(False)
    del header["preprocessing"]
    write_model(path, header, arrays)
    refused(path, "preprocessing", loaders=[SparseAutoencoder.load])


@pytest.mark.parametrize("replacement", [None, np.ones(3, "f4"), np.ones((3, 4), "f4")], ids=str)
def test_moments_that_do_not_fit(model, path, replacement):
    rewritten(model, path, with_optimizer=True, m2_W=replacement)
    refused(path, "m2_W", loaders=[SparseAutoencoder.load])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["W", "b", "V", "c"])
def test_weights_that_are_not_finite_are_refused(model, path, name, value):
    array = model.autoencoder_.params[name].copy()
    array.flat[0] = value
    rewritten(model, path, **{name: array})
    refused(path, f"its {name} holds NaN or infinity")


def fitted_model():
    return SparseAutoencoder(4, k=2, epochs=1, random_state=0).fit(np.random.default_rng(0).random((20, 3)))


def test_bytes_and_back():
    model = fitted_model()
    X = np.random.default_rng(1).random((5, 3))
    for cls in (SparseAutoencoder, Encoder):
        np.testing.assert_array_equal(cls.from_bytes(model.to_bytes()).transform(X), model.transform(X))
    assert Encoder.from_bytes(model.to_bytes()).to_bytes() == model.encoder().to_bytes()
    for damaged in (b"", b"nothing", model.to_bytes()[:-40]):
        with pytest.raises(ModelFormatError, match=r"^The content is not a whole nsae model file"):
            SparseAutoencoder.from_bytes(damaged)
    for nothing in (None, "text", 10):
        with pytest.raises(TypeError, match="bytes-like object is required, not"):
            SparseAutoencoder.from_bytes(nothing)
    np.testing.assert_array_equal(
        Encoder.from_bytes(bytearray(model.to_bytes())).transform(X), model.transform(X)
    )
    spread = np.repeat(np.frombuffer(model.to_bytes(), np.uint8), 2)[::2]
    np.testing.assert_array_equal(Encoder.from_bytes(spread).transform(X), model.transform(X))


def test_a_file_says_which_nsae_wrote_it_and_a_newer_one_is_named(tmp_path):
    model = fitted_model()
    header, arrays = model._content(False)
    assert header["nsae"] == nsae.__version__
    header |= {"nsae": "7.1.0", "params": {**header["params"], "sharpness": 1}}
    path = tmp_path / "newer.npz"
    write_model(path, header, arrays)
    with pytest.raises(
        ModelFormatError, match=r"written by nsae '7.1.0', in model format 2,.*not know: 'sharpness'"
    ):
        SparseAutoencoder.load(path)
    Encoder.load(path)  # the weights are those of today
    write_model(path, {**header, "version": 99}, arrays, overwrite=True)
    for cls in (SparseAutoencoder, Encoder):
        with pytest.raises(
            ModelFormatError, match=r"format 99, written by nsae '7.1.0'; this nsae .* up to 2"
        ):
            cls.load(path)
    write_model(path, {**header, "version": "9" * 10**5}, arrays, overwrite=True)
    with pytest.raises(ModelFormatError) as error:
        SparseAutoencoder.load(path)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("path", [None, 3, b"model.npz", ["model.npz"], SparseAutoencoder])
def test_what_is_no_path_is_a_type_error(path):
    for read in (nsae.load_encoder, Encoder.load, SparseAutoencoder.load, nsae.ImageEncoder.load):
        with pytest.raises(TypeError, match="path of a model file was expected") as refused:
            read(path)
        assert ("from_bytes" in str(refused.value)) == isinstance(path, bytes)


def test_a_file_that_may_not_be_read_and_a_folder_are_not_called_damaged(model, path, tmp_path, monkeypatch):
    model.save(path)
    with pytest.raises(ModelFormatError, match="cannot be read"):
        Encoder.load(tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(model_file, "arrays_from_npz", refuse)
    with pytest.raises(ModelFormatError, match=r"model.*cannot be read \(Permission denied\)"):
        Encoder.load(path)
