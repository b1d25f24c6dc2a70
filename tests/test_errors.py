"""The project's own errors."""

import pickle
import subprocess
import sys

import pytest

from nsae.errors import (
    ImageReadError,
    MissingExtraError,
    ModelFormatError,
    NotFittedError,
    require,
)
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
