"""The commands that make something: train, encode, index, info, download, demo.

Results go to stdout, progress and failures to stderr.  Each command returns its exit code.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from nsae.cli.inputs import Source, codes_of, read_source
from nsae.cli.library import update_library
from nsae.cli.outputs import as_json, check_file, check_index, check_picture, report, save_picture
from nsae.cli.training_options import flags_of_whole, training_flags
from nsae.codes import Codes
from nsae.errors import UsageError
from nsae.images import ImageEncoder
from nsae.images.library.library_folder import read_library_folder, write_library_folder
from nsae.images.library.scan import with_hashes
from nsae.images.load_encoder import load_encoder
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.retrieval import CodeIndex

INTERRUPTED = 130  # the shell's convention: 128 + SIGINT


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
    report(
        args.json, {"model": str(target), "epochs": model.n_iter_, "stopped": model.stopped_, **_last(model)}
    )
    return INTERRUPTED if model.stopped_ == "interrupted" else 0


def encode(args: Namespace) -> int:
    """``nsae encode``: the codes of images or rows, with their ids, as an index folder without a model."""
    target = check_index(args.target, args.force)
    encoder = load_encoder(args.model)
    source = read_source(args.data, encoder.preprocessing, args.strict)
    codes = codes_of(encoder, source.X)
    coded = CodeIndex(encoder.n_units)
    coded.add(codes, source.ids)
    coded.save(target, overwrite=args.force)
    report(args.json, {"codes": str(target), **_summary(codes)})
    return 0


def index(args: Namespace) -> int:
    """``nsae index``: codes of a folder of photos, with the encoder that made them, in one folder."""
    if args.update:
        return update_library(args)
    given = training_flags(args)
    if args.model and given:
        raise UsageError(
            f"--model brings an encoder that is trained, so {', '.join(given)} cannot be given too."
        )
    target = check_index(args.target, args.force)
    trained: dict[str, Any] = {}
    if args.model:
        encoder, content = load_encoder(args.model), Path(args.model).read_bytes()
        source = read_source(args.data, encoder.preprocessing, args.strict)
    else:
        source = read_source(args.data, _wanted(args) if args.whole else _for_patches(args), args.strict)
        if args.whole or source.preprocessing is None:
            model = learned = _fit(args, source)
            encoder = model.encoder()
        else:
            model = encoder = _fit_image_encoder(args, source)
            learned = encoder.model_
        content = model.to_bytes()
        # of an ImageEncoder's second autoencoder the figures are of training, which is with other k
        trained = {"stopped": learned.stopped_, **(_last(learned) if learned is model else {})}
    codes = codes_of(encoder, source.X)
    coded = CodeIndex(encoder.n_units, metric=args.metric or "cosine")
    coded.add(codes, source.ids)
    files = None if source.stamps is None else with_hashes(source.root, source.stamps)
    write_library_folder(target, coded, content, source.root, files, overwrite=args.force)
    report(args.json, {"index": str(target), **_summary(codes), **trained})
    return INTERRUPTED if trained.get("stopped") == "interrupted" else 0


def info(args: Namespace) -> int:
    """``nsae info``: what a model file or an index says about itself."""
    path = Path(args.file)
    if path.is_dir():
        opened = read_library_folder(path, mmap=True)
        figures = {"kind": "index", "metric": opened.index.metric, "root": opened.root}
        report(args.json, {**figures, **_summary(opened.index.codes)})
        return 0
    header = load_encoder(path).header
    history = {f"last {name}": values[-1] for name, values in header.pop("history", {}).items() if values}
    params = header.pop("params")
    report(args.json, {**header, **params, **history})
    return 0


def download(args: Namespace) -> int:
    """``nsae download``: fetch data sets and print where they are."""
    from nsae.datasets.download import download

    def progress(file: str, done: int, total: int | None) -> None:
        of = f"of {total:,}" if total else "so far"
        end = "\n" if done == total else ""
        print(f"\r{file}: {done:,} {of} bytes", end=end, file=sys.stderr, flush=True)

    for name in args.name:
        options = {"folder": args.folder, "mirror": args.mirror, "force": args.force}
        print(download(name, **options, progress=progress))
    return 0


def demo(args: Namespace) -> int:
    """``nsae demo``: see ``nsae.cli.demo``."""
    from nsae.cli.demo import run_demo

    figures = run_demo(Path(args.target), overwrite=args.force, quiet=args.json)
    if args.json:
        print(as_json(figures))
    return 0


# ---- small steps


def _options(args: Namespace) -> dict[str, Any]:
    """The options of one autoencoder on whole images by name: those given, else the command's own."""
    return {**args.whole_defaults, **vars(args)}


def _wanted(args: Namespace) -> dict[str, Any]:
    """How files become rows for one autoencoder on whole images."""
    options = _options(args)
    return {"side": options["image_size"], "color": not options["grey"]}


def _fit(args: Namespace, source: Source) -> SparseAutoencoder:
    options = _options(args)
    params = {name: options[name] for name in SparseAutoencoder().get_params()}
    model = SparseAutoencoder(**{**params, "verbose": not args.json}).fit(source.X)
    model.preprocessing_ = source.preprocessing
    return model


def _for_patches(args: Namespace) -> dict[str, Any]:
    """How files become images for an ImageEncoder."""
    side = getattr(args, "image_size", args.patch_defaults["image_size"])
    return {"side": side, "color": "grey" not in args, "dtype": "uint8"}


def _fit_image_encoder(args: Namespace, source: Source) -> ImageEncoder:
    if others := flags_of_whole(args):
        raise UsageError(
            f"{', '.join(others)}: that is for one autoencoder on whole images. Add --whole, or leave it out."
        )
    options = {**args.patch_defaults, **vars(args)}
    params = {name: options[name] for name in ("n_units", "k", "epochs", "random_state")}
    params["k"] = params["k"] or params["n_units"]  # --k 0: as many as there are
    size = source.images().shape[1]
    return ImageEncoder(verbose=not args.json, image_size=size, **params).fit(source.images())


def _last(model: SparseAutoencoder) -> dict[str, float]:
    """The history's last entries, and the seconds of all epochs; none where Ctrl-C came before the first."""
    last = {name: values[-1] for name, values in model.history_.items() if values}
    return {**last, "seconds": sum(model.history_["seconds"])} if last else {}


def _summary(codes: Codes) -> dict[str, Any]:
    return {
        "rows": len(codes),
        "units": codes.n_units,
        "active units a row": float(codes.counts.mean()) if len(codes) else 0.0,
        "bytes": codes.nbytes,
    }
