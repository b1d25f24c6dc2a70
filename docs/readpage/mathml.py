"""LaTeX as MathML, in which the symbols that the page explains carry their names."""

from __future__ import annotations

import html
import importlib.metadata
import re
import xml.etree.ElementTree as ET

import latex2mathml.converter

GENERATOR = f"latex2mathml {importlib.metadata.version('latex2mathml')}"
SPACE = "{http://www.w3.org/1998/Math/MathML}"
ACCENTS = {
    "^": "\u0302",
    "\u00af": "\u0304",
    "\u2015": "\u0304",
}  # as latex2mathml writes them, and combining
BEFORE_A_SIGN = ("(", "[", "=", ",", "←", "|")
SCRIPT_LETTERS = {"N": "\U0001d4a9"}
SCRIPTS = ("msub", "msup", "msubsup")


def convert(
    latex: str, keys: dict[str, str], *, display: bool = True, words: dict[str, str] | None = None
) -> str:
    r"""Return ``<math>`` for a formula.

    Parameters
    ----------
    latex
        The formula, without delimiters.
    keys
        By key, such as ``X``, ``x̂``, ``m_1`` or ``dU``, the name of the symbol that it stands for here.
    display
        Whether it stands on a line of its own.
    words
        By its English words, those of another language for ``\text{…}``.

    Raises
    ------
    ValueError
        If latex2mathml leaves something as it is.
    """
    source = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{align*}", latex.strip())
    text = latex2mathml.converter.convert(source, display="block" if display else "inline")
    unknown = re.search(r"<m[a-z]+>(?:\\[A-Za-z]+|&(?:amp;)?)</m[a-z]+>", text)
    if unknown:
        raise ValueError(f"latex2mathml cannot convert {unknown[0]} in {source}")
    root = ET.fromstring(text)
    _mend(root)
    if words:
        for node in root.iter(f"{SPACE}mtext"):
            node.text = _translated(node.text or "", words)
    _mark(root, keys)
    return _write(root)


def texts(latex: str) -> list[str]:
    r"""Return the words in ``\text{…}``, stripped."""
    return [word.strip() for word in re.findall(r"\\text\{([^}]*)\}", latex) if re.search(r"[A-Za-z]", word)]


def _translated(text: str, words: dict[str, str]) -> str:
    plain = text.replace("\u00a0", " ")
    core = plain.strip()
    return plain.replace(core, words.get(core, core)).replace(" ", "\u00a0")


def key_of(node: ET.Element) -> str:
    """Return the key of a part of a formula, "" if it has none.

    A letter is its own key; with an accent, ``X̂``; with an index of letters or digits, ``m_1``; with a prime,
    ``g′``.
    """
    kind = _kind(node)
    if kind in ("mi", "mo", "mn") and not list(node):
        return node.text or ""
    if kind == "mrow" and len(node) == 1 and _kind(node[0]) != "msubsup":
        return key_of(node[0])
    if kind == "mover":
        base, accent = key_of(node[0]), ACCENTS.get(key_of(node[1]), "")
        return base + accent if base and accent else ""
    if kind in ("msub", "msubsup"):
        base, index = key_of(node[0]), "".join(node[1].itertext())
        return f"{base}_{index}" if base else ""
    if kind == "msup" and "".join(node[1].itertext()) in ("′", "'"):
        return f"{key_of(node[0])}′"
    return ""


def _mend(node: ET.Element) -> None:
    r"""Write as browsers draw it what latex2mathml writes for older ones: \mathrm{sign}, script letters, spaces."""
    _wrap_matrices(node)
    before = None
    for child in node:
        _mend(child)
        if _kind(child) == "mo" and child.text == "−" and (before is None or before in BEFORE_A_SIGN):
            child.set("form", "prefix")
        before = child.text if _kind(child) == "mo" else "x"
        letters = "".join(child.itertext())
        upright = all(_kind(inner) == "mi" and inner.get("mathvariant") == "normal" for inner in child)
        if _kind(child) == "mrow" and len(child) > 1 and upright:
            _become(child, "mi", letters)
        elif _kind(child) == "mo" and (len(child) or letters.isalpha()):  # max is a name, and no operator
            _become(child, "mi" if letters.isalpha() else "mo", letters)
        elif _kind(child) == "mi" and letters and not any(c.isalnum() or c in "′∂∇" for c in letters):
            _become(child, "mo", letters)
            child.set("stretchy", "false")
        elif child.get("mathvariant") == "script":
            _become(child, "mi", SCRIPT_LETTERS[letters])
        elif child.get("width") == "negativethinmathspace":
            child.set("width", "-0.167em")
    _space_names(node)


