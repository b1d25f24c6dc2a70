"""How retrieval_quality.py shows its figures: as text, as the rows of a table, and as curves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Table = dict[str, dict[str, Any]]  # by method, its figures
NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "corel1k": "Corel-1K",
    "cifar10_jpeg": "CIFAR-10 JPEG",
    "caltech101": "Caltech-101",
}
# what settings are chosen by; else "map"
CRITERION = {"cifar10_jpeg": "map@1000", "corel1k": "precision@20", "caltech101": "precision@10"}
SHORT = {
    "map": "mAP",
    "map@1000": "mAP@1000",
    "precision@20": "prec@20",
    "precision@10": "prec@10",
    "precision@1": "prec@1",
    "soft_knn": "soft 30-NN",
    "linear_probe": "probe",
}
# rows of the table of results, and of them README's
ROWS = {
    "raw pixels": "raw",
    "histogram": "histogram@192",
    "low frequencies (DCT)": "dct@192",
    "Haar wavelet": "haar@192",
    "principal components": "pca@192",
    "random projection": "random_projection",
    "ITQ, bits": "itq",
    "bag of visual words": "bag_of_words@192",
    "dictionary of patches": "dictionary@192",
    "**nsae, k = 32**": "nsae",
    "nsae, only which units": "nsae_binary",
    "nsae, k = 128": "nsae_k128",
    "the vector before the second autoencoder": "vector",
    "its first 96 components": "pooled_96",
    "k-means in place of the second autoencoder": "kmeans",
    "the same, k = 128": "kmeans_k128",
}
FIVE = {
    label: ROWS[label]
    for label in (
        "raw pixels",
        "low frequencies (DCT)",
        "principal components",
        "**nsae, k = 32**",
        "nsae, k = 128",
    )
}
# what can take the place of the second autoencoder
SPARSITIES = {
    "k-sparse, 32 units (nsae)": "nsae",
    "L1, the largest 32": "nsae_l1_k32",
    "L1, all": "nsae_l1",
    "KL, the largest 32": "nsae_kl_k32",
    "KL, all": "nsae_kl",
    "k-means, 32 centres": "kmeans",
    "none: 96 components": "pooled_96",
}
# what the second autoencoder keeps of the vector that it reads, and k-means in its place
KEPT = {
    "components alone": "components",
    "the vector": "vector",
    "nsae, k = 32": "nsae",
    "k-means, k = 32": "kmeans",
    "images as units, k = 32": "samples",
    "nsae, k = 128": "nsae_k128",
    "k-means, k = 128": "kmeans_k128",
}
KS = (8, 16, 32, 64, 128)
CURVES = {
    "nsae, k = 8 to 128": ("C0", [f"nsae_k{k}" if k != 32 else "nsae" for k in KS]),
    "nsae, only which units": ("C1", [f"nsae_binary_k{k}" if k != 32 else "nsae_binary" for k in KS]),
    "principal components": ("C2", [f"pca_{m}" for m in (16, 64, 256)]),
    "random projection": ("C4", [f"random_projection_{m}" for m in (16, 64, 256)]),
}
POINTS = {"bag of visual words": ("s", "bag_of_words@192"), "dictionary of patches": ("D", "dictionary@192")}


def read(paths: Iterable[str | Path]) -> dict[str, Table]:
    """Return the figures of earlier runs together; of a row that comes twice, the last one's.

    A file is one that --save wrote, or the output of a run with --json.
    """
    result: dict[str, Table] = {}
    for path in paths:
        for name, table in _figures(Path(path)).items():
            result[name] = result.get(name, {}) | table
    return result


def _figures(path: Path) -> dict[str, Table]:
    text = path.read_text(encoding="utf-8", errors="replace")
    for json_text in (text, text.rstrip().rpartition("\n")[2]):  # the whole file, or its last line
        try:
            found = json.loads(json_text)
        except ValueError:
            continue
        found = found.get("figures", found) if isinstance(found, dict) else found
        if isinstance(found, dict) and found and all(map(_is_table, found.values())):
            return found
    raise ValueError(
        f"{path} has no figures of rankings: what this script wrote with --save, or printed with --json, was expected."
    )


def _is_table(table: object) -> bool:
    """Return whether this can be the table of a set of images: rows of figures, by their names."""
    return isinstance(table, dict) and all(
        isinstance(row, dict) and any(name.startswith(("precision@", "map")) for name in row)
        for row in table.values()
    )


def print_table(name: str, table: Table) -> None:
    """Print all figures of one set of images."""
    heads = [
        "prec@1",
        "prec@10",
        "prec@20",
        "prec@100",
        "mAP",
        "±",
        "mAP@1000",
        "soft",
        "probe",
        "bytes",
        "images/s",
        "ms/query",
    ]
    print(f"\n{name:24}" + "".join(f"{head:>9}" for head in heads))
    for method, f in table.items():
        low, high = f["interval"]["map"]
        cells = [f[key] for key in ("precision@1", "precision@10", "precision@20", "precision@100", "map")]
        nan = float("nan")  # A row of an earlier run may lack the last two.
        cells += [(high - low) / 2, f["map@1000"], f.get("soft_knn", nan), f.get("linear_probe", nan)]
        line = "".join(f"{value:9.3f}" for value in cells)
        line += f"{f['bytes']:9.0f}"
        for key, form in (("images_per_s", "9.0f"), ("search_ms", "9.2f")):
            line += format(f[key], form) if key in f else " " * 9
        more = " ".join(f"{k}={v}" for k, v in f.get("settings", {}).items())
        if "retention@1" in f:
            more += f" kept {f['retention@1']:.3f} @1, {f['retention@10']:.3f} @10"
        print(f"  {method:22}{line}  {more}".rstrip(), flush=True)


def quality_rows(result: Mapping[str, Table], labels: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table: of each set the measure that is chosen by, and precision@1.

    The best of each column is bold.  A row that was run on no set is left out; a cell that was not run is empty.

    Parameters
    ----------
    result
        By set, by method, its figures.
    labels
        By the label of a row, its method.
    """
    sets = [name for name in NAMES if name in result]
    columns = [(s, key) for s in sets for key in (CRITERION.get(s, "map"), "precision@1")]
    rows = {label: r for label, r in labels.items() if any(r in result[s] for s in sets)}

    def value(r: str, column: tuple[str, str]) -> float | None:
        row = result[column[0]].get(r)
        return None if row is None else round(row[column[1]], 3)

    best = {column: max((value(r, column) or 0.0) for r in rows.values()) for column in columns}
    head = ["", "bytes", *(f"{NAMES[s]}: {SHORT[CRITERION.get(s, 'map')]} | prec@1" for s in sets)]
    head = [cell for heads in head for cell in heads.split(" | ")]
    table = []
    for label, r in rows.items():
        sizes = sorted({round(result[s][r]["bytes"]) for s in sets if r in result[s]})
        cells = [label, f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"]
        for column in columns:
            found = value(r, column)
            text = "" if found is None else f"{found:.3f}"
            cells.append(f"**{text}**" if found == best[column] else text)
        table.append(cells)
    return head, table


def kept_rows(result: Mapping[str, Table]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table: of each set the vector, nsae's codes of it, and those of k-means.

    ``result`` is by set, by method, its figures.  Sets that were run without the vector are left out.
    """
    columns = ("precision@1", "precision@10", "map@1000", "soft_knn", "linear_probe")
    head = ["", "", "bytes", *(SHORT[key] for key in columns), "kept, @1", "@10", "variance", "seconds"]
    more = {
        "retention@1": ".3f",
        "retention@10": ".3f",
        "explained_variance": ".3f",
        "second_layer_s": ".1f",
    }
    table = []
    for name in NAMES:
        first = NAMES[name]
        for label, r in KEPT.items():
            row = result.get(name, {}).get(r)
            if row is None or "vector" not in result[name]:
                continue
            cells = [first, label, f"{round(row['bytes']):,}", *(f"{row[key]:.3f}" for key in columns)]
            table.append(
                [*cells, *(format(row[key], form) if key in row else "" for key, form in more.items())]
            )
            first = ""
    return head, table


def judged_by(result: Mapping[str, Table]) -> str:
    """Return a sentence with the numbers of queries and of seeds, by set."""
    parts = []
    for name in NAMES:
        row = result.get(name, {}).get("nsae", {})
        if row:
            seeds = row.get("seeds", 1)
            parts.append(f"{NAMES[name]} {row['queries']:,} queries, {seeds} seed{'s' if seeds > 1 else ''}")
    return f"Means over queries, and over seeds of nsae: {'; '.join(parts)}." if parts else ""


def plot(result: dict[str, Table], path: str) -> None:
    """Draw quality against bytes an image, a panel for each set."""
    from matplotlib.figure import Figure

    sets = [name for name in NAMES if name in result]
    n_rows = -(-len(sets) // 2)
    figure = Figure(figsize=(9.5, 3.6 * n_rows + 0.7), layout="constrained")
    axes = figure.subplots(n_rows, min(2, len(sets)), squeeze=False).ravel()
    for ax, name in zip(axes, sets, strict=False):
        table, key = result[name], CRITERION.get(name, "map")
        for label, (color, rows) in CURVES.items():
            points = [(table[r]["bytes"], table[r][key]) for r in rows if r in table]
            if not points:
                continue
            ax.plot(*zip(*points, strict=True), "o-", color=color, label=label, markersize=4)
            if label.startswith("nsae, k"):
                _name_points(ax, points, KS)
        for label, (marker, r) in POINTS.items():
            if r in table:
                ax.plot(table[r]["bytes"], table[r][key], marker, color="0.45", label=label, markersize=5)
        if "raw" in table:
            raw = table["raw"]
            ax.axhline(raw[key], color="0.6", linestyle=":")
            ax.plot(raw["bytes"], raw[key], "X", color="black", label="raw pixels", markersize=7)
        ax.set(title=f"{NAMES[name]}: {SHORT[key]}", xscale="log")
        ax.grid(alpha=0.3)
        ax.margins(y=0.1)  # room for the names of the points
        ticks = [16, 64, 256, 1024, 4096, 16384]
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("bytes an image")
    for ax in axes[len(sets) :]:
        ax.remove()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("How good the ranking is (higher is better) for so many bytes an image (left is smaller)")
    figure.savefig(path, dpi=100)


def _name_points(ax: Any, points: Sequence[tuple[float, float]], ks: Sequence[int]) -> None:
    for (x, y), k in zip(points, ks, strict=False):
        ax.annotate(f"k={k}", (x, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
