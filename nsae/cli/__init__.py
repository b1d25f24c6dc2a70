"""The command line, ``nsae COMMAND``: ``parser.py`` reads the words, ``run.py`` runs what they ask for."""

from nsae.cli.run import main

__all__ = ["main"]
