"""The commands that make something: train, encode, export, index, info, download, demo.

Results go to stdout, progress and failures to stderr.  Each command returns its exit code.
"""

from __future__ import annotations

import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.cli import inputs
from nsae.cli.inputs import Photos, Source, codes_of, find_photos, is_photos, read_source
from nsae.cli.library import update_library
from nsae.cli.outputs import as_json, check_file, check_index, check_picture, report, save_picture
from nsae.cli.training_options import flags_of_whole, training_flags
from nsae.codes import Codes
from nsae.datasets.dead_leaves import dead_leaves
from nsae.errors import ModelFormatError, UsageError
from nsae.export.export_encoder import check_python_name, export_encoder
from nsae.export.playground import export_playground
from nsae.images import ImageEncoder, ImageLibrary
from nsae.images.encode_photos import PhotoEncoder
from nsae.images.few_photos import ENOUGH, FEW, encoder_for_few
from nsae.images.library.intake import Photo
from nsae.images.library.library_folder import read_library_folder, write_library_folder
from nsae.images.load_encoder import PHOTOS, content_of, load_encoder
from nsae.interchange.published import is_published
from nsae.models.encoder import Encoder
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.retrieval import CodeIndex
from nsae.validation import generator

INTERRUPTED = 130  # the shell's convention: 128 + SIGINT
STORED = 300  # images in a playground: enough to find a near one, and half a second of a phone to encode
N_MADE = 100  # pictures that are learned from beside few photos: codes of few photos alone share no units
LEARNING = {"n_units", "epochs", "image_size", "grey"}  # options of an encoder that is to be learned
LUMA = (0.299, 0.587, 0.114)  # of ITU-R 601, as Pillow makes grey


class Learned(NamedTuple):
    """An encoder, its file, and what to report of its training."""

    encoder: PhotoEncoder
    encoder_bytes: bytes
    figures: dict[str, Any]  # empty for a model that was given
    decoded: dict[str, Photo]  # the photos that it was learned from, as they were read


# ---- commands


def train(args: Namespace) -> int:
    """Fit a SparseAutoencoder and save it; after Ctrl-C, as it stands: ``nsae train`` with ``args``."""
    target = check_file(args.target, args.force)
    picture = check_picture(args.plot, args.force) if args.plot else None
    if picture and picture.absolute() == target.absolute():
        raise UsageError(f"The model (-o) and its picture (--plot) are both to be {target}. Name two files.")
    model = _fit(args, read_source(args.data, _for_whole(args), args.strict), on_interrupt="return")
    model.save(target, overwrite=args.force)
    if picture:
        from nsae import plots

        save_picture(plots.loss_curves({target.stem: model.history_}), picture, args.force)
    report(
        args.json, {"model": str(target), "epochs": model.n_iter_, "stopped": model.stopped_, **_last(model)}
    )
    return INTERRUPTED if model.stopped_ == "interrupted" else 0


def encode(args: Namespace) -> int:
    """Write codes and their ids as an index folder without a model: ``nsae encode`` with ``args``."""
    target = check_index(args.target, args.force)
    encoder = load_encoder(args.model)
    if is_photos(args.data) and encoder.preprocessing is not None:
        photos = find_photos(args.data)
        index = _take_photos(args, ImageLibrary(encoder, photos.root, encoder_bytes=b""), photos, {}).index
    else:
        source = read_source(args.data, encoder.preprocessing, args.strict)
        index = CodeIndex(encoder.n_units)
        index.add(codes_of(encoder, source), source.ids)
    index.save(target, overwrite=args.force)
    report(args.json, {"codes": str(target), **_summary(index.codes)})
    return 0


