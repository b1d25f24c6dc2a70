"""Build the API reference: one page for each room of nsae, from the docstrings.

    python docs/reference.py              writes docs/_build/
    python docs/reference.py -o FOLDER    writes FOLDER

pdoc turns each module into HTML.  This script puts the modules of a room on one page, the numbered equations on
another, and links "Eq. (7)" to its equation.  It needs no network, neither now nor when a page is read: formulas
become MathML.  A warning of pdoc, a link that leads nowhere or a formula that cannot be converted is an error.
"""

from __future__ import annotations

import argparse
import html
import importlib
import posixpath
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType

import latex2mathml.converter
import markdown2
import pdoc.doc
import pdoc.render

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nsae"
EQUATIONS = PACKAGE / "equations" / "README.md"
ROOMS = {
    "nsae": "what can be imported from it, and the files outside of rooms",
    "equations": "the numbered equations in NumPy, forward, backward and Adam",
    "training": "the training loop, and one training step in three ways",
    "models": "the estimators and the frozen encoder",
    "kernels": "loops that Numba compiles",
    "retrieval": "the index of codes: search, reasons, quality",
    "images": "from photos to codes, folders of photos, pictures",
    "interchange": "codes, arrays and models to and from other libraries",
    "export": "a trained encoder as one Python file, or as a page to play with",
    "study": "a training step explained, the page of equations, exercises",
    "compression": "images to bytes and back, by sparse codes of learned patterns",
    "deep": "softmax on codes, stacks of encoders, fine-tuning",
    "distributed": "encoding, training and indexes on a cluster, with Dask",
    "datasets": "images to learn from",
    "cli": "the command line",
    "validation": "what may come in, and the verdicts of a gradient check",
    "system": "files, threads and progress",
}
READING_ORDER = [
    "layers",
    "activations",
    "losses",
    "sparsity",
    "optimizers",
    "autoencoder",
    "gradcheck",
    "loop",
]
EXTRAS = ["tables", "fenced-code-blocks", "header-ids", "cuddled-lists", "code-friendly"]
STYLE = """
main.pdoc h1 { margin-top: 2rem; }
section.file { border-top: 2px solid #ddd; margin-top: 3rem; }
nav.pdoc a.here { font-weight: bold; }
math[display="block"] { margin: 1rem 0; }
mtd { padding: .2em .4em; }
mtd[columnalign="right"] { text-align: right; }
mtd[columnalign="left"] { text-align: left; }
table { border-collapse: collapse; }
td, th { border: 1px solid #ddd; padding: .2rem .6rem; text-align: left; }
"""


def main(argv: list[str] | None = None) -> int:
    """Write all pages; return 1 if something is wrong with them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "_build", help="(docs/_build)")
    folder = parser.parse_args(argv).output
    folder.mkdir(parents=True, exist_ok=True)
    pdoc.render.configure(docformat="numpy", search=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings(
            "ignore", "Cannot determine where .* assuming current file"
        )  # keys of TypedDicts
        pages = build()
    wrong = [f"{warning.filename}: {warning.message}" for warning in caught] + dead_links(pages)
    for name, page in pages.items():
        (folder / name).write_text(page, encoding="utf-8")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(pages)} pages, {len(wrong)} warnings: {folder / 'index.html'}")
    return int(bool(wrong))


def build() -> dict[str, str]:
    """Return the pages by file name."""
    modules = {name: pdoc.doc.Module(documented(name)) for name in module_names()}
    anchors = equation_anchors()
    pages = {}
    for room, what in ROOMS.items():
        names = [name for name in modules if room_of(name) == room]
        files = [one_file(modules[name], modules, anchors) for name in names]
        index = "".join(
            f'<li><a href="#{name}">{name.removeprefix(f"nsae.{room}.")}</a></li>' for name in names
        )
        title = "nsae" if room == "nsae" else f"nsae.{room}"
        body = f"<h1>{title}</h1><p>{what[0].upper()}{what[1:]}.</p>\n" + "\n".join(files)
        pages[f"{room}.html"] = page(title, body, index)
    pages["equations-page.html"] = page("The equations", equations_page(anchors), "")
    rows = "".join(
        f'<tr><td><a href="{r}.html">{r}</a></td><td>{what}</td></tr>' for r, what in ROOMS.items()
    )
    start = '<p>One page for each room. The <a href="equations-page.html">numbered equations</a> have their own.</p>'
    pages["index.html"] = page("nsae: the API", f"<h1>nsae</h1>{start}<table>{rows}</table>", "")
    return pages


def documented(name: str) -> ModuleType:
    """Import the module ``name``, and help pdoc to read the annotations of its named tuples."""
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        setattr(
            module, public, getattr(module, public)
        )  # a package imports some when they are first asked for
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
            value.__new__.__module__ = (
                value.__module__
            )  # it was made by another module, whose names would be taken
    return module


def module_names() -> list[str]:
    """Return all modules: a package before its modules, the equations in the order in which they are read."""

    def place(source: Path) -> tuple[object, ...]:
        known = READING_ORDER.index(source.stem) if source.stem in READING_ORDER else len(READING_ORDER)
        return source.parent.parts, source.stem != "__init__", known, source.stem

    names = []
    for source in sorted(PACKAGE.rglob("*.py"), key=place):
        parts = ["nsae", *source.relative_to(PACKAGE).with_suffix("").parts]
        if parts[-1] != "__main__":  # importing it would run the command line
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def room_of(module: str) -> str:
    """Return the room of ``module``; files outside of rooms belong to "nsae"."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "nsae"


