"""The gallery as a file, and as a page in a browser."""

import json
import os
import re

import numpy as np
import pytest

pytest.importorskip("PIL.Image")

from browser import Browser, find_chromium

from nsae.images import ImageEncoder
from nsae.images.pictures.gallery import GalleryOptions, GalleryQuery, write_gallery
from nsae.retrieval import CodeIndex

K = 5


def make(library, target, rows, names=None, **options):
    index = options.get("index", library.index)
    codes = index.codes[rows]
    hits = index.search(codes, K, exclude=[index.ids[row] for row in rows])
    queries = [
        GalleryQuery([library.paths[row]], codes[q], name=None if names is None else names[q])
        for q, row in enumerate(rows)
    ]
    options = {"index": library.index, "encoder": library.encoder, "root": library.root} | options
    return write_gallery(target, queries, hits, **options)


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


# ---- the file


def test_what_the_page_knows(library, tmp_path):
    rows = [0, 1, 4]
    page = make(library, tmp_path / "g.html", rows, options=GalleryOptions(title="My <photos>"))
    page = page.read_text(encoding="utf-8")
    assert "<title>My &lt;photos&gt;</title>" in page
    assert "<h1>My &lt;photos&gt;</h1>" in page
    data = data_of(page)
    hits = library.index.search(
        library.index.codes[rows], K, exclude=[library.index.ids[row] for row in rows]
    )
    for q, query in enumerate(data["queries"]):
        assert (
            data["photos"][query["parts"][0]["photo"]]["name"] == query["name"] == library.paths[rows[q]].name
        )
        assert [data["photos"][hit["photo"]]["name"] for hit in query["hits"]] == hits.ids[q].tolist()
        for hit, distance, id in zip(query["hits"], hits.distances[q], hits.ids[q], strict=True):
            assert hit["distance"] == pytest.approx(float(distance))
            assert hit["similarity"] == pytest.approx(1 - hit["distance"], abs=1e-6)
            expected = library.index.explain(library.index.codes[rows[q]], id, top=5)
            assert [tuple(pair) for pair in hit["contributions"]] == expected
            assert {str(unit) for unit, _ in hit["contributions"]} <= set(data["units"])
    names = [photo["name"] for photo in data["photos"]]
    assert len(names) == len(set(names))  # each photo is in the file once
    for source in [photo["src"] for photo in data["photos"]] + [
        unit["src"] for unit in data["units"].values()
    ]:
        assert source.startswith("data:image/jpeg;base64,")


def test_the_page_refers_to_nothing_outside(library, tmp_path):
    page = make(library, tmp_path / "g.html", [0]).read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page.replace(json.dumps(data_of(page)), ""))
    assert "default-src 'none'" in page


def test_names_cannot_end_the_script(library, tmp_path):
    name = "</script><script>alert(1)</script><!--{{data}}"
    page = make(
        library, tmp_path / "g.html", [0], names=[name], options=GalleryOptions(title="{{distance}}")
    ).read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    assert data_of(page)["photos"][0]["name"] == name


def test_a_name_that_is_no_text(library, tmp_path):
    page = make(
        library, tmp_path / "g.html", [0], names=["r\udcf6d"], options=GalleryOptions(title="r\udcf6d")
    ).read_text(encoding="utf-8")
    assert data_of(page)["photos"][0]["name"] == "r\udcf6d"


def test_only_ids_tell_where_photos_are(library, tmp_path):
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(library.paths[0].read_bytes())
    hits = library.index.search(library.index.codes[[0, 0]], 2)
    target, code = tmp_path / "g.html", library.index.codes[[0]]
    queries = [GalleryQuery([elsewhere], code), GalleryQuery([library.paths[0]], code)]
    write_gallery(target, queries, hits, index=library.index, root=library.root)
    page = target.read_text(encoding="utf-8")
    names = [
        data_of(page)["photos"][query["parts"][0]["photo"]]["name"] for query in data_of(page)["queries"]
    ]
    assert names == ["elsewhere.png", library.paths[0].name]
    assert str(tmp_path) not in page
    assert str(library.root) not in page


