"""What each command of the command line does.  ``cli.py`` turns words into these calls.

Results go to stdout, progress and failures to stderr.  Each returns the exit code.
"""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.encoder import Encoder
from nsae.errors import ImageReadError, ModelFormatError
from nsae.estimator import SparseAutoencoder
from nsae.progress import Progress
from nsae.retrieval import CodeIndex, Hits, evaluate
from nsae.storage import refuse_existing

INTERRUPTED = 130  # the shell's convention: 128 + SIGINT
MODEL_IN_INDEX = "model.npz"
SOURCE_IN_INDEX = "source.json"


class NothingWorked(ValueError):
    """Every input failed, or one did under --strict."""


# ---- commands


def train(args: Namespace) -> int:
    """``nsae train``: fit a SparseAutoencoder and save it; after Ctrl-C, as it stands."""
    refuse_existing(args.target, args.force)
    X, _, preprocessing = read_data(args.data, _wanted(args), args.strict)
    model = _fit(args, X, preprocessing)
    model.save(args.target, overwrite=args.force)
    if args.plot:
        from nsae import plots

        plots.loss_curves({Path(args.target).stem: model.history_}).savefig(args.plot)
    last = {name: values[-1] for name, values in model.history_.items()}
    _report(args, {"model": str(args.target), "epochs": model.n_iter_, "stopped": model.stopped_, **last})
    return INTERRUPTED if model.stopped_ == "interrupted" else 0


def encode(args: Namespace) -> int:
    """``nsae encode``: the codes of images or rows, with their ids, as an index folder without a model."""
    refuse_existing(args.target, args.force)
    encoder = Encoder.load(args.model)
    X, ids, _ = read_data(args.data, encoder.preprocessing, args.strict)
    codes = encoder.encode(X)
    index = CodeIndex(encoder.n_units)
    index.add(codes, ids)
    index.save(args.target, overwrite=args.force)
    _report(args, {"codes": str(args.target), **_summary(codes)})
    return 0


def index(args: Namespace) -> int:
    """``nsae index``: codes of a folder of photos, with the encoder that made them, in one folder."""
    refuse_existing(args.target, args.force)
    root = Path(args.data)
    interrupted = False
    if args.model:
        encoder, content = Encoder.load(args.model), Path(args.model).read_bytes()
        X, ids, _ = read_data(args.data, encoder.preprocessing, args.strict)
    else:
        X, ids, preprocessing = read_data(args.data, _wanted(args), args.strict)
        model = _fit(args, X, preprocessing)
        interrupted = model.stopped_ == "interrupted"
        encoder, content = model.encoder(), model.to_bytes()
    codes = encoder.encode(X)
    library = CodeIndex(encoder.n_units, metric=args.metric)
    library.add(codes, ids)
    source = json.dumps({"root": os.fspath(root.absolute()) if root.exists() else None}).encode()
    library.save(
        args.target, overwrite=args.force, extra_files={MODEL_IN_INDEX: content, SOURCE_IN_INDEX: source}
    )
    _report(args, {"index": str(args.target), **_summary(codes)})
    return INTERRUPTED if interrupted else 0


def similar(args: Namespace) -> int:
    """``nsae similar``: each query photo's nearest in an index, as a table, JSON, or a picture."""
    library, encoder, root = _open_index(args.index)
    if encoder.preprocessing is None:
        raise ValueError(f"{args.index} indexes rows of numbers, not images: use CodeIndex.load and .search.")
    if args.plot:
        refuse_existing(args.plot, args.force)
    X, kept = _read_images([Path(query) for query in args.query], encoder.preprocessing, args.strict)
    own = [_id_of(path, root) for path in kept]
    exclude = [id if id in library else None for id in own]  # a photo is no news to itself
    hits = library.search(encoder.encode(X), args.k, exclude=exclude)
    if args.plot:
        _draw_hits(args.plot, kept, hits, root)
    results = [
        {"query": os.fspath(path), "hits": [_hit(hits, q, r, root) for r in range(hits.counts[q])]}
        for q, path in enumerate(kept)
    ]
    if args.json:
        print(json.dumps({"metric": library.metric, "results": results}))
        return 0
    for result in results:
        print(f"{_printable(result['query'])}  ({library.metric} distance)")
        for rank, hit in enumerate(result["hits"], start=1):
            print(f"{rank:4d}  {hit['distance']:.4f}  {_printable(hit['id'])}")
    return 0


