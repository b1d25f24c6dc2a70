"""The command line as a user meets it: what it prints, what it writes, how it ends."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from unmeasured import unmeasured

Image = pytest.importorskip("PIL.Image")

from nsae import CodeIndex, Encoder, SparseAutoencoder
from nsae.cli import main
from nsae.cli.evaluate import label_of
from nsae.training.checkpoint import Checkpoint
from nsae.training.history import EpochLog

FAST = ["--whole", "--units", "24", "--k", "4", "--epochs", "3", "--image-size", "8"]


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
    assert figures["precision@1"] == figures["precision@5"] == figures["map"] == figures["soft_knn"] == 1
    assert figures["linear_probe"] > 0.8
    assert not {"precision@10", "retention@1", "vector"} & set(
        figures
    )  # one layer: there is no vector before


def test_evaluate_beside_raw_pixels(index, photos, capsys):
    from nsae.cli.evaluate import by_pixels, bytes_of, leave_one_out
    from nsae.images import load_images

    capsys.readouterr()
    command = ["evaluate", "-i", str(index), "--labels", "folder", "-k", "1", "5"]
    assert main([*command, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["raw"]) < set(figures)
    assert figures["raw"]["bytes"] == 8 * 8 * 3
    library = CodeIndex.load(index)
    assert figures["bytes"] == library.codes.counts.mean() * 6 == bytes_of(library)
    paths = [photos / id for id in library.ids]
    X = load_images(paths, side=8)[0].reshape(12, -1)
    expected = leave_one_out(by_pixels(X), [path.parent.name for path in paths], [1, 5])
    assert {name: figures["raw"][name] for name in expected} == pytest.approx(expected)

    assert main(command) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["codes"] == ["raw", "pixels"]
    assert lines["precision@5"] == [f"{f['precision@5']:.4f}" for f in (figures, figures["raw"])]
    assert lines["bytes"] == [f"{figures['bytes']:.0f}", "192"]


def test_raw_pixels_by_hand():
    from nsae.cli.evaluate import by_pixels

    ranked = by_pixels(np.uint8([[0, 0], [3, 4], [0, 1], [200, 0]]))
    assert ranked(slice(0, 4)).tolist() == [[2, 1, 3], [2, 0, 3], [0, 1, 3], [1, 0, 2]]
    assert ranked(slice(2, 4)).tolist() == [[0, 1, 3], [1, 0, 2]]


def test_evaluate_without_the_photos(index, photos, capsys, monkeypatch):
    command = ["evaluate", "-i", str(index), "--labels", "folder", "--json"]

    def answer(*more):
        capsys.readouterr()
        assert main([*command, *more]) == 0
        out, err = capsys.readouterr()
        return "raw" in json.loads(out), err

    assert answer() == (True, "")
    assert answer("--no-pixels") == (False, "")
    monkeypatch.setattr("nsae.cli.evaluate.PIXEL_BYTES", 1000)
    assert answer()[0] is False
    monkeypatch.undo()
    (photos / "red" / "red_01.png").write_bytes(b"no image")
    with_raw, said = answer()
    assert not with_raw
    assert "1 of 12 photos cannot be read any more" in said
    (photos / "red" / "red_01.png").unlink()
    with_raw, said = answer()
    assert not with_raw
    assert "1 of 12 photos are not where they were" in said


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
    assert main(["train", str(photos), "-o", str(model), *FAST[1:], "--json"]) == 0
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
        (["train", "rows.npy", "-o", "m.npz", "--k", "500"], "--k 500"),
        (["train", "rows.npy", "-o", "m.npz", "--kl", "1"], "sigmoid"),
        (["train", "rows.npy", "-o", "m.npz", "--loss", "cross_entropy"], "sigmoid"),
        (["index", "rows.npy", "-o", "m.nsae", "--units", "4", "--k", "9"], "--k 9"),
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


@pytest.mark.parametrize("command", ["train", "index"])
def test_a_command_that_was_stopped_goes_on_from_its_checkpoint(rows, tmp_path, monkeypatch, command):
    class Stopped(BaseException):
        """As a signal would do."""

    steps, real, kept = [], EpochLog.add, tmp_path / "kept.npz"

    def add(self, X, report):
        steps.append(1)
        real(self, X, report)
        if len(steps) == 2:
            raise Stopped

    arguments = [command, rows, "-o", str(tmp_path / "out"), "--epochs", "5", "--batch-size", "30"]
    arguments += ["--checkpoint", str(kept)]
    monkeypatch.setattr("nsae.models.checkpoint_file.Checkpoint", partial(at_each_step, Checkpoint))
    monkeypatch.setattr(EpochLog, "add", add)
    with pytest.raises(Stopped):
        main(arguments)
    assert SparseAutoencoder.load(kept).stopped_ == "unfinished"
    assert main(arguments) == 0
    assert not kept.exists()


def at_each_step(checkpoint, write, minutes, found, keep):
    return checkpoint(write, 0, found, keep)


def test_a_checkpoint_is_for_learning(tmp_path, capsys):
    for more in (["--model", "m.npz"], ["--update"]):
        arguments = ["index", "photos", "-o", str(tmp_path / "out"), "--checkpoint", "kept", *more]
        assert main(arguments) == 2
        assert "--checkpoint is for learning" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_ctrl_c_saves_the_model_as_it_stands(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((2000, 64), dtype=np.float32))
    target = tmp_path / "model.npz"
    arguments = ["train", str(tmp_path / "rows.npy"), "-o", str(target), "--epochs", "1000000"]
    command = [sys.executable, "-m", "nsae", *arguments]
    process = subprocess.Popen(command, env=unmeasured(), stderr=subprocess.PIPE)
    process.stderr.read(1)  # it speaks when training has begun
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert SparseAutoencoder.load(target).stopped_ == "interrupted"


def test_ctrl_c_while_the_command_is_loaded_shows_no_traceback(monkeypatch, capsys):
    class Interrupted:
        def find_spec(self, name, *_):
            if name == "nsae.cli.run":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "nsae.cli.run", raising=False)
    monkeypatch.delattr("nsae.cli.run", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert main(["info", "model.npz"]) == 130
    assert capsys.readouterr().err == "nsae: interrupted\n"


def test_an_error_of_the_system_says_what_to_do(tmp_path, monkeypatch, capsys):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "mkdir", refuse)
    for command, folder in (("learn", "nsae_exercises"), ("demo", "nsae_demo")):
        assert main([command]) == (2 if command == "learn" else 1)
        said = f"{folder}: Permission denied. Choose another place, or change who may write there."
        assert capsys.readouterr().err == f"nsae: error: {said}\n"
    monkeypatch.setattr(Path, "mkdir", full)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "nsae: error: No space left on device.\n"


def test_images_smaller_than_a_patch_are_refused_in_words_of_the_command(photos, tmp_path, capsys):
    assert main(["index", str(photos), "-o", str(tmp_path / "out"), "--image-size", "3"]) == 1
    said = "Patches of 6 do not fit into images of --image-size 3. Take larger images or smaller patches.\n"
    assert capsys.readouterr().err.endswith(f"nsae: error: {said}")


@pytest.mark.skipif(os.name == "nt", reason="no pipes of this kind")
def test_a_closed_pipe_is_no_error(index, photos):
    command = f"{sys.executable} -m nsae similar {photos}/red/*.png -i {index} | head -n 1"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert answer.stderr == ""


def test_download_from_a_mirror_that_is_not_there(tmp_path, capsys):
    mirror = "http://127.0.0.1:9/"  # the discard port: nobody listens
    assert main(["download", "mnist", "--folder", str(tmp_path), "--mirror", mirror]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err


# ---- outputs are checked before the work, and kept without --force


@pytest.fixture
def rows(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((40, 6), dtype=np.float32))
    return str(tmp_path / "rows.npy")


@pytest.fixture
def no_work(monkeypatch):
    """Fails the test if a command begins to read."""
    for name in ("cli.make.read_source", "cli.search.open_folder"):
        monkeypatch.setattr(f"nsae.{name}", lambda *_, **__: pytest.fail("work began"))


TRAIN = ["--units", "8", "--k", "2", "--epochs", "3"]


def test_train_keeps_an_existing_picture_without_force(rows, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    model, picture = tmp_path / "model.npz", tmp_path / "curves.png"
    picture.write_text("mine")
    command = ["train", rows, "-o", str(model), *TRAIN, "--plot", str(picture)]
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    assert not model.exists()
    assert picture.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert Image.open(picture).size[0] > 300


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "rows.npy", "-o", "folder", "--force"], "folder is a folder"),
        (["train", "rows.npy", "-o", "m.npz", "--plot", "missing/p.png"], "missing does not exist"),
        (["train", "rows.npy", "-o", "m.npz", "--plot", "folder.png", "--force"], "folder.png is a folder"),
        (["train", "rows.npy", "-o", "m.npz", "--plot", "p"], ".png"),
        (["train", "rows.npy", "-o", "m.npz", "--plot", "p.bmp"], ".svg"),
        (["similar", "a.png", "-i", "x.nsae", "--plot", "p2"], ".png"),
        (["index", "photos", "-o", "folder", "--force"], "not an index"),
        (["encode", "m.npz", "photos", "-o", "folder", "--force"], "not an index"),
    ],
)
def test_an_output_that_cannot_be_is_refused_first(arguments, words, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "folder.png"):
        (tmp_path / name).mkdir()
    assert main(arguments) == 1
    assert words in capsys.readouterr().err
    assert sorted(os.listdir()) == ["folder", "folder.png"]


@pytest.mark.usefixtures("no_work")
def test_a_picture_does_not_take_the_place_of_its_model(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["train", "rows.npy", "-o", str(tmp_path / "a.png"), "--plot", str(tmp_path / "a.png")]) == 2
    assert "two files" in capsys.readouterr().err


@pytest.mark.usefixtures("no_work")
def test_a_folder_that_cannot_be_written_to_is_refused_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda *_: False)
    for command in (["train", "rows.npy"], ["index", "photos"], ["encode", "m.npz", "photos"]):
        assert main([*command, "-o", str(tmp_path / "out")]) == 1
        assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def stopped_at_once(monkeypatch):
    """Training is interrupted before its first epoch."""
    fit = SparseAutoencoder.fit

    def stopped(model, X, **_):
        fit(model, X).stopped_ = "interrupted"
        if model.on_interrupt == "raise":
            raise KeyboardInterrupt
        for values in model.history_.values():
            values.clear()
        return model

    monkeypatch.setattr(SparseAutoencoder, "fit", stopped)


@pytest.mark.usefixtures("stopped_at_once")
def test_ctrl_c_before_the_first_epoch(rows, tmp_path, capsys):
    assert main(["train", rows, "-o", str(tmp_path / "out"), *TRAIN]) == 130
    assert "interrupted" in capsys.readouterr().out


@pytest.mark.usefixtures("stopped_at_once")
@pytest.mark.parametrize("words", [["--whole", "--units", "8", "--k", "2"], ["--units", "8", "--k", "2"]])
def test_ctrl_c_while_an_index_is_learned_ends_the_command(words, photos, tmp_path, capsys):
    """Before, the index was made all the same, with an encoder that had hardly learned."""
    command = ["index", str(photos), "-o", str(tmp_path / "out"), "--epochs", "2", "--image-size", "16"]
    assert main([*command, *words]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert "interrupted while the encoder was learned; nothing is written" in said.err
    assert not (tmp_path / "out").exists()


# ---- what is read, and how it is named


def test_codes_without_an_encoder_cannot_be_asked_for_photos(photos, tmp_path, capsys):
    model, codes = str(tmp_path / "model.npz"), str(tmp_path / "codes.nsae")
    assert main(["train", str(photos), "-o", model, *FAST[1:]]) == 0
    assert main(["encode", model, str(photos), "-o", codes]) == 0
    assert main(["similar", str(photos / "red" / "red_00.png"), "-i", codes]) == 1
    assert "nsae index PHOTOS --model" in capsys.readouterr().err


def test_an_index_of_a_data_set(photos, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    from nsae import datasets

    few = datasets.glyphs(30)
    monkeypatch.setattr(datasets, "glyphs", lambda: few)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glyphs").mkdir()  # of the same name, and not what is meant
    assert main(["index", "glyphs", "-o", "gl.nsae", *FAST]) == 0
    assert "./glyphs" in capsys.readouterr().err
    query = ["similar", str(photos / "red" / "red_00.png"), "-i", "gl.nsae", "-k", "2"]
    assert main([*query, "--plot", "p.png"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main([*query, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["hits"][0]["path"] is None
    assert main(["info", "gl.nsae", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["root"] is None


def test_an_index_of_one_photo(photos, tmp_path, capsys):
    photo, target = photos / "red" / "red_00.png", str(tmp_path / "one.nsae")
    assert main(["index", str(photo), "-o", target, *FAST]) == 0
    capsys.readouterr()
    assert main(["similar", str(photo), "-i", target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["hits"] == []
    assert main(["similar", str(photos / "red" / "red_01.png"), "-i", target, "--json"]) == 0
    (hit,) = json.loads(capsys.readouterr().out)["results"][0]["hits"]
    assert hit["path"] == os.path.realpath(photo)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("indexed", ["photos", "link", "photos/../photos", "photos/red/.."])
@pytest.mark.parametrize("asked", ["photos", "link", "photos/../photos", "photos/blue/.."])
def test_a_photo_is_itself_however_it_is_spelt(indexed, asked, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.symlink(photos, "link")
    assert main(["index", indexed, "-o", "i.nsae", *FAST]) == 0
    capsys.readouterr()
    assert main(["similar", f"{asked}/red/red_00.png", "-i", "i.nsae", "-k", "12", "--json"]) == 0
    ids = [hit["id"] for hit in json.loads(capsys.readouterr().out)["results"][0]["hits"]]
    assert len(ids) == 11
    assert "red/red_00.png" not in ids
    assert "red/red_01.png" in ids


def test_a_folder_that_cannot_be_listed_is_reported_and_the_others_go_on(
    photos, tmp_path, monkeypatch, capsys
):
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "blue":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    command = ["index", str(photos), "-o", str(tmp_path / "i.nsae"), *FAST]
    assert main([*command, "--strict"]) == 1
    assert "1 of 7" in capsys.readouterr().err
    assert main(command) == 0
    assert "blue" in capsys.readouterr().err
    assert len(CodeIndex.load(tmp_path / "i.nsae")) == 6


def _pickled():
    return np.array([{"a": 1}], dtype=object)


@pytest.mark.parametrize("kind", ["empty", "truncated", "single", "pickled", "npz", "zip", "missing", "text"])
def test_a_file_of_no_rows_is_named_with_the_way_out(kind, tmp_path, capsys):
    path = tmp_path / "rows.npy"
    np.save(path, {"single": np.float64(3), "pickled": _pickled()}.get(kind, np.zeros((9, 5))))
    whole = path.read_bytes()
    if kind == "npz":
        with open(path, "wb") as file:
            np.savez(file, a=np.zeros(3))
    elif kind == "missing":
        path.unlink()
    elif kind in ("empty", "truncated", "zip", "text"):
        path.write_bytes({"empty": b"", "truncated": whole[:-9], "zip": b"PK\3\4", "text": b"1,2\n"}[kind])
    assert main(["train", str(path), "-o", str(tmp_path / "m.npz"), *TRAIN]) == 1
    complaint = capsys.readouterr().err
    assert "rows.npy" in complaint
    assert "np.save" in complaint


# ---- what is asked for


@pytest.mark.parametrize("option", [["--k", "0"], ["--units", "256"], ["--image-size", "16"], ["--grey"]])
def test_a_model_that_is_given_is_not_trained(option, photos, tmp_path, capsys):
    assert main(["index", str(photos), "-o", str(tmp_path / "i"), "--model", "m.npz", *option]) == 2
    assert option[0] in capsys.readouterr().err


def test_training_options_not_given_are_the_commands_own(photos, tmp_path, capsys):
    target = str(tmp_path / "i.nsae")
    assert (
        main(["index", str(photos), "-o", target, "--whole", "--units", "40", "--epochs", "2", "--grey"]) == 0
    )
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["stopped"] == "epochs"
    assert 0 <= float(shown["dead"]) <= 1
    model = Encoder.load(os.path.join(target, "model.npz"))
    assert model.header["params"]["k"] == 32
    assert model.preprocessing == {"side": 16, "color": False}
    assert main(["index", str(photos), "-o", target, *FAST, "--k", "0", "--force"]) == 0
    assert Encoder.load(os.path.join(target, "model.npz")).header["params"]["k"] is None


def test_more_hits_than_photos(index, photos, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("nsae.cli.pictures.MAX_DRAWN", 3)
    capsys.readouterr()
    query = ["similar", str(photos / "red" / "red_00.png"), "-i", str(index), "-k", str(10**12)]
    assert main([*query, "--plot", str(tmp_path / "p.png")]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 12
    assert "3 hits" in said.err
    assert Image.open(tmp_path / "p.png").size[0] < 1000


@pytest.mark.parametrize("block_pairs", [1, 25, 10**6])
def test_leave_one_out_in_blocks_is_evaluate_at_once(block_pairs, rng):
    from nsae import evaluate
    from nsae.cli.evaluate import by_codes, leave_one_out

    library = CodeIndex(12)
    library.add(rng.random((11, 12)) * (rng.random((11, 12)) < 0.3))
    labels = [*"aabbbccccc", "alone"]
    hits = library.search(library.codes, 10, exclude=library.ids)
    expected = evaluate(hits, labels, k=(1, 5, 10))
    assert expected["queries_without_match"] == 1
    found = leave_one_out(by_codes(library), labels, [1, 5, 10], block_pairs=block_pairs)
    assert found.pop("map@1000") == found["map"]  # there are only 10 to rank
    assert found == expected


def test_json_has_no_nan(photos, tmp_path, capsys):
    target = str(tmp_path / "i.nsae")
    assert main(["index", str(photos / "red"), "-o", target, *FAST]) == 0
    capsys.readouterr()
    assert main(["evaluate", "-i", target, "--labels", r"(\d\d)\.png", "--json"]) == 0  # a class for each
    text = capsys.readouterr().out
    assert "NaN" not in text
    assert json.loads(text)["map"] is None


def test_download_of_something_unknown(capsys):
    with pytest.raises(SystemExit):
        main(["download", "imagenet"])
    assert "fashion-mnist" in capsys.readouterr().err


def test_download_tells_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(
        importlib.import_module("nsae.datasets.download"),
        "download",
        lambda name, *, progress, **_: progress("a.gz", 50, 2000),
    )
    assert main(["download", "mnist"]) == 0
    assert "a.gz: 50 of 2,000 bytes" in capsys.readouterr().err


# ---- streams


def _run(command, **environment):
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, env={**os.environ, **environment}, check=False
    )


@pytest.mark.skipif(os.name == "nt", reason="another shell")
def test_names_that_stdout_cannot_print(photos, tmp_path):
    red = photos / "red"
    os.rename(red / "red_01.png", red / "röd\x1b[2J\n.png")
    os.rename(red / "red_02.png", os.fsencode(red) + b"/r\xf6d.png")
    target = tmp_path / "i.nsae"
    assert main(["index", str(photos), "-o", str(target), *FAST]) == 0
    command = f"{sys.executable} -m nsae similar {red}/red_00.png -i {target} -k 11"
    answer = _run(command, PYTHONIOENCODING="ascii")
    assert answer.returncode == 0
    assert len(answer.stdout.splitlines()) == 12
    assert b"r?d\\x1b[2J\\n.png" in answer.stdout
    assert b"r\\udcf6d.png" in answer.stdout


@pytest.mark.skipif(os.name == "nt", reason="another shell")
def test_closed_streams_are_no_error(index):
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        answer = _run(f"{sys.executable} -m nsae info {index} {closed}")
        assert answer.returncode == 0
        assert answer.stderr == b""


# ---- photos are indexed by their patches


@pytest.fixture
def stripes(tmp_path):
    """Two class folders of twelve photos each: stripes that lie and stripes that stand, in any colour."""
    rng = np.random.default_rng(0)
    for label in ("lying", "standing"):
        (tmp_path / "stripes" / label).mkdir(parents=True)
        for i in range(12):
            wave = np.sin(np.arange(32)[:, None] * rng.uniform(0.8, 1.2) + rng.uniform(0, 6)) > 0  # (32, 1)
            pixels = np.broadcast_to(wave if label == "lying" else wave.T, (32, 32))
            tint = rng.integers(100, 255, 3)
            Image.fromarray((pixels[..., None] * tint).astype(np.uint8)).save(
                tmp_path / "stripes" / label / f"{label}_{i:02d}.png"
            )
    return tmp_path / "stripes"


def test_photos_are_indexed_by_patches(stripes, tmp_path, capsys):
    from nsae import ImageEncoder

    target = tmp_path / "photos.nsae"
    (stripes / "lying" / "broken.png").write_bytes(b"no image")
    assert (
        main(
            [
                "index",
                str(stripes),
                "-o",
                str(target),
                "--units",
                "24",
                "--k",
                "4",
                "--image-size",
                "32",
                "--json",
            ]
        )
        == 0
    )
    answer = capsys.readouterr()
    assert json.loads(answer.out)["rows"] == 24
    assert "broken.png" in answer.err
    encoder = ImageEncoder.load(target / "model.npz")
    assert (encoder.n_units, encoder.k, encoder.geometry_.image_size) == (24, 4, 32)
    assert (
        main(["similar", str(stripes / "lying" / "lying_03.png"), "-i", str(target), "-k", "4", "--json"])
        == 0
    )
    hits = json.loads(capsys.readouterr().out)["results"][0]["hits"]
    assert [hit["id"].split("/")[0] for hit in hits] == ["lying"] * 4
    assert main(["evaluate", "-i", str(target), "--labels", "folder", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["precision@1"] > 0.8  # of 24 units, chance is a half
    for k in (1, 10):
        assert figures[f"retention@{k}"] == figures[f"precision@{k}"] / figures["vector"][f"precision@{k}"]
    assert min(figures["soft_knn"], figures["vector"]["soft_knn"]) > 0.8
    assert 0 <= figures["vector"]["linear_probe"] <= 1
    assert main(["evaluate", "-i", str(target), "--labels", "folder", "-k", "5"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["codes"] == ["vector", "raw", "pixels"]
    assert [len(lines[name]) for name in ("precision@5", "soft_knn", "retention@10", "bytes")] == [3, 2, 1, 3]
    assert "precision@10" not in lines
    assert main(["info", str(target / "model.npz")]) == 0
    assert "image_encoder" in capsys.readouterr().out
    again = tmp_path / "again.nsae"
    assert main(["index", str(stripes), "--model", str(target / "model.npz"), "-o", str(again)]) == 0
    assert CodeIndex.load(again).codes.values.tobytes() == CodeIndex.load(target).codes.values.tobytes()


def test_options_of_the_plain_autoencoder_need_whole(photos, tmp_path, capsys):
    command = ["index", str(photos), "-o", str(tmp_path / "i.nsae"), "--l1", "0.1", "--image-size", "16"]
    assert main(command) == 2
    assert "--l1" in capsys.readouterr().err
    assert not (tmp_path / "i.nsae").exists()
