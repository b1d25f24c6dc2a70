"""``nsae filters``: a picture of what the units of a model stand for."""

from __future__ import annotations

import argparse
import math
from argparse import Namespace

from nsae import plots
from nsae.cli import options
from nsae.cli.command import Add, new_command
from nsae.cli.outputs import check_picture, save_picture
from nsae.images.load_encoder import load_encoder
from nsae.models.encoder import Encoder


def add_filters(add: Add) -> argparse.ArgumentParser:
    """Add the command to a parser's commands, by its ``add``."""
    what = "draw the patterns of a model's units, each with its number and its scale"
    command = new_command(add, "filters", draw_filters, what, json=False)
    command.add_argument("model", help="a model file, from 'nsae train'")
    command.add_argument(
        "-o",
        "--output",
        dest="target",
        metavar="PNG",
        default="filters.png",
        help="the picture (%(default)s)",
    )
    command.add_argument(
        "--units", type=options.units, metavar="3,18", help="these units, instead of the first"
    )
    command.add_argument(
        "--rows", type=options.count, default=8, metavar="N", help="N side by side (%(default)s)"
    )
    command.add_argument(
        "--shape",
        dest="image_shape",
        type=image_shape,
        metavar="HxW",
        help="of a pattern, such as 8x12 or 8x8x3; by default a square",
    )
    options.force(command)
    return command


def draw_filters(args: Namespace) -> int:
    """Draw the patterns of a model's units: ``nsae filters`` with ``args``."""
    target = check_picture(args.target, args.force)
    encoder = load_encoder(args.model)
    if not isinstance(encoder, Encoder):
        raise ValueError(
            f"{args.model} is an encoder of images by patches: its units have no pattern of their own. 'nsae units' "
            "shows the photos of an index in which a unit is active. A model from 'nsae train' was expected."
        )
    shape = args.image_shape
    if shape is not None and math.prod(shape) != encoder.n_features:
        raise ValueError(
            f"--shape {'x'.join(map(str, shape))} has {math.prod(shape)} numbers, and a pattern of this model has "
            f"{encoder.n_features}. Give HEIGHTxWIDTH, or HEIGHTxWIDTHx3."
        )
    figure = plots.filters(encoder, shape, units=args.units, rows=args.rows)
    save_picture(figure, target, args.force)
    print(f"wrote {target}")
    return 0


def image_shape(text: str) -> tuple[int, ...]:
    """Return the numbers of a ``text`` such as 8x12; argparse's error if it is something else."""
    parts = text.lower().split("x")
    if len(parts) not in (2, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is expected as HEIGHTxWIDTH, such as 8x12, or 8x8x3")
    return tuple(int(part) for part in parts)
