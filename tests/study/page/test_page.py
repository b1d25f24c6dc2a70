"""The page of ``nsae read`` as a file: it is what its builder makes, nothing is missing, and the command."""

import json
import re
import sys
import webbrowser

import numpy as np
import pytest
from house import PACKAGE

from nsae.cli import main
from nsae.study.page import open_page, page_text, write_page
from nsae.study.page.read_page import PAGE

ROOT = PACKAGE.parent
HERE = PACKAGE / "study" / "page" / "page.html"
SIZE = 720_000  # bytes, of which a wheel keeps a sixth: it stays light
LANGUAGES = {"en": "en", "zh": "zh-Hans"}

pytest.importorskip("latex2mathml")
sys.path.append(str(ROOT / "docs"))

from readpage import mathml, readme, sources, symbols, walk
from readpage.markdown import Text, split_formula
from readpage.page import Page

README = readme.README.read_text(encoding="utf-8")
EQUATIONS = [equation for chapter in readme.chapters(README) for equation in chapter.equations]


@pytest.fixture(scope="module")
def built():
    page = Page()
    return page, page.html()


@pytest.fixture(scope="module")
def committed():
    return HERE.read_text(encoding="utf-8")


def part(page, number):
    """The HTML of one equation, without the places where a line may be broken."""
    return re.search(rf'<article class="eq" id="eq{number}".*?</article>', page, re.S)[0].replace("<wbr>", "")


def column(article, name):
    start = article.index(f'<div class="column {name}">')
    following = re.search(r'<div class="column |<div class="machine">', article[start + 1 :])
    return article[start : start + 1 + following.start()] if following else article[start:]


# ---- the page is made, and not written


def test_the_committed_page_is_what_the_builder_makes(built, committed):
    """If this fails: python docs/read_page.py, and commit nsae/study/page/page.html."""
    _, anew = built
    if f"with {mathml.GENERATOR}:" not in committed:  # other versions of latex2mathml may write other MathML
        anew, committed = (
            re.sub(r"<math.*?</math>|latex2mathml [\w.]+", "", page, flags=re.S) for page in (anew, committed)
        )
    assert anew == committed, "make it anew: python docs/read_page.py"


def test_each_text_of_the_readme_has_its_chinese(built):
    """If this fails, a paragraph has changed: translate it in docs/readpage/prose.zh.json."""
    page, _ = built
    assert page.missing == [], "docs/readpage/prose.zh.json has no Chinese of these"
    assert page.unused() == [], (
        "docs/readpage/prose.zh.json has the Chinese of texts that README.md has no more"
    )


def test_a_changed_paragraph_is_noticed(built):
    page = Page()
    page.both("A new paragraph.", {}, "p", {})
    assert page.missing == ["A new paragraph."]


def test_both_languages_have_the_same_words_of_the_page(built):
    page, _ = built
    assert page.words["en"].keys() == page.words["zh"].keys()
    for key, english in page.words["en"].items():
        chinese = page.words["zh"][key]
        assert re.search(r"[\u4e00-\u9fff]", chinese), key
        assert re.findall(r"\{\w+\}", english) == re.findall(r"\{\w+\}", chinese), key
        assert re.findall(r"\(\d+\)", english) == re.findall(r"\(\d+\)", chinese), key


def test_a_translation_cites_the_same_equations():
    texts = json.loads((ROOT / "docs" / "readpage" / "prose.zh.json").read_text(encoding="utf-8"))["readme"]
    for english, chinese in texts.items():
        for pattern in (r"\(\d{1,2}\)", r"`[^`]+`", r"\]\([^)]*\)"):
            assert sorted(re.findall(pattern, english)) == sorted(re.findall(pattern, chinese)), english


