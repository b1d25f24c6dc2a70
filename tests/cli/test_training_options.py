"""Hyperparameters on the command line: help shows what is used, and errors speak of flags."""

import re

import numpy as np
import pytest

pytest.importorskip("PIL.Image")

from PIL import Image

from nsae import ImageEncoder, SparseAutoencoder
from nsae.cli import main
from nsae.cli.parser import build_parser
from nsae.cli.training_options import OPTIONS, in_flags

EVERY = [option for options in OPTIONS.values() for option in options]
PYTHON = re.compile(r"\w=\S|[a-z]_[a-z]|random.state")  # name=value, or a name with an underscore


class Caught(Exception):
    """Ends a command where learning would begin."""


@pytest.fixture
def learned(monkeypatch, tmp_path):
    """What the estimators were made with, and the shape of what they were to learn."""
    found = {}

    def catch(model, X, *_, **__):
        found.update(model.get_params(), shape=X.shape)
        raise Caught

    monkeypatch.setattr(SparseAutoencoder, "fit", catch)
    monkeypatch.setattr(ImageEncoder, "fit", catch)
    monkeypatch.setattr("nsae.cli.make.FEW", 0)
    monkeypatch.setattr("nsae.cli.make.ENOUGH", 0)
    (tmp_path / "photos").mkdir()
    for i in range(2):
        Image.fromarray(np.full((20, 20, 3), 50 * i, np.uint8)).save(tmp_path / f"photos/{i}.png")
    monkeypatch.chdir(tmp_path)
    return found


