"""The hyperparameters as options: their flags, their defaults, and errors about them in the command's words.

The defaults that ``--help`` shows are those that are used: both are read from the estimators.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from nsae.cli.options import count, count_or_none
from nsae.images import ImageEncoder
from nsae.images.defaults import PHOTO_SIDE
from nsae.models.sparse_autoencoder import SparseAutoencoder

SEED = 0
WHOLE_SIZE = 16  # pixels a side of images that are learned whole
NO_FLAG_NEEDED = {**SparseAutoencoder().get_params(), **ImageEncoder().get_params()}


class Option(NamedTuple):
    """One hyperparameter on the command line."""

    flag: str
    name: str
    help: str
    settings: dict[str, Any]  # of add_argument


OPTIONS = {
    "the model": [
        Option("--units", "n_units", "hidden units", {"type": int}),
        Option("--k", "k", "active units a sample; 0: as many as there are", {"type": count_or_none}),
        Option("--activation", "activation", "", {"choices": ("relu", "sigmoid")}),
        Option("--decoder-output", "output", "", {"choices": ("linear", "sigmoid")}),
        Option("--loss", "loss", "", {"choices": ("squared", "cross_entropy")}),
        Option("--l1", "l1", "weight of L1", {"type": float}),
        Option("--kl", "kl", "weight of KL; with --activation sigmoid", {"type": float}),
        Option("--rho", "rho", "mean activation that KL aims at", {"type": float}),
        Option("--weight-decay", "weight_decay", "weight of the squared weights", {"type": float}),
        Option("--unit-norm", "unit_norm", "columns of the decoder at norm 1", {"action": "store_true"}),
    ],
    "training": [
        Option("--epochs", "epochs", "passes over the data", {"type": int}),
        Option("--batch-size", "batch_size", "samples a step", {"type": int}),
        Option("--learning-rate", "learning_rate", "", {"type": float}),
        Option("--tol", "tol", "stop when the loss falls by less than this fraction", {"type": float}),
        Option("--patience", "patience", "for this many epochs", {"type": int}),
        Option("--seed", "random_state", "the same number gives the same model", {"type": int}),
    ],
    "images": [
        Option("--image-size", "image_size", "resize to this many pixels a side", {"type": count}),
        Option("--grey", "grey", "without colour", {"action": "store_true"}),
    ],
}
OF_IMAGES = {"image_size": WHOLE_SIZE, "grey": False}  # how images become rows; no hyperparameters of a model
OF_PATCHES = ("n_units", "k", "epochs", "random_state", "image_size", "grey")  # what ImageEncoder has, too


def whole_defaults(**own: Any) -> dict[str, Any]:
    """Return SparseAutoencoder's defaults by name, with ``own`` ones of a command."""
    return {**SparseAutoencoder().get_params(), "random_state": SEED, **OF_IMAGES, **own}


def patch_defaults() -> dict[str, Any]:
    """Return ImageEncoder's defaults by name, of the options that it has."""
    of_photos = {"random_state": SEED, "image_size": PHOTO_SIDE, "grey": False}
    return {name: {**ImageEncoder().get_params(), **of_photos}[name] for name in OF_PATCHES}


def add_training_options(
    command: argparse.ArgumentParser, defaults: Mapping[str, Any], *, patches: Mapping[str, Any] | None = None
) -> None:
    """Add the hyperparameters to a command.

    An option that is not given is not in the namespace, so that one can tell.

    Parameters
    ----------
    command : ArgumentParser
    defaults : mapping
        Of one autoencoder on whole images, or on rows.
    patches : mapping, optional
        Of an ImageEncoder.  It is used unless ``--whole`` is given, and has fewer options.
    """
    for title, options in OPTIONS.items():
        kinds = [options]
        if patches is not None:
            kinds = [[o for o in options if o.name in patches], [o for o in options if o.name not in patches]]
        for kind, heading in zip(kinds, (title, f"{title}, with --whole"), strict=False):
            if kind:
                group = command.add_argument_group(heading, argument_default=argparse.SUPPRESS)
                for option in kind:
                    shown = _shown(option.name, defaults, patches)
                    text = f"{option.help} ({shown})" if shown else option.help
                    settings = dict(option.settings)
                    if "type" in settings:
                        settings["metavar"] = option.flag.strip("-").upper().replace("-", "_")
                    group.add_argument(option.flag, dest=option.name, help=text.strip(), **settings)
    command.set_defaults(whole_defaults=defaults, patch_defaults=patches)


def training_flags(args: argparse.Namespace) -> list[str]:
    """Return the flags of the hyperparameters that were given in ``args``."""
    return [option.flag for options in OPTIONS.values() for option in options if option.name in args]


def flags_of_whole(args: argparse.Namespace) -> list[str]:
    """Return the flags given in ``args`` that an ImageEncoder does not have."""
    every = [option for options in OPTIONS.values() for option in options]
    return [option.flag for option in every if option.name in args and option.name not in OF_PATCHES]


def _shown(name: str, defaults: Mapping[str, Any], patches: Mapping[str, Any] | None) -> str:
    """The default of an option as its help shows it; nothing for a switch."""
    whole = _as_given(defaults[name])
    if patches is None or name not in patches or _as_given(patches[name]) == whole:
        return whole
    own = "by the number of photos" if patches[name] is None else _as_given(patches[name])
    return f"{own}; with --whole {whole}"


def _as_given(value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, bool):
        return ""
    return "0" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


# ---- errors


def in_flags(text: str, flags: Mapping[str, str]) -> str:
    """Return an error of the estimators in the words of the command line.

    ``n_units=256`` becomes ``--units 256``, ``unit_norm=True`` becomes ``--unit-norm``.  Where a
    hyperparameter has no flag, its value alone is left.

    Parameters
    ----------
    text : str
    flags : mapping
        The flag of each argument of the command, by the argument's name in Python.
    """
    known = {**dict.fromkeys(NO_FLAG_NEEDED, ""), **flags}
    names = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    value = r"'[^']*'|\"[^\"]*\"|\([^)]*\)|-?[\w+-]+(?:\.\d[\w+-]*)?"

    def spelt(found: re.Match[str]) -> str:
        flag, given = known[found[1]], found[2].strip("'\"")
        if given in ("True", "False"):
            return f"no {flag}" if given == "False" else flag
        return f"{flag} {'0' if given == 'None' else given}".strip()

    text = re.sub(rf"(?<![\w./-])({names})=({value})", spelt, text)
    words = "|".join(name for name in flags if "_" in name or name in ("l1", "kl", "rho", "tol"))
    if not words:
        return text
    return re.sub(rf"(?<![\w./-])({words})(?![\w/=-]|\.\w)", lambda found: flags[found[1]], text)
