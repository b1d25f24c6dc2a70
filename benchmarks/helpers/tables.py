"""The tables of README.md and docs/, each made from files of results.  render.py puts them in their places."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import levers_report, published_report, results, scale_report, text_report
from .retrieval_report import FIVE, ROWS, SPARSITIES, judged_by, kept_rows, quality_rows

Figures = Mapping[str, Any]
REMEDIES = {
    "nothing": "nothing done",
    "auxiliary loss": "auxiliary loss, Eq. (21)",
    "k from 8 k down": "k from 8 times as many down (`k_start`)",
    "resampling": "resampling",
    "start from samples": 'start from samples (`init="samples"`)',
    "start from samples, resampling": "start from samples, and resampling",
    "start from samples, resampling, falling rate": "start from samples, resampling, a rate that falls from 0.002",
}


class Table(NamedTuple):
    """What a table needs, and what makes its text from that.

    A need is the name of a file, or name/part for one part of its figures.
    """

    needs: tuple[str, ...]
    text: Callable[..., str]

    @property
    def files(self) -> list[str]:
        """The names of the files that it needs."""
        return [need.partition("/")[0] for need in self.needs]


def render(name: str, link: str, folder: Path = results.RESULTS) -> str:
    """Return a table in Markdown, and below it a line that tells where its figures are from.

    Parameters
    ----------
    name
        One of ``TABLES``.
    link
        The way from the page to the folder of results.
    folder
        Where the results are.

    Raises
    ------
    ValueError
        If there is no table of that name.
    """
    if name not in TABLES:
        raise ValueError(f"There is no table {name!r}. There are: {', '.join(sorted(TABLES))}.")
    table = TABLES[name]
    found = [results.load(file, folder) for file in table.files]
    parts = []
    for need, result in zip(table.needs, found, strict=True):
        file, _, part = need.partition("/")
        figures = None if result is None else result["figures"]
        if figures is not None and part:
            figures = figures.get(part)
        if not figures:
            return f"*Not measured yet: `python benchmarks/{file}.py --save`.*"
        parts.append(figures)
    text = table.text(*parts)
    return f"{text}\n\n" + "\n".join(
        dict.fromkeys(source(result, link) for result in found if result is not None)
    )


def source(result: Figures, link: str) -> str:
    """Return one line: the file of a result, its date, versions, processor, kernels of BLAS and threads."""
    date = datetime.date.fromisoformat(result["date"])
    versions = ", ".join(
        f"{name} {version}" for name, version in result["versions"].items() if name != "nsae"
    )
    threads = f", threads: {result['threads']}" if result["threads"] else ""
    processor = f"{result['processors']} × {result['processor']}"
    note = f"; {result['note']}" if result.get("note") else ""
    file = f"{result['name']}.json"
    return (
        f"<sub>[{file}]({link}/{file}), {date:%d %B %Y}: {processor}{threads}; "
        f"Python {result['python']}, {versions}{blas_kernels(result.get('blas'))}{note}</sub>"
    )


def blas_kernels(blas: Any) -> str:
    """Return for which processor OpenBLAS took its kernels: ratios depend on that; "" if it is not known.

    Parameters
    ----------
    blas
        Of a result: a list of libraries, or such a list for each of several processes.
    """
    libraries = (
        [one for some in blas.values() for one in some or []] if isinstance(blas, dict) else blas or []
    )
    names = sorted({one["architecture"] for one in libraries if "architecture" in one})
    return f", OpenBLAS for {' and '.join(names)}" if names else ""


def figure(file: str, keys: str, form: str, folder: Path = results.RESULTS) -> str:
    """Return one figure of a file as text; "?" if the file or the figure is not there.

    Parameters
    ----------
    file
        Name of the result.
    keys
        To the figure, with "/" between them.
    form
        A format as in Python, such as ``.2f``.
    folder
        Where the results are.
    """
    value: Any = (results.load(file, folder) or {}).get("figures")
    for key in keys.split("/"):
        if isinstance(value, list):
            value = dict(enumerate(value)).get(int(key))
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return "?" if value is None else format(value, form)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of these cells."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("".join(f"| {cell} " if cell else "| " for cell in cells) + "|" for cells in lines)


# ---- quality


def quality(figures: Figures) -> str:
    """Return all rows of retrieval_quality.py."""
    return markdown(*quality_rows(figures, ROWS)) + "\n\n" + judged_by(figures)


def quality_five(figures: Figures) -> str:
    """Return the five rows that README has."""
    return markdown(*quality_rows(figures, FIVE)) + "\n\n" + judged_by(figures)


def sparsities(figures: Figures) -> str:
    """Return what can take the place of the second autoencoder."""
    return markdown(*quality_rows(figures, SPARSITIES)) + "\n\n" + judged_by(figures)


def kept(figures: Figures) -> str:
    """Return what codes keep of the vectors they are made from, beside k-means."""
    head, rows = kept_rows(figures)
    return (
        markdown(head, rows)
        if rows
        else "*Not measured yet: `python benchmarks/retrieval_quality.py --save`.*"
    )


def unit_choices(figures: Figures) -> str:
    """Return the rows of units, k, steps and thresholds, of each set below the other."""
    measures = ("precision@1", "precision@10", "map", "map@1000")
    rows = [
        [name if first else "", label, *(f"{row[measure]:.3f}" for measure in measures)]
        for name, table in figures.items()
        for first, (label, row) in zip([True] + [False] * len(table), table.items(), strict=False)
    ]
    return markdown(["set", "second autoencoder", "prec@1", "prec@10", "mAP", "mAP@1000"], rows)


def pretrained(figures: Figures) -> str:
    """Return how the encoder that comes with nsae ranks photos that it never saw."""
    names = {
        "nsae": "its codes, k = 128",
        "nsae_k32": "its codes, k = 32",
        "vector": "the vectors that they are made from",
        "color_histogram": "histogram of colours",
    }
    rows = [
        [
            label,
            str(row["bytes"]),
            *(f"{row[measure]:.3f}" for measure in ("precision@1", "precision@10", "precision@20")),
        ]
        for name, label in names.items()
        for row in [figures["corel1k"][name]]
    ]
    return markdown(["500 photos of Corel-1K", "bytes", "prec@1", "prec@10", "prec@20"], rows)


def small_folders(figures: Figures) -> str:
    """Return precision@1 by the number of photos in a folder."""
    names = {
        "nsae": "**`nsae index`**",
        "histogram": "histogram of colours",
        "pretrained_k32": "encoder of the package, k = 32",
        "pretrained_k64": "the same, k = 64",
        "pretrained_k128": "the same, k = 128",
        "own_units_k32": "its features, units from the folder, k = 32",
        "own_units_k8": "the same, k = 8",
        "learned": "encoder learned from the folder",
        "best_possible": "photos of the query's kind are there",
    }
    rows = [
        [label, *(f"{row[name]:.3f}" if name in row else "" for row in figures.values())]
        for name, label in names.items()
        if any(name in row for row in figures.values())
    ]
    return markdown(["photos in the folder", *(f"{int(n):,}" for n in figures)], rows)


def demo(figures: Figures) -> str:
    """Return what ``nsae demo`` found."""
    columns = {
        "active units": ("l0", ".1f"),
        "dead": ("dead", ".1%"),
        "mean of ρ̂": ("rho_hat", ".3f"),
        "explained variance": ("explained_variance", ".3f"),
        "bytes": ("bytes", ".0f"),
        "prec@1": ("precision@1", ".3f"),
        "prec@10": ("precision@10", ".3f"),
        "mAP": ("map", ".3f"),
    }
    rows = [
        [name, *(format(row[key], form) if key in row else "" for key, form in columns.values())]
        for name, row in figures.items()
    ]
    return markdown(["", *columns], rows)


def dead_units(figures: Figures) -> str:
    """Return the fraction of dead units and the explained variance, by remedy."""
    parts = []
    for size, rows in figures.items():
        if not isinstance(rows, Mapping):
            continue
        units, k = size.removeprefix("h").split("_k")
        head = [f"{units} units, k = {k}", "dead", "explained variance"]
        cells = [
            [REMEDIES.get(name, name), f"{row['dead']:.1%}", f"{row['explained_variance']:.3f}"]
            for name, row in rows.items()
        ]
        parts.append(markdown(head, cells))
    return "\n\n".join(parts)


def gradient_errors(figures: Figures) -> str:
    """Return the range of the relative error for right gradients, and for each kind of mistake."""
    rows = {"all is right": figures["right"], **figures["wrong"]}
    cells = [[name, *(f"{row[key]:.0e}" for key in ("min", "median", "max"))] for name, row in rows.items()]
    return markdown(["", "smallest error", "median", "largest"], cells)


def models_of_others(figures: Figures) -> str:
    """Return how far nsae and PyTorch are apart on models in the layouts of others."""
    names = {
        "sparsify_topk": "sparsify, TopK",
        "saelens_relu": "SAELens, ReLU",
        "saelens_topk": "SAELens, TopK",
        "saelens_topk_by_norm": "SAELens, TopK by decoder norm",
        "saelens_jumprelu": "SAELens, JumpReLU",
        "saelens_gated": "SAELens, gated",
    }
    rows = [
        [text, *(group[name] for group in (figures, figures["float64"]))]
        + [figures[group].get(name) for group in ("library", "written")]
        for name, text in names.items()
    ]
    cells = [[row[0], *("–" if value is None else f"{value:.0e}" for value in row[1:])] for row in rows]
    return markdown(["layout", "float32", "float64", "the library itself", "written by nsae"], cells)


def knob(name: str, sign: str) -> Callable[[Figures], str]:
    """Return what makes the table of one knob, of benchmarks/knobs.py."""

    def table(figures: Figures) -> str:
        columns = {
            "active units": ("l0", ".1f"),
            "dead": ("dead", ".1%"),
            "mean of z": ("mean_activation", ".3f"),
            "explained variance": ("explained_variance", ".3f"),
        }
        rows = [
            [value, *(format(row[key], form) for key, form in columns.values())]
            for value, row in figures[name].items()
        ]
        return markdown([sign, *columns], rows)

    return table


# ---- the search


def search(figures: Figures) -> str:
    """Return the race over 60,000 images."""
    rows = figures["rows"]
    return markdown(
        ["", "queries/s, in a batch", "prec@1", "recall"],
        [
            [
                name if not name.startswith("nsae, image") else f"**{name}**",
                count(row["qps"]),
                f"{row['precision@1']:.3f}" if "precision@1" in row else "",
                f"{row['recall']:.3f}" if "recall" in row else "",
            ]
            for name, row in rows.items()
        ],
    )


def million(figures: Figures) -> str:
    """Return the race over a million codes."""
    rows = figures["rows"]
    return markdown(["", "queries/s, in a batch"], [[name, count(row["qps"])] for name, row in rows.items()])


def crossover(figures: Figures) -> str:
    """Return queries a second by the number of active units."""
    head = ["active units", *next(iter(figures.values()))]
    return markdown(head, [[k, *(count(qps) for qps in row.values())] for k, row in figures.items()])


def search_scaling(figures: Figures) -> str:
    """Return milliseconds of a query alone, by the number of codes."""
    by_size = figures["image"]["ms"]
    return markdown(["codes", "ms a query"], [[f"{int(n):,}", f"{ms:.3f}"] for n, ms in by_size.items()])


def text_search(figures: Figures) -> str:
    """Return queries a second of searches of text vectors."""
    return markdown(*text_report.text_rows(figures))


def ann_dense(figures: Figures) -> str:
    """Return recall and queries a second of ann-benchmarks' class for dense vectors."""
    return markdown(*text_report.dense_rows(figures))


