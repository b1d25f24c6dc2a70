"""The page of ``nsae read`` in a browser: columns, marks, shapes, the walk, languages, on a desk and on a phone."""

import re

import pytest
from browser import Browser, find_chromium
from house import PACKAGE

from nsae.study.page import write_page

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="needs Chromium")

NUMBERS = re.findall(
    r"^### \((\d+)\)", (PACKAGE / "equations" / "README.md").read_text(encoding="utf-8"), re.M
)
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844, "touch": True}
WALK = ["1", "2", "4", "3", "5", "7", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser, url, request):
    """The page, which must not complain."""
    browser.complaints.clear()
    browser.open(url, **request.param)
    yield browser
    assert browser.complaints == []


@pytest.fixture
def desk(browser, url):
    browser.complaints.clear()
    browser.open(url, **DESK)
    yield browser
    assert browser.complaints == []


def shown(browser, selector):
    """The text of the first element that is there and is seen, or None."""
    return browser.run(
        f"(() => {{ const e = [...document.querySelectorAll('{selector}')].find((e) => e.checkVisibility());"
        "return e ? (e.innerText ?? e.textContent).trim() : null; })()"
    )


def test_every_number_has_all_its_columns_in_view(page):
    found = page.run(
        """[...document.querySelectorAll("article.eq")].map((article) => {
            const seen = (selector) => [...article.querySelectorAll(selector)].some((e) => {
                const box = e.getBoundingClientRect();
                return e.checkVisibility() && box.width > 40 && box.height > 8 && box.left >= 0
                    && box.right <= innerWidth + 1;
            });
            return [article.dataset.n, seen(".derivation math"), seen(".code .hit"), seen(".test pre"),
                    seen(".twin summary, .twin > p")];
        })"""
    )
    assert [row[0] for row in found] == NUMBERS
    assert [row for row in found if not all(row)] == []


def test_nothing_is_wider_than_the_window(page):
    for language in ("en", "zh"):
        page.click(f"label[for=lang-{language}]")
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        wide = page.run(
            """[...document.querySelectorAll("pre, .math, .part, .hand")]
                .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
                .map((e) => `${e.closest("[id]").id} ${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"""
        )
        wide = [words for words in wide if not re.match(r"eq(6|11) math", words)]  # they scroll on a phone
        assert wide == []


def test_columns_stand_side_by_side_on_a_desk_and_below_each_other_on_a_phone(browser, url):
    tops = "['derivation', 'code', 'test'].map((c) => document.querySelector('#eq8 .' + c).getBoundingClientRect().top)"
    browser.open(url, **DESK)
    first, second, third = browser.run(tops)
    assert max(first, second, third) - min(first, second, third) < 2
    browser.open(url, **PHONE)
    first, second, third = browser.run(tops)
    assert first + 50 < second < third - 50


def test_arrow_keys_follow_the_data_and_the_gradient(page):
    page.run(
        "void (document.documentElement.style.scrollBehavior = 'auto')"
    )  # there at once, on a busy machine too
    numbers, equations = [], []
    for _ in WALK:
        page.press("ArrowRight")
        numbers.append(page.run("document.querySelector('#now .formulas').textContent"))
        equations.append(page.run("document.querySelector('article.now').dataset.n"))
        top = page.run("document.querySelector('article.now').getBoundingClientRect().top")
        assert 0 <= top < 300
    assert equations == WALK
    assert len(set(numbers)) == len(WALK)
    assert "0.30625" in numbers[WALK.index("10")]
    assert "0.225" in numbers[WALK.index("12")]
    assert page.run("document.querySelector('#at').textContent") == f"{len(WALK)} / {len(WALK)}"
    page.press("ArrowRight")  # there is nothing after the last
    assert page.run("document.querySelector('article.now').dataset.n") == WALK[-1]
    page.press("ArrowLeft")
    assert page.run("document.querySelector('article.now').dataset.n") == WALK[-2]
    assert page.run("document.querySelectorAll('.card.now').length") == 1
    page.press("Escape")
    assert page.run("document.querySelector('article.now')") is None
    assert page.run("document.querySelector('#now').hidden")


