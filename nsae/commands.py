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
from nsae.images import ImageEncoder
from nsae.images.settings import PHOTO_SIDE
from nsae.outputs import as_json, check_file, check_index, check_picture, printable, save_picture
from nsae.retrieval import CodeIndex, Hits
from nsae.retrieval.metrics import average_precision, precision_at, recall_at
from nsae.sources import Source, id_of, images_of, read_images, read_source

INTERRUPTED = 130  # the shell's convention: 128 + SIGINT
MODEL_IN_INDEX = "model.npz"
SOURCE_IN_INDEX = "source.json"
MAX_DRAWN = 20  # hits a query, and queries, in one picture
OF_PATCHES = {"n_units", "k", "epochs", "random_state", "side", "grey"}  # options that ImageEncoder has, too
BLOCK_PAIRS = 1 << 21  # hits that evaluate holds at a time, of some 30 bytes


class UsageError(ValueError):
    """Options that do not go together."""


# ---- commands


def train(args: Namespace) -> int:
    """``nsae train``: fit a SparseAutoencoder and save it; after Ctrl-C, as it stands."""
    target = check_file(args.target, args.force)
    picture = check_picture(args.plot, args.force) if args.plot else None
    if picture and picture.absolute() == target.absolute():
        raise UsageError(f"The model (-o) and its picture (--plot) are both to be {target}. Name two files.")
    model = _fit(args, read_source(args.data, _wanted(args), args.strict))
    model.save(target, overwrite=args.force)
    if picture:
        from nsae import plots

        save_picture(plots.loss_curves({target.stem: model.history_}), picture, args.force)
    _report(args, {"model": str(target), "epochs": model.n_iter_, "stopped": model.stopped_, **_last(model)})
    return INTERRUPTED if model.stopped_ == "interrupted" else 0


def encode(args: Namespace) -> int:
    """``nsae encode``: the codes of images or rows, with their ids, as an index folder without a model."""
    target = check_index(args.target, args.force)
    encoder = Encoder.load(args.model)
    source = read_source(args.data, encoder.preprocessing, args.strict)
    codes = _codes(encoder, source.X)
    library = CodeIndex(encoder.n_units)
    library.add(codes, source.ids)
    library.save(target, overwrite=args.force)
    _report(args, {"codes": str(target), **_summary(codes)})
    return 0


def index(args: Namespace) -> int:
    """``nsae index``: codes of a folder of photos, with the encoder that made them, in one folder."""
    given = [flag for name, flag in args.training_flags.items() if name in args]
    if args.model and given:
        raise UsageError(
            f"--model brings an encoder that is trained, so {', '.join(given)} cannot be given too."
        )
    target = check_index(args.target, args.force)
    trained: dict[str, Any] = {}
    if args.model:
        encoder, content = Encoder.load(args.model), Path(args.model).read_bytes()
        source = read_source(args.data, encoder.preprocessing, args.strict)
    else:
        source = read_source(args.data, _wanted(args) if args.whole else _for_patches(args), args.strict)
        if args.whole or source.preprocessing is None:
            model = learned = _fit(args, source)
            encoder = model.encoder()
        else:
            model = encoder = _fit_image_encoder(args, source, given)
            learned = encoder.model_
        content = model.to_bytes()
        # of an ImageEncoder's second autoencoder the figures are of training, which is with other k
        trained = {"stopped": learned.stopped_, **(_last(learned) if learned is model else {})}
    codes = _codes(encoder, source.X)
    library = CodeIndex(encoder.n_units, metric=args.metric)
    library.add(codes, source.ids)
    root = None if source.root is None else os.fspath(source.root)
    extra_files = {MODEL_IN_INDEX: content, SOURCE_IN_INDEX: json.dumps({"root": root}).encode()}
    library.save(target, overwrite=args.force, extra_files=extra_files)
    _report(args, {"index": str(target), **_summary(codes), **trained})
    return INTERRUPTED if trained.get("stopped") == "interrupted" else 0