def shown_defaults(command):
    """flag -> the default that --help shows for it; ("1024", "512") where --whole has another."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
    found = {}
    for action in commands.choices[command]._actions:
        match = re.search(r"\(([^();]+)(?:; with --whole ([^()]+))?\)$", action.help or "")
        if match and action.dest in {option.name for option in EVERY}:
            found[action.option_strings[0]] = (match[1], match[2] or match[1])
    assert set(found) == {o.flag for o in EVERY if o.settings.get("action") != "store_true"}
    return found


@pytest.mark.parametrize(
    ("command", "words"),
    [("train", []), ("index", []), ("index", ["--whole"])],
    ids=["train", "index", "whole"],
)
def test_help_shows_the_defaults_that_are_used(command, words, learned):
    shown = shown_defaults(command)
    assert main([command, "photos", "-o", "out", *words]) == 1
    used = {o.flag: learned[o.name] for o in EVERY if o.name in learned}
    side = round(learned["shape"][1] ** 0.5) if len(learned["shape"]) == 2 else learned["shape"][1]
    if len(learned["shape"]) == 2:
        side = round((learned["shape"][1] / 3) ** 0.5)
    used["--image-size"] = side
    if used["--units"] is None:
        used["--units"] = "by the number of photos"
    patches = command == "index" and not words
    for flag, value in used.items():
        if flag in shown:
            assert shown[flag][0 if patches else 1] == f"{value or 0}", flag


def test_the_images_are_of_the_size_that_is_asked_for(learned):
    for size in (40, 64, 128):
        assert main(["index", "photos", "-o", "out", "--image-size", str(size)]) == 1
        assert learned["shape"] == (2, size, size, 3)
        assert learned["image_size"] == size


def test_k_0_is_as_many_as_there_are(learned):
    assert main(["index", "photos", "-o", "out", "--units", "40", "--k", "0"]) == 1
    assert learned["k"] == 40
    assert main(["index", "photos", "-o", "out", "--units", "40", "--k", "0", "--whole"]) == 1
    assert learned["k"] is None


WRONG = [
    ["--units", "0"],
    ["--k", "500"],
    ["--k", "4", "--activation", "sigmoid"],
    ["--loss", "cross_entropy"],
    ["--l1", "-1"],
    ["--l1", "nan"],
    ["--kl", "1"],
    ["--kl", "1", "--k", "3"],
    ["--kl", "1", "--activation", "sigmoid", "--rho", "2"],
    ["--rho", "-1", "--kl", "1", "--activation", "sigmoid"],
    ["--weight-decay", "-1"],
    ["--epochs", "0"],
    ["--batch-size", "0"],
    ["--learning-rate", "-1"],
    ["--tol", "-1"],
    ["--patience", "0"],
    ["--seed", "-1"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_errors_name_the_flags_and_speak_no_python(words, tmp_path, capsys):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((40, 6), dtype=np.float32))
    assert main(["train", str(tmp_path / "rows.npy"), "-o", str(tmp_path / "m.npz"), *words]) == 1
    said = capsys.readouterr().err.replace("cross_entropy", "")
    assert said.count("\n") == 1
    assert words[0] in said or words[-2] in said
    assert not PYTHON.search(said), said


@pytest.mark.parametrize("words", [["--units", "16"], ["--units", "0"], ["--epochs", "0"], ["--seed", "-3"]])
def test_errors_of_an_image_encoder_name_the_flags(words, tmp_path, capsys):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    assert main(["index", str(tmp_path / "a.png"), "-o", str(tmp_path / "i"), *words]) == 1
    said = capsys.readouterr().err
    assert words[0] in said
    assert not PYTHON.search(said), said


def test_other_errors_name_the_flags(tmp_path, capsys):
    (tmp_path / "m.npz").write_text("mine")
    np.save(tmp_path / "rows.npy", np.ones((4, 3), np.float32))
    assert main(["train", str(tmp_path / "rows.npy"), "-o", str(tmp_path / "m.npz")]) == 1
    assert main(["download", "mnist", "--folder", str(tmp_path), "--mirror", "http://127.0.0.1:9/"]) == 1
    said = capsys.readouterr().err
    assert "--force" in said
    assert "--mirror" in said
    assert "=" not in said


def test_words_of_python_become_flags():
    flags = {
        "n_units": "--units",
        "k": "--k",
        "kl": "--kl",
        "unit_norm": "--unit-norm",
        "activation": "--activation",
    }
    for text, expected in {
        "k=500 is more than n_units=256. Lower k.": "--k 500 is more than --units 256. Lower k.",
        "Leave activation='relu', or k=None.": "Leave --activation relu, or --k 0.",
        "kl=1e-3 with activation='sigmoid' (unit_norm=True)": "--kl 1e-3 with --activation sigmoid (--unit-norm)",
        "from k_fit=1 to n_units=16": "from 1 to --units 16",
        "Use kl, in runs/kl/n_units.txt": "Use --kl, in runs/kl/n_units.txt",
        "rank_k=3, a.kl=2": "rank_k=3, a.kl=2",
    }.items():
        assert in_flags(text, flags) == expected


# ---- what no command foresees


def test_no_error_is_a_traceback_and_debug_shows_it(monkeypatch, tmp_path, capsys):
    np.save(tmp_path / "rows.npy", np.ones((4, 3), np.float32))
    command = ["train", str(tmp_path / "rows.npy"), "-o", str(tmp_path / "m.npz")]

    def fails(*_, **__):
        raise KeyError("units")

    monkeypatch.setattr("nsae.cli.make.read_source", fails)
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith("nsae: error: KeyError: 'units'")
    assert "--debug" in said
    assert said.count("\n") == 1
    for words in ([*command, "--debug"], ["--debug", *command]):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert "in fails" in said
    assert main(["info", str(tmp_path / "none"), "--debug"]) == 1  # expected errors, too
    assert "Traceback" in capsys.readouterr().err


def test_train_reports_the_seconds_of_all_epochs(monkeypatch, tmp_path, capsys):
    import json

    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((40, 6), dtype=np.float32))
    fit = SparseAutoencoder.fit

    def slow(model, X, **_):
        fit(model, X).history_["seconds"][:] = [2.0, 3.0, 5.0]
        return model

    monkeypatch.setattr(SparseAutoencoder, "fit", slow)
    words = ["--units", "4", "--k", "2", "--epochs", "3", "--json"]
    assert main(["train", str(tmp_path / "rows.npy"), "-o", str(tmp_path / "m.npz"), *words]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == 10