def test_cards_show_their_numbers_when_the_walk_comes_to_them(page):
    seen = "[...document.querySelectorAll('.card')].filter((c) => !c.classList.contains('later')).length"
    all_cards = page.run("document.querySelectorAll('.card').length")
    page.click("[data-walk=start]")
    assert page.run(seen) == 2  # what is given, and Y
    page.click("#walk [data-walk=on]")
    assert page.run(seen) == 3
    page.click("[data-walk=stop]")
    assert page.run(
        "document.querySelectorAll('.card.later').length < 1 || !document.documentElement.matches('.walking')"
    )
    assert all_cards == 15


def test_a_symbol_is_marked_in_formulas_and_in_code(page):
    page.click("#eq1 .chips [data-s=W]")
    assert shown(page, "#tip").startswith("W")
    assert "weights of the encoder" in shown(page, "#tip")
    assert "(h, d)" in shown(page, "#tip")
    color = "getComputedStyle(document.querySelector('{}')).backgroundColor"
    marked = page.run(color.format("#eq1 .chips [data-s=W]"))
    for place in ("#eq1 math [data-s=W]", "#eq1 .code pre [data-s=W]", "#eq15 math [data-s=W]"):
        assert page.run(color.format(place)) == marked
    assert page.run(color.format("#eq1 math [data-s=X]")) != marked
    box = page.run(
        "(() => { const b = document.querySelector('#tip').getBoundingClientRect();"
        "return [b.left, b.right, b.top, b.bottom]; })()"
    )
    assert box[0] >= 0
    assert box[1] <= page.run("innerWidth")
    assert box[2] >= 0
    page.press("Escape")
    assert page.run("document.querySelector('#tip').hidden")
    assert page.run(color.format("#eq1 math [data-s=W]")) != marked


def test_pointing_is_enough_and_a_name_means_what_it_means_there(desk):
    desk.point("#eq12 .code .hit [data-s=Z]")
    assert shown(desk, "#tip").startswith("Z")
    assert desk.run("document.querySelector('#eq12 .code .hit [data-s=Z]').textContent") == "X"
    desk.point("#eq12 h3")
    assert desk.run("document.querySelector('#tip').hidden")


def test_the_keyboard_alone_reaches_a_symbol(desk):
    desk.run("document.querySelector('#eq3 .number').focus()")
    for _ in range(8):
        desk.press("Tab")
        if desk.run("document.activeElement.dataset.s"):
            break
    assert desk.run("document.activeElement.matches('#eq3 .chips [data-s]')")
    assert desk.run("document.activeElement.matches(':focus-visible')")
    assert desk.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert shown(desk, "#tip")
    desk.press("ArrowRight")  # the walk begins from here, too
    assert desk.run("document.querySelector('article.now').dataset.n") == "1"


def test_shapes_become_numbers_everywhere(page):
    shapes = "[...new Set([...document.querySelectorAll('.sh')].map((s) => s.textContent))].join(' ')"
    assert "(B, h)" in page.run(shapes)
    page.run(
        """for (const [name, value] of [["B", 7], ["d", 11], ["h", 13]]) {
            const input = document.querySelector("#size-" + name);
            input.value = value;
            input.dispatchEvent(new Event("input", {bubbles: true}));
        }"""
    )
    now = page.run(shapes)
    for shape in ("(7, 13)", "(7, 11)", "(13, 11)", "(11, 13)", "(13,)", "(11,)"):
        assert shape in now
    assert not re.search(r"\b[Bdh]\b", now)
    assert page.run("document.querySelector('#eq3 .code .hit .sh').textContent") == "(7, 11)"  # (B, n_out)
    assert page.run("document.querySelector('#eq1 .code .hit .sh').textContent") == "(7, 13)"
    example = (
        "[...document.querySelectorAll('.flow .sh')].map((s) => s.textContent).filter(Boolean).join(' ')"
    )
    assert page.run(example).startswith("(2, 2) (1, 2) (1,) (2, 1) (2,) (2, 1)")  # X, W, b, V, c, Y
    page.click("#numbers")
    assert "(B, h)" in page.run(shapes)