def evaluate_index(args: Namespace) -> int:
    """``nsae evaluate``: every photo of an index is a query against all the others."""
    library, _, _ = _open_index(args.index)
    labels = [label_of(str(id), args.labels) for id in library.ids]
    if len(set(labels)) < 2:
        raise ValueError(
            f"--labels {args.labels} gives every image the label {labels[0]!r}. At least two classes are needed: "
            "use 'folder', 'name', or a regular expression with one group."
        )
    depth = len(library) - 1  # leave one out: every photo is a query against all the others
    hits = library.search(library.codes, depth, exclude=library.ids)
    figures = evaluate(hits, labels, k=tuple(k for k in args.k if k <= depth))
    _report(args, {"images": len(library), "classes": len(set(labels)), **figures})
    return 0


def info(args: Namespace) -> int:
    """``nsae info``: what a model file or an index says about itself."""
    path = Path(args.file)
    if path.is_dir():
        library, _, root = _open_index(path)
        _report(args, {"kind": "index", "metric": library.metric, "root": root, **_summary(library.codes)})
        return 0
    header = Encoder.load(path).header
    history = {f"last {name}": values[-1] for name, values in header.pop("history", {}).items() if values}
    params = header.pop("params")
    _report(args, {**header, **params, **history})
    return 0


def download(args: Namespace) -> int:
    """``nsae download``: fetch data sets and print where they are."""
    from nsae.download import download

    for name in args.name:
        folder = download(name, folder=args.folder, mirror=args.mirror, force=args.force)
        print(folder)
    return 0


def demo(args: Namespace) -> int:
    """``nsae demo``: see ``nsae.demo``."""
    from nsae.demo import run_demo

    figures = run_demo(Path(args.target), overwrite=args.force, quiet=args.json)
    if args.json:
        print(json.dumps(figures))
    return 0


# ---- reading


def read_data(
    source: str, images: dict[str, Any] | None, strict: bool
) -> tuple[np.ndarray, list[Any], dict[str, Any] | None]:
    """(X, ids, preprocessing) from what a user names: a ``.npy`` file, a data set, an image, a folder.

    ``images`` says how images become rows: {"side": pixels, "color": bool}; None refuses images.
    Unreadable images are reported on stderr and left out.
    """
    if source.endswith(".npy"):
        X = np.load(source, mmap_mode="r", allow_pickle=False)
        return X, list(range(len(X))), None
    if source in ("glyphs", "mnist", "fashion-mnist"):
        return _read_dataset(source)
    from nsae.images import find_images

    if images is None:
        raise ValueError(f"This model was trained on rows of numbers: give it a .npy file, not {source}.")
    paths = find_images(source)
    if not paths:
        raise ValueError(f"No images were found in {source}. Expected files such as .jpg, .png or .webp.")
    X, kept = _read_images(paths, images, strict)
    root = Path(source).absolute()
    return X, [_id_of(path, root if root.is_dir() else root.parent) for path in kept], images


def label_of(id: str, rule: str) -> str:
    """The class of an image by its name: its "folder", its "name" without number, or a pattern's group."""
    path = Path(id)
    if rule == "folder":
        return path.parent.as_posix()
    if rule == "name":
        return re.sub(r"[\W_]*\d+$", "", path.stem)
    try:
        found = re.search(rule, id)
    except re.error as error:
        raise ValueError(f"--labels {rule!r} is no regular expression: {error}.") from None
    if found is None or not found.groups():
        raise ValueError(f"--labels {rule!r} was expected to match {id!r} and to have one (group).")
    return str(found.group(1))


def _read_dataset(name: str) -> tuple[np.ndarray, list[int], dict[str, Any]]:
    from nsae import datasets

    if name == "glyphs":
        X = datasets.glyphs()[0]  # (n, 28, 28) in [0, 1]
    else:
        pixels = datasets.mnist()[0] if name == "mnist" else datasets.fashion_mnist()[0]
        X = pixels.astype(np.float32) / 255  # (n, 28, 28)
    return X.reshape(len(X), -1), list(range(len(X))), {"side": X.shape[1], "color": False}