def test_photos_that_are_gone_and_arrays(library, tmp_path):
    codes = library.index.codes[[0, 5]]
    hits = library.index.search(codes, 3)
    grey, colour = np.zeros((30, 20)), np.zeros((8, 8, 3), np.uint8)
    queries = [GalleryQuery([image], codes[i]) for i, image in enumerate((grey, colour))]
    page = write_gallery(tmp_path / "g.html", queries, hits, index=library.index)
    data = data_of(page.read_text(encoding="utf-8"))
    sources = [photo["src"] for photo in data["photos"]]
    of_queries = [query["parts"][0]["photo"] for query in data["queries"]]
    assert [photo["name"] for photo in (data["photos"][p] for p in of_queries)] == ["query 1", "query 2"]
    assert all((source is not None) == (p in of_queries) for p, source in enumerate(sources))


def test_with_keep_the_contributions_are_of_what_was_kept(library, tmp_path):
    codes = library.index.codes[[0]]
    hits = library.index.search(codes, K, keep=2)
    page = write_gallery(
        tmp_path / "g.html",
        [GalleryQuery([library.paths[0]], codes)],
        hits,
        index=library.index,
        options=GalleryOptions(keep=2),
        root=library.root,
    )
    for hit in data_of(page.read_text(encoding="utf-8"))["queries"][0]["hits"]:
        assert hit["shared"] <= 2
        assert hit["similarity"] == pytest.approx(1 - hit["distance"], abs=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_each_metric_is_explained(library, tmp_path, metric):
    index = CodeIndex(24, metric=metric)
    index.add(library.index.codes, library.index.ids)
    page = make(library, tmp_path / "g.html", [0], index=index).read_text(encoding="utf-8")
    assert "{{" not in page
    assert data_of(page)["metric"] == metric


def test_refusals(library, tmp_path):
    target = make(library, tmp_path / "g.html", [0])
    before = target.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite"):
        make(library, target, [1])
    assert target.read_bytes() == before
    make(library, target, [1], overwrite=True)
    assert target.read_bytes() != before
    code = library.index.codes[[0]]
    hits, path = library.index.search(code, 2), library.paths[0]
    for queries, said in (
        ([], "0 queries came with 1 rows"),
        ([GalleryQuery([path], code)] * 2, "2 queries came with 1 rows"),
        ([GalleryQuery([], code)], "0 photos and 1 codes"),
        ([GalleryQuery([path], library.index.codes[[0, 1]])], "1 photos and 2 codes"),
    ):
        with pytest.raises(ValueError, match=said):
            write_gallery(tmp_path / "h.html", queries, hits, index=library.index)


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


@pytest.fixture(scope="module")
def gallery(library, tmp_path_factory):
    """Every photo is a query, so that every hit can become one."""
    return make(library, tmp_path_factory.mktemp("gallery") / "g.html", list(range(12))).as_uri()


@pytest.fixture(autouse=True)
def _no_complaints(request):
    yield
    if "browser" in request.fixturenames:
        browser = request.getfixturevalue("browser")
        complaints, browser.complaints = browser.complaints, []
        assert complaints == []


def query(browser):
    return browser.run("document.getElementById('query-name').textContent")


def chosen(browser):
    return browser.run(
        "[...document.querySelectorAll('.hit')].findIndex(e => e.classList.contains('chosen'))"
    )


def focused(browser, what="getAttribute('aria-label')"):
    return browser.run(f"document.activeElement.{what}")


def test_thumbnails_load_and_say_what_they_are(browser, gallery):
    browser.open(gallery)
    images = browser.run(
        "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt, i.getBoundingClientRect().width])"
    )
    assert len(images) >= 12 + 1 + K + 2  # queries, the query, its hits, the pair; and pictures of units
    assert all(loaded and alt and width > 0 for loaded, alt, width in images)
    assert browser.run(
        "[...document.querySelectorAll('button')].every(b => b.innerText || b.ariaLabel || b.querySelector('[alt]'))"
    )


@pytest.mark.parametrize("width", [1280, 820, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(browser, gallery, width, scheme):
    browser.open(gallery, width=width, height=800, scheme=scheme, touch=width < 500)
    assert browser.run("document.documentElement.scrollWidth") <= width
    small = browser.run(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent).map(b => b.getBoundingClientRect())"
        ".filter(b => b.width < 44 || b.height < 44).length"
    )
    assert small == 0
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) > 380) == (scheme == "light")
    below = browser.run("document.getElementById('aside').contains(document.getElementById('why'))")
    assert below == (width == 1280)