def ann_sparse(figures: Figures) -> str:
    """Return recall and queries a second of big-ann-benchmarks' class for sparse vectors."""
    return markdown(*text_report.sparse_rows(figures))


# ---- training


def training_dense(figures: Figures) -> str:
    """Return dense steps beside their products and PyTorch."""
    head = ["dense step", "ms", "over its five products", "PyTorch eager / nsae", "torch.compile / nsae"]
    head += ["PyTorch over its own products"]
    keys = ("over_floor", "torch_eager_over_ours", "torch_compile_over_ours", "torch_eager_over_its_floor")
    return _steps(figures, "dense", head, keys)


def training_ksparse(figures: Figures) -> str:
    """Return k-sparse steps beside the one product that they would need, and PyTorch."""
    head = ["k-sparse step, k = 32", "ms", "over the product X Wᵀ", "without a product of bytes"]
    head += ["PyTorch, dense top-k / nsae", "PyTorch, `embedding_bag` / nsae"]
    head += ["`embedding_bag` over PyTorch's own product"]
    keys = (
        "over_product",
        "without_bytes_over_product",
        "torch_dense_over_ours",
        "torch_embedding_bag_over_ours",
    )
    keys += ("torch_embedding_bag_over_its_floor",)
    return _steps(figures, "k_sparse", head, keys)


