"""``nsae filters``: the patterns of a model's units, drawn."""

import pytest

pytest.importorskip("matplotlib")

from nsae import SparseAutoencoder
from nsae.cli import main


@pytest.fixture
def model(tmp_path, rng):
    path = tmp_path / "model.npz"
    SparseAutoencoder(5, k=2, epochs=1, random_state=0).fit(rng.random((30, 12))).save(path)
    return path


def test_patterns_are_drawn_and_no_file_is_overwritten(model, tmp_path, capsys):
    target = tmp_path / "out.png"
    command = ["filters", str(model), "-o", str(target), "--shape", "3x4"]
    assert main([*command, "--units", "4,1"]) == 0
    assert capsys.readouterr().out == f"wrote {target}\n"
    assert target.read_bytes().startswith(b"\x89PNG")
    assert main(command) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "12 numbers are no square. Give their --shape (height, width)"),
        (
            ["--shape", "3x3"],
            "--shape 3x3 has 9 numbers, and a pattern of this model has 12. Give HEIGHTxWIDTH",
        ),
        (["--shape", "3x4", "--units", "9"], "There is no unit 9: the model has the units 0 to 4"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_line(model, tmp_path, capsys, options, message):
    assert main(["filters", str(model), "-o", str(tmp_path / "out.png"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_a_shape_is_two_or_three_numbers(model, capsys):
    for text in ("3", "axb", "0x4", "1x2x3x4"):
        with pytest.raises(SystemExit):
            main(["filters", str(model), "--shape", text])
        assert "HEIGHTxWIDTH" in capsys.readouterr().err


def test_an_encoder_of_patches_has_no_patterns_of_images(tmp_path, capsys):
    assert main(["filters", "photos", "-o", str(tmp_path / "out.png")]) == 1
    assert "nsae units" in capsys.readouterr().err