def _space_names(node: ET.Element) -> None:
    """Put a thin space between log and what stands beside it, unless it is an operator or a bracket."""
    children = list(node)
    for place, child in reversed(list(enumerate(children))):
        if _kind(child) != "mi" or not (child.text or "").isalpha() or len(child.text or "") < 2:
            continue
        for at, beside in (
            (place + 1, children[place + 1 : place + 2]),
            (place, children[place - 1 : place]),
        ):
            if beside and (
                _kind(beside[0]) not in ("mo", "mspace", "mtext") or (at == place and beside[0].text == ")")
            ):
                node.insert(at, ET.Element(f"{SPACE}mspace", {"width": "0.167em"}))


def _wrap_matrices(node: ET.Element) -> None:
    """Put the brackets of a matrix and what is in them into one mrow, so that nothing else stretches them."""
    children = list(node)
    for first, table, last in zip(children, children[1:], children[2:], strict=False):
        if first.text == "[" and _kind(table) == "mtable" and last.text == "]" and len(children) > 3:
            row = ET.Element(f"{SPACE}mrow")
            node.insert(list(node).index(first), row)
            for part in (first, table, last):
                node.remove(part)
                row.append(part)


def _become(node: ET.Element, kind: str, text: str) -> None:
    for child in list(node):
        node.remove(child)
    node.tag, node.text = SPACE + kind, text
    node.attrib.clear()


def _mark(node: ET.Element, keys: dict[str, str]) -> None:
    _join_differentials(node, keys)
    for child in node:
        if child.get("data-s"):
            continue
        kind, key = _kind(child), key_of(child)
        if kind == "msubsup" and key in keys:  # β₁ᵗ: the first two belong together
            child[0].set("data-s", keys[key])
            child[1].set("data-s", keys[key])
            _mark(child[2], keys)
            _mark_leaf(child[2], keys)
        elif key in keys and kind != "mtext":
            child.set("data-s", keys[key])
        else:
            _mark(child, keys)


def _mark_leaf(node: ET.Element, keys: dict[str, str]) -> None:
    if key_of(node) in keys:
        node.set("data-s", keys[key_of(node)])


def _join_differentials(node: ET.Element, keys: dict[str, str]) -> None:
    """Put d and U of dU into one mrow, if dU is a symbol; d and V of dV_j too, and what stands after ∇."""
    children = list(node)
    place = 0
    while place < len(children) - 1:
        first, second = children[place], children[place + 1]
        letter = key_of(first)
        inner = second[0] if _kind(second) in SCRIPTS else second
        joined = letter + key_of(inner) if letter in ("d", "∇") else ""
        if joined in keys:
            row = ET.Element(f"{SPACE}mrow", {"data-s": keys[joined]})
            at = children.index(first)
            node.remove(first)
            node.remove(second)
            row.extend([first, second])
            node.insert(at, row)
            children = list(node)
        place += 1


def _kind(node: ET.Element) -> str:
    return node.tag.removeprefix(SPACE)


def _write(node: ET.Element) -> str:
    kind = _kind(node)
    kept = {name: value for name, value in node.attrib.items() if name not in ("rowspacing", "columnspacing")}
    attributes = "".join(f" {name}={_quoted(value)}" for name, value in kept.items())
    inside = html.escape(node.text or "", quote=False) + "".join(map(_write, node))
    return f"<{kind}{attributes}>{inside}</{kind}>"


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[\w.-]+", value) else f'"{html.escape(value)}"'