def test_a_click_on_a_hit_makes_it_the_query_and_back(browser, gallery):
    browser.open(gallery)
    assert query(browser) == "blue 0.png"
    name = browser.run("document.querySelectorAll('.hit img')[2].alt")
    browser.click(".hit:nth-child(3) .photo")
    assert query(browser) == name
    assert browser.run("location.hash").startswith("#q=")
    assert chosen(browser) == 0
    browser.click("#back")
    assert query(browser) == "blue 0.png"
    assert chosen(browser) == 0
    assert browser.run("document.getElementById('back').hidden")


def test_a_click_on_why_shows_the_reasons(browser, gallery, library):
    browser.open(gallery)
    browser.click(".hit:nth-child(4) .why-button")
    assert chosen(browser) == 3
    assert query(browser) == "blue 0.png"
    id = browser.run("document.querySelectorAll('.hit img')[3].alt")
    reasons = library.index.explain(library.index.codes[0], id, top=5)
    text = browser.run("document.getElementById('why').textContent")
    assert id in text
    assert [int(unit) for unit in re.findall(r"Unit (\d+)", text)] == [unit for unit, _ in reasons]
    assert browser.run("document.querySelectorAll('#why .strip').length") == len(reasons)


def test_the_address_keeps_the_state(browser, gallery):
    browser.open(gallery + "#q=7&hit=3")
    assert query(browser) == "green 2.png"
    assert chosen(browser) == 2
    for nonsense in ("#q=999&hit=-4", "#hit=x", "#<b>"):
        browser.open(gallery + nonsense)
        assert query(browser)
        assert chosen(browser) == 0


def test_by_keyboard_alone(browser, gallery):
    browser.open(gallery)
    browser.press("ArrowRight")  # from the page into the hits
    assert "Hit 1" in focused(browser)
    browser.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert "Hit 2" in focused(browser)
    assert chosen(browser) == 1
    assert (
        browser.run("getComputedStyle(document.activeElement, '::after').borderTopWidth") == "4px"
    )  # it shows
    name = browser.run("document.activeElement.querySelector('img').alt")
    browser.press("Enter")
    assert query(browser) == name
    assert "Hit 1" in focused(browser)
    browser.press("Escape")
    assert query(browser) == "blue 0.png"
    assert "Hit 2" in focused(browser)
    browser.press("Escape")  # nowhere to go back to: to the row of queries
    assert focused(browser, "dataset.q") == "0"
    browser.press("ArrowRight", "Enter")
    assert query(browser) == "blue 1.png"
    browser.press("ArrowDown")
    assert "Hit 1" in focused(browser)
    browser.press("ArrowUp")
    assert focused(browser, "dataset.q") == "1"
    browser.press("Tab", "Tab")
    assert focused(browser, "tagName") == "BUTTON"


def test_the_browsers_own_back_goes_back(browser, gallery):
    browser.open(gallery)
    browser.click(".hit:nth-child(2) .photo")
    assert query(browser) != "blue 0.png"
    browser.run(
        "new Promise(done => { addEventListener('popstate', () => setTimeout(done)); history.back(); })"
    )
    assert query(browser) == "blue 0.png"
    assert browser.run("document.getElementById('back').hidden")


def test_a_page_with_photos_missing_and_hits_that_lead_nowhere(browser, library, tmp_path):
    codes = library.index.codes[[0]]
    hits = library.index.search(codes, 3)
    queries = [GalleryQuery([np.zeros((9, 9))], codes)]
    page = write_gallery(tmp_path / "g.html", queries, hits, index=library.index)
    browser.open(page.as_uri(), width=390)
    assert browser.run("document.querySelectorAll('.hit .missing').length") == 3
    assert browser.run("document.getElementById('pictured').hidden")
    assert browser.run("document.getElementById('opens').hidden")
    browser.click('.photo[data-hit="2"]')
    assert chosen(browser) == 2
    assert query(browser) == "query 1"


