"""The commands that search and say why: what they print, what they write, how they end."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae import CodeIndex, Encoder
from nsae.cli import main
from nsae.cli.queries import Query, parse_queries
from nsae.errors import UsageError
from nsae.images import load_images
from nsae.retrieval import compose, expand, unit_catalogue

FAST = ["--whole", "--units", "24", "--k", "6", "--epochs", "5", "--image-size", "8"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with five photos each of three colours."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("search") / "photos"
    for label, tint in (("blue", [40, 60, 220]), ("green", [40, 190, 60]), ("red", [220, 60, 40])):
        (root / label).mkdir(parents=True)
        for i in range(5):
            pixels = np.clip(rng.normal(tint, 40, (12, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{label}_{i}.png")
    return root


@pytest.fixture(scope="module")
def index(photos):
    target = photos.parent / "photos.nsae"
    assert main(["index", str(photos), "-o", str(target), "--json", *FAST]) == 0
    return target


@pytest.fixture
def ask(index, photos, monkeypatch, capsys):
    """Runs a command on the index, from inside the folder: ``ask("similar", …)`` is its answer as JSON."""
    monkeypatch.chdir(photos)
    capsys.readouterr()

    def run(command, *words, expect=0):
        assert main([command, *words, "-i", str(index), "--json"]) == expect
        return json.loads(capsys.readouterr().out) if expect == 0 else capsys.readouterr().err

    return run


def codes_of(index, photos, names):
    images, _ = load_images([photos / name for name in names], side=8)
    return Encoder.load(index / "model.npz").encode(images.reshape(len(images), -1))


# ---- similar


def test_queries_from_words():
    queries = parse_queries(["a", "b", "+", "c", "-", "d", "e"])
    assert [(list(map(str, q.plus)), list(map(str, q.minus))) for q in queries] == [
        (["a"], []),
        (["b", "c"], ["d"]),
        (["e"], []),
    ]
    assert [query.name for query in queries] == ["a", "b + c - d", "e"]
    assert parse_queries(["a", "b"], ["c"], ["d"])[1] == parse_queries(["b", "+", "c", "-", "d"])[0]
    assert isinstance(queries[0], Query)
    for words in (["+", "a"], ["a", "-"], ["a", "+", "-", "b"], ["-"]):
        with pytest.raises(UsageError, match="photo"):
            parse_queries(words)


def test_photos_added_up_and_taken_away(ask, index, photos):
    names = ["red/red_0.png", "green/green_0.png", "blue/blue_0.png"]
    words = ["red/red_0.png", "+", "green/green_0.png", "-", "blue/blue_0.png"]
    (result,) = ask("similar", *words, "-k", "4")["results"]
    assert result["query"] == " ".join(words)
    assert (result["plus"], result["minus"]) == (names[:2], names[2:])
    library, codes = CodeIndex.load(index), codes_of(index, photos, names)
    expected = library.search(compose([codes[[0]], codes[[1]]], [codes[[2]]]), 7)
    left = [(id, d) for id, d in zip(expected.ids[0], expected.distances[0], strict=True) if id not in names]
    assert [hit["id"] for hit in result["hits"]] == [id for id, _ in left[:4]]
    assert [hit["distance"] for hit in result["hits"]] == pytest.approx([d for _, d in left[:4]])
    options = ["--plus", words[2], "--minus", words[4]]
    assert ask("similar", words[0], *options, "-k", "4")["results"] == [result]


def test_several_queries_and_more_hits_than_there_are(ask):
    results = ask("similar", "red/red_0.png", "red/red_1.png", "+", "red/red_2.png", "-k", "99")["results"]
    assert [len(result["hits"]) for result in results] == [14, 13]
    for result in results:
        assert not {hit["id"] for hit in result["hits"]} & set(result["plus"])


def test_expand(ask, index, photos):
    (result,) = ask("similar", "red/red_0.png", "-k", "3", "--expand", "2")["results"]
    library = CodeIndex.load(index)
    code = codes_of(index, photos, ["red/red_0.png"])
    first = library.search(code, 2, exclude=["red/red_0.png"])
    expected = library.search(expand(code, first, library), 3, exclude=["red/red_0.png"])
    assert [hit["id"] for hit in result["hits"]] == expected.ids[0].tolist()
    np.testing.assert_allclose([hit["distance"] for hit in result["hits"]], expected.distances[0], rtol=1e-6)


def test_keep(ask, index, photos):
    (result,) = ask("similar", "red/red_0.png", "-k", "3", "--keep", "2")["results"]
    library = CodeIndex.load(index)
    codes = codes_of(index, photos, ["red/red_0.png"])
    expected = library.search(codes, 3, keep=2, exclude=["red/red_0.png"])
    assert [hit["id"] for hit in result["hits"]] == expected.ids[0].tolist()


def test_require_and_forbid(ask, index, photos):
    def has(id):
        return set(library.codes[library.row_of(id)].units.tolist())

    library = CodeIndex.load(index)
    plain = ask("similar", "red/red_0.png", "-k", "14")["results"][0]["hits"]
    unit, other = (
        one["unit"] for one in ask("explain", "red/red_0.png", plain[0]["id"])["contributions"][:2]
    )
    for options, wanted in (
        (["--require", f"{unit},{other}"], lambda units: {unit, other} <= units),
        (
            ["--require", str(unit), "--forbid", str(other)],
            lambda units: unit in units and other not in units,
        ),
        (["--forbid", str(unit), "--forbid", str(other)], lambda units: not units & {unit, other}),
    ):
        hits = ask("similar", "red/red_0.png", "-k", "14", *options)["results"][0]["hits"]
        assert hits == [hit for hit in plain if wanted(has(hit["id"]))]
    assert "24" in ask("similar", "red/red_0.png", "--require", "24", expect=1)


def test_a_query_with_a_photo_that_cannot_be_read_is_left_out(ask, photos, capsys):
    words = ["red/red_0.png", "+", "red/missing.png", "blue/blue_0.png"]
    (result,) = ask("similar", *words)["results"]
    assert result["query"] == "blue/blue_0.png"
    assert "nothing to search for" in ask("similar", *words[:3], expect=1)
    assert "--strict" in ask("similar", *words, "--strict", expect=1)


def test_signs_out_of_place_are_usage_errors(ask):
    assert "'+'" in ask("similar", "red/red_0.png", "+", expect=2)
    assert "./-" in ask("similar", "-", "red/red_0.png", expect=2)


@pytest.mark.skipif(os.name == "nt", reason="no bytes as names")
def test_paths_ended_by_nul(photos, index, tmp_path):
    odd = photos.parent / "odd"
    odd.mkdir()
    for i, name in enumerate([b"r\xf6d.png", b"two\nlines.png", b"query.png"]):
        with open(os.path.join(os.fsencode(odd), name), "wb") as file:
            file.write((photos / "red" / f"red_{i}.png").read_bytes())
    target = str(tmp_path / "odd.nsae")
    assert main(["index", str(odd), "--model", str(index / "model.npz"), "-o", target]) == 0
    command = [sys.executable, "-m", "nsae", "similar", str(odd / "query.png"), "-i", target, "-0"]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    paths = answer.split(b"\0")
    assert paths.pop() == b""
    assert {os.path.basename(path) for path in paths} == {b"r\xf6d.png", b"two\nlines.png"}
    assert all(os.path.exists(path) for path in paths)


def test_a_gallery(ask, tmp_path, capsys):
    page = tmp_path / "g.html"
    words = ["red/red_0.png", "+", "blue/blue_0.png", "red/red_1.png"]
    ask("similar", *words, "-k", "3", "--html", str(page))
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    names = [query["name"] for query in data["queries"]]
    assert names == ["red/red_0.png + blue/blue_0.png", "red/red_1.png"]
    assert all(photo["src"] for photo in data["photos"])
    assert "--force" in ask("similar", *words, "--html", str(page), expect=1)
    assert page.read_text(encoding="utf-8") == text
    ask("similar", "red/red_0.png", "--keep", "2", "--html", str(page), "--force")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))[1])
    assert all(hit["shared"] <= 2 for hit in data["queries"][0]["hits"])


def test_a_picture_of_composed_queries(ask, tmp_path):
    pytest.importorskip("matplotlib")
    words = ["red/red_0.png", "+", "blue/blue_0.png", "-k", "3", "--plot", str(tmp_path / "p.png")]
    ask("similar", *words)
    assert Image.open(tmp_path / "p.png").size[0] > 300


def test_two_forms_of_one_answer(ask):
    assert "-0" in ask("similar", "red/red_0.png", "-0", expect=2)


def test_units_are_numbers(index, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["similar", "a.png", "-i", str(index), "--forbid", "3,x"])
    assert stopped.value.code == 2
    assert "such as 18,54" in capsys.readouterr().err


def test_help_shows_how(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["similar", "--help"])
    assert stopped.value.code == 0
    assert "nsae similar a.jpg + b.jpg - c.jpg" in capsys.readouterr().out


# ---- explain


def test_explain_as_json(ask, index, photos):
    hits = ask("similar", "red/red_0.png", "-k", "5")["results"][0]["hits"]
    answer = ask("explain", "red/red_0.png", hits[2]["path"], "-k", "5", "--top", "2")
    library, code = CodeIndex.load(index), codes_of(index, photos, ["red/red_0.png"])
    contributions = library.explain(code, hits[2]["id"], top=24)
    assert (answer["hit"], answer["rank"], answer["shared"]) == (hits[2]["id"], 3, len(contributions))
    assert answer["distance"] == pytest.approx(hits[2]["distance"])
    assert answer["similarity"] == pytest.approx(1 - answer["distance"], abs=1e-6)
    assert [(one["unit"], one["contribution"]) for one in answer["contributions"]] == contributions[:2]
    rows = {use.unit: use.rows for use in unit_catalogue(library)}
    assert all(one["rows"] == rows[one["unit"]] for one in answer["contributions"])
    removed = answer["counterfactual"]["units"]
    z = code.to_dense()[0]
    z[removed] = 0
    assert hits[2]["id"] not in library.search(z, 5, exclude=["red/red_0.png"]).ids[0]


def test_explain_a_search_with_keep(ask, tmp_path):
    hits = ask("similar", "red/red_0.png", "-k", "5", "--keep", "2")["results"][0]["hits"]
    page = str(tmp_path / "e.html")
    answer = ask("explain", "red/red_0.png", hits[1]["id"], "-k", "5", "--keep", "2", "--html", page)
    assert answer["rank"] == 2
    assert answer["distance"] == pytest.approx(hits[1]["distance"])
    assert answer["similarity"] == pytest.approx(1 - answer["distance"], abs=1e-6)
    assert answer["shared"] <= 2
    assert len(answer["counterfactual"]["units"]) <= 2


def test_explain_as_text(index, photos, capsys):
    red, blue = str(photos / "red" / "red_0.png"), str(photos / "blue" / "blue_0.png")
    capsys.readouterr()
    assert main(["explain", red, "red/red_1.png", "-i", str(index), "-k", "3"]) == 0
    shown = capsys.readouterr().out
    assert "cosine distance" in shown
    assert "3 nearest" in shown
    lines = [line.split() for line in shown.splitlines()]
    shares = [float(line[1]) for line in lines if line[0].isdigit() and len(line) == 4]
    (total,) = [float(line[1]) for line in lines if line[0] == "all"]
    assert sum(shares) == pytest.approx(total, abs=1e-3)
    assert main(["explain", red, blue, "-i", str(index), "-k", "1"]) == 0
    assert "It is not among the 1 nearest" in capsys.readouterr().out
    assert main(["explain", red, "red/red_1.png", "-i", str(index), "-k", "20"]) == 0
    assert "whatever units are removed" in capsys.readouterr().out


def test_explain_as_a_picture_and_a_page(ask, tmp_path):
    pytest.importorskip("matplotlib")
    outputs = ["--plot", str(tmp_path / "e.png"), "--html", str(tmp_path / "e.html")]
    ask("explain", "red/red_0.png", "red/red_1.png", *outputs)
    assert Image.open(tmp_path / "e.png").size[0] > 100
    assert "red_0.png and red/red_1.png" in (tmp_path / "e.html").read_text(encoding="utf-8")
    assert "--force" in ask("explain", "red/red_0.png", "red/red_1.png", *outputs, expect=1)


def test_explain_refuses_what_is_not_in_the_index(ask):
    complaint = ask("explain", "red/red_0.png", "red/none.png", expect=1)
    assert "red/none.png is not in this index" in complaint
    assert "none.png" in ask("explain", "none.png", "red/red_0.png", expect=1)


# ---- units


def test_units_as_json(ask, index):
    expected = unit_catalogue(CodeIndex.load(index), top=2)
    by_rows = sorted(expected, key=lambda use: -use.rows)
    answer = ask("units", "--top", "2")
    assert answer["rows"] == 15
    assert [use["unit"] for use in answer["units"]] == [use.unit for use in by_rows]
    for shown, use in zip(answer["units"], by_rows, strict=True):
        assert (shown["rows"], shown["dead"], shown["common"]) == (use.rows, use.dead, use.common)
        assert [tuple(one) for one in shown["top"]] == use.top
    assert [use["unit"] for use in ask("units", "--sort", "unit")["units"]] == list(range(24))
    means = [use["mean"] for use in ask("units", "--sort", "mean")["units"]]
    assert means == sorted(means, reverse=True)
    assert [use["unit"] for use in ask("units", "7", "3", "7")["units"]] == [3, 7]
    assert "0 to 23" in ask("units", "24", expect=1)
    assert "--common 7" in ask("units", "--common", "7", expect=1)


def test_units_as_text(index, capsys):
    capsys.readouterr()
    assert main(["units", "-i", str(index), "--common", "0.5"]) == 0
    head, columns, *lines = capsys.readouterr().out.splitlines()
    expected = unit_catalogue(CodeIndex.load(index), common=0.5)
    assert f"{sum(use.dead for use in expected)} dead" in head
    assert f"{sum(use.common for use in expected)} common" in head
    assert columns.split()[:2] == ["unit", "rows"]
    assert len(lines) == 24
    assert sum("dead" in line for line in lines) == sum(use.dead for use in expected)


def test_units_as_a_picture(ask, index, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("nsae.cli.pictures.MAX_DRAWN", 3)
    ask("units", "--plot", str(tmp_path / "u.png"))
    assert Image.open(tmp_path / "u.png").size[0] > 300
    assert "--force" in ask("units", "--plot", str(tmp_path / "u.png"), expect=1)


def test_units_of_codes_alone(tmp_path, capsys):
    library = CodeIndex(3)
    library.add(np.eye(3))
    library.save(tmp_path / "codes.nsae")
    assert main(["units", "-i", str(tmp_path / "codes.nsae")]) == 0
    assert "3 of 3 units" in capsys.readouterr().out
    assert main(["units", "-i", str(tmp_path / "codes.nsae"), "--plot", str(tmp_path / "u.png")]) == 1
    assert "nothing to draw" in capsys.readouterr().err
    assert not (tmp_path / "u.png").exists()
