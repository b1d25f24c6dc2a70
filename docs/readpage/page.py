"""The page of ``nsae read`` as HTML, put together from README.md, the sources, the example and the prose files."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from readpage import mathml, readme, sources, symbols, walk
from readpage.highlight import code
from readpage.markdown import Text, split_formula

HERE = Path(__file__).parent
LANGUAGES = {"en": "en", "zh": "zh-Hans"}
ROWS = ("forward", "backward", "update")
OPTION = 20  # of the example's steps, the one that it goes without


class Page:
    """The page, part by part.  ``missing`` collects what has no Chinese."""

    def __init__(self) -> None:
        readme_text = readme.README.read_text(encoding="utf-8")
        prose = {
            name: json.loads((HERE / f"prose.{name}.json").read_text(encoding="utf-8")) for name in LANGUAGES
        }
        self.words: dict[str, dict[str, str]] = {name: prose[name]["page"] for name in LANGUAGES}
        self.chinese: dict[str, str] = prose["zh"]["readme"]
        self.missing: list[str] = []
        self.used: set[str] = set()
        self.chapters = readme.chapters(readme_text)
        self.conventions = readme.conventions(readme_text)
        self.references = readme.references(readme_text)
        example = readme.example(readme_text)
        self.walk = walk.walk(example)
        self.values = {"lam": walk.number(example.lam), "alpha": walk.number(example.alpha)}
        self.numbers = [equation.number for chapter in self.chapters for equation in chapter.equations]
        self.text = Text(self.numbers)
        self.shown: dict[
            sources.Function, int
        ] = {}  # kernels, with the equation beside which they are in full

    def html(self) -> str:
        """Return the whole page."""
        parts = {
            "style": (HERE / "style.css").read_text(encoding="utf-8"),
            "script": (HERE / "script.js").read_text(encoding="utf-8"),
            "nav": self.nav(),
            "conventions": self.blocks(self.conventions, 0),
            "flow": self.flow(),
            "sizes": json.dumps(self.walk.sizes),
            "symbols": self.symbol_table(),
            "chapters": "\n".join(self.chapter(chapter) for chapter in self.chapters),
            "references": self.blocks(self.references, 0, translate=False),
            "generator": mathml.GENERATOR,
        }
        page = (HERE / "page.html").read_text(encoding="utf-8")
        page = re.sub(r"\[\[(\w+(?:\.\w+)?)\]\]", lambda found: self.say(found[1]), page)
        return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page)

    def unused(self) -> list[str]:
        """Return the texts that have a translation and are not on the page: README.md has changed there."""
        return [english for english in self.chinese if english not in self.used]

    # ---- words

    def say(self, key: str, tag: str = "span", **values: str) -> str:
        """Return words of the page in both languages.

        Parameters
        ----------
        key
            In the prose files, under "page".
        tag
            The element of each.
        values
            What stands for {name} in the words, besides {lam} and {alpha} of the example.
        """
        return "".join(
            f'<{tag} lang="{lang}">{self.words[name][key].format(**self.values, **values)}</{tag}>'
            for name, lang in LANGUAGES.items()
        )

    def translated(self, english: str) -> str:
        """Return the Chinese of a text of README.md, or the text itself if there is none."""
        self.used.add(english)
        if english not in self.chinese:
            self.missing.append(english)
        return self.chinese.get(english, english)

    def both(self, english: str, keys: dict[str, str], tag: str, names: dict[str, str]) -> str:
        """Return a text of README.md in both languages; once, if it has no words."""
        if not re.search(r"[A-Za-z]{3}", re.sub(r"`[^`]*`", "", english)):
            return f"<{tag}>{self.text.inline(english, keys, names)}</{tag}>"
        chinese = self.text.inline(self.translated(english), keys, names)
        return (
            f'<{tag} lang="en">{self.text.inline(english, keys, names)}</{tag}>'
            f'<{tag} lang="zh-Hans">{chinese}</{tag}>'
        )

    # ---- text of README.md

    def blocks(self, found: tuple[readme.Block, ...], number: int, *, translate: bool = True) -> str:
        """Return paragraphs, formulas, lists and tables.

        Parameters
        ----------
        found
            Blocks.
        number
            Of the equation; 0 for none.
        translate
            Whether they stand there in both languages.
        """
        keys = symbols.in_formulas(number) if number else {}
        return "\n".join(self.block(block, keys, translate) for block in found)

    def block(self, block: readme.Block, keys: dict[str, str], translate: bool) -> str:
        """Return one of them, with the symbols of ``keys`` marked."""
        names: dict[str, str] = {}

        def both(text: str, tag: str) -> str:
            if translate:
                return self.both(text, keys, tag, names)
            return f"<{tag}>{self.text.inline(text, keys, names)}</{tag}>"

        if block.kind == "math":
            return self.formula(block.text, keys)
        if block.kind == "h4":
            return f'<div class="h5" id="{readme.anchor(block.text)}">{both(block.text, "h5")}</div>'
        if block.kind == "ul":
            return "<ul>" + "".join(both(item, "li") for item in block.items) + "</ul>"
        if block.kind == "table":
            head, *rows = block.items
            top = "".join(f"<th>{both(cell, 'span')}</th>" for cell in head)
            body = "".join(
                "<tr>" + "".join(f"<td>{both(c, 'span')}</td>" for c in row) + "</tr>" for row in rows
            )
            table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
            return f'<div class="wide" tabindex="0">{table}</div>'
        if block.kind == "source":
            return f'<p class="source">{self.text.inline(block.text, {}, {})}</p>'
        if block.kind == "code":
            return f"<pre>{html.escape(block.text)}</pre>"
        return both(block.text, "p")

    def formula(self, latex: str, keys: dict[str, str]) -> str:
        """Return a display formula; in both languages, if it has words."""
        words = {word: self.translated(word) for word in mathml.texts(latex)}

        def drawn(words: dict[str, str] | None) -> str:
            return "".join(
                f"<span>{mathml.convert(part, keys, words=words)}</span>" for part in split_formula(latex)
            )

        if not words:
            return f'<div class="math">{drawn(None)}</div>'
        return f'<div class="math" lang="en">{drawn(None)}</div><div class="math" lang="zh-Hans">{drawn(words)}</div>'

    # ---- equations

    def chapter(self, chapter: readme.Chapter) -> str:
        """Return a chapter with its equations."""
        links = " ".join(f'<a href="#eq{e.number}">({e.number})</a>' for e in chapter.equations)
        return (
            f'<section class="chapter" id="{readme.anchor(chapter.title)}">'
            f'<header>{self.both(chapter.title, {}, "h2", {})}<p class="links">{links}</p>'
            f"{self.blocks(chapter.blocks, chapter.equations[0].number)}</header>\n"
            + "\n".join(map(self.equation, chapter.equations))
            + "</section>"
        )

    def equation(self, equation: readme.Equation) -> str:
        """Return one equation with its three columns."""
        n = equation.number
        title = self.both(equation.title, {}, "span", {})
        return (
            f'<article class="eq" id="eq{n}" data-n="{n}">'
            f'<h3><a class="number" href="#eq{n}">({n})</a> {title}</h3><div class="columns">'
            f'<div class="column derivation">{self.say("column.equation", "h4")}{self.derivation(equation)}</div>'
            f'<div class="machine"><div class="column code">{self.say("column.code", "h4")}{self.code(equation)}</div>'
            f'<div class="column test">{self.say("column.test", "h4")}{self.tests(n)}</div>'
            f'<div class="column twin">{self.say("column.twin", "h4")}{self.twins(equation)}</div>'
            "</div></div></article>"
        )

    def derivation(self, equation: readme.Equation) -> str:
        """Return the first column: the formula, the example's numbers, the symbols, the prose."""
        n, keys = equation.number, symbols.in_formulas(equation.number)
        lead = next(place for place, block in enumerate(equation.blocks) if block.kind == "math") + 1
        before, after = self.blocks(equation.blocks[:lead], n), self.blocks(equation.blocks[lead:], n)
        formulas = " ".join(re.findall(r"<math.*?</math>", before + after, re.S))
        seen = dict.fromkeys(re.findall(r"data-s=(\w+)", formulas))
        chips = "".join(f"<li>{self.chip(name)}</li>" for name in seen)
        legend = f'<ul class="chips">{chips}</ul>' if chips else ""
        hand = "".join(
            self.by_hand(place, step, keys)
            for place, step in enumerate(self.walk.steps, 1)
            if step.number == n
        )
        return before + legend + hand + after

    def by_hand(self, place: int, step: walk.Step, keys: dict[str, str]) -> str:
        """Return the numbers of the example at one step."""
        formulas = "".join(self.in_parts(formula, keys) for formula in step.formulas)
        said = self.say("hand", "h5") + self.say(f"step.{step.number}", "p")
        return f'<section class="hand" data-step="{place}">{said}{formulas}</section>'

    def in_parts(self, latex: str, keys: dict[str, str]) -> str:
        """Return a formula with numbers, which may be broken before the second = and those after it."""
        first, *others = split_formula(latex, " = ")
        if others:
            first = f"{first} = {others.pop(0)}"
        parts = [first, *(f"= {other}" for other in others)]
        return f'<div class="math">{"".join(f"<span>{mathml.convert(part, keys)}</span>" for part in parts)}</div>'

    def code(self, equation: readme.Equation) -> str:
        """Return the second column: the functions with the lines of this number."""
        n = equation.number
        shown = sources.code_of(n, equation.code)
        others = sources.elsewhere(n, shown)
        text = "".join(self.function(function, n) for function in shown)
        if others:
            lines = "".join(self.mention(function, lines, n) for function, lines in others)
            text += f"<details><summary>{self.say('elsewhere', count=str(len(others)))}</summary>{lines}</details>"
        return text

    def function(self, function: sources.Function, number: int, *, whole: bool = False) -> str:
        """Return an excerpt with its place."""
        names = symbols.in_code(number, function.name)
        lines = sources.excerpt(function, number, whole=whole)
        return f"<figure>{place_of(function)}{code(lines, names, symbols.shapes_in(number))}</figure>"

    def mention(self, function: sources.Function, lines: list[sources.Line], number: int) -> str:
        """Return the marked lines alone."""
        names = symbols.in_code(number, function.name)
        return f"<figure>{place_of(function)}{code(lines, names, {})}</figure>"

    def tests(self, number: int) -> str:
        """Return the tests of an equation, and the fixtures that they use, each fixture once."""
        found, shown = "", []
        for test in sources.tests_of(number):
            found += self.function(test, number, whole=True)
            helpers = [helper for helper in sources.fixtures_of(test) if helper not in shown]
            shown += helpers
            if helpers:
                inside = "".join(self.function(helper, number, whole=True) for helper in helpers)
                found += f"<details><summary>{self.say('helpers')}</summary>{inside}</details>"
        if not found:
            raise ValueError(f"no test is named test_eq{number:02d}_…")
        return found

    def twins(self, equation: readme.Equation) -> str:
        """Return the compiled twins with their definitions, or that there are none."""
        n = equation.number
        found = []
        for place, twin in enumerate(sources.twins_of(n, equation.twins)):
            kernel = twin.kernel[-1]
            name = f"<code>{kernel.name}</code> <small>{Path(kernel.path).name}</small>"
            if place and kernel in self.shown:  # once in full is enough, beside another that is in full
                at = self.shown[kernel]
                found.append(
                    f'<p class=shown>{name} <a href="#eq{at}">{self.say("shown", number=str(at))}</a></p>'
                )
                continue
            self.shown.setdefault(kernel, n)
            compiled = self.say("compiled", "h5") + "".join(self.function(part, n) for part in twin.kernel)
            definition = self.say("definition", "h5") + "".join(self.function(p, n) for p in twin.definition)
            inside = f'<div class="pair"><div>{compiled}</div><div>{definition}</div></div>'
            opened = " open" if place == 0 else ""
            found.append(f"<details{opened}><summary>{name}</summary>{inside}</details>")
        return "".join(found) or self.say("no twin", "p")

    # ---- symbols and data

    def chip(self, name: str) -> str:
        """Return a button for a symbol with its shape."""
        symbol = next(s for s in symbols.table()["symbols"] if s["id"] == name)
        shape = f' <span class="sh">{symbol["shape"]}</span>' if symbol["shape"].startswith("(") else ""
        return f'<button type="button" data-s="{name}">{label(symbol)}{shape}</button>'

    def symbol_table(self) -> str:
        """Return the table of all symbols."""
        rows = []
        for s in symbols.table()["symbols"]:
            shape = f'<span class="sh">{s["shape"]}</span>'
            if s["shape"] == "θ":
                shape = self.say("as theta")
            meaning = f'<span lang="en">{s["en"]}</span><span lang="zh-Hans">{s["zh"]}</span>'
            python = f"<code>{html.escape(s['python'])}</code>" if s["python"] else ""
            where = self.text.inline(_ranges(symbols.numbers_of(s.get("eqs"))), {}, {})
            button = f'<button type="button" data-s="{s["id"]}">{label(s)}</button>'
            rows.append(
                f'<tr data-symbol="{s["id"]}"><th scope="row">{button}</th>'
                f"<td>{meaning}</td><td>{shape}</td><td>{python}</td><td>{where}</td></tr>"
            )
        return "\n".join(rows)

    def flow(self) -> str:
        """Return the picture of data and gradients: cards in three rows."""
        places = {step.number: place for place, step in enumerate(self.walk.steps, 1)}
        rows = []
        for row in ROWS:
            cards = [self.card(card, places) for card in self.walk.cards if card.row == row]
            rows.append(
                f'<div class="row {row}">{self.say(f"row.{row}", "h3")}<ol>{"".join(cards)}</ol></div>'
            )
        return "".join(rows)

    def card(self, card: walk.Card, places: dict[int, int]) -> str:
        """Return one card: numbers of equations, names, shapes and the arrays."""
        steps = " ".join(str(places[n]) for n in card.numbers)
        links = " ".join(f'<a href="#eq{n}">({n})</a>' for n in card.numbers)
        if card.numbers == (OPTION,):
            links += f" {self.say('option')}"
        known = {s["id"]: s for s in symbols.table()["symbols"]}
        parts = []
        for latex, name, value in card.parts:
            shape = known[name]["shape"]
            text = mathml.convert(
                f"{latex} = {walk.matrix(value)}", symbols.in_formulas(16 if "m_" in latex else 12)
            )
            parts.append(
                f'<div class="part">{text} <small class="sh">{shape if shape.startswith("(") else ""}</small></div>'
            )
        begin = f'<p class="from">{links or self.say("given")}</p>'
        return f'<li class="card" data-steps="{steps}">{begin}{"".join(parts)}</li>'

    def nav(self) -> str:
        """Return links to the chapters."""
        return "".join(
            f'<a href="#{readme.anchor(chapter.title)}">{self.both(chapter.title, {}, "span", {})}</a>'
            for chapter in self.chapters
        )


def label(symbol: dict) -> str:
    """Return the first key of a symbol as HTML, such as m<sub>1</sub>."""
    base, _, index = symbol["math"].split()[0].partition("_")
    return f"<i>{base}</i>" + (f"<sub>{index.strip('()')}</sub>" if index else "")


def place_of(function: sources.Function) -> str:
    """Return the file and the name of a function, as a caption."""
    folder, _, file = function.path.rpartition("/")
    name = function.name if len(function.name) < 25 else function.name.replace("_", "_<wbr>")
    return f"<figcaption><small>{folder}/</small>{file} <code>{name}</code></figcaption>"


def _ranges(numbers: frozenset[int] | None) -> str:
    """Return numbers as (1)–(4), (6)."""
    if numbers is None:
        return ""
    parts, ordered = [], sorted(numbers)
    while ordered:
        first = last = ordered.pop(0)
        while ordered and ordered[0] == last + 1:
            last = ordered.pop(0)
        parts.append(f"({first})" if first == last else f"({first})–({last})")
    return ", ".join(parts)
