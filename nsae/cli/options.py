"""Options that several commands have, and what their values may be."""

from __future__ import annotations

import argparse

DATA_HELP = "a folder of images, one image, a .npy file of rows, or a data set: glyphs, mnist, fashion-mnist"


def output(command: argparse.ArgumentParser, example: str) -> None:
    """Add -o and --force to ``command``; ``example`` is a name that such an output may have."""
    command.add_argument(
        "-o", "--output", dest="target", required=True, metavar="FILE", help=f"such as {example}"
    )
    force(command)


def force(command: argparse.ArgumentParser) -> None:
    """Add --force to ``command``."""
    command.add_argument("--force", action="store_true", help="replace an output that exists")


def reading(command: argparse.ArgumentParser, *, strict: bool = True) -> None:
    """Add --max-pixels, and --strict where it is wanted, to a ``command`` that reads images."""
    if strict:
        command.add_argument("--strict", action="store_true", help="fail if any image cannot be read")
    command.add_argument(
        "--max-pixels",
        type=count,
        metavar="N",
        help="read images of up to this many pixels (some 179 million; most JPEGs of any size are read)",
    )


def index(command: argparse.ArgumentParser) -> None:
    """Add -i and --root to ``command``."""
    command.add_argument("-i", "--index", required=True, metavar="INDEX", help="a folder from 'nsae index'")
    command.add_argument(
        "--root", metavar="FOLDER", help="where the photos of the index are now, if their folder has moved"
    )


def count(text: str) -> int:
    """Return a number of at least 1; argparse's error if ``text`` is none."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is expected to be a whole number, 1 or more")
    return number


def shape(text: str) -> tuple[int, int]:
    """Return the height and width in a ``text`` such as 28x20; argparse's error if it is none."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is expected to be a height and a width, such as 28x20")
    return int(height), int(width)


def count_or_none(text: str) -> int | None:
    """Return a number of at least 1, or None for 0; argparse's error if ``text`` is neither."""
    return None if text.strip() == "0" else count(text)


def units(text: str) -> list[int]:
    """Return the numbers in a ``text`` such as 18,54; argparse's error if there is anything else in it."""
    try:
        return [int(unit) for unit in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is expected to be unit numbers, such as 18,54") from None