def test_digits_and_arrows_in_a_size_do_not_walk(desk):
    desk.run("document.querySelector('#size-h').focus()")
    desk.press("ArrowRight", "ArrowUp")
    assert desk.run("document.querySelector('article.now')") is None
    assert desk.run("document.querySelector('#size-h').value") == "26"
    assert "(100, 26)" in desk.run(
        "[...document.querySelectorAll('.sh')].map((s) => s.textContent).join(' ')"
    )


def test_the_page_speaks_both_languages(page):
    assert shown(page, "#eq8 h3").endswith("KL sparsity")
    assert page.run("document.documentElement.lang") == "en"
    page.click("label[for=lang-zh]")
    assert shown(page, "#eq8 h3").endswith("KL 稀疏惩罚")
    assert page.run("document.documentElement.lang") == "zh-Hans"
    english = page.run(
        "[...document.querySelectorAll('main [lang=en]')].filter((e) => e.checkVisibility()).length"
    )
    assert english == 0
    page.press("ArrowRight")
    assert "单元" in shown(page, "article.now .hand")
    page.click("#eq1 .chips [data-s=W]")
    assert "编码器的权重" in shown(page, "#tip")
    page.click("label[for=lang-en]")
    assert shown(page, "#eq8 h3").endswith("KL sparsity")


def test_a_chinese_copy_begins_in_chinese(browser, tmp_path):
    browser.open(write_page(tmp_path / "zh.html", language="zh").as_uri(), **PHONE)
    assert shown(browser, "h1") == "稀疏自编码器：公式、代码与测试对照阅读"
    assert shown(browser, "#eq1 .column h4") == "公式"


def test_it_can_be_read_without_scripts(browser, url):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(url, **PHONE)
        for selector in ("#eq12 math", "#eq12 .code .hit", "#eq12 .test pre", "#eq12 .hand"):
            assert shown(browser, selector)
        assert shown(browser, "#walk") is None
        assert shown(browser, ".sizes") is None
        browser.click("label[for=lang-zh]")
        assert shown(browser, "#eq12 h3").endswith("解码器的梯度")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_can_be_read(browser, url, scheme):
    """At least 4.5 to 1 between text and what is behind it (WCAG 2.1), also on marked lines."""
    browser.open(url, **DESK, scheme=scheme)
    contrasts = browser.run(
        """(() => {
            const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map((v) => v / 255)
                .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                if (!/, 0\\)$/.test(c)) return c; } return "rgb(255, 255, 255)"; };
            const found = {};
            for (const s of ["#eq8 p", "#eq8 h3", "#eq8 a", "#eq8 h4", "#eq8 summary", "#eq8 pre b", "#eq8 pre i",
                "#eq8 pre em", "#eq8 pre var", "#eq8 .hit i", "#eq8 .hit var", "#eq8 .hit b", "#eq1 .hand p",
                ".card small", ".card a", "figcaption small", "#walk button", ".bar a", ".lead"]) {
                const e = [...document.querySelectorAll(s)].find((e) => e.checkVisibility());
                const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
                found[s] = (a + 0.05) / (b + 0.05);
            }
            return found;
        })()"""
    )
    assert {name: value for name, value in contrasts.items() if value < 4.5} == {}
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")


def test_on_paper_there_are_no_buttons_and_nothing_is_closed(desk):
    desk.call("Emulation.setEmulatedMedia", media="print")
    try:
        desk.run("dispatchEvent(new Event('beforeprint'))")
        assert shown(desk, "#walk") is None
        assert shown(desk, ".bar") is None
        assert desk.run("document.querySelectorAll('details:not([open])').length") == 0
        desk.run("dispatchEvent(new Event('afterprint'))")
        assert desk.run("document.querySelectorAll('details:not([open])').length") > 0
    finally:
        desk.call("Emulation.setEmulatedMedia", media="")