# ---- nothing is missing


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: str(equation.number))
def test_each_number_has_its_columns(committed, equation):
    n = equation.number
    article = part(committed, n)
    assert re.search(r'<div class="math"[^>]*><span><math display=block>', column(article, "derivation"))
    code = column(article, "code")
    assert {name.split(".")[0] for _, name in equation.code} & set(re.findall(r"<code>(\w+)", code))
    marked = re.findall(r'<span class="l\d+ hit">(.*?)\n</span>', code)
    assert marked
    assert all(n in sources.numbers(re.sub(r"<[^>]+>", "", line)) for line in marked)
    assert re.search(rf"<b>def</b> test_eq{n:02d}_\w+\(", column(article, "test"))
    twin = column(article, "twin")
    if not equation.twins:
        assert "None. This line runs in NumPy" in twin
    for _, name in equation.twins:
        assert f"<code>{name}</code>" in twin
        if "is shown at" not in twin:
            definition = re.findall(r"<figcaption>.*?<code>([\w.]+)</code></figcaption><pre>", twin)[-1]
            assert f"<b>def</b> {name}(" in twin
            assert f"<b>def</b> {definition.split('.')[-1]}(" in twin
            assert "nsae/kernels/" in twin
            assert re.search("nsae/(training|images|retrieval)/", twin)


def test_each_number_of_the_readme_is_there_once_and_in_both_languages(committed):
    numbers = re.findall(r'<article class="eq" id="eq(\d+)"', committed)
    assert numbers == re.findall(r"^### \((\d+)\)", README, re.M)
    for equation in EQUATIONS:
        heading = re.search(r"<h3>.*?</h3>", part(committed, equation.number))[0]
        words = re.sub(r"<[^>]+>", "", heading)
        assert equation.title in words
        assert re.search(r"[\u4e00-\u9fff]|Adam", words)


def test_each_letter_in_a_formula_has_a_meaning(committed):
    known = {symbol["id"] for symbol in symbols.table()["symbols"]}
    assert set(re.findall(r"data-s=\"?([\w-]+)", committed)) <= known
    functions = {"exp", "log", "max", "min", "sign", "argmax", "cos", "var", "mean", "AP"}
    for equation in EQUATIONS:
        keys = symbols.in_formulas(equation.number)
        for block in equation.blocks:
            if block.kind == "math":
                text = mathml.convert(block.text, keys)
                text = re.sub(r"<(\w+)[^>]* data-s=[^>]*>(?:(?!</?\1[ >]).)*</\1>", "", text, flags=re.S)
                text = re.sub(r"<mrow data-s=.*?</mrow>", "", text, flags=re.S)
                letters = set(re.findall(r"<mi>([^<]+)</mi>", text)) - functions - {"∂", "∇", "′"}
                assert letters == set(), f"({equation.number}): symbols.json explains no {letters}"


def test_symbols_are_told_in_both_languages_and_once():
    table = symbols.table()["symbols"]
    assert len({symbol["id"] for symbol in table}) == len(table)
    for symbol in table:
        assert symbol["en"]
        assert re.search(r"[\u4e00-\u9fff]", symbol["zh"])
    assert symbols.in_formulas(17)["β_1"] == "beta1"
    assert symbols.in_formulas(8)["β"] == "beta"
    assert symbols.in_formulas(30)["ε_w"] == "epsw"
    assert symbols.in_formulas(38)["t"] != symbols.in_formulas(18)["t"]
    assert symbols.in_code(12, "Dense.param_grads")["X"] == "Z"  # the layer is the decoder there
    assert symbols.in_code(15, "Dense.param_grads")["X"] == "X"


def test_it_is_light_and_asks_for_nothing(committed):
    assert len(committed.encode()) < SIZE
    assert "default-src 'none'" in committed
    rest = re.sub(r'<a href="https://[^"]*">', "", committed)
    assert not re.search(r"""https?:|\bsrc\s*=|@import|url\(|<link|<iframe""", rest)
    assert "[[" not in re.sub(r"<pre>.*?</pre>", "", committed, flags=re.S).replace("[[1", "")
    assert "{{" not in re.sub(r"<pre>.*?</pre>", "", committed, flags=re.S)


def test_links_within_the_page_lead_somewhere(committed):
    places = set(re.findall(r'\bid="([^"]+)"', committed))
    assert set(re.findall(r'href="#([^"]+)"', committed)) <= places


# ---- its numbers