def sparse_input(figures: Figures) -> str:
    """Return steps and encoding of sparse rows beside those of the same rows as a dense array."""
    head = ["features, units, batch; activation; nonzeros", "dense step", "sparse step", "ratio"]
    head += ["encode dense", "encode sparse", "ratio"]
    lines = []
    for name, found in figures["sizes"].items():
        shape, activation, density = name.split()
        d, h, B = shape.replace("B", "").split("x")
        cells = [f"{int(d):,}, {int(h):,}, {int(B):,}; {activation.replace('k', 'k = ')}; {density}"]
        for what in ("step", "encode"):
            cells += [f"{found[f'{what}_{way}_ms']:,.0f} ms" for way in ("dense", "sparse")]
            cells.append(f"{found[f'{what}_ratio']:.2f}")
        lines.append(cells)
    return markdown(head, lines)


def _steps(figures: Figures, kind: str, head: list[str], keys: Sequence[str]) -> str:
    shapes = figures[kind]
    kept = [key for key in keys if any(key in ratios for ratios in shapes.values())]
    rows = []
    for shape, ratios in shapes.items():
        cells = [_shape(shape), f"{figures['ms'][shape]:.2f}"]
        for key in kept:
            low, high = figures["quartiles"][shape].get(key, (None, None))
            cells.append(f"{ratios[key]:.2f} ({low:.2f} to {high:.2f})" if key in ratios else "")
        rows.append(cells)
    return markdown([*head[:2], *(head[2 + keys.index(key)] for key in kept)], rows)