def export(args: Namespace) -> int:
    """Write a saved model, or that of an index, as one Python file or page: ``nsae export`` with ``args``."""
    as_page = Path(args.target).suffix.lower() == ".html"
    others = [flag for flag, given in (("--data", args.data), ("--shape", args.shape)) if given]
    if others and not as_page:
        raise UsageError(f"{others[0]} is for a playground: let the name after -o end in .html.")
    target = check_file(args.target if as_page else check_python_name(args.target), args.force)
    in_index = args.model != PHOTOS and Path(args.model).is_dir() and not is_published(args.model)
    encoder = read_library_folder(args.model).encoder if in_index else load_encoder(args.model)
    if encoder is None:
        raise ValueError(
            f"{args.model} holds codes without the encoder that made them. Give the file of their model."
        )
    if as_page:
        _write_playground(args, encoder, target)
    else:
        export_encoder(encoder, target, overwrite=args.force)
    report(args.json, {"file": str(target), "units": encoder.n_units, "bytes": target.stat().st_size})
    return 0


def index(args: Namespace) -> int:
    """Index a folder of photos, with the encoder that makes its codes: ``nsae index`` with ``args``."""
    if args.checkpoint and (args.update or args.model):
        raise UsageError("--checkpoint is for learning: with --update or --model nothing is learned.")
    if args.update:
        return update_library(args)
    others = [flag for flag, given in (("--root", args.root), ("--prune", args.prune)) if given]
    if args.data is None or others:
        raise UsageError(
            f"{others[0]} goes with --update."
            if others
            else "PHOTOS is missing: the folder that is to be indexed."
        )
    if args.model and (given := training_flags(args)):
        raise UsageError(
            f"--model brings an encoder that is trained, so {', '.join(given)} cannot be given too."
        )
    if not args.whole and not args.data.endswith(".npy") and (others := flags_of_whole(args)):
        raise UsageError(
            f"{', '.join(others)}: that is for one autoencoder on whole images. Add --whole, or leave it out."
        )
    target = check_index(args.target, args.force)
    make = _index_photos if is_photos(args.data) else _index_rows
    codes, figures = make(args, target)
    report(args.json, {"index": str(target), **_summary(codes), **figures})
    return 0


def info(args: Namespace) -> int:
    """Print what a model file or an index says about itself: ``nsae info`` with ``args``."""
    path = Path(args.file)
    if path.is_dir() and not is_published(path):
        opened = read_library_folder(path, mmap=True)
        figures = {"kind": "index", "metric": opened.index.metric, "root": opened.root}
        report(args.json, {**figures, **_summary(opened.index.codes)})
        return 0
    header = load_encoder(args.file).header
    history = header.pop("history", {})
    if not isinstance(history, dict) or not isinstance(params := header.pop("params", {}), dict):
        raise ModelFormatError(
            f"{path} is not a whole nsae model file: its header is damaged. Save it again."
        )
    history = {f"last {name}": values[-1] for name, values in history.items() if values}
    report(args.json, {**header, **params, **history})
    return 0


def download(args: Namespace) -> int:
    """Fetch data sets and print where they are: ``nsae download`` with ``args``."""
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
    """Run :mod:`nsae.cli.demo`: ``nsae demo`` with ``args``."""
    from nsae.cli.demo import run_demo

    figures = run_demo(Path(args.target), overwrite=args.force, quiet=args.json)
    if args.json:
        print(as_json(figures))
    return 0


def _write_playground(args: Namespace, encoder: PhotoEncoder, target: Path) -> None:
    """Write an encoder as a page, with up to 300 images of the data, spread evenly over them."""
    stored: dict[str, Any] = {}
    if args.data and isinstance(encoder, Encoder):
        source = read_source(args.data, encoder.preprocessing, args.strict)
        rows = np.unique(np.linspace(0, len(source.ids) - 1, STORED).astype(int))
        ids = [source.ids[row] for row in rows]
        stored["images"] = source.X[rows]
        stored["labels"] = [id if isinstance(id, str) else f"row {id}" for id in ids]
    export_playground(encoder, target, **stored, shape=args.shape, overwrite=args.force)


# ---- an index


