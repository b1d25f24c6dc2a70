"""Read, copy and open the page: one HTML file that needs nothing else, and no network."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from pathlib import Path

from nsae.system.storage import atomic_file
from nsae.validation import one_of

PAGE = Path(__file__).parent / "page.html"
LANGUAGES = ("en", "zh")
CHOSEN = 'id="lang-{}" class="language" checked'  # the button of the language that the page begins with
NOT_CHOSEN = 'id="lang-{}" class="language"'


def page_text(language: str = "en") -> str:
    """Return the page as HTML.  It has all languages; ``language``, "en" or "zh", is the one it begins with."""
    one_of("language", language, LANGUAGES)
    text = PAGE.read_text(encoding="utf-8")
    if language == LANGUAGES[0]:
        return text
    text = text.replace(CHOSEN.format(LANGUAGES[0]), NOT_CHOSEN.format(LANGUAGES[0]), 1)
    return text.replace(NOT_CHOSEN.format(language), CHOSEN.format(language), 1)


def write_page(path: str | os.PathLike, *, language: str = "en", overwrite: bool = False) -> Path:
    """Write the page to ``path`` and return this path.

    Parameters
    ----------
    path : str or path
    language : "en" or "zh"
        What the page begins with.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists, without ``overwrite``.
    """
    target = Path(path)
    with atomic_file(target, overwrite=overwrite) as file:
        file.write(page_text(language).encode())
    return target


def open_page(language: str = "en") -> tuple[Path, bool]:
    """Open the page in a browser.

    Parameters
    ----------
    language : "en" or "zh"
        What the page begins with.  In English it is the file of the package, else a copy in a new temporary
        folder.

    Returns
    -------
    path
        Where the page is.
    opened : bool
        Whether a browser was found.
    """
    path = PAGE
    if language != LANGUAGES[0]:
        path = write_page(Path(tempfile.mkdtemp(prefix="nsae_")) / PAGE.name, language=language)
    return path, webbrowser.open(path.resolve().as_uri())
