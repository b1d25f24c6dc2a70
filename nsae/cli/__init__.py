"""The command line, ``nsae COMMAND``: ``parser.py`` reads the words, the other files do what they ask."""

from nsae.cli.parser import main

__all__ = ["main"]
