"""The plan of the house: which room imports which, and on what floor each stands.

    python -m tests.house           how many rooms, floors, arrows and circles
    python -m tests.house --graph   each room, from below, with the rooms that it imports

A room is a folder of the package, or a file that lies directly in it.  An import counts wherever it stands:
at the top of a file, inside a function, or for the type checker alone.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "nsae"

# From below.  A room imports from floors below its own, and from nowhere else.
FLOORS = (
    ("tables",),
    ("errors", "codes", "kernels"),
    ("validation",),
    ("equations", "system", "plots"),
    ("training", "retrieval", "datasets"),
    ("models",),
    ("interchange",),
    ("images",),
    ("compression", "deep", "distributed", "export", "study"),
    ("nsae",),  # the package itself, __init__.py: what can be imported from it
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def sources() -> list[Path]:
    """All Python files of the package, sorted."""
    return sorted(PACKAGE.rglob("*.py"))


def module_name(source: Path) -> str:
    """nsae.retrieval.index for nsae/retrieval/index.py, nsae.retrieval for its __init__.py."""
    parts = ["nsae", *source.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The part of the house that a module belongs to: the first name below nsae, or nsae itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "nsae"


def imported_modules(source: Path) -> Iterator[str]:
    """The modules of nsae that a file imports, as precisely as they can be told: those that are files."""
    known = {module_name(path) for path in sources()}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.append(whole if whole in known else node.module)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name in known)


def module_graph() -> dict[str, set[str]]:
    """module -> the modules that it imports."""
    return {
        module_name(source): set(imported_modules(source)) - {module_name(source)} for source in sources()
    }


def room_graph() -> dict[str, set[str]]:
    """room -> the other rooms that it imports."""
    graph: dict[str, set[str]] = {}
    for module, imported in module_graph().items():
        graph.setdefault(room_of(module), set()).update(map(room_of, imported))
    return {room: others - {room} for room, others in graph.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that can reach each other, of two and more: Tarjan's components."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in number:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], number[other])
        if lowest[node] == number[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def upward_arrows() -> list[tuple[str, str]]:
    """(module, imported module) where the imported one stands on the same floor or above, in another room."""
    return [
        (module, other)
        for module, imported in module_graph().items()
        for other in sorted(imported)
        if room_of(other) != room_of(module) and FLOOR_OF[room_of(other)] >= FLOOR_OF[room_of(module)]
    ]


def code_lines(source: Path) -> int:
    """Lines that are neither blank, nor comment, nor docstring."""
    return len(_lines_of_code(ast.parse(source.read_text(encoding="utf-8")), source))


def functions(source: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """(qualified name, definition, lines of code) of each function of a file, methods and inner ones too."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    lines = _lines_of_code(tree, source)

    def inside(node: ast.AST, prefix: str) -> Iterator:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                span = range(child.lineno, (child.end_lineno or child.lineno) + 1)
                yield f"{prefix}{child.name}", child, sum(line in lines for line in span)
                yield from inside(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from inside(child, f"{prefix}{child.name}.")
            else:
                yield from inside(child, prefix)

    yield from inside(tree, "")


def _lines_of_code(tree: ast.Module, source: Path) -> set[int]:
    text = source.read_text(encoding="utf-8").splitlines()
    lines = {n for n, line in enumerate(text, start=1) if line.strip() and not line.lstrip().startswith("#")}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def main() -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graph", action="store_true", help="each room with the rooms that it imports")
    graph, modules = room_graph(), module_graph()
    if parser.parse_args().graph:
        for floor, rooms in enumerate(FLOORS):
            for room in rooms:
                print(f"floor {floor}  {room:<11} -> {', '.join(sorted(graph.get(room, ()))) or '(nothing)'}")
    print(
        f"{len(graph)} rooms, {len(FLOORS)} floors, {sum(map(len, graph.values()))} arrows between rooms "
        f"({sum(map(len, modules.values()))} between {len(modules)} files), "
        f"{len(upward_arrows())} arrows upwards, {len(circles(graph))} circles of rooms, "
        f"{len(circles(modules))} circles of files"
    )
    largest = max(sources(), key=code_lines)
    length, name, where = max(
        (n, name, source.name) for source in sources() for name, _, n in functions(source)
    )
    print(f"largest file: {largest.relative_to(PACKAGE.parent)}, {code_lines(largest)} lines of code")
    print(f"largest function: {name} in {where}, {length} lines of code")


if __name__ == "__main__":
    main()
