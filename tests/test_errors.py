"""The project's own errors."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from nsae import CodeIndex, Encoder, ImageEncoder, ImageLibrary, SparseAutoencoder, interchange, load_encoder
from nsae.errors import (
    ImageReadError,
    MissingExtraError,
    ModelFormatError,
    NotFittedError,
    require,
)
from nsae.images import find_images, load_images
from nsae.retrieval import ShardedIndex, merge_folders
from nsae.validation import one_of


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ModelFormatError, ValueError),
        (ImageReadError, ValueError),
        (NotFittedError, ValueError),
        (NotFittedError, AttributeError),
        (MissingExtraError, ImportError),
    ],
)
def test_each_is_the_builtin_that_a_caller_expects(error, builtin):
    assert issubclass(error, builtin)


def test_an_image_error_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(ImageReadError("a.jpg", "cut short")))
    assert (error.path, error.reason, str(error)) == ("a.jpg", "cut short", "a.jpg: cut short")


LONG = "a" * 100_000
MODEL = SparseAutoencoder(4, k=2, epochs=1, random_state=0).fit(np.random.default_rng(0).random((20, 3)))
INDEX = CodeIndex(4)


@pytest.mark.parametrize("path", ["/" + LONG, "x/" * 50_000], ids=["name", "folders"])
@pytest.mark.parametrize(
    "call",
    [
        load_encoder, SparseAutoencoder.load, Encoder.load, ImageEncoder.load, MODEL.save, MODEL.encoder().save,
        CodeIndex.load, CodeIndex.verify, INDEX.save, ImageLibrary.open, find_images, ShardedIndex,
        interchange.read_csr, interchange.read_safetensors, interchange.load_published,
        lambda path: load_images(path, side=8), lambda path: interchange.write_csr(path, np.eye(2)),
        lambda path: interchange.write_safetensors(path, {}), lambda path: merge_folders([path], "merged"),
        lambda path: interchange.save_saelens(MODEL, path), lambda path: interchange.save_sparsify(MODEL, path),
        lambda path: INDEX.save("index", extra_files={path.replace("/", ""): b""}),
    ],
)  # fmt: skip
def test_a_path_of_any_length_gives_a_message_that_can_be_read(call, path):
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        call(path)
    assert len(str(caught.value)) < 2500
    assert str(path)[1:100] in str(caught.value) or "extra_files" in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: interchange.write_safetensors("a", {LONG: np.array([None])}),
        lambda: interchange.write_safetensors("a", {}, metadata={LONG: 1}),
        lambda: MODEL.encoder().encode(np.eye(3))[list(range(100_000))],
    ],
)
def test_names_and_numbers_of_any_length_are_not_printed_whole(call):
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        call()
    assert len(str(caught.value)) < 2500


def test_a_long_message_keeps_both_ends_and_is_pickled():
    error = ModelFormatError(f"a.npz has {LONG}. Save it again.")
    text = str(pickle.loads(pickle.dumps(error)))
    assert text == str(error)
    assert text.startswith("a.npz has aaa")
    assert text.endswith("aaa. Save it again.")
    assert "(100,026 characters)" in text
    assert str(ModelFormatError("short")) == "short"


def test_require():
    assert require("json", "fast", "This") is sys.modules["json"]


@pytest.mark.parametrize("module", ["not_there_at_all", "not_there_at_all.sub"])
def test_require_says_how_to_get_it(module):
    with pytest.raises(MissingExtraError) as caught:
        require(module, "images", "Reading photos")
    message = str(caught.value)
    assert message.startswith("Reading photos needs not_there_at_all, which is not installed.")
    assert 'pip install "nsae[images]"' in message


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('built for another NumPy')", "ImportError: built for another NumPy"),
        ("raise SystemError('initialization failed')", "SystemError: initialization failed"),
        ("import numpy; numpy.no_such_name", "AttributeError: .*no_such_name"),
        ("import something_it_needs", "ModuleNotFoundError: .*something_it_needs"),
    ],
)
def test_require_does_not_call_a_broken_package_missing(tmp_path, monkeypatch, code, reason):
    (tmp_path / "broken_package.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=rf"cannot be imported \({reason}"):
        require("broken_package", "fast", "This")


def test_one_of():
    assert one_of("loss", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match=r"loss='c' is not known. Use one of: 'a', 'b'\."):
        one_of("loss", "c", ("a", "b"))


@pytest.mark.parametrize("room", ["datasets", "images", "retrieval"])
def test_rooms_of_public_names_are_there_after_import_nsae(room):
    program = f"import nsae; assert 'nsae.{room}' not in __import__('sys').modules; nsae.{room}"
    subprocess.run([sys.executable, "-c", program], check=True)
