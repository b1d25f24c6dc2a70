"""Run every notebook and compare what it prints with what is committed.

    python .ci/notebooks.py            check: exit 1 if a cell fails or prints something else
    python .ci/notebooks.py --write    run, and keep the new outputs

Pictures and timings are not compared, text is.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

# Last digits depend on the loops of BLAS, and so on the processor.  These are there for each one with AVX2.
os.environ["OPENBLAS_CORETYPE"] = "Haswell"
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def printed(notebook):
    """The text that each code cell shows, in order."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [
                output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs
            ]
            yield "".join(text for text in texts if not text.startswith("<Figure"))


def main():
    failed = False
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        committed = nbformat.read(path, as_version=4)
        fresh = nbformat.read(path, as_version=4)
        NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
        if "--write" in sys.argv:
            for cell in fresh.cells:
                cell.metadata.pop("execution", None)  # times of day
            nbformat.write(fresh, path)
        differing = [
            i for i, (a, b) in enumerate(zip(printed(committed), printed(fresh), strict=True)) if a != b
        ]
        print(f"{path.name}: {len(list(printed(fresh)))} cells run, {len(differing)} print something else")
        if "--write" not in sys.argv:
            for i in differing:
                print(f"--- code cell {i}, committed:\n{list(printed(committed))[i]}")
                print(f"--- now:\n{list(printed(fresh))[i]}")
            failed |= bool(differing)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
