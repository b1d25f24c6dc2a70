"""The playground as a file, and as a page in a browser."""

import importlib.util
import json
import math
import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_chromium

from nsae import CodeIndex, Encoder, ImageEncoder, SparseAutoencoder, export_playground
from nsae.cli import main
from nsae.equations.activations import JumpReLU, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.export.playground import drawing_style, page_text
from nsae.retrieval.distances import contributions

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)
ROOT = Path(__file__).parents[2]


def encoder(h, d, g, dtype="float32", *, whole_numbers=False, output="linear", **header):
    rng = np.random.default_rng([h, d])
    W, b, V, c = (rng.normal(size=size) for size in ((h, d), h, (d, h), d))
    if whole_numbers:  # so that many pre-activations are equal
        W, b, V, c = map(np.rint, (W, b, V, c))
    layers = [Dense(A.astype(dtype), a.astype(dtype)) for A, a in ((W, b), (V, c))]
    return Encoder(*layers, g, output, header)


def drawings(n, height, width, seed=0):
    """Crosses of two strokes that are 3 pixels wide, at random places, in [0, 1]."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, height, width), np.float32)
    for image in images:
        row, column = rng.integers(2, height - 4), rng.integers(2, width - 4)
        image[row : row + 3, 2:-2] = image[2:-2, column : column + 3] = 1
    return images


def data_of(path):
    return json.loads(DATA.search(path.read_text(encoding="utf-8"))[1])


# ---- the file


def test_a_page_needs_nothing_else_and_holds_no_mark(tmp_path):
    export_playground(
        encoder(9, 64, KSparse(3)), tmp_path / "p.html", title="<b>&", note="</script> {{page}}"
    )
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;</h1>" in page
    assert data_of(tmp_path / "p.html")["note"] == "</script> {{page}}"
    assert page.count("</script>") == 3
    before_data, after_data = DATA.sub("", page).split("<main>")
    for text in (before_data, after_data):
        assert not re.search(r"https?://|\{\{|<link|src=", text)


def test_weights_are_stored_as_they_are_and_as_float16_if_nothing_is_lost(tmp_path):
    sizes = {}
    for name, one in {
        "single": encoder(40, 64, ReLU()),
        "double": encoder(40, 64, ReLU(), "float64"),
        "half": encoder(40, 64, ReLU(), whole_numbers=True),
    }.items():
        export_playground(one, tmp_path / f"{name}.html")
        sizes[name] = {kind for _, kind, size in data_of(tmp_path / f"{name}.html")["arrays"] if size}
    assert sizes == {"single": {"float32"}, "double": {"float64"}, "half": {"float16"}}


@pytest.mark.parametrize(("images", "white"), [
    (drawings(3, 8, 8), 1),
    (drawings(3, 8, 8).reshape(3, 64), 1),
    (drawings(3, 8, 8) > 0.5, 1),
    ((drawings(3, 8, 8) * 255).astype(np.uint8), 255),
    (None, 1),
])  # fmt: skip
def test_images_may_come_in_any_scale(tmp_path, images, white):
    export_playground(encoder(9, 64, KSparse(3)), tmp_path / "p.html", images=images)
    data = data_of(tmp_path / "p.html")
    assert data["white"] == white
    assert data["arrays"][-1] == ["images", "uint8", 0 if images is None else 3 * 64]


def test_a_model_of_bytes_knows_white_without_images(tmp_path):
    preprocessing = {"side": 8, "color": False, "dtype": "uint8"}
    export_playground(encoder(9, 64, KSparse(3), preprocessing=preprocessing), tmp_path / "p.html")
    assert data_of(tmp_path / "p.html")["white"] == 255


@pytest.mark.parametrize(("model", "options", "error", "message"), [
    (encoder(9, 60, KSparse(3)), {}, ValueError, "rows of 60 numbers, which are not a square image"),
    (encoder(9, 64, KSparse(3)), {"shape": (8, 9)}, ValueError, "not an image of 8 × 9 pixels"),
    (encoder(9, 48, ReLU(), preprocessing={"side": 4, "color": True}), {}, ValueError, "images in colours"),
    (encoder(9, 64, ReLU()), {"images": np.zeros((2, 9, 9))}, ValueError, r"came as \(2, 9, 9\) of float64"),
    (encoder(9, 64, ReLU()), {"images": np.full((2, 64), -0.5)}, ValueError, "values from -0.5 to -0.5"),
    (encoder(9, 64, ReLU()), {"images": np.full((2, 64), np.nan)}, ValueError, "values from nan"),
    (encoder(9, 64, ReLU()), {"images": np.full((2, 64), 256.0)}, ValueError, "values from 256 to 256"),
    (encoder(9, 64, ReLU()), {"images": np.zeros((2, 64)), "labels": ["a"]}, ValueError, "1 labels came with 2"),
    (object(), {}, TypeError, "object came, which cannot become a playground"),
])  # fmt: skip
def test_what_is_refused(tmp_path, model, options, error, message):
    with pytest.raises(error, match=message):
        export_playground(model, tmp_path / "p.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_image_encoder_is_refused_with_the_reason(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    few = {"patch_units": 16, "n_patches": 500, "epochs": 1, "patch_epochs": 1, "n_units": 20, "k": 4}
    model = ImageEncoder(**few, random_state=0).fit(pixels)
    with pytest.raises(TypeError, match="units of an ImageEncoder look at patches"):
        export_playground(model, tmp_path / "p.html")


def test_a_page_is_replaced_only_if_asked(tmp_path):
    export_playground(encoder(9, 64, KSparse(3)), tmp_path / "p.html")
    with pytest.raises(ValueError, match="this model has JumpReLU"):
        export_playground(encoder(9, 64, JumpReLU(np.ones(9))), tmp_path / "jumps.html")
    with pytest.raises(FileExistsError, match="exists already"):
        export_playground(encoder(9, 64, KSparse(3)), tmp_path / "p.html")
    export_playground(encoder(10, 64, KSparse(3)), tmp_path / "p.html", overwrite=True)
    assert data_of(tmp_path / "p.html")["h"] == 10


def test_the_pen_is_that_of_the_stored_images():
    style = drawing_style((drawings(50, 28, 28) * 200).astype(np.uint8))
    assert style.extent == 24
    assert abs(style.pen - 3) < 0.4
    assert style.ink == pytest.approx(200 / 255)
    assert style.centre == "box"  # the box around a cross is the same, wherever its strokes meet
    assert (style.row, style.column) == (14, 14)


def test_images_with_one_centre_of_mass_are_known():
    image = np.zeros((20, 28, 28), np.uint8)
    for i in range(
        20
    ):  # a heavy square in the middle, and a tail of another length to the right and the left
        image[i, 8:20, 8:20] = 255
        image[i, 13, 20 : 20 + i % 8] = 60
        image[i, 13, 8 - (i * 3) % 8 : 8] = 60
    assert drawing_style(image).centre == "mass"


@pytest.mark.parametrize("images", [np.zeros((0, 22, 11), np.uint8), np.zeros((2, 22, 11), np.uint8)])
def test_without_drawings_the_pen_has_ordinary_values(images):
    assert drawing_style(images) == pytest.approx((7.7, 1, 1.0, "box", 11, 5.5))


def test_the_pages_in_the_docs_are_made_from_this_template():
    for name in ("digits", "characters"):
        page = ROOT / "docs" / f"playground_{name}.html"
        text = page.read_text(encoding="utf-8")
        assert text == page_text(data_of(page)), "run: python benchmarks/make_playgrounds.py --render"
        assert len(text) < 1.05e6


def test_characters_of_the_docs_are_scaled_and_centred(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = ROOT / "benchmarks" / "make_playgrounds.py"
    spec = importlib.util.spec_from_file_location("make_playgrounds", script)
    make_playgrounds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_playgrounds)
    (image,) = make_playgrounds.centred(np.pad(np.ones((1, 8, 4), np.float32), ((0, 0), (0, 20), (3, 21))))
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (4, 23, 9, 18)
    assert make_playgrounds.some_of_each(np.array([0, 0, 1, 1, 0]), 4).tolist() == [0, 2, 1, 3]


# ---- the command


def test_the_command_writes_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    X = drawings(400, 8, 10).reshape(400, 80)
    np.save("X.npy", X)
    SparseAutoencoder(12, k=3, epochs=1, random_state=0).fit(X).save("model.npz")
    assert main(["export", "model.npz", "-o", "p.html"]) == 1
    assert "--shape HEIGHTxWIDTH" in capsys.readouterr().err
    assert main(["export", "model.npz", "-o", "p.html", "--shape", "8x10", "--data", "X.npy", "--json"]) == 0
    size = (tmp_path / "p.html").stat().st_size
    assert json.loads(capsys.readouterr().out) == {"file": "p.html", "units": 12, "bytes": size}
    data = data_of(tmp_path / "p.html")
    assert (data["height"], data["width"], data["arrays"][-1][2]) == (8, 10, 300 * 80)
    assert data["labels"][:2] + data["labels"][-1:] == ["row 0", "row 1", "row 399"]
    assert main(["export", "model.npz", "-o", "p.html"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["export", "model.npz", "-o", "m.py", "--data", "X.npy"]) == 2
    assert "--data is for a playground" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", "model.npz", "-o", "q.html", "--shape", "6"])
    assert "such as 28x20" in capsys.readouterr().err
    assert main(["export", "photos", "-o", "q.html"]) == 1
    assert "cannot become a playground" in capsys.readouterr().err


# ---- the page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None or os.name == "nt":
        pytest.skip("there is no Chromium")
    try:
        browser = Browser(program, tmp_path_factory.mktemp("profile"))
    except (OSError, EOFError) as error:  # TimeoutError is an OSError
        pytest.skip(f"{program} does not run: {error!r}")
    yield browser
    browser.close()


@pytest.fixture(autouse=True)
def _no_complaints(request):
    yield
    if "browser" in request.fixturenames:
        browser = request.getfixturevalue("browser")
        complaints, browser.complaints = browser.complaints, []
        assert complaints == []


READY = """new Promise(done => {
  const look = () => document.body.classList.contains("ready") ? done(true) : setTimeout(look, 10);
  look();
})"""
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


def show(browser, path, **options):
    browser.open(path.as_uri(), **options)
    browser.run(READY)


def stroke(browser, points, touch=False):
    """Draw from point to point, in parts of the canvas, as a pointer does."""
    x, y, width, height = browser.run(
        "(() => { const e = document.getElementById('canvas'); e.scrollIntoView({block: 'center'});"
        "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    points = [(x + a * width, y + b * height) for a, b in points]
    middles = [((a + c) / 2, (b + d) / 2) for (a, b), (c, d) in pairwise(points)]
    way = [points[0], *(p for pair in zip(middles, points[1:], strict=True) for p in pair)]
    kinds = ["touchStart", "touchMove"] if touch else ["mousePressed", "mouseMoved"]
    for i, (a, b) in enumerate(way):
        if touch:
            browser.call("Input.dispatchTouchEvent", type=kinds[i > 0], touchPoints=[{"x": a, "y": b}])
        else:
            how = {"button": "left", "buttons": 1, "clickCount": 1}
            browser.call("Input.dispatchMouseEvent", type=kinds[i > 0], x=a, y=b, **how)
    if touch:
        browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    else:
        a, b = way[-1]
        browser.call("Input.dispatchMouseEvent", type="mouseReleased", x=a, y=b, button="left", clickCount=1)
    browser.run(DRAWN)


@pytest.fixture(scope="module")
def model():
    X = drawings(300, 14, 14).reshape(300, -1)
    return SparseAutoencoder(30, k=4, epochs=8, learning_rate=3e-3, random_state=0).fit(X)


@pytest.fixture(scope="module")
def stored():
    return np.rint(drawings(40, 14, 14, seed=1) * 255) / np.float32(255)


@pytest.fixture(scope="module")
def page(model, stored, tmp_path_factory):
    path = tmp_path_factory.mktemp("playground") / "p.html"
    export_playground(model, path, images=stored, labels=[f"cross {i}" for i in range(40)])
    return path


MODELS = {
    "k-sparse": encoder(50, 49, KSparse(6)),
    "double": encoder(50, 49, KSparse(6), "float64"),
    "ties": encoder(64, 49, KSparse(9), whole_numbers=True),
    "one unit": encoder(1, 49, KSparse(1)),
    "all units": encoder(20, 49, KSparse(20)),
    "relu": encoder(50, 49, ReLU()),
    "sigmoid": encoder(50, 49, Sigmoid(), output="sigmoid"),
    "no unit": Encoder(
        Dense(np.zeros((5, 49)), -np.ones(5)), Dense(np.ones((49, 5)), np.zeros(49)), KSparse(2), "linear", {}
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_code_of_the_page_is_that_of_encode(browser, tmp_path, name):
    one = MODELS[name]
    export_playground(one, tmp_path / "p.html")
    show(browser, tmp_path / "p.html")
    rng = np.random.default_rng(0)
    X = np.concatenate([
        rng.random((60, 49)), rng.integers(0, 2, (60, 49)), np.zeros((1, 49)), np.ones((1, 49)), np.eye(49),
    ]).astype(np.float32)  # fmt: skip
    if one.encoder_layer.W.dtype == np.float64:
        X = X.astype(np.float64)
    found = np.array(browser.run(f"{json.dumps(X.tolist())}.map(x => [...encode(x)])"))
    Z = one.transform(X)
    np.testing.assert_array_equal(found > 0, Z > 0)
    np.testing.assert_allclose(found, Z, rtol=1e-5, atol=1e-5)
    if name == "ties":  # the k-th and the next one are equal in many rows: else this would be no test
        Y = np.sort(X @ one.encoder_layer.W.T + one.encoder_layer.b, axis=1)
        assert np.count_nonzero((Y[:, -9] == Y[:, -10]) & (Y[:, -9] > 0)) > 20
    rebuilt = np.array(browser.run(f"{json.dumps(found.tolist())}.map(z => [...decode(z)])"))
    np.testing.assert_allclose(rebuilt, one.inverse_transform(found), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [1, 3, 9, 30])
def test_another_k_is_another_model(browser, page, model, stored, k):
    show(browser, page)
    found = np.array(browser.run(f"images.map(x => [...encode(x, {k})])"))
    np.testing.assert_allclose(found, model.with_k(k).transform(stored.reshape(40, -1)), atol=1e-5)


def test_contributions_are_those_of_equation_26(browser, page, model, stored):
    show(browser, page)
    Z = model.transform(stored.reshape(40, -1))
    found = browser.run("[...contributions(storedZ[0], storedZ[7])]")
    np.testing.assert_allclose(found, contributions(Z[0], Z[7]), atol=1e-6)
    assert browser.run("[...contributions(storedZ[0], new Float64Array(model.h))].every(v => v === 0)")


def test_a_stored_image_finds_itself_and_what_the_index_finds(browser, page, model, stored):
    show(browser, page)
    browser.click(".example[data-image='5']")
    index = CodeIndex(30)
    index.add(model.encode(stored.reshape(40, -1)))
    hits = index.search(model.encode(stored[5].reshape(1, -1)), k=8)
    shown = browser.run("[...document.querySelectorAll('#hits b')].map(e => Number(e.textContent))")
    np.testing.assert_allclose(shown, 1 - hits.distances[0], atol=6e-4)
    assert browser.run("document.querySelector('#hits span').textContent") in (
        "cross 5",
        f"cross {hits.ids[0, 0]}",
    )
    shares = browser.run("[...document.querySelectorAll('#shares .share')].map(e => Number(e.textContent))")
    assert shares[0] == max(shares[:-1])
    assert abs(sum(shares[:-1]) - shares[-1]) < 0.005
    assert shares[-1] == 1


def test_another_hit_is_explained_when_it_is_clicked(browser, page):
    show(browser, page)
    browser.click("#hits li:nth-child(4) button")
    similarity = browser.run("document.querySelectorAll('#hits b')[3].textContent")
    assert browser.run("document.querySelector('#shares tr:last-child .share').textContent") == similarity
    assert browser.run("[...document.querySelectorAll('.hit')].map(e => e.ariaPressed)").index("true") == 3


def test_the_slider_changes_the_codes_of_all(browser, page):
    show(browser, page)
    assert browser.run("document.querySelectorAll('#active .unit').length") == 4
    browser.run("document.getElementById('k').focus()")
    browser.press("ArrowLeft", "ArrowLeft")
    assert browser.run("document.getElementById('k-value').textContent") == "2"
    assert browser.run("document.querySelectorAll('#active .unit').length") == 2
    assert browser.run("storedZ.every(z => z.filter(v => v > 0).length <= 2)")


def test_a_unit_is_switched_off_and_on(browser, page):
    show(browser, page)
    unit = browser.run("document.querySelector('#active .unit').dataset.unit")
    before = browser.run("[...decode(z)]")
    browser.click("#active .unit")
    assert browser.run(f"z[{unit}]") == 0
    assert browser.run("z.filter(v => v > 0).length") == 3  # no other one takes its place
    changed = np.array(before) - browser.run("[...decode(z)]")
    pattern = browser.run(
        f"[...model.Vt.slice({unit} * model.d, ({unit} + 1) * model.d)].map(v => v * full[{unit}])"
    )
    np.testing.assert_allclose(changed, pattern, atol=1e-6)
    assert browser.run("document.getElementById('off-count').textContent") == ", 1 switched off"
    sheet = f"document.querySelector('#all [data-unit=\"{unit}\"]')"
    assert browser.run(f"{sheet}.ariaPressed") == "false"
    browser.click(f"#all [data-unit='{unit}']")
    assert browser.run(f"z[{unit}] > 0 && {sheet}.ariaPressed === 'true'")
    browser.click("#active .unit")
    browser.click("#all-on")
    assert browser.run("z.filter(v => v > 0).length") == 4


def test_units_are_switched_by_keys_and_keep_the_focus(browser, page):
    show(browser, page)
    browser.run("document.querySelector('#active .unit').focus()")
    browser.press("Enter")
    assert browser.run("document.activeElement.ariaPressed") == "false"
    browser.press("Enter")
    assert browser.run("document.activeElement.ariaPressed") == "true"
    browser.run("document.querySelector('#all .unit').focus()")
    browser.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert browser.run("document.activeElement.dataset.unit") == "1"
    browser.press("ArrowDown")
    assert int(browser.run("document.activeElement.dataset.unit")) > 2
    assert browser.run("document.querySelectorAll('#all .unit[tabindex=\"0\"]').length") == 1
    browser.press("Enter")
    assert browser.run("off.size") == 1


@pytest.mark.parametrize("touch", [False, True])
def test_one_draws_with_mouse_and_finger(browser, page, touch):
    show(browser, page, width=390 if touch else 1280, touch=touch)
    browser.click("#clear")
    assert browser.run("x.every(v => v === 0)")
    stroke(browser, [(0.3, 0.2), (0.35, 0.25), (0.7, 0.6)], touch)
    stroke(browser, [(0.7, 0.2), (0.3, 0.6)], touch)
    assert browser.run("strokes.length") == 2
    drawn = np.array(browser.run("[...x]")).reshape(14, 14)
    style = browser.run("model.style")
    again = drawing_style(np.rint(drawn * 255).astype(np.uint8)[None])
    assert abs(again.extent - style["extent"]) <= 1
    assert abs(again.pen - style["pen"]) < 0.7
    assert math.hypot(again.row - style["row"], again.column - style["column"]) < 0.6
    browser.click("#undo")
    assert browser.run("strokes.length") == 1
    assert np.any(drawn.ravel() != browser.run("[...x]"))


def test_without_fitting_a_drawing_stays_where_it_is(browser, page):
    show(browser, page)
    browser.click("#clear")
    browser.click("#centre")
    stroke(browser, [(0.75, 0.7), (0.75, 0.9)])
    drawn = np.array(browser.run("[...x]")).reshape(14, 14)
    assert drawn[:8].max() == drawn[:, :8].max() == 0 < drawn[11, 10]


def test_one_adds_strokes_to_a_stored_image(browser, page, stored):
    show(browser, page)
    browser.click(".example[data-image='3']")
    np.testing.assert_allclose(browser.run("[...x]"), stored[3].ravel(), atol=1e-7)
    stroke(browser, [(0.1, 0.1), (0.9, 0.9)])
    both = np.array(browser.run("[...x]"))
    assert np.all(both >= stored[3].ravel() - 1e-6)
    assert both.sum() > stored[3].sum() + 1


def test_one_draws_with_keys(browser, page):
    show(browser, page)
    browser.click("#clear")
    browser.run("document.getElementById('canvas').focus()")
    browser.press(" ", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", " ", "ArrowLeft")
    assert browser.run("strokes.length") == 1
    assert browser.run("strokes[0].length") == 5
    assert browser.run("x.some(v => v > 0)")
    browser.press("Backspace")
    assert browser.run("strokes.length") == 0


def test_an_empty_code_has_no_neighbours(browser, tmp_path, stored):
    one = Encoder(
        Dense(np.ones((5, 196)), -np.ones(5)),
        Dense(np.ones((196, 5)), np.zeros(196)),
        KSparse(2),
        "linear",
        {},
    )
    export_playground(one, tmp_path / "p.html", images=stored)
    show(browser, tmp_path / "p.html")
    browser.click("#clear")
    assert browser.run("document.querySelectorAll('#hits li').length") == 0
    assert not browser.run("document.getElementById('no-direction').hidden")
    assert browser.run("document.getElementById('why').hidden && !document.getElementById('none').hidden")


@pytest.mark.parametrize(("name", "slider"), [("k-sparse", True), ("relu", True), ("sigmoid", False)])
def test_without_images_there_are_no_neighbours_and_texts_fit_the_model(browser, tmp_path, name, slider):
    export_playground(MODELS[name], tmp_path / "p.html")
    show(browser, tmp_path / "p.html")
    assert browser.run("document.getElementById('near').hidden && document.getElementById('examples').hidden")
    assert browser.run("!document.getElementById('k-line').hidden") == slider
    texts = "[...document.querySelectorAll('.k-sparse, .relu, .sigmoid')].filter(e => !e.hidden).map(e => e.className)"
    assert browser.run(texts) == [f"text {name}"]
    active = "document.querySelectorAll('#active .unit').length"
    assert browser.run(active) == browser.run("Math.min(SHOWN, z.filter(v => v > model.activeAbove).length)")
    assert "function activate(y, k)" in browser.run("document.getElementById('source').textContent")


@pytest.mark.parametrize("width", [1280, 820, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(browser, page, width, scheme):
    show(browser, page, width=width, height=800, scheme=scheme, touch=width < 500)
    assert browser.run("document.documentElement.scrollWidth") <= width
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) > 380) == (scheme == "light")
    least = 44 if width < 500 else 24
    small = browser.run(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent).map(b => b.getBoundingClientRect())"
        f".filter(b => b.width < {least} || b.height < {least}).length"
    )
    assert small == 0
    assert browser.run("[...document.querySelectorAll('button')].every(b => b.innerText || b.ariaLabel)")


def test_the_pages_of_the_docs_open(browser):
    for name in ("digits", "characters"):
        show(browser, ROOT / "docs" / f"playground_{name}.html")
        assert browser.run("document.querySelectorAll('#all .unit').length") == 256
        assert browser.run("Math.max(...contributions(storedZ[0], storedZ[0])) > 0")