def test_the_example_has_the_numbers_of_the_test_by_hand():
    found = walk.walk(readme.example(README))
    expected = {
        "Y": [[1], [-0.25]],
        "Z": [[1], [0]],
        "X_hat": [[1.25, 1], [0.25, 0]],
        "J": 0.30625,
        "dV": [[0.225], [0.1]],
        "dc": [0.25, -0.25],
        "dW": [[0.275, 0.225]],
        "db": [0.175],
        "new_W": [[0.9, 0.4]],
        "new_c": [0.15, 0.1],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found.values[name], value, rtol=1e-6)
    numbers = [step.number for step in found.steps]
    assert numbers[0] == 1
    assert numbers[-2:] == [19, 20]
    assert len(set(numbers)) == len(numbers)
    assert "0.30625" in found.steps[numbers.index(10)].formulas[0]


def test_words_about_the_example_have_its_numbers(built):
    page, text = built
    assert "λ = γ = 0.1." in text
    page.values = {"lam": "0.25", "alpha": "0.5"}
    assert "λ = γ = 0.25" in page.say("flow.lead")
    assert "0.5" in page.say("step.19")


def test_the_example_is_computed_from_what_the_readme_says():
    other = walk.walk(readme.example(README.replace("λ = γ = 0.1", "λ = γ = 0.2")))
    assert other.values["J"] == pytest.approx(0.09375 + 2 * 0.05 + 2 * 0.1625)
    other = walk.walk(readme.example(README.replace("X = [1   1 ]", "X = [1   3 ]")))
    assert other.values["Y"][0, 0] == 2
    with pytest.raises(ValueError, match="example by hand"):
        readme.example(README.replace("X = [1 ", "X is [1 "))


@pytest.mark.parametrize(
    ("x", "text"),
    [(0.30625, "0.30625"), (0.899999999, "0.9"), (-0.0, "0"), (7.5625e-5, r"7.5625 \cdot 10^{-5}"), (2, "2")],
)
def test_numbers_are_short(x, text):
    assert walk.number(x) == text


# ---- reading sources


def test_no_character_of_a_source_is_lost():
    for path in (PACKAGE / "equations").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "".join(piece for _, piece in sources.tokens(text)) == text


def test_numbers_in_comments():
    assert sources.numbers("# (5)–(7) and (9)") == {5, 6, 7, 9}
    assert sources.numbers("# (5)–(7) and (9)", ranges=False) == {9}
    assert sources.numbers("# (B, h), f(2x)") == set()
    text = 'x = "# (1)"  # (2)\ny = """\n# (3)\n"""  # (4)\n'
    assert sources.comments(text) == {0: "# (2)", 3: "# (4)"}


def test_an_excerpt_marks_its_lines_and_shortens_docstrings():
    penalty = next(f for f in sources.functions("nsae/equations/sparsity.py") if f.name == "kl_penalty")
    lines = sources.excerpt(penalty, 8)
    assert lines[1].text == '    """Return β Σⱼ KL(ρ ‖ ρ̂ⱼ), Eq. (8). …"""'
    assert [line.text for line in lines if line.marked] == [
        "    return beta * kl_divergence(mean_activation(Z), rho)  # (8)"
    ]
    whole = sources.excerpt(penalty, 8, whole=True)
    assert len(whole) > len(lines)


def test_a_long_function_is_cut_around_its_lines():
    search = next(
        f for f in sources.functions("nsae/kernels/search_postings.py") if f.name == "_search_window"
    )
    lines = sources.excerpt(search, 23)
    assert [line.text for line in lines if line.gap] == ["⋮", "⋮"]
    assert sum(line.marked for line in lines) == 1
    unmarked = sources.excerpt(search, 24)
    assert unmarked[1].text.startswith("def _search_window(")
    assert unmarked[-1].gap
    assert len(unmarked) < len(lines)


def test_a_twin_comes_with_what_it_calls():
    (twin,) = sources.twins_of(24, (("nsae/kernels/search_postings.py", "search_postings"),))
    assert [f.name for f in twin.kernel] == ["_distance", "search_postings"]
    assert [f.name for f in twin.definition] == ["distance_from_products", "search_postings"]
    assert all(f.lines_of(24) for f in (twin.kernel[0], twin.definition[0]))


def test_what_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"no line has the comment # \(5\)"):
        sources.code_of(5, (("nsae/equations/optimizers.py", "Adam"),))
    with pytest.raises(ValueError, match="does not define bias_tanh"):
        sources.twins_of(1, (("nsae/kernels/dense_step.py", "bias_tanh"),))
    with pytest.raises(ValueError, match="begin with a number"):
        readme.chapters(README.replace("### (2) Code", "### Code"))
    with pytest.raises(ValueError, match="cannot convert"):
        mathml.convert(r"\foo x", {})