def _shape(name: str) -> str:
    if name.startswith("h"):
        return f"784 → {name[1:]} → 784, batches of 1024"
    d, h, batch = name.split("x")
    return f"{d} → {h} → {d}, batches of {batch.removeprefix('B')}"


def speed_three(training: Figures, fashion: Figures) -> str:
    """Return README's three rows: a dense step, a k-sparse step and a search, each beside a peer."""
    rows = []
    for kind, shape in (("dense", "784x1024xB1024"), ("k_sparse", "h4096")):
        ratios = {
            key: ratio
            for key, ratio in training[kind][shape].items()
            if key.endswith("_over_ours") and key.startswith("torch_")
        }
        ours = training["ms"][shape]
        title = f"a {kind.replace('_', '-')} training step, {_shape(shape)}"
        title += ", k = 32" if kind == "k_sparse" else ""
        if ratios:
            ratio = min(ratios.values())
            rows.append([title, f"{ours:.1f} ms", f"{ours * ratio:.1f} ms, PyTorch", f"{ratio:.2g} ×"])
    ours, theirs = fashion["qps_1t"], fashion["faiss_flat_pixels_qps_1t"]
    if theirs:
        title = f"search in 60,000 images, codes of k = {fashion['k']} that are there already"
        cells = [title, f"{count(ours)} queries/s", f"{count(theirs)} queries/s, FAISS flat on pixels"]
        rows.append([*cells, f"{ours / theirs:.2g} ×"])
    return markdown(["", "nsae", "the peer", "as fast"], rows)


def tutorial(fits: Figures, processes: Figures) -> str:
    """Return the times of the tutorial's example, of a fit and of a whole process."""
    rows = []
    for title, figures in (("100 epochs", fits), ("a whole process", processes)):
        first = next(iter(figures.values()))["median"]
        for row in figures.values():
            spread = f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
            setting = f"`{row['setting']}`" if "=" in row["setting"] else row["setting"]
            rows.append([title, row["name"], spread, f"{row['median'] / first:.1f} ×", setting])
    return markdown(["", "", "seconds", "of nsae's", "fastest setting"], rows)


def tutorial_losses(figures: Figures) -> str:
    """Return by how much the losses of nsae and the peers differ."""
    return markdown(
        ["nsae against", "largest relative difference", "bound"],
        [
            [row["label"], f"{row['difference']:.1e}", f"{row['bound']:.0e}" if row["bound"] else ""]
            for row in figures["losses"]
        ],
    )


# ---- published results


def published(figures: Figures) -> str:
    """Return theirs against ours."""
    return markdown(*published_report.published_rows(figures))


def published_sparsity(figures: Figures) -> str:
    """Return dead units and explained variance by k, with and without cures."""
    return markdown(*published_report.sparsity_rows(figures))


def soft_neighbours(figures: Figures) -> str:
    """Return soft nearest neighbours beside precision@1."""
    return markdown(*published_report.neighbour_rows(figures))


# ---- the rest


