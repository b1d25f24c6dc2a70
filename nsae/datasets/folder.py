"""Where data sets are kept."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Return the folder of data sets: ``$NSAE_DATA`` if it is set, otherwise ``nsae`` in the user's cache folder."""
    if os.environ.get("NSAE_DATA"):
        return Path(os.environ["NSAE_DATA"]).expanduser()
    cache = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nsae"