def one_file(module: pdoc.doc.Module, modules: dict[str, pdoc.doc.Module], anchors: dict[str, str]) -> str:
    """Return what pdoc writes about ``module``, with links that fit one page for each room.

    Parameters
    ----------
    module
        The module.
    modules
        All modules, by name: what can be linked.
    anchors
        By the number of an equation, its anchor.
    """
    name = module.modulename
    whole = pdoc.render.html_module(module, modules)
    text = re.search(r'<main class="pdoc">(.*)</main>', whole, re.S)[1]  # type: ignore[index]
    if only_exports(module):  # what it exports is documented where it is defined
        text = re.search(r'<section class="module-info">.*?</section>', text, re.S)[0] + exports(
            module, modules
        )  # type: ignore[index]

    def link(found: re.Match[str]) -> str:
        target, _, anchor = found[2].partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            return found[0]
        if target:
            path = posixpath.normpath(posixpath.join("/", *name.split(".")[:-1], target)).removesuffix(
                ".html"
            )
            target = path.strip("/").replace("/", ".")
        target = home(modules[target or name], anchor)
        place = ".".join(part for part in (target or name, anchor) if part)
        page = "" if room_of(target or name) == room_of(name) else f"{room_of(target or name)}.html"
        return f'{found[1]}="{page}#{place}"'

    text = re.sub(r'\b(id|for)="([^"]+)"', rf'\1="{name}.\2"', text)
    text = re.sub(r'\b(href)="([^"]*)"', link, text)
    text = text.replace("<h1 ", "<h2 ").replace("</h1>", "</h2>")
    return f'<section class="file" id="{name}">{linked_equations(text, anchors)}</section>'


def home(module: pdoc.doc.Module, anchor: str) -> str:
    """Return the name of the module in which something is defined that ``module`` may only export.

    Parameters
    ----------
    module
        Where it was found.
    anchor
        Its name there, such as ``Encoder.load``; "" for the module itself.
    """
    value = getattr(module.obj, anchor.partition(".")[0], None) if anchor else None
    where = getattr(value, "__module__", None) or module.modulename
    return where if only_exports(module) and where.startswith("nsae") else module.modulename


def only_exports(module: pdoc.doc.Module) -> bool:
    """Return whether ``module`` is a package that defines nothing public itself."""
    values = vars(module.obj).items()
    own = [name for name, value in values if getattr(value, "__module__", None) == module.modulename]
    return module.is_package and not any(name[0] != "_" for name in own)


def exports(module: pdoc.doc.Module, modules: dict[str, pdoc.doc.Module]) -> str:
    """Return a list of links to what a package exports.

    Parameters
    ----------
    module
        The package.
    modules
        All modules, by name.
    """
    items = []
    for name in getattr(module.obj, "__all__", ()):
        where = getattr(getattr(module.obj, name), "__module__", None)
        if where in modules and where != module.modulename:
            here = module.modulename.count(".")
            path = "../" * here + where.replace(".", "/")
            items.append(f'<li><a href="{path}.html#{name}">{name}</a></li>')
    return f"<ul>{''.join(items)}</ul>" if items else ""


# ---- the equations


def equation_anchors() -> dict[str, str]:
    """Return by number the anchor of each equation, as GitHub gives it to the heading."""
    headings = re.findall(r"^### \((\d+)\) (.+)$", EQUATIONS.read_text(encoding="utf-8"), re.M)
    return {number: github_anchor(f"({number}) {title}") for number, title in headings}