def import_time(figures: Figures) -> str:
    """Return what nsae costs before it does anything."""
    rows = [
        ["`import nsae`, whole process, of `import numpy`", f"{figures['nsae_over_numpy']:.2f} ×"],
        ["first fit, compiled loops cached: beyond a second fit", f"{figures['first_fit_warm_s']:.2f} s"],
        ["first fit, nothing compiled yet: beyond a second fit", f"{figures['first_fit_cold_s']:.1f} s"],
        ["first small fit, in NumPy: beyond a second fit", f"{figures['first_small_fit_s']:.2f} s"],
    ]
    return markdown(["", ""], rows)


def first_minute(figures: Figures) -> str:
    """Return where the seconds of first commands go."""
    names = {
        "nsae demo": "`nsae demo`",
        "nsae index": f"`nsae index`, {figures['photos']} photos",
        "nsae similar": "`nsae similar`, one query to that index",
        "fit, ReLU": "fit of 256 ReLU units, 10,000 × 784, one epoch",
        "fit, k-sparse": "the same of 1,024 units, k = 32",
    }
    rows = [
        [label, *(f"{row[key]:.1f} s" for key in ("cold", "warm", "imports")), f"{row['busy']:.0%}"]
        for name, label in names.items()
        for row in [figures["commands"][name]]
    ]
    return markdown(["whole process", "cold", "warm", "of that imports", "processors busy"], rows)


def large_index(figures: Figures) -> str:
    """Return what indexes of many codes cost."""
    rows = [
        [
            f"{row['rows']:,}",
            f"{row['ms_p50']:.2f} ({row['ms_p95']:.2f})",
            f"{row['qps_batch']:,.0f}",
            f"{row['building_s']:.1f} s",
            f"{row['opening_ms']:.0f} ms",
            f"{row['first_mapped_query_ms']:,.0f} ms",
            f"{row['bytes_a_row']:.0f}",
            f"{row['peak_mb'] / 1000:,.1f} GB",
        ]
        for row in figures["sizes"].values()
    ]
    head = ["codes", "ms a query, median (95 %)", "queries/s in a batch", "postings", "opening"]
    return markdown([*head, "first query then", "bytes a code on disk", "memory at its peak"], rows)


def library_speed(figures: Figures) -> str:
    """Return what a folder of photos costs."""
    save = figures["save"]
    rows = [
        ["learning an encoder", f"{figures['fit_s']:.1f} s"],
        ["decoding and encoding", f"{figures['photos_per_s']:.0f} photos/s"],
        ["decoding and encoding, time on all processors", f"{figures['processor_ms']:.1f} ms a photo"],
        ["encoding alone", f"{figures['arrays_per_s']:.0f} photos/s"],
        ["the same without Numba", f"{figures['numpy_over_numba']:.1f} times as long"],
        *([["one photo alone", f"{figures['one_photo_ms']:.1f} ms"]] if "one_photo_ms" in figures else []),
        ["encoding digits of MNIST", f"{count(figures['small_per_s'])} images/s"],
        *([["one digit alone", f"{figures['one_small_ms']:.1f} ms"]] if "one_small_ms" in figures else []),
        ["a library's first update", f"{figures['first_update_s']:.1f} s"],
        ["opening it, and an update with nothing new", f"{figures['unchanged_s']:.3f} s"],
        ["an update with one new photo", f"{figures['one_new_s']:.3f} s"],
        ["saving an index of 100,000 codes", f"{save['whole_s']:.2f} s, {save['whole_mb']:.1f} MB"],
        ["again, after one code came and one went", f"{save['again_s']:.2f} s, {save['again_mb']:.1f} MB"],
    ]
    return markdown([f"{figures['photos']:,} photos", ""], rows)


def kill_test(figures: Figures) -> str:
    """Return what was found after processes were killed."""
    keys = ("kills", "old", "new", "broken")
    return markdown(["", *keys], [[kind, *(str(row[key]) for key in keys)] for kind, row in figures.items()])


def compression(figures: Figures) -> str:
    """Return the PSNR of each method at each rate, and how far nsae is above JPEG."""
    mean, gain = figures["kodak"]["mean"], figures["kodak"]["db_over_jpeg"]
    others = figures["kodak"]["others"]
    names = {"nsae": "**nsae**", "jpeg": "JPEG", "webp": "WebP", "jpeg2000": "JPEG 2000"}
    rows = [[label, *(f"{mean[name][rate]:.2f}" for rate in gain)] for name, label in names.items()]
    rows.append(["nsae above JPEG", *(f"{value:+.2f}" for value in gain.values())])
    of_others = others["db_over_jpeg"].values()
    rows.append(
        [f"the same, on the {others['n']} photos not used for choices", *(f"{v:+.2f}" for v in of_others)]
    )
    return markdown(["PSNR (dB)", *(f"{rate} bits per pixel" for rate in gain)], rows)