def _index_photos(args: Namespace, target: Path) -> tuple[Codes, dict[str, Any]]:
    """Learn from photos, unless a model is given, and take them all in."""
    photos = find_photos(args.data, args.exclude)
    learned = _given_model(args) if args.model else _learn_from_photos(args, photos)
    library = ImageLibrary(
        learned.encoder,
        photos.root,
        metric=args.metric or "cosine",
        encoder_bytes=learned.encoder_bytes,
        exclude=args.exclude,
    )
    if not args.strict:
        library.folder = target  # so that it is saved on the way
    _take_photos(args, library, photos, learned.decoded)
    library.save(target, overwrite=args.force or not args.strict)
    return library.index.codes, learned.figures


def _take_photos(
    args: Namespace, library: ImageLibrary, photos: Photos, decoded: dict[str, Photo]
) -> ImageLibrary:
    """Add all photos to a library, and report those that cannot be read."""
    found = library.add(photos.ids, decoded=decoded, block=library.encoder.block_size, verbose=not args.json)
    inputs.skipped(library.root, [one for one in found.failed if one[0] not in decoded])
    failed = len(photos.failed) + len(found.failed)
    inputs.check_failures(failed, len(photos.failed) + len(photos.ids), len(library), args.strict)
    return library


def _index_rows(args: Namespace, target: Path) -> tuple[Codes, dict[str, Any]]:
    """Learn from rows or a data set, unless a model is given, and index them by their numbers."""
    if args.model:
        learned = _given_model(args)
        source = read_source(args.data, learned.encoder.preprocessing, args.strict)
    else:
        source = read_source(args.data, None, args.strict)
        learned = _learn(args, source)
    index = CodeIndex(learned.encoder.n_units, metric=args.metric or "cosine")
    index.add(codes_of(learned.encoder, source), source.ids)
    write_library_folder(target, index, learned.encoder_bytes, overwrite=args.force)
    return index.codes, learned.figures


def _given_model(args: Namespace) -> Learned:
    encoder = load_encoder(args.model)
    if is_photos(args.data) and encoder.preprocessing is None:
        raise ValueError(
            f"{args.model} was trained on rows of numbers: give it a .npy file, not {args.data}."
        )
    return Learned(encoder, content_of(args.model, encoder), {}, {})


def _learn_from_photos(args: Namespace, photos: Photos) -> Learned:
    how = _for_whole(args) if args.whole else _for_patches(args)
    most = len(photos.ids) if args.whole else ImageEncoder().max_images
    if len(photos.ids) > most:  # the others are read when they are encoded
        rng = np.random.default_rng(_options(args)["random_state"])
        chosen = np.sort(rng.choice(len(photos.ids), most, replace=False))
        photos = photos._replace(ids=[photos.ids[i] for i in chosen])
    images, decoded = inputs.read_to_learn(photos, how, args.strict)
    n_different = len(
        {photo.stamp.hash for photo in decoded.values() if photo.pixels is not None and photo.stamp}
    )
    learns = args.checkpoint is not None or LEARNING & set(vars(args))
    if args.whole or n_different >= (ENOUGH if learns else FEW):
        return _learn(args, Source(images, [], how))._replace(decoded=decoded)
    few = "1 photo is" if n_different == 1 else f"{n_different} different photos are"
    if not learns:
        print(
            f"nsae: {few} too few to learn from, so the encoder that comes with nsae is used, which has learned "
            "from the photos of Caltech-101; it gets a unit for each of yours.",
            file=sys.stderr,
        )
        generator(_options(args)["random_state"])  # It is not needed here, and a wrong one is told.
        encoder = encoder_for_few(images)
        if "k" in args:
            # --k 0 is as many as there are
            encoder = encoder.with_k(encoder.n_units if args.k is None else args.k)
        return Learned(encoder, encoder.to_bytes(half=True), {}, decoded)
    print(
        f"nsae: {few} too few to learn from, so the encoder learns from {N_MADE} made pictures, too. Without "
        "options of learning, the encoder that comes with nsae is used, which finds more.",
        file=sys.stderr,
    )
    images = np.concatenate([images, _made_pictures(how)])
    return _learn(args, Source(images, [], how))._replace(decoded=decoded)