def _read_images(paths: list[Path], images: dict[str, Any], strict: bool) -> tuple[np.ndarray, list[Path]]:
    """Rows of pixels (n, d) of the images that could be read, and their paths."""
    from nsae.images import iter_images

    failures = []

    def report(error: ImageReadError) -> None:
        failures.append(error)
        print(f"nsae: skipped {_printable(str(error))}", file=sys.stderr)

    rows, kept = [], []
    with Progress("reading images", len(paths), enabled=len(paths) > 100) as progress:
        for path, image in iter_images(paths, side=images["side"], color=images["color"], on_error=report):
            rows.append(image.ravel())
            kept.append(path)
            progress.update()
    if failures and (strict or not rows):
        raise NothingWorked(
            f"{len(failures)} of {len(paths)} images could not be read"
            + ("; --strict accepts none such." if rows else ".")
        )
    return np.stack(rows), kept


def _open_index(path: str | os.PathLike) -> tuple[CodeIndex, Encoder | None, Path | None]:
    """The index, the encoder that travels with it, and the folder that its photos were in."""
    folder = Path(path)
    library = CodeIndex.load(folder)
    if not (folder / MODEL_IN_INDEX).exists():
        return library, None, None
    try:
        root = json.loads((folder / SOURCE_IN_INDEX).read_bytes())["root"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelFormatError(f"{folder} has no readable {SOURCE_IN_INDEX}: {error}. Index again.") from None
    return library, Encoder.load(folder / MODEL_IN_INDEX), None if root is None else Path(root)


# ---- small steps


def _wanted(args: Namespace) -> dict[str, Any]:
    return {"side": args.side, "color": not args.grey}


def _fit(args: Namespace, X: np.ndarray, preprocessing: dict[str, Any] | None) -> SparseAutoencoder:
    names = SparseAutoencoder().get_params()
    params = {name: value for name, value in vars(args).items() if name in names and value is not None}
    model = SparseAutoencoder(verbose=not args.json, **params).fit(X)
    model.preprocessing_ = preprocessing
    return model


def _id_of(path: Path, root: Path | None) -> str:
    """A photo's id: its path below the folder that was indexed."""
    absolute = path.absolute()
    if root is not None and absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    return os.fspath(absolute)


def _hit(hits: Hits, q: int, r: int, root: Path | None) -> dict[str, Any]:
    id = hits.ids[q][r]
    path = os.fspath(root / id) if root is not None else None
    return {"id": id, "path": path, "distance": float(hits.distances[q, r])}


def _draw_hits(target: str, queries: list[Path], hits: Hits, root: Path | None) -> None:
    from nsae import plots
    from nsae.images import load_image

    def thumbnail(path: Path) -> np.ndarray:
        try:
            return load_image(path, side=160)
        except ImageReadError:  # moved or deleted since it was indexed: still a hit, with a grey square
            return np.full((160, 160, 3), 0.8, np.float32)

    found = [[Path(root or "", hits.ids[q][r]) for r in range(hits.counts[q])] for q in range(len(queries))]
    figure = plots.search_results(
        [thumbnail(path) for path in queries],
        [[thumbnail(path) for path in row] for row in found],
        [[float(d) for d in hits.distances[q, : hits.counts[q]]] for q in range(len(queries))],
        names=[[_printable(path.name) for path in row] for row in found],
        row_titles=[_printable(path.name) for path in queries],
        title="Each query and its nearest photos by sparse code, with their distances",
    )
    figure.savefig(target)


def _summary(codes: Codes) -> dict[str, Any]:
    return {
        "rows": len(codes),
        "units": codes.n_units,
        "active units a row": float(codes.counts.mean()) if len(codes) else 0.0,
        "bytes": codes.nbytes,
    }


def _report(args: Namespace, figures: dict[str, Any]) -> None:
    """One JSON object, or a line a figure."""
    if args.json:
        print(json.dumps({name.replace(" ", "_"): value for name, value in figures.items()}, default=str))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else _printable(str(value))
        print(f"{name:<{width}}  {shown}")


def _printable(text: str) -> str:
    """File names may hold bytes that are no text; they are shown as �, so that printing never fails."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
