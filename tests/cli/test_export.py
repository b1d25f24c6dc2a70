"""``nsae export`` as a user meets it."""

import json

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.cli import main


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = SparseAutoencoder(12, k=3, epochs=1, random_state=0).fit(np.random.default_rng(0).random((50, 6)))
    model.save("model.npz")
    return model


def test_a_model_becomes_a_python_file(model, tmp_path, monkeypatch, capsys):
    assert main(["export", "model.npz", "-o", "exported_once.py", "--json"]) == 0
    size = (tmp_path / "exported_once.py").stat().st_size
    assert json.loads(capsys.readouterr().out) == {"file": "exported_once.py", "units": 12, "bytes": size}
    monkeypatch.syspath_prepend(tmp_path)
    import exported_once

    X = np.random.default_rng(1).random((5, 6))
    np.testing.assert_array_equal(exported_once.encode(X), model.encode(X).to_dense())


@pytest.mark.parametrize(("words", "message"), [
    (["model.npz", "-o", "there.py"], "there.py exists already. Choose another name, or replace it: --force."),
    (["model.npz", "-o", "my-encoder.py"], "my-encoder.py is no name that Python can import."),
    (["model.npz", "-o", "none/encoder.py"], "none does not exist. Create it first."),
    (["none.npz", "-o", "encoder.py"], "There is no model file none.npz."),
    (["there.py", "-o", "encoder.py"], "there.py is not a whole nsae model file"),
])  # fmt: skip
@pytest.mark.usefixtures("model")
def test_what_is_refused(words, message, tmp_path, capsys):
    (tmp_path / "there.py").write_text("mine", encoding="utf-8")
    assert main(["export", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert (tmp_path / "there.py").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "encoder.py").exists()


def test_the_encoder_of_an_index(model, tmp_path, monkeypatch, capsys):
    X = np.random.default_rng(1).random((5, 6))
    np.save("X.npy", X)
    assert main(["index", "X.npy", "--model", "model.npz", "-o", "rows.nsae"]) == 0
    assert main(["export", "rows.nsae", "-o", "of_rows.py"]) == 0
    monkeypatch.syspath_prepend(tmp_path)
    import of_rows

    np.testing.assert_array_equal(of_rows.encode(X), model.encode(X).to_dense())
    assert main(["encode", "model.npz", "X.npy", "-o", "codes.nsae"]) == 0
    capsys.readouterr()
    assert main(["export", "codes.nsae", "-o", "of_codes.py"]) == 1
    assert "holds codes without the encoder that made them" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_a_file_is_replaced_with_force(tmp_path):
    (tmp_path / "there.py").write_text("mine", encoding="utf-8")
    assert main(["export", "model.npz", "-o", "there.py", "--force"]) == 0
    assert "KSparse(3)" in (tmp_path / "there.py").read_text(encoding="utf-8")