def compression_photos(figures: Figures) -> str:
    """Return the PSNR of nsae and its distance to each other method, for each photo."""
    photos = figures["kodak"]["photos"]
    peers = {"jpeg": "JPEG", "webp": "WebP", "jpeg2000": "JPEG 2000"}
    rates = list(figures["kodak"]["db_over_jpeg"])
    rows = [
        [
            name,
            *(f"{photo['nsae'][rate]:.2f}" for rate in rates),
            *(" / ".join(f"{photo['nsae'][r] - photo[peer][r]:+.1f}" for r in rates) for peer in peers),
        ]
        for name, photo in photos.items()
    ]
    head = ["photo", *(f"nsae at {rate}" for rate in rates), *(f"above {label}" for label in peers.values())]
    return markdown(head, rows)


def distributed(figures: Figures) -> str:
    """Return seconds and bytes of a training step on one worker and on two."""
    return markdown(*scale_report.step_rows(figures))


def scale(distributed: Figures, library: Figures, search: Figures) -> str:
    """Return what a billion images cost."""
    return markdown(*scale_report.cost_rows(distributed, library, search))


def count(value: float) -> str:
    """Return a rate with three significant digits and commas."""
    return f"{float(f'{value:.3g}'):,.0f}"


def levers(figures: Figures) -> str:
    """Return what each lever of ImageEncoder and of the search adds to the defaults."""
    return markdown(levers_report.heads(figures), levers_report.rows(figures)) + levers_report.spreads(
        figures
    )


TABLES = {
    "quality": Table(("retrieval_quality",), quality),
    "sparse_input": Table(("sparse_input",), sparse_input),
    "quality_five": Table(("retrieval_quality",), quality_five),
    "sparsities": Table(("retrieval_quality",), sparsities),
    "kept": Table(("retrieval_quality",), kept),
    "small_folders": Table(("small_folders/corel1k",), small_folders),
    "unit_choices": Table(("unit_choices",), unit_choices),
    "levers": Table(("retrieval_levers",), levers),
    "pretrained": Table(("pretrain_photos",), pretrained),
    "search": Table(("search_speed/fashion_60k",), search),
    "million": Table(("search_speed/million",), million),
    "crossover": Table(("search_speed/crossover",), crossover),
    "text_search": Table(("text_search",), text_search),
    "ann_dense": Table(("ann_speed/dense",), ann_dense),
    "ann_sparse": Table(("ann_speed/sparse",), ann_sparse),
    "search_scaling": Table(("search_speed/scaling",), search_scaling),
    "training_dense": Table(("training_speed",), training_dense),
    "training_ksparse": Table(("training_speed",), training_ksparse),
    "speed_three": Table(("training_speed", "search_speed/fashion_60k"), speed_three),
    "tutorial": Table(("tutorial_example/fits", "tutorial_example/processes"), tutorial),
    "tutorial_losses": Table(("tutorial_example",), tutorial_losses),
    "dead_units": Table(("dead_units",), dead_units),
    "knobs_lambda": Table(("knobs",), knob("lambda", "λ")),
    "knobs_beta": Table(("knobs",), knob("beta", "β, with ρ = 0.05")),
    "knobs_rho": Table(("knobs",), knob("rho", "ρ, with β = 2")),
    "knobs_k": Table(("knobs",), knob("k", "k")),
    "published": Table(("published",), published),
    "published_sparsity": Table(("published",), published_sparsity),
    "soft_neighbours": Table(("retrieval_quality",), soft_neighbours),
    "gradient_errors": Table(("gradient_errors",), gradient_errors),
    "models_of_others": Table(("models_of_others",), models_of_others),
    "compression": Table(("compression",), compression),
    "compression_photos": Table(("compression",), compression_photos),
    "demo": Table(("demo",), demo),
    "import_time": Table(("import_time",), import_time),
    "large_index": Table(("large_index",), large_index),
    "first_minute": Table(("first_minute",), first_minute),
    "library_speed": Table(("library_speed",), library_speed),
    "kill_test": Table(("kill_test",), kill_test),
    "distributed": Table(("distributed",), distributed),
    "scale": Table(("distributed", "library_speed", "search_speed/fashion_60k"), scale),
}