def test_a_query_without_hits(browser, library, tmp_path):
    empty = CodeIndex(24)
    codes = library.index.codes[[0]]
    queries = [GalleryQuery([library.paths[0]], codes)]
    page = write_gallery(tmp_path / "g.html", queries, empty.search(codes, 3), index=empty)
    browser.open(page.as_uri())
    assert browser.run("document.getElementById('hits-heading').textContent") == "Nothing was found"
    browser.press("ArrowRight", "Escape", "ArrowDown")
    assert query(browser) == library.paths[0].name


def test_units_of_an_image_encoder_are_framed(browser, library, tmp_path):
    encoder = ImageEncoder(
        8, k=2, patch_size=4, patch_units=12, grid=2, n_components=4, image_size=16, stride=2, epochs=2
    )
    encoder.set_params(patch_epochs=1, n_patches=2000, random_state=0).fit(library.paths)
    index = CodeIndex(8)
    index.add(encoder.encode(library.paths), library.index.ids)
    page = make(library, tmp_path / "g.html", [0], index=index, encoder=encoder)
    browser.open(page.as_uri())
    assert not browser.run("document.getElementById('framed').hidden")
    assert browser.run("document.querySelectorAll('#why .strip').length") > 0


# ---- queries of several photos


@pytest.fixture(scope="module")
def composed(library, tmp_path_factory):
    """A photo, and one query that adds up two photos and subtracts a third."""
    codes = library.index.codes[[0, 4]]
    queries = [
        GalleryQuery([library.paths[0]], codes[0]),
        GalleryQuery(library.paths[4:6], codes[1], library.paths[8:9]),
    ]
    hits = library.index.search(codes, K)
    target = tmp_path_factory.mktemp("composed") / "g.html"
    return write_gallery(target, queries, hits, index=library.index, root=library.root)


def test_photos_of_a_composed_query_are_marked_with_their_signs(library, composed):
    data = data_of(composed.read_text(encoding="utf-8"))
    names = [path.name for path in library.paths]
    assert [query["name"] for query in data["queries"]] == [names[0], f"{names[4]} + {names[5]} - {names[8]}"]
    parts = data["queries"][1]["parts"]
    assert [data["photos"][part["photo"]]["name"] for part in parts] == [names[4], names[5], names[8]]
    assert [part["minus"] for part in parts] == [False, False, True]


@pytest.mark.parametrize("width", [1280, 390])
def test_each_photo_of_a_composed_query_is_whole(browser, composed, width):
    browser.open(composed.as_uri() + "#q=2", width=width, height=800)
    signs = "[...document.querySelectorAll('#query-picture .sign')].map(e => e.textContent)"
    assert browser.run(signs) == ["+", "+", "−"]
    shown = browser.run(
        "[...document.querySelectorAll('#query-picture img')].map(i =>"
        " [i.getBoundingClientRect().width / i.getBoundingClientRect().height, i.naturalWidth / i.naturalHeight,"
        "  getComputedStyle(i).objectFit])"
    )
    assert len(shown) == 3
    assert all(fit == "contain" and box == pytest.approx(image, rel=0.05) for box, image, fit in shown)
    assert browser.run("document.querySelectorAll('#queries .sign').length") == 3
    assert browser.run("document.querySelectorAll('.pair .sign').length") == 3
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert not browser.run("document.getElementById('composed').hidden")


def test_a_page_of_single_photos_says_nothing_of_signs(browser, gallery):
    browser.open(gallery)
    assert browser.run("document.getElementById('composed').hidden")
    assert browser.run("document.querySelectorAll('.sign').length") == 0


@pytest.mark.parametrize(
    ("rows", "heading", "shown"),
    [([0, 1], "", "many"), ([0], "", "one"), ([0], "The photo that it is compared with", "pair")],
)
def test_one_query_has_no_row_to_choose_it_from(browser, library, tmp_path, rows, heading, shown):
    page = make(library, tmp_path / "g.html", rows, options=GalleryOptions(heading=heading))
    browser.open(page.as_uri())
    said = browser.run("[...document.querySelectorAll('#seen > :not([hidden])')].map(words => words.id)")
    assert shown in said
    assert len({"many", "one", "pair"} & set(said)) == 1
    assert browser.run("document.getElementById('row').checkVisibility()") == (len(rows) > 1)