def github_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to ``heading``."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def linked_equations(text: str, anchors: dict[str, str]) -> str:
    """Link each number after "Eq." or "Eqs." in HTML.

    Parameters
    ----------
    text
        The HTML.  What is between ``<pre>`` and ``</pre>`` (the source) is left as it is.
    anchors
        By number, the anchor.
    """

    def numbers(found: re.Match[str]) -> str:
        return re.sub(r"\((\d+)\)", number, found[0])

    def number(found: re.Match[str]) -> str:
        if found[1] not in anchors:
            return found[0]
        return f'<a href="equations-page.html#{anchors[found[1]]}">{found[0]}</a>'

    parts = re.split(r"(<pre>.*?</pre>)", text, flags=re.S)
    cited = re.compile(r"Eqs?\.\s\(\d+\)(?:(?:,\s|\sand\s|\sto\s|–)\(\d+\))*")
    return "".join(part if part.startswith("<pre>") else cited.sub(numbers, part) for part in parts)


def equations_page(anchors: dict[str, str]) -> str:
    """Return the page of equations as HTML, its formulas as MathML.

    Parameters
    ----------
    anchors
        By number, the anchor.
    """
    text = EQUATIONS.read_text(encoding="utf-8")
    formulas: list[str] = []

    def keep(display: str):  # type: ignore[no-untyped-def]
        def formula(found: re.Match[str]) -> str:
            source = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{align*}", found[1].strip())
            mathml = latex2mathml.converter.convert(source, display=display)
            unknown = re.search(r"<m[a-z]+>(?:\\[A-Za-z]+|&(?:amp;)?)</m[a-z]+>", mathml)
            if unknown:
                warnings.warn(f"latex2mathml cannot convert {unknown[0]} in {source}", stacklevel=1)
            formulas.append(mathml)
            return f"\x02{len(formulas) - 1}\x03"

        return formula

    text = re.sub(r"^```math\n(.*?)^```", keep("block"), text, flags=re.S | re.M)
    text = re.sub(r"\$\$(.+?)\$\$", keep("block"), text, flags=re.S)
    text = re.sub(r"\$`(.+?)`\$", keep("inline"), text)
    text = re.sub(r"(?<![\w$])\$([^$\n]+?)\$(?![\w$])", keep("inline"), text)
    body = str(markdown2.markdown(text, extras=EXTRAS))

    def heading(found: re.Match[str]) -> str:
        plain = html.unescape(re.sub(r"<[^>]+>", "", found[2]))
        return f'<h{found[1]} id="{github_anchor(plain)}">{found[2]}</h{found[1]}>'

    body = re.sub(r'<h(\d)(?: id="[^"]*")?>(.*?)</h\1>', heading, body)
    body = re.sub(r'<a href="(?!#|https?:)([^"]*)">(.*?)</a>', file_link, body)
    body = linked_equations(body, anchors).replace("equations-page.html#", "#")
    return re.sub("\x02(\\d+)\x03", lambda found: formulas[int(found[1])], body)


def file_link(found: re.Match[str]) -> str:
    """Return a link from the page of equations to a file of the package as one to its place in the reference."""
    path = (EQUATIONS.parent / found[1].partition("#")[0]).resolve()
    if path.suffix == ".py" and path.is_relative_to(PACKAGE):
        module = ".".join(["nsae", *path.relative_to(PACKAGE).with_suffix("").parts])
        return f'<a href="{room_of(module)}.html#{module}">{found[2]}</a>'
    return str(found[2])  # tests and benchmarks are not in the reference


# ---- pages


def page(title: str, body: str, index: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    title
        Of the page.
    body
        Its HTML.
    index
        List items for the side: what is on the page.
    """
    here = f"{title.removeprefix('nsae.')}.html"
    rooms = "".join(
        f'<li><a href="{room}.html"{" class=here" if here == f"{room}.html" else ""}>{room}</a></li>'
        for room in ROOMS
    )
    env = pdoc.render.env
    sheets = (
        "resources/bootstrap-reboot.min.css",
        "syntax-highlighting.css",
        "theme.css",
        "layout.css",
        "content.css",
    )
    style = "\n".join(env.get_template(sheet).render() for sheet in sheets) + STYLE
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>\n'
        f'<body><nav class="pdoc"><a href="index.html">nsae</a><h2>Rooms</h2><ul>{rooms}'
        f'<li><a href="equations-page.html">the equations</a></li></ul>'
        + (f"<h2>On this page</h2><ul>{index}</ul>" if index else "")
        + f'</nav>\n<main class="pdoc">{body}</main></body></html>\n'
    )


def dead_links(pages: dict[str, str]) -> list[str]:
    """Return a line for each link that leads to no page or to no place on it.

    Parameters
    ----------
    pages
        By file name, their HTML.
    """
    places = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in pages.items()}
    wrong = set()
    for name, text in pages.items():
        for target, anchor in re.findall(r'\bhref="(?!https?:)([^"#]*)(?:#([^"]*))?"', text):
            if (target or name) not in pages or (anchor and anchor not in places[target or name]):
                wrong.add(f"{name}: no such place: {target}#{anchor}")
    return sorted(wrong)


if __name__ == "__main__":
    sys.exit(main())
