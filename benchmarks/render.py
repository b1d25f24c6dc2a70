"""Write the tables of README.md and docs/ from the files in benchmarks/results/.

    python benchmarks/render.py           write them
    python benchmarks/render.py --check   write nothing; exit 1 and tell which differ

A table stands between two comments:

    <!-- results: training_dense -->
    …
    <!-- end -->

and a single figure in a sentence is written as

    takes <!-- figure: import_time nsae_over_numpy .2f -->1.03<!-- end --> times as long

that is: the file, the keys to the figure with "/" between them, and a format as in Python.
helpers/tables.py has the tables; ``--names`` lists them.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from helpers import results, tables, usage

TABLE = re.compile(
    r"^(<!-- results: (\S+) -->\n)(.*?)^(<!-- end -->)", re.S | re.M
)  # an indented one is an example
FIGURE = re.compile(r"(<!-- figure: (\S+) (.+?) (\S+) -->)(.*?)(<!-- end -->)", re.S)


def pages(root: Path = results.ROOT) -> list[Path]:
    """Return the pages that may have tables: README.md, docs/, the equations and benchmarks/README.md."""
    others = [root / "nsae" / "equations" / "README.md", root / "benchmarks" / "README.md"]
    return [root / "README.md", *sorted((root / "docs").glob("*.md")), *filter(Path.exists, others)]


def rendered(text: str, link: str, folder: Path = results.RESULTS) -> str:
    """Return a page's text with each table and figure as its file has them.

    Parameters
    ----------
    text
        Of the page.
    link
        The way from the page to the folder of results, for its links.
    folder
        Where the results are.
    """

    def table(found: re.Match[str]) -> str:
        return f"{found[1]}\n{tables.render(found[2], link, folder)}\n\n{found[4]}"

    def figure(found: re.Match[str]) -> str:
        return f"{found[1]}{tables.figure(found[2], found[3], found[4], folder)}{found[6]}"

    return FIGURE.sub(figure, TABLE.sub(table, text))


def main(argv: list[str] | None = None) -> int:
    """Render all pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table differs")
    parser.add_argument("--names", action="store_true", help="list the tables")
    usage.add_debug(parser)
    args = parser.parse_args(argv)
    if args.names:
        print("\n".join(sorted(tables.TABLES)))
        return 0
    differ = 0
    for page in pages():
        text = page.read_text(encoding="utf-8")
        link = Path(os.path.relpath(results.RESULTS, page.parent)).as_posix()
        new = rendered(text, link)
        if new == text:
            continue
        differ += 1
        name = page.relative_to(results.ROOT)
        if args.check:
            print(
                f"{name}: a table is not what its file says. Run python benchmarks/render.py", file=sys.stderr
            )
        else:
            page.write_text(new, encoding="utf-8")
            print(f"{name}: written", file=sys.stderr)
    return int(args.check and differ > 0)


if __name__ == "__main__":
    sys.exit(usage.run(main))
