"""Photos that come with the package: the 24 Kodak photographs, small."""

from __future__ import annotations

from pathlib import Path


def photos() -> list[Path]:
    """Return the paths of 24 photos that come with nsae, in alphabetical order.

    These are the Kodak photographs, which Kodak has released for unrestricted usage, as JPEG files with 160
    pixels on the longer side.  They are part of the package, so do not change them; copy them.  The file
    ``kodak/README.md`` beside them tells where they are from.
    """
    return sorted((Path(__file__).parent / "kodak").glob("*.jpg"))
