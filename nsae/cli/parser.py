"""The command line: ``nsae COMMAND``, or ``python -m nsae COMMAND``.

Exit codes: 0 fine, 1 error, 2 usage, 130 interrupted (what was finished is saved).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from nsae import __version__
from nsae.cli import evaluate, library, make, search
from nsae.cli.outputs import any_streams, printable
from nsae.errors import UsageError
from nsae.images.library.image_library import RADIUS
from nsae.retrieval.explain.units import COMMON

DATA_HELP = "a folder of images, one image, a .npy file of rows, or a data set: glyphs, mnist, fashion-mnist"
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    any_streams()
    args = _parser().parse_args(argv)
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("nsae: interrupted", file=sys.stderr)
        return make.INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough (| head); the flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UsageError as error:
        print(f"nsae: error: {printable(str(error))}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError) as error:
        text = str(error) or type(error).__name__
        print(f"nsae: error: {printable(text)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nsae",
        description="Sparse autoencoders written out in NumPy, and image search by their codes.",
    )
    parser.add_argument("--version", action="version", version=f"nsae {__version__}")
    add = parser.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser

    command = _command(add, "demo", make.demo, "learn, search and draw on built-in data, in a minute")
    command.add_argument(
        "-o", "--output", dest="target", default="nsae_demo", help="folder for the pictures (%(default)s)"
    )
    _force(command)

    command = _command(add, "train", make.train, "learn an encoder and save it")
    command.add_argument("data", help=DATA_HELP)
    _output(command, "model.npz")
    _training(command)
    command.add_argument("--plot", metavar="PNG", help="draw the loss curves")

    command = _command(add, "encode", make.encode, "encode data with a saved model")
    command.add_argument("model", help="a file from 'nsae train'")
    command.add_argument("data", help=DATA_HELP)
    _output(command, "codes.nsae")
    _strict(command)

    command = _command(add, "index", make.index, "learn an encoder from a folder of photos and index it")
    command.add_argument("data", metavar="PHOTOS", help=DATA_HELP)
    _output(command, "photos.nsae")
    command.add_argument("--model", help="use this saved model instead of learning one")
    command.add_argument("--metric", choices=("cosine", "l2", "dot"), help="(cosine)")
    command.add_argument(
        "--update",
        action="store_true",
        help="bring an index in step with its folder: encode what is new or changed, with the encoder it has, "
        "and drop what is gone",
    )
    command.add_argument(
        "--whole",
        action="store_true",
        help="one autoencoder on whole images instead of one on patches and one on what they add up to; "
        "of the options below, photos need it but for --units, --k, --epochs, --random-state, --side and --grey",
    )
    _training(command, n_units=512, k=32, epochs=50)

    command = _command(add, "similar", search.similar, "find the photos nearest to some", epilog=SIMILAR)
    command.add_argument("query", nargs="+", help="photos, each a query; with + and - between them, one")
    _index(command)
    option = command.add_argument_group("the search").add_argument
    option("-k", type=_count, default=10, help="how many hits (%(default)s)")
    option("--plus", action="append", default=[], metavar="PHOTO", help="add this one to each query")
    option("--minus", action="append", default=[], metavar="PHOTO", help="take this one from each query")
    option(
        "--require",
        action="extend",
        type=_units,
        default=[],
        metavar="UNITS",
        help="only photos with all of these, such as 18,54",
    )
    option(
        "--forbid",
        action="extend",
        type=_units,
        default=[],
        metavar="UNITS",
        help="no photos with any of these",
    )
    option("--keep", type=_count, metavar="K", help="compare only the K largest values of each code")
    option(
        "--expand",
        type=_count,
        metavar="M",
        help="search again with the mean of the query and its first M hits; 2 or so find more of a kind",
    )
    option = command.add_argument_group("the answer").add_argument
    option(
        "-0",
        "--null",
        action="store_true",
        help="print the hits' paths alone, each ended by NUL, as for xargs -0",
    )
    option("--html", metavar="FILE", help="write a gallery: one page with the hits and the reasons")
    option("--plot", metavar="PNG", help="draw the queries, their hits and their distances")
    _force(command)
    _strict(command)

    command = _command(add, "explain", search.explain, "why a photo is a hit: the units that it shares")
    command.add_argument("query", help="a photo")
    command.add_argument("hit", help="a photo of the index: its path, or its id")
    _index(command)
    command.add_argument(
        "-k", type=_count, default=10, help="what would drop it out of the K nearest? (%(default)s)"
    )
    command.add_argument(
        "--top", type=_count, default=10, metavar="N", help="name so many units (%(default)s)"
    )
    command.add_argument("--keep", type=_count, metavar="K", help="as in 'nsae similar'")
    command.add_argument("--html", metavar="FILE", help="write a page with the pictures of the units")
    command.add_argument("--plot", metavar="PNG", help="draw the two photos and the units")
    _force(command)

    command = _command(add, "units", search.units, "what the units of an index are used for")
    command.add_argument("unit", nargs="*", type=int, help="units to describe (all)")
    _index(command)
    command.add_argument(
        "--top", type=_count, default=5, metavar="N", help="name so many photos (%(default)s)"
    )
    command.add_argument(
        "--sort",
        choices=("rows", "mean", "unit"),
        help="largest first; of units that were named: by unit (rows)",
    )
    command.add_argument(
        "--common",
        type=float,
        default=COMMON,
        metavar="SHARE",
        help="of the rows: flag a unit in more (%(default)s)",
    )
    command.add_argument("--plot", metavar="PNG", help="draw the photos that have most of each")
    _force(command)

    command = _command(
        add, "duplicates", library.duplicates, "groups of photos that show the same; deletes nothing"
    )
    _index(command)
    command.add_argument(
        "--radius", type=float, metavar="R", help=f"largest distance within a pair (cosine: {RADIUS})"
    )
    command.add_argument(
        "-0", "--null", action="store_true", help="paths end in NUL, and a group in one more"
    )

    command = _command(
        add,
        "evaluate",
        evaluate.evaluate_index,
        "precision, recall and mAP of an index, each photo a query, beside raw pixels",
    )
    _index(command)
    command.add_argument("--labels", required=True, metavar="RULE", help=LABELS_HELP.replace("%", "%%"))
    command.add_argument("-k", type=_count, nargs="+", default=[1, 10, 20, 100], help="depths (1 10 20 100)")
    command.add_argument(
        "--no-pixels",
        action="store_true",
        help="the codes alone: photos are not read again to compare pixels",
    )

    command = _command(add, "info", make.info, "what a model file or an index holds")
    command.add_argument("file", help="a model file or an index folder")

    command = _command(add, "download", make.download, "fetch a data set, with checksums", json=False)
    command.add_argument("name", nargs="+", choices=("mnist", "fashion-mnist"), help="mnist, fashion-mnist")
    command.add_argument("--folder", help="where to ($NSAE_DATA, or the user's cache folder)")
    command.add_argument("--mirror", help="fetch from this address instead of the official one")
    command.add_argument("--force", action="store_true", help="fetch what is there already, too")
    return parser


def _command(
    add: Callable[..., argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    *,
    json: bool = True,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter
    command = add(
        name, help=what, description=what[0].upper() + what[1:] + ".", epilog=epilog, formatter_class=form
    )
    command.set_defaults(run=run)
    if json:
        command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return command


def _output(command: argparse.ArgumentParser, example: str) -> None:
    command.add_argument(
        "-o", "--output", dest="target", required=True, metavar="FILE", help=f"such as {example}"
    )
    _force(command)


def _force(command: argparse.ArgumentParser) -> None:
    command.add_argument("--force", action="store_true", help="replace an output that exists")


def _strict(command: argparse.ArgumentParser) -> None:
    command.add_argument("--strict", action="store_true", help="fail if any image cannot be read")


def _index(command: argparse.ArgumentParser) -> None:
    command.add_argument("-i", "--index", required=True, metavar="INDEX", help="a folder from 'nsae index'")


def _training(
    command: argparse.ArgumentParser, *, n_units: int = 256, k: int | None = None, epochs: int = 20
) -> None:
    """The hyperparameters of SparseAutoencoder, under its own names, and how images become rows.

    An option that is not given is not in the namespace, so that one can tell; ``training_defaults`` has
    what the command uses then, and ``training_flags`` how each is written.
    """
    defaults = {"n_units": n_units, "k": k, "epochs": epochs, "random_state": 0, "side": 16, "grey": False}
    flags = {}

    def group(title: str) -> Callable[..., None]:
        add = command.add_argument_group(title, argument_default=argparse.SUPPRESS).add_argument

        def option(*names: str, **settings: object) -> None:
            action = add(*names, **settings)
            flags[action.dest] = names[0]

        return option

    option = group("the model")
    option("--units", dest="n_units", type=int, help=f"hidden units ({n_units})")
    option("--k", type=_k, help=f"active units a sample; 0: as many as there are ({k or 0})")
    option("--activation", choices=("relu", "sigmoid"), help="(relu)")
    option("--decoder-output", dest="output", choices=("linear", "sigmoid"), help="(linear)")
    option("--loss", choices=("squared", "cross_entropy"), help="(squared)")
    option("--l1", type=float, help="weight of L1 (0)")
    option("--kl", type=float, help="weight of KL (0); with --activation sigmoid")
    option("--rho", type=float, help="mean activation that KL aims at (0.05)")
    option("--weight-decay", type=float, help="(0)")
    option("--unit-norm", action="store_true", help="columns of the decoder at norm 1")
    option = group("training")
    option("--epochs", type=int, help=f"({epochs})")
    option("--batch-size", type=int, help="(256)")
    option("--learning-rate", type=float, help="(0.001)")
    option("--tol", type=float, help="stop when the loss falls by less than this fraction (0: never)")
    option("--patience", type=int, help="for so many epochs (5)")
    option("--seed", dest="random_state", type=int, help="(0)")
    option = group("images")
    option("--side", type=_count, help="resize to this many pixels a side (16)")
    option("--grey", action="store_true", help="without colour")
    command.set_defaults(training_defaults=defaults, training_flags=flags)
    _strict(command)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is expected to be at least 1")
    return number


def _units(text: str) -> list[int]:
    try:
        return [int(unit) for unit in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is expected to be unit numbers, such as 18,54") from None


def _k(text: str) -> int | None:
    return int(text) or None
