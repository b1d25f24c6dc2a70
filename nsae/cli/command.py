"""How a command is added to the command line: its name, its help, and what it runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Add = Callable[..., argparse.ArgumentParser]  # add_parser of the commands


def new_command(
    add: Add,
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    *,
    json: bool = True,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command to the commands of a parser and return its own parser.

    Parameters
    ----------
    add : callable
        ``add_parser`` of the commands.
    name : str
    run : callable
        It takes the parsed arguments and returns the exit code.
    what : str
        What the command does, in a few words that begin with a verb.
    json : bool
        Whether there is --json.
    epilog : str, optional
        What stands below the help, with its lines as they are.
    """
    form = argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter
    text = what[0].upper() + what[1:] + "."
    command = add(name, help=what, description=text, epilog=epilog, formatter_class=form)
    command.set_defaults(run=run)
    if json:
        command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    command.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show where an error came from"
    )
    return command