def _made_pictures(how: dict[str, Any]) -> np.ndarray:
    """Pictures to learn from where photos are few, as files become images: codes of few photos share no units."""
    pictures = dead_leaves(N_MADE, size=how["side"])  # (n, side, side, 3)
    if how["color"]:
        return pictures
    return np.rint(pictures @ np.array(LUMA)).astype(np.uint8)  # (n, side, side)


def _learn(args: Namespace, source: Source) -> Learned:
    """Fit what the options say; Ctrl-C ends the command, for an index of a half-learned encoder is of no use."""
    try:
        return _learned(args, source)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("while the encoder was learned; nothing is written") from None


def _learned(args: Namespace, source: Source) -> Learned:
    """Fit one autoencoder on whole images or rows, or an ImageEncoder."""
    if args.whole or source.preprocessing is None:
        model = _fit(args, source, on_interrupt="raise")
        return Learned(model.encoder(), model.to_bytes(), {"stopped": model.stopped_, **_last(model)}, {})
    encoder = _fit_image_encoder(args, source.data)
    # Of an ImageEncoder's second autoencoder the figures are of training, which is with another k.
    return Learned(encoder.encoder(), encoder.to_bytes(), {"stopped": encoder.model_.stopped_}, {})


# ---- small steps


def _options(args: Namespace) -> dict[str, Any]:
    """The options of one autoencoder on whole images by name: those given, else the command's own."""
    return {**args.whole_defaults, **vars(args)}


def _for_whole(args: Namespace) -> dict[str, Any]:
    """How files become rows for one autoencoder on whole images."""
    options = _options(args)
    return {"side": options["image_size"], "color": not options["grey"]}


def _for_patches(args: Namespace) -> dict[str, Any]:
    """How files become images for an ImageEncoder."""
    side = getattr(args, "image_size", args.patch_defaults["image_size"])
    return {"side": side, "color": "grey" not in args, "dtype": "uint8"}


def _fit(args: Namespace, source: Source, *, on_interrupt: str) -> SparseAutoencoder:
    options = _options(args)
    params = {name: options[name] for name in SparseAutoencoder().get_params()}
    params.update(verbose=not args.json, on_interrupt=on_interrupt)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training was interrupted")  # the report says so
        model = SparseAutoencoder(**params).fit(source.X, checkpoint=args.checkpoint)
    model.set_params(on_interrupt="auto")
    model.preprocessing_ = source.preprocessing
    return model


def _fit_image_encoder(args: Namespace, images: np.ndarray) -> ImageEncoder:
    options = {**args.patch_defaults, **vars(args)}
    params = {name: options[name] for name in ("n_units", "k", "epochs", "random_state")}
    if params["k"] is None:  # --k 0: as many as there are
        if params["n_units"] is None:
            params["n_units"] = len(images)
        params["k"] = params["n_units"]
    return ImageEncoder(verbose=not args.json, image_size=images.shape[1], **params).fit(
        images, checkpoint=args.checkpoint
    )


def _last(model: SparseAutoencoder) -> dict[str, float]:
    """The history's last entries, and the seconds of all epochs; none where Ctrl-C came before the first."""
    last = {name: values[-1] for name, values in model.history_.items() if values}
    if "rho_hat" in last:
        last["rho_hat"] = float(np.mean(last["rho_hat"]))  # of h numbers, one is printed
    return {**last, "seconds": sum(model.history_["seconds"])} if last else {}


def _summary(codes: Codes) -> dict[str, Any]:
    return {
        "rows": len(codes),
        "units": codes.n_units,
        "active units a row": float(codes.counts.mean()) if len(codes) else 0.0,
        "bytes": codes.nbytes,
    }
