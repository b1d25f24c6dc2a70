"""``nsae read``: the equations beside the code, as one page in the browser."""

from __future__ import annotations

import argparse
from argparse import Namespace

from nsae.cli import options
from nsae.cli.command import Add, new_command
from nsae.cli.outputs import check_file
from nsae.study.page import LANGUAGES, open_page, write_page


def add_read(add: Add) -> argparse.ArgumentParser:
    """Add the command to a parser's commands, by its ``add``."""
    what = "open a page with each equation beside its code and its test, to study from"
    command = new_command(add, "read", read, what, json=False)
    command.add_argument(
        "-o", "--output", dest="target", metavar="FILE", help="write the page to FILE and open nothing"
    )
    command.add_argument(
        "--language", choices=LANGUAGES, default=LANGUAGES[0], help="what the page begins with (%(default)s)"
    )
    options.force(command)
    return command


def read(args: Namespace) -> int:
    """Open the page, or write it to a file, and print where it is: ``nsae read`` with ``args``."""
    if args.target:
        target = check_file(args.target, args.force)
        print(f"wrote {write_page(target, language=args.language, overwrite=args.force)}")
        return 0
    path, opened = open_page(args.language)
    print(path if opened else f"No browser was found. Open this file in one: {path}")
    return 0
