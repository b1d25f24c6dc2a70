"""The words of the command line: which commands there are, and the options of each."""

from __future__ import annotations

import argparse

from nsae import __version__
from nsae.cli import evaluate, filters, learn, library, make, options, read, same, search
from nsae.cli.command import Add, new_command
from nsae.cli.training_options import add_training_options, patch_defaults, whole_defaults
from nsae.images.library.duplicates import RADIUS
from nsae.retrieval.explain.units import COMMON

LABELS_HELP = (
    "where an image's class is read from: 'folder', 'name' (the file name without its number), or a regular "
    r"expression whose first group is the class, such as '(\d)\d\d\.jpg'"
)
SIMILAR = r"""examples:
  nsae similar a.jpg b.jpg -i photos.nsae                two queries, a table for each
  nsae similar a.jpg + b.jpg - c.jpg -i photos.nsae      one query: what a and b have and c has not
  nsae similar a.jpg --minus c.jpg -i photos.nsae        the same with options
  nsae similar a.jpg -i photos.nsae --forbid 18,54       'nsae explain' and 'nsae units' tell the numbers
  nsae similar *.jpg -i photos.nsae --html hits.html     a page to look at
  nsae similar a.jpg -i photos.nsae -0 | xargs -0 ls -l
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="nsae",
        description="Sparse autoencoders written out in NumPy, and image search by their codes.",
    )
    parser.add_argument("--version", action="version", version=f"nsae {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    add = parser.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser
    commands = (
        _demo,
        _train,
        _encode,
        _export,
        _index,
        _similar,
        _same,
        _explain,
        _units,
        _duplicates,
        _evaluate,
        filters.add_filters,
        learn.add_learn,
        read.add_read,
    )
    for add_command in (*commands, _info, _download):
        command = add_command(add)
        command.set_defaults(flags=_flags(command))
    return parser


def _demo(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "demo", make.demo, "learn, search and draw on built-in data, in a minute")
    command.add_argument(
        "-o",
        "--output",
        dest="target",
        default="nsae_demo",
        help="folder for pictures and photos (%(default)s)",
    )
    options.force(command)
    return command


def _train(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "train", make.train, "learn an encoder and save it")
    command.add_argument("data", help=options.DATA_HELP)
    options.output(command, "model.npz")
    add_training_options(command, whole_defaults())
    options.reading(command)
    command.add_argument("--plot", metavar="PNG", help="draw the loss curves")
    _checkpoint(command)
    return command


def _checkpoint(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="write what is learned to FILE every 10 minutes, and go on from it if the command is given again "
        "after it was stopped",
    )


def _encode(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "encode", make.encode, "encode data with a saved model")
    command.add_argument("model", help="a file from 'nsae train'")
    command.add_argument("data", help=options.DATA_HELP)
    options.output(command, "codes.nsae")
    options.reading(command)
    return command


def _export(add: Add) -> argparse.ArgumentParser:
    what = "write a saved model as one Python file, or as a page in which one draws"
    command = new_command(add, "export", make.export, what)
    command.add_argument(
        "model",
        help="a file from 'nsae train', a folder from 'nsae index' or of a published encoder, or 'photos'",
    )
    options.output(command, "my_encoder.py, or playground.html for a page")
    command.add_argument("--data", help=f"for a page: 300 images of it are stored. {options.DATA_HELP}")
    command.add_argument(
        "--shape",
        type=options.shape,
        metavar="HEIGHTxWIDTH",
        help="for a page: of the images that the model takes as rows (a square)",
    )
    options.reading(command)
    return command


def _index(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "index", make.index, "learn an encoder from a folder of photos and index it")
    command.add_argument(
        "data", metavar="PHOTOS", nargs="?", help=f"{options.DATA_HELP}; an --update needs none"
    )
    options.output(command, "photos.nsae")
    command.add_argument("--model", help="use this saved model instead of learning one")
    _checkpoint(command)
    command.add_argument("--metric", choices=("cosine", "l2", "dot"), help="(cosine)")
    command.add_argument(
        "--update",
        action="store_true",
        help="bring an index in step with its folder: encode what is new or changed, with the encoder it has, "
        "and drop what is gone",
    )
    command.add_argument(
        "--root", metavar="FOLDER", help="with --update: where the photos are now, if their folder has moved"
    )
    command.add_argument(
        "--prune",
        action="store_true",
        help="with --update: drop what is gone, also if it is more than a third",
    )
    command.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out files and folders of this name, such as '*_small.jpg'; may be given again, and an "
        "--update keeps to it",
    )
    command.add_argument(
        "--whole",
        action="store_true",
        help="learn one autoencoder on whole images, not two of which the first one reads patches",
    )
    add_training_options(command, whole_defaults(n_units=512, k=32, epochs=50), patches=patch_defaults())
    options.reading(command)
    return command


def _similar(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "similar", search.similar, "find the photos nearest to some", epilog=SIMILAR)
    command.add_argument("query", nargs="+", help="photos, each a query; with + and - between them, one")
    options.index(command)
    option = command.add_argument_group("the search").add_argument
    option("-k", type=options.count, default=10, help="how many hits (%(default)s)")
    option("--plus", action="append", default=[], metavar="PHOTO", help="add this one to each query")
    option("--minus", action="append", default=[], metavar="PHOTO", help="take this one from each query")
    for flag, text in (
        ("require", "only photos with all of these"),
        ("forbid", "no photos with any of these"),
    ):
        option(
            f"--{flag}",
            action="extend",
            type=options.units,
            default=[],
            metavar="UNITS",
            help=f"{text}, such as 18,54",
        )
    option("--keep", type=options.count, metavar="K", help="compare only the K largest values of each code")
    option(
        "--expand",
        type=options.count,
        metavar="M",
        help="search again with the mean of the query and its first M hits; 2 or so find more of a kind",
    )
    option = command.add_argument_group("the answer").add_argument
    option("-0", "--null", action="store_true", help="print paths alone, each ended by NUL, as for xargs -0")
    option("--html", metavar="FILE", help="write a gallery: one page with the hits and the reasons")
    option("--plot", metavar="PNG", help="draw the queries, their hits and their distances")
    options.force(command)
    options.reading(command)
    return command


def _same(add: Add) -> argparse.ArgumentParser:
    what = "whether two photos are the same, alike or different; without an index"
    exits = "The exit code is 0 if they are the same or alike, 1 if they are different, and 2 after an error."
    command = new_command(add, "same", same.same, what, epilog=exits)
    same.add_options(command)
    options.reading(command, strict=False)
    return command


def _explain(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "explain", search.explain, "why a photo is a hit: the units that it shares")
    command.add_argument("query", help="a photo")
    command.add_argument("hit", help="a photo of the index: its path, or its id")
    options.index(command)
    option = command.add_argument
    option(
        "-k", type=options.count, default=10, help="what would drop it out of the K nearest? (%(default)s)"
    )
    option("--top", type=options.count, default=10, metavar="N", help="name this many units (%(default)s)")
    option("--keep", type=options.count, metavar="K", help="as in 'nsae similar'")
    option("--html", metavar="FILE", help="write a page with the pictures of the units")
    option("--plot", metavar="PNG", help="draw the two photos and the units")
    options.force(command)
    options.reading(command, strict=False)
    return command


def _units(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "units", search.units, "what the units of an index are used for")
    command.add_argument("unit", nargs="*", type=int, help="units to describe (all)")
    options.index(command)
    option = command.add_argument
    option("--top", type=options.count, default=5, metavar="N", help="name this many photos (%(default)s)")
    option(
        "--sort",
        choices=("rows", "mean", "unit"),
        help="largest first (rows; where units are named: unit)",
    )
    option(
        "--common",
        type=float,
        default=COMMON,
        metavar="FRACTION",
        help="flag a unit in more than this fraction of the rows (%(default)s)",
    )
    option("--plot", metavar="PNG", help="draw the photos that have most of each")
    options.force(command)
    options.reading(command, strict=False)
    return command


def _duplicates(add: Add) -> argparse.ArgumentParser:
    what = "groups of photos that are the same file or the same picture; deletes nothing"
    command = new_command(add, "duplicates", library.duplicates, what)
    options.index(command)
    option = command.add_argument
    option("--invariant", action="store_true", help="mirrored and turned pictures are the same picture, too")
    option("--scenes", action="store_true", help="groups of the same scene, too: their codes are near")
    option(
        "--radius",
        type=float,
        metavar="R",
        help=f"how far apart the codes of one scene may be (cosine: {RADIUS}); asks for scenes",
    )
    option("-0", "--null", action="store_true", help="paths end in NUL, and a group in one more")
    options.reading(command, strict=False)
    return command


def _evaluate(add: Add) -> argparse.ArgumentParser:
    what = (
        "how good an index ranks, each photo a query: precision, recall, mAP, soft neighbours, linear probe"
    )
    command = new_command(add, "evaluate", evaluate.evaluate_index, what)
    options.index(command)
    option = command.add_argument
    option("--labels", required=True, metavar="RULE", help=LABELS_HELP.replace("%", "%%"))
    option("-k", type=options.count, nargs="+", default=[1, 10, 20, 100], help="depths (1 10 20 100)")
    option(
        "--no-pixels",
        action="store_true",
        help="the codes alone: photos are not read again to compare pixels and vectors",
    )
    options.reading(command, strict=False)
    return command


def _info(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "info", make.info, "what a model file or an index holds")
    command.add_argument("file", help="a model file, an index folder, or the folder of a published encoder")
    return command


def _download(add: Add) -> argparse.ArgumentParser:
    command = new_command(add, "download", make.download, "fetch a data set, with checksums", json=False)
    option = command.add_argument
    option("name", nargs="+", choices=("mnist", "fashion-mnist"), help="mnist, fashion-mnist")
    option("--folder", help="where to ($NSAE_DATA, or the user's cache folder)")
    option("--mirror", help="fetch from this address instead of the official one")
    option("--force", action="store_true", help="fetch what is there already, too")
    return command


def _flags(command: argparse.ArgumentParser) -> dict[str, str]:
    """How each argument of a command is written, by its name in Python."""
    long = {a.dest: a.option_strings[-1] for a in command._actions if a.option_strings}
    return {**long, "overwrite": "--force"}