def similar(args: Namespace) -> int:
    """``nsae similar``: each query photo's nearest in an index, as a table, JSON, or a picture."""
    picture = check_picture(args.plot, args.force) if args.plot else None
    library, encoder, root = _open_index(args.index)
    if encoder is None:
        raise ValueError(
            f"{args.index} holds codes without the encoder that made them, so photos cannot be compared to them. "
            "Index the photos with that model: nsae index PHOTOS --model MODEL -o INDEX."
        )
    if encoder.preprocessing is None:
        raise ValueError(f"{args.index} indexes rows of numbers, not images: use CodeIndex.load and .search.")
    X, kept = read_images([Path(query) for query in args.query], encoder.preprocessing, args.strict)
    own = [id_of(path, root) for path in kept]
    exclude = [id if id in library else None for id in own]  # a photo is no news to itself
    hits = library.search(_codes(encoder, X), min(args.k, max(len(library), 1)), exclude=exclude)
    if picture:
        save_picture(_draw_hits(kept, hits, root), picture, args.force)
    results = [
        {"query": os.fspath(path), "hits": [_hit(hits, q, r, root) for r in range(hits.counts[q])]}
        for q, path in enumerate(kept)
    ]
    if args.json:
        print(as_json({"metric": library.metric, "results": results}))
        return 0
    for result in results:
        print(f"{printable(result['query'])}  ({library.metric} distance)")
        for rank, hit in enumerate(result["hits"], start=1):
            print(f"{rank:4d}  {hit['distance']:.4f}  {printable(str(hit['id']))}")
    return 0


def evaluate_index(args: Namespace) -> int:
    """``nsae evaluate``: every photo of an index is a query against all the others."""
    library, _, _ = _open_index(args.index)
    labels = [label_of(str(id), args.labels) for id in library.ids]
    if len(set(labels)) < 2:
        raise ValueError(
            f"--labels {args.labels} gives every image the same label, {labels[:1]}. At least two classes are "
            "needed: use 'folder', 'name', or a regular expression with one group."
        )
    figures = leave_one_out(library, labels, [k for k in args.k if k < len(library)])
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

    def progress(file: str, done: int, total: int | None) -> None:
        of = f"of {total:,}" if total else "so far"
        end = "\n" if done == total else ""
        print(f"\r{file}: {done:,} {of} bytes", end=end, file=sys.stderr, flush=True)

    for name in args.name:
        options = {"folder": args.folder, "mirror": args.mirror, "force": args.force}
        print(download(name, **options, progress=progress))
    return 0


def demo(args: Namespace) -> int:
    """``nsae demo``: see ``nsae.demo``."""
    from nsae.demo import run_demo

    figures = run_demo(Path(args.target), overwrite=args.force, quiet=args.json)
    if args.json:
        print(as_json(figures))
    return 0


# ---- small steps


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
    return (
        library,
        Encoder.load(folder / MODEL_IN_INDEX),
        None if root is None else Path(os.path.realpath(root)),
    )


def leave_one_out(
    library: CodeIndex, labels: list[str], depths: list[int], *, block_pairs: int = BLOCK_PAIRS
) -> dict[str, float]:
    """``evaluate`` of each row as a query against all the others.

    The queries come in blocks, because hits on the whole index take some 30 bytes a pair.
    """
    _, of_row = np.unique(labels, return_inverse=True)  # (n,)
    n_relevant = np.bincount(of_row)[of_row] - 1  # (n,): without itself
    matched = n_relevant > 0  # (n,)
    ids, n = library.ids, len(library)
    step = max(1, block_pairs // n)
    blocks = []
    for rows in (slice(start, start + step) for start in range(0, n, step)):
        hits = library.search(library.codes[rows], n - 1, exclude=ids[rows])
        relevant = (of_row[hits.rows] == of_row[rows, None]) & (hits.rows >= 0)  # (q, n − 1)
        blocks.append(
            {f"precision@{k}": precision_at(relevant, k) for k in depths}
            | {f"recall@{k}": recall_at(relevant, k, n_relevant[rows])[matched[rows]] for k in depths}
            | {"map": average_precision(relevant, n_relevant[rows])[matched[rows]]}
        )
    figures = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])  # of all queries, or those with a match
        figures[name] = float(values.mean()) if len(values) else float("nan")
    if not matched.all():
        figures["queries_without_match"] = float(np.count_nonzero(~matched))
    return figures


