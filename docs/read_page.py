"""Build the page that ``nsae read`` opens, from equations/README.md, the sources and the tests.

    python docs/read_page.py            writes nsae/study/page/page.html
    python docs/read_page.py -o FILE    writes FILE

It needs latex2mathml (``pip install ".[docs]"``).  The page is committed, since an installed package has neither
tests nor latex2mathml; ``tests/study/page`` builds it anew and compares.  Words of the page are in
``docs/readpage/prose.en.json`` and ``prose.zh.json``; the second has the Chinese of README.md, too, by the English
text.  What has no Chinese is listed, and it is an error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # this checkout's nsae, whatever is installed

from readpage.page import Page  # noqa: E402

TARGET = ROOT / "nsae" / "study" / "page" / "page.html"


def main(argv: list[str] | None = None) -> int:
    """Write the page; return 1 if some of its texts have no Chinese."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=TARGET, help="(nsae/study/page/page.html)")
    target = parser.parse_args(argv).output
    page = Page()
    text = page.html()
    target.write_text(text, encoding="utf-8", newline="\n")
    for english in page.missing:
        print(f"prose.zh.json has no Chinese of: {english}", file=sys.stderr)
    for english in page.unused():
        print(f"prose.zh.json has the Chinese of a text that is not on the page: {english}", file=sys.stderr)
    print(f"{target}: {len(page.numbers)} equations, {len(text.encode()) / 1000:.0f} kB")
    return int(bool(page.missing or page.unused()))


if __name__ == "__main__":
    sys.exit(main())
