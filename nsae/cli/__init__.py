"""The command line, ``nsae COMMAND``: ``parser.py`` reads the words, ``run.py`` runs what they ask for."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, as ``run.main`` does, also where Ctrl-C comes while that is loaded.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``nsae``; those of this process by default.
    """
    try:
        from nsae.cli import run
    except KeyboardInterrupt:
        print("nsae: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells have it
    return run.main(argv)