# ---- formulas and paragraphs


def test_symbols_in_formulas():
    keys = {
        "X\u0302": "Xhat",
        "X": "X",
        "m\u0302_1": "m1hat",
        "β_1": "beta1",
        "t": "t",
        "dU": "dU",
        "g′": "gprime",
    }
    difference = mathml.convert(r"\hat X - X", keys, display=False)
    assert re.search(r"<mover[^>]* data-s=Xhat><mi>X</mi>.*</mover><mo>−</mo><mi data-s=X>X</mi>", difference)
    assert "<mrow data-s=dU><mi>d</mi><mi>U</mi></mrow>" in mathml.convert("dU", keys)
    assert "<mrow data-s=m1hat><msub>" in mathml.convert(r"\hat m_1", keys)
    power = mathml.convert(r"\beta_1^t", keys)
    assert "<mi data-s=beta1>β</mi><mn data-s=beta1>1</mn><mi data-s=t>t</mi>" in power
    assert "<mrow data-s=gprime><msup>" in mathml.convert("g'", keys)
    assert "<mi>sign</mi>" in mathml.convert(r"\mathrm{sign}\, x", keys)


def test_formulas_are_split_where_they_may_be_broken():
    assert split_formula(r"a, \qquad \text{b \qquad c}") == ["a,", r"\text{b \qquad c}"]
    assert split_formula(r"\begin{cases} a \qquad b \end{cases}") == [r"\begin{cases} a \qquad b \end{cases}"]
    assert split_formula(r"x \leftarrow \left( y = z \right) = 2", " = ") == [
        r"x \leftarrow \left( y = z \right)",
        "2",
    ]


def test_paragraphs():
    text = Text([7])
    assert text.inline("See (7), not (8).", {}, {}) == 'See <a href="#eq7">(7)</a>, not (8).'
    assert text.inline("`W` of W (h, d), a < b", {"W": "W"}, {}) == (
        "<code>W</code> of <var data-s=W>W</var> <span class=sh>(h, d)</span>, a &lt; b"
    )
    assert text.inline("(B, n_out)", {}, {"n_out": "h"}) == '<span class=sh data-m="(B, h)">(B, n_out)</span>'
    assert text.inline("k-sparse, ρ̂ⱼ and m̂1", {"k": "k", "ρ\u0302": "rhohat", "m\u0302_1": "m1hat"}, {}) == (
        "k-sparse, <var data-s=rhohat>ρ̂ⱼ</var> and <var data-s=m1hat>m̂1</var>"
    )
    assert (
        text.inline("[here](#7-l1-sparsity) and [there](a.py)", {}, {}) == '<a href="#eq7">here</a> and there'
    )


# ---- the command


def checked(text):
    return re.search(r'id="lang-(\w+)" class="language" checked', text)[1]


def test_the_page_begins_in_either_language():
    assert checked(page_text()) == "en"
    assert checked(page_text("zh")) == "zh"
    assert page_text("zh").count('class="language" checked') == 1
    assert len(page_text("zh")) == len(page_text())
    with pytest.raises(ValueError, match="'en', 'zh'"):
        page_text("fr")


def test_read_writes_a_copy(tmp_path, capsys):
    target = tmp_path / "page.html"
    assert main(["read", "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"wrote {target}\n"
    assert target.read_bytes() == PAGE.read_bytes()
    assert main(["read", "-o", str(target), "--language", "zh"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["read", "-o", str(target), "--language", "zh", "--force"]) == 0
    assert checked(target.read_text(encoding="utf-8")) == "zh"
    with pytest.raises(FileExistsError):
        write_page(target)
    assert main(["read", "-o", str(tmp_path / "no" / "page.html")]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("found", [True, False])
def test_read_opens_the_page_and_says_where_it_is(found, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or found)
    assert main(["read"]) == 0
    out = capsys.readouterr().out
    assert asked == [PAGE.resolve().as_uri()]
    assert str(PAGE) in out
    assert ("No browser" in out) is not found
    path, opened = open_page("zh")
    assert opened is found
    assert asked[-1] == path.resolve().as_uri()
    assert checked(path.read_text(encoding="utf-8")) == "zh"
