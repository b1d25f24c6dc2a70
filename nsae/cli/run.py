"""The command line: ``nsae COMMAND``, or ``python -m nsae COMMAND``.

Exit codes: 0 fine, 1 error, 2 usage, 130 interrupted (what was finished is saved).  ``nsae same`` has 1 for
"different" and 2 for an error.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from nsae.cli import make
from nsae.cli.inputs import limit_pixels
from nsae.cli.outputs import any_streams, printable
from nsae.cli.parser import build_parser
from nsae.cli.training_options import in_flags
from nsae.errors import UsageError

EXPECTED = (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError)  # they say what to do


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    No error ends in a traceback: it is one line on stderr, and ``--debug`` shows the rest.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``nsae``; those of this process by default.
    """
    any_streams()
    args = build_parser().parse_args(argv)
    try:
        if getattr(args, "max_pixels", None):
            limit_pixels(args.max_pixels)
        with warnings.catch_warnings():
            warnings.showwarning = _warnings_in_a_line(args.flags)
            code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as stopped:
        print(f"nsae: interrupted {stopped}".rstrip(), file=sys.stderr)
        return make.INTERRUPTED
    except BrokenPipeError:  # The reader has seen enough (| head): the flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        _complain(error, args)
        return 2 if isinstance(error, UsageError) else getattr(args, "error_code", 1)


def _warnings_in_a_line(flags: Mapping[str, str]) -> Any:
    """Return what prints a warning: one line, in the words of the command, without its place in the code."""

    def show(message: Warning | str, *_: object) -> None:
        print(f"nsae: warning: {printable(in_flags(str(message), flags))}", file=sys.stderr)

    return show


def _complain(error: Exception, args: argparse.Namespace) -> None:
    """Say in one line what went wrong."""
    if args.debug:
        traceback.print_exception(error)
    kind = type(error).__name__
    text = in_flags(_said(error), args.flags) or kind
    if not isinstance(error, EXPECTED):
        text = f"{kind}: {text}. This is a fault of nsae itself; --debug shows where it is."
    print(f"nsae: error: {printable(text)}", file=sys.stderr)


def _said(error: Exception) -> str:
    """Return the text of ``error``; where it is the system's, without its number, and with what to do."""
    text = str(error)
    if not isinstance(error, OSError) or not text.startswith("[Errno "):
        return text
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    if isinstance(error, PermissionError):
        return f"{where}{error.strerror}. Choose another place, or change who may write there."
    return f"{where}{error.strerror}."