def _options(args: Namespace) -> dict[str, Any]:
    """The training options by name: those given, else the command's own."""
    return {**args.training_defaults, **vars(args)}


def _wanted(args: Namespace) -> dict[str, Any]:
    options = _options(args)
    return {"side": options["side"], "color": not options["grey"]}


def _fit(args: Namespace, source: Source) -> SparseAutoencoder:
    options = _options(args)
    params = {name: options[name] for name in SparseAutoencoder().get_params() if name in options}
    model = SparseAutoencoder(verbose=not args.json, **params).fit(source.X)
    model.preprocessing_ = source.preprocessing
    return model


def _for_patches(args: Namespace) -> dict[str, Any]:
    """How files become images for an ImageEncoder."""
    return {"side": getattr(args, "side", PHOTO_SIDE), "color": "grey" not in args, "dtype": "uint8"}


def _fit_image_encoder(args: Namespace, source: Source, given: list[str]) -> ImageEncoder:
    others = [flag for name, flag in args.training_flags.items() if flag in given and name not in OF_PATCHES]
    if others:
        raise UsageError(
            f"{', '.join(others)}: that is for one autoencoder on whole images. Add --whole, or leave it out."
        )
    options = {name: getattr(args, name) for name in ("n_units", "k", "epochs") if name in args}
    options = {"random_state": getattr(args, "random_state", 0), **options}
    return ImageEncoder(verbose=not args.json, **options).fit(source.images())


def _codes(encoder: Encoder | ImageEncoder, X: np.ndarray) -> Codes:
    """Of the rows X (n, d); an ImageEncoder takes them as images."""
    if isinstance(encoder, ImageEncoder):
        return encoder.encode(images_of(X, encoder.preprocessing))
    return encoder.encode(X)


def _last(model: SparseAutoencoder) -> dict[str, float]:
    """The history's last entries; none where Ctrl-C came before the first."""
    return {name: values[-1] for name, values in model.history_.items() if values}


def _hit(hits: Hits, q: int, r: int, root: Path | None) -> dict[str, Any]:
    id = hits.ids[q][r]
    path = os.fspath(root / id) if root is not None else None
    return {"id": id, "path": path, "distance": float(hits.distances[q, r])}


def _draw_hits(queries: list[Path], hits: Hits, root: Path | None) -> Any:
    from nsae import plots
    from nsae.images import load_image

    def thumbnail(path: Path | None) -> np.ndarray:
        try:
            if path is not None:
                return load_image(path, side=160)
        except ImageReadError:  # moved or deleted since it was indexed: still a hit
            pass
        return np.full((160, 160, 3), 0.8, np.float32)  # a grey square

    rows = range(min(len(queries), MAX_DRAWN))
    counts = np.minimum(hits.counts, MAX_DRAWN)  # (q,)
    if len(queries) > MAX_DRAWN or hits.counts.max() > MAX_DRAWN:
        print(
            f"nsae: the picture shows {MAX_DRAWN} hits a query and {MAX_DRAWN} queries at most",
            file=sys.stderr,
        )
    found = [hits.ids[q, : counts[q]] for q in rows]
    return plots.search_results(
        [thumbnail(queries[q]) for q in rows],
        [[thumbnail(None if root is None else root / id) for id in ids] for ids in found],
        [hits.distances[q, : counts[q]].tolist() for q in rows],
        names=[[printable(Path(str(id)).name) for id in ids] for ids in found],
        row_titles=[printable(queries[q].name) for q in rows],
        title="Each query and its nearest photos by sparse code, with their distances",
    )


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
        print(as_json({name.replace(" ", "_"): value for name, value in figures.items()}))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else printable(str(value))
        print(f"{name:<{width}}  {shown}")
