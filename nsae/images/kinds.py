"""Kinds of image files: those that can be read here, and what reads the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import PurePath
from typing import NamedTuple

# Every build of Pillow reads these.
EXTENSIONS = frozenset(
    ".bmp .dib .gif .ico .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pcx .pgm .png .pnm .ppm .tga .tif .tiff".split()
)


class Kind(NamedTuple):
    """A kind of files that Pillow reads in some builds, or with a plugin, or not at all."""

    name: str
    extensions: frozenset[str]
    format: str  # Pillow's name of it; "" where there is none
    plugin: str  # a module that makes Pillow read it; "" where there is none
    way_out: str  # what makes it readable


KINDS = (
    Kind("WebP", frozenset([".webp"]), "WEBP", "", "Pillow reads them: pip install --upgrade pillow"),
    Kind(
        "AVIF",
        frozenset([".avif"]),
        "AVIF",
        "pillow_avif",
        "Pillow from 11.3 on reads them, or pillow-avif-plugin: pip install --upgrade pillow",
    ),
    Kind(
        "HEIC",
        frozenset([".heic", ".heif", ".hif"]),
        "HEIF",
        "pillow_heif",
        "pillow-heif reads them: pip install pillow-heif",
    ),
    Kind(
        "JPEG XL",
        frozenset([".jxl"]),
        "JXL",
        "pillow_jxl",
        "pillow-jxl-plugin reads them: pip install pillow-jxl-plugin",
    ),
    Kind(
        "camera raw",
        frozenset(
            ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 "
            ".rwl .sr2 .srf .srw .x3f".split()
        ),
        "",
        "",
        "rawpy and camera programs read them: save them as JPEG or TIFF",
    ),
)
# How files of these kinds begin, after a box's length of 4 bytes: so they are known under any name.
BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
    b"avif": "AVIF",
}
JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")


@cache
def register_plugins() -> None:
    """Make Pillow read the kinds whose plugins are installed."""
    for kind in KINDS:
        if not kind.plugin or _pillow_reads(kind.format):
            continue
        try:
            plugin = importlib.import_module(kind.plugin)
        except ImportError:
            continue
        if kind.plugin == "pillow_heif":  # The others register themselves when they are imported.
            plugin.register_heif_opener()
    _readable.cache_clear()


def readable_extensions() -> frozenset[str]:
    """Return the extensions, in small letters, of the image files that can be read here."""
    register_plugins()
    return EXTENSIONS.union(*(kind.extensions for kind in _readable()))


def other_kind(path: PurePath | str) -> Kind | None:
    """Return the kind that the name ``path`` says, if it is one that cannot be read here."""
    suffix = PurePath(path).suffix.lower()
    register_plugins()
    return next((kind for kind in KINDS if suffix in kind.extensions and kind not in _readable()), None)


def kind_of_content(start: bytes) -> Kind | None:
    """Return the kind of a file by its first 12 bytes, ``start``, if it is one that cannot be read here."""
    name = (
        "JPEG XL" if start.startswith(JPEG_XL) else BRANDS.get(start[8:12] if start[4:8] == b"ftyp" else b"")
    )
    register_plugins()
    return next((kind for kind in KINDS if kind.name == name and kind not in _readable()), None)


def left_out(names: Iterable[PurePath | str]) -> list[str]:
    """Return a line for each kind among the files of these ``names`` that cannot be read here."""
    counts: dict[Kind, int] = {}
    for name in names:
        if (kind := other_kind(name)) is not None:
            counts[kind] = counts.get(kind, 0) + 1
    return [
        f"{count} {kind.name} {'file is' if count == 1 else 'files are'} left out. {kind.way_out}."
        for kind, count in counts.items()
    ]


@cache
def _readable() -> frozenset[Kind]:
    return frozenset(kind for kind in KINDS if _pillow_reads(kind.format))


def _pillow_reads(format: str) -> bool:
    """Whether Pillow, as it is built and with the plugins that are imported, opens a format."""
    try:
        from PIL import Image, features
    except ImportError:
        return False
    Image.init()
    if format in ("WEBP", "AVIF") and features.check(format.lower()):
        return True
    # Pillow lists these two also where it cannot read them; a plugin's opener is another one.
    opener = Image.OPEN.get(format, (None,))[0]
    return opener is not None and not getattr(opener, "__module__", "").startswith("PIL.")
