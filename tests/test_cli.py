"""The command line as a user meets it: what it prints, what it writes, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import CodeIndex, Encoder, SparseAutoencoder
from nsae.cli import main
from nsae.commands import label_of

FAST = ["--units", "24", "--k", "4", "--epochs", "3", "--side", "8"]


@pytest.fixture
def photos(tmp_path):
    """Two class folders of six small photos each: bluish and reddish noise."""
    rng = np.random.default_rng(0)
    for label, tint in (("blue", [40, 60, 220]), ("red", [220, 60, 40])):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(6):
            pixels = np.clip(rng.normal(tint, 25, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{label}_{i:02d}.png")
    return tmp_path / "photos"


@pytest.fixture
def index(photos, tmp_path):
    target = tmp_path / "photos.nsae"
    assert main(["index", str(photos), "-o", str(target), "--json", *FAST]) == 0
    return target


def test_index_then_similar_as_a_table(index, photos, capsys):
    capsys.readouterr()
    assert main(["similar", str(photos / "red" / "red_03.png"), "-i", str(index), "-k", "4"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert "red_03.png" in head
    assert "cosine" in head
    assert len(rows) == 4
    distances = [float(row.split()[1]) for row in rows]
    assert distances == sorted(distances)
    assert all(row.split()[2].startswith("red/") for row in rows)
    assert not any("red_03" in row for row in rows)  # a photo is no news to itself


def test_similar_as_json_for_several_queries(index, photos, capsys):
    capsys.readouterr()
    queries = [str(photos / "red" / "red_00.png"), str(photos / "blue" / "blue_00.png")]
    assert main(["similar", *queries, "-i", str(index), "-k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [result["query"] for result in answer["results"]] == queries
    for result, label in zip(answer["results"], ("red", "blue"), strict=True):
        assert [hit["id"].split("/")[0] for hit in result["hits"]] == [label] * 3
        assert all(os.path.exists(hit["path"]) for hit in result["hits"])


def test_similar_as_a_picture(index, photos, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    query, picture = str(photos / "red" / "red_00.png"), tmp_path / "out.png"
    (photos / "red" / "red_01.png").unlink()  # a hit that is gone since is still a hit
    arguments = ["similar", query, "-i", str(index), "-k", "3", "--plot", str(picture)]
    assert main(arguments) == 0
    assert Image.open(picture).size[0] > 300
    before = picture.read_bytes()
    assert main(arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert picture.read_bytes() == before


def test_a_query_outside_the_folder(index, photos, tmp_path, capsys):
    capsys.readouterr()
    Image.open(photos / "red" / "red_00.png").save(tmp_path / "copy.png")
    assert main(["similar", str(tmp_path / "copy.png"), "-i", str(index), "-k", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:] == ["0.0000", "red/red_00.png"]


@pytest.mark.parametrize("rule", ["folder", "name", r"(\w+)_\d+\.png"])
def test_evaluate(index, rule, capsys):
    capsys.readouterr()
    assert main(["evaluate", "-i", str(index), "--labels", rule, "-k", "1", "5", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == 12
    assert figures["classes"] == 2
    assert figures["precision@1"] == figures["precision@5"] == figures["map"] == 1


def test_evaluate_needs_classes(index, capsys):
    assert main(["evaluate", "-i", str(index), "--labels", "(png)"]) == 1
    assert "two classes" in capsys.readouterr().err
    assert main(["evaluate", "-i", str(index), "--labels", "nothing(like)it"]) == 1
    assert "match" in capsys.readouterr().err


def test_labels_from_names():
    assert label_of("cats/tom_012.jpg", "folder") == "cats"
    assert label_of("cats/tom_012.jpg", "name") == "tom"
    assert label_of("712.jpg", r"(\d)\d\d\.jpg") == "7"


def test_train_encode_info(tmp_path, capsys):
    rows, model, codes = tmp_path / "rows.npy", tmp_path / "model.npz", tmp_path / "codes.nsae"
    np.save(rows, np.random.default_rng(0).random((40, 6), dtype=np.float32))
    train = ["train", str(rows), "-o", str(model), "--units", "8", "--k", "2", "--epochs", "3", "--json"]
    assert main([*train, "--plot", str(tmp_path / "curves.png")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["epochs"] == 3
    assert figures["l0"] <= 2
    assert Image.open(tmp_path / "curves.png").size[0] > 300

    assert main(["encode", str(model), str(rows), "-o", str(codes)]) == 0
    expected = SparseAutoencoder.load(model).transform(np.load(rows))
    np.testing.assert_array_equal(CodeIndex.load(codes).codes.to_dense(), expected)

    capsys.readouterr()
    assert main(["info", str(model)]) == 0
    assert "n_units" in capsys.readouterr().out
    assert main(["info", str(codes), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 40


def test_a_model_can_index_and_encode_other_photos(photos, tmp_path, capsys):
    model = tmp_path / "model.npz"
    assert main(["train", str(photos), "-o", str(model), *FAST, "--json"]) == 0
    assert Encoder.load(model).preprocessing == {"side": 8, "color": True}
    target = tmp_path / "red.nsae"
    assert main(["index", str(photos / "red"), "--model", str(model), "-o", str(target)]) == 0
    assert CodeIndex.load(target).ids == [f"red_{i:02d}.png" for i in range(6)]


def test_no_output_is_overwritten_without_force(photos, index, capsys):
    before = {file.name: file.read_bytes() for file in index.iterdir()}
    assert main(["index", str(photos), "-o", str(index), *FAST]) == 1
    assert "--force" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in index.iterdir()} == before
    assert main(["index", str(photos / "red"), "-o", str(index), *FAST, "--force"]) == 0
    assert len(CodeIndex.load(index)) == 6


def test_a_broken_file_is_reported_and_the_others_go_on(photos, tmp_path, capsys):
    whole = (photos / "red" / "red_00.png").read_bytes()
    (photos / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "letter.jpg").write_text("Dear all,")
    command = ["index", str(photos), *FAST, "-o"]
    assert main([*command, str(tmp_path / "a.nsae")]) == 0
    complaints = capsys.readouterr().err
    assert "cut.png" in complaints
    assert "letter.jpg" in complaints
    assert len(CodeIndex.load(tmp_path / "a.nsae")) == 12
    assert main([*command, str(tmp_path / "b.nsae"), "--strict"]) == 1
    assert "2 of 14" in capsys.readouterr().err
    assert not (tmp_path / "b.nsae").exists()


def test_exit_1_if_none_worked(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert main(["index", str(tmp_path / "folder"), "-o", str(tmp_path / "a.nsae"), *FAST]) == 1
    assert "No images" in capsys.readouterr().err
    (tmp_path / "folder" / "letter.jpg").write_text("Dear all,")
    assert main(["index", str(tmp_path / "folder"), "-o", str(tmp_path / "a.nsae"), *FAST]) == 1
    assert "1 of 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["similar", "a.png", "-i", "missing.nsae"], "missing.nsae"),
        (["info", "missing.npz"], "missing.npz"),
        (["train", "missing-folder", "-o", "m.npz"], "missing-folder"),
        (["train", "glyphs", "-o", "no-such-folder/m.npz"], "no-such-folder"),
        (["train", "rows.npy", "-o", "m.npz", "--k", "500"], "k=500"),
        (["train", "rows.npy", "-o", "m.npz", "--kl", "1"], "sigmoid"),
        (["train", "rows.npy", "-o", "m.npz", "--loss", "cross_entropy"], "sigmoid"),
        (["index", "rows.npy", "-o", "m.nsae", "--units", "4", "--k", "9"], "k=9"),
    ],
)
def test_errors_are_one_line_and_exit_1(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.zeros((4, 3)))
    assert main(arguments) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("nsae: error: ")
    assert words in complaint
    assert "Traceback" not in complaint
    assert os.listdir() == ["rows.npy"]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["similar"], ["demo", "-k"], ["train", "x"]])
def test_usage_errors_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_python_dash_m(tmp_path):
    command = [sys.executable, "-m", "nsae", "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("nsae 0.")


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_ctrl_c_saves_the_model_as_it_stands(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((2000, 64), dtype=np.float32))
    target = tmp_path / "model.npz"
    arguments = ["train", str(tmp_path / "rows.npy"), "-o", str(target), "--epochs", "1000000"]
    process = subprocess.Popen([sys.executable, "-m", "nsae", *arguments], stderr=subprocess.PIPE)
    process.stderr.read(1)  # it speaks when training has begun
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert SparseAutoencoder.load(target).stopped_ == "interrupted"


@pytest.mark.skipif(os.name == "nt", reason="no pipes of this kind")
def test_a_closed_pipe_is_no_error(index, photos):
    command = f"{sys.executable} -m nsae similar {photos}/red/*.png -i {index} | head -n 1"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert answer.stderr == ""


def test_download_from_a_mirror_that_is_not_there(tmp_path, capsys):
    mirror = "http://127.0.0.1:9/"  # the discard port: nobody listens
    assert main(["download", "mnist", "--folder", str(tmp_path), "--mirror", mirror]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err
