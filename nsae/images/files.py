"""Image files: finding them in a folder, and reading them as arrays of floats.

Pillow decodes.  What is settled here is what an array means, whatever the file was: upright, over
white, in [0, 1], its whole content kept; and that one bad file among thousands is reported, not fatal.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import numpy as np

from nsae.errors import ImageReadError, require

OnError = Callable[[ImageReadError], object]

# HEIC is here although Pillow needs a plugin for it: a photo that is reported as unreadable is better
# than one that is passed over without a word.
EXTENSIONS = frozenset(
    ".avif .bmp .dib .gif .heic .heif .ico .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pcx .pgm .png "
    ".pnm .ppm .tga .tif .tiff .webp".split()
)

_quieted = threading.Lock()


def find_images(root: str | os.PathLike, *, on_error: OnError | None = None) -> list[Path]:
    """The image files under ``root``, sorted by path.

    A folder is searched with all its subfolders, and its files are known by their extension (in any
    case).  Names that begin with a dot are skipped.  Links to files are followed; links to folders are
    not, so that no loop, and nothing outside of ``root``, is walked.  Where ``root`` is a file, it is
    the one result, whatever its name.

    Raises FileNotFoundError if ``root`` does not exist.  A folder that cannot be listed, or
    not be entered, is given to ``on_error`` as an :class:`ImageReadError`, which is raised where ``on_error``
    is None.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist. Give a folder of images, or one image file.")
    if not root.is_dir():
        return [root]

    def unlisted(error: OSError) -> None:
        _report(ImageReadError(error.filename, f"the folder cannot be listed ({error.strerror})"), on_error)

    found = []
    for folder, subfolders, names in os.walk(root, onerror=unlisted):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") or path.suffix.lower() not in EXTENSIONS:
                continue
            try:
                if path.is_file():
                    found.append(path)
            except OSError as error:  # its folder may be listed, but not entered
                _report(ImageReadError(path, f"the file cannot be looked at ({error.strerror})"), on_error)
    return sorted(found)


def id_of(path: str | os.PathLike, root: str | os.PathLike | None) -> str:
    """A photo's id: its path below ``root``, the folder that was indexed, however that is spelt or linked.

    Of a photo elsewhere, or where ``root`` is None, its absolute path.
    """
    path = Path(path)
    real = Path(os.path.realpath(path.parent), path.name)  # a link to a photo is a photo of its own
    if root is not None and real.is_relative_to(root):
        return real.relative_to(root).as_posix()
    return os.fspath(real)


def load_image(path: str | os.PathLike, *, side: int | None = None, color: bool = True) -> np.ndarray:
    """One image as float32 in [0, 1]: (H, W, 3), or (H, W) for ``color=False``.

    The picture is turned upright by its EXIF orientation, and laid over white where it is transparent.
    16-bit grey is divided by 65535.  Grey in floats is taken as it is within [0, 1] and divided by 255
    within [0, 255].  Of an animation or a file of many pages, the first is read.  Colour becomes grey
    by the luma weights of ITU-R 601.  Colour profiles are not applied.

    With ``side``, the result is (side, side[, 3]): the whole picture, stretched to a square.

    Raises :class:`ImageReadError` for anything that keeps the file from being read, and ValueError if
    ``side`` is less than 1.
    """
    _check_side(side)
    Image = require("PIL.Image", "images", "reading images")
    try:
        plain = _upright_and_plain(Image, path, color, side)
        if side is not None:
            plain = _square(Image, plain, side)
        pixels = np.asarray(plain, dtype=np.float32)  # (H, W[, 3])
        if plain.mode == "F":
            return np.repeat(pixels[:, :, None], 3, axis=2) if color else pixels.copy()
        return pixels / np.float32(255)
    except Exception as error:  # decoders meet damaged bytes with almost any exception
        raise ImageReadError(path, _reason(Image, path, error)) from error


def load_thumbnail(path: str | os.PathLike, longest: int) -> np.ndarray:
    """One image as uint8 (H, W, 3), upright and in its own proportions, no side longer than ``longest``.

    Smaller images stay as they are.  Errors and what is read are those of :func:`load_image`.
    """
    _check_side(longest)
    Image = require("PIL.Image", "images", "reading images")
    try:
        plain = _upright_and_plain(Image, path, True, longest)
        if plain.mode == "F":  # grey of more than 8 bits, in [0, 1]
            plain = Image.fromarray(np.rint(np.asarray(plain) * 255).astype(np.uint8)).convert("RGB")
        plain.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(plain)  # (H, W, 3)
    except Exception as error:  # decoders meet damaged bytes with almost any exception
        raise ImageReadError(path, _reason(Image, path, error)) from error


def iter_images(
    paths: Iterable[str | os.PathLike],
    *,
    side: int | None,
    color: bool = True,
    on_error: OnError | None = None,
    n_threads: int | None = None,
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield ``(path, image)`` in the order of ``paths``, decoded by ``n_threads`` threads (None: one a CPU).

    Images are as :func:`load_image` gives them.  The threads run ahead by a few images and no more, so
    a folder of any size needs little memory.  A file that cannot be read is given to ``on_error`` as an
    :class:`ImageReadError`, and left out; where ``on_error`` is None, the error is raised.

    Raises TypeError if ``paths`` is a single path, and ValueError if ``side`` or ``n_threads`` is less
    than 1.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(
            f"paths is the single path {paths!r}. Give a list of files, such as find_images(...)."
        )
    _check_side(side)
    n_threads = _cpus() if n_threads is None else n_threads
    if n_threads < 1:
        raise ValueError(f"n_threads={n_threads} was given. Use 1 or more, or None for one a CPU.")
    require("PIL.Image", "images", "reading images")  # here, and not as an error of each file
    return _decoded(map(Path, paths), side, color, on_error, n_threads)


def load_images(
    paths: Iterable[str | os.PathLike],
    *,
    side: int,
    color: bool = True,
    on_error: OnError | None = None,
    n_threads: int | None = None,
) -> tuple[np.ndarray, list[Path]]:
    """The images that could be read, float32 (n, side, side, 3) or (n, side, side), and their n paths.

    Both are in the order of ``paths``.  Arguments and errors are those of :func:`iter_images`; ``side``
    is required, since images of many shapes do not fit one array.
    """
    if side is None:
        raise ValueError("side=None was given. Images fit one array only at one size, for example side=64.")
    paths = paths if isinstance(paths, (str, bytes, os.PathLike)) else list(paths)
    images = iter_images(paths, side=side, color=color, on_error=on_error, n_threads=n_threads)
    stacked = np.empty((len(paths), side, side, 3) if color else (len(paths), side, side), np.float32)
    kept = []
    for path, image in images:
        stacked[len(kept)] = image  # (side, side[, 3])
        kept.append(path)
    return stacked[: len(kept)], kept


def _decoded(paths, side, color, on_error, n_threads):
    """The body of ``iter_images``, apart from it so that arguments are checked before the first image."""
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="nsae-image")

    def submit(path):
        return path, pool.submit(load_image, path, side=side, color=color)

    try:
        waiting = deque(map(submit, islice(paths, 2 * n_threads)))
        while waiting:
            path, future = waiting.popleft()
            try:
                image = future.result()
            except ImageReadError as error:
                _report(error, on_error)
                image = None
            waiting.extend(map(submit, islice(paths, 1)))
            if image is not None:
                yield path, image
    finally:  # also when the caller stops early
        pool.shutdown(cancel_futures=True)


@contextmanager
def _quiet():
    """No warnings of Pillow: of an image that is only large, or EXIF tags that are odd.

    The filters of ``warnings`` belong to the whole process, so one thread at a time may change them.
    Only headers are read in here, and pixels are decoded outside.
    """
    with _quieted, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(Image, path):
    """``Image.open`` for every format but the one that starts a program."""
    with _quiet():
        Image.init()
        # A file is known by its content, so one named .jpg may be PostScript, which runs Ghostscript.
        image = Image.open(path, formats=[name for name in Image.OPEN if name != "EPS"])
        if image.format == "TIFF":  # its decoder reads the EXIF block too, and would warn later
            with suppress(Exception):
                image.getexif()
        return image


def _upright_and_plain(Image, path, color: bool, side: int | None):
    """The file's picture, in a mode of :func:`_plain`; of no more than ``side`` pixels it stays sharp."""
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError("not a regular file")  # opening a pipe would wait for ever
    with _open(Image, path) as image:
        if side is not None:  # a JPEG can be decoded at 1/2, 1/4 or 1/8; twice what is needed stays sharp
            image.draft("RGB" if color else "L", (2 * side, 2 * side))
        image.load()
        return _plain(Image, _upright(Image, image), color)


def _upright(Image, image):
    """``image``, decoded, turned as its EXIF orientation says.

    ``ImageOps.exif_transpose`` also rewrites the EXIF block, and fails where another tag is malformed.
    """
    orientation = None
    with _quiet(), suppress(Exception):  # a damaged EXIF block is no reason to lose the picture
        orientation = image.getexif().get(0x0112)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _plain(Image, image, color: bool):
    """``image`` in mode F in [0, 1] if it has more than 8 bits of grey, else in mode RGB, or L for grey."""
    if image.mode.startswith("I"):  # I;16, I;16B, and I, which holds 16 bits in PNG and PGM
        # convert("L") would cut at 255 instead of scaling
        return Image.fromarray(_scaled(np.asarray(image), 65535))
    if image.mode == "F":
        values = np.asarray(image)  # (H, W)
        return Image.fromarray(_scaled(values, 1 if values.max() <= 1 else 255))
    if image.has_transparency_data:
        if image.mode == "La":  # multiplied by its alpha already
            image = image.convert("LA")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")  # the one mode that all others convert to
    return image if color else image.convert("L")


def _scaled(values: np.ndarray, top: int) -> np.ndarray:
    """``values / top`` as float32 (H, W); ValueError if any lies outside [0, top]."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # written so that NaN is refused
        raise ValueError(f"grey values from {low:g} to {high:g}, where 0 to {top} was expected")
    return np.divide(values, top, dtype=np.float32)


def _square(Image, image, side: int):
    """``image`` at (side, side).

    It is stretched: a centre crop would lose what is at the edges, and bars would be read as content.
    Bilinear with Pillow's antialiasing averages all pixels under each new one and, unlike bicubic or
    Lanczos, never overshoots [0, 1].  Large reductions go through a box average first, for speed.
    """
    return image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _reason(Image, path, error: Exception) -> str:
    """One line on why ``path`` could not be read."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if os.path.isdir(path):
        return "a folder, where an image file was expected; find_images lists the images in it"
    if isinstance(error, PermissionError):
        return "no permission to read the file"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels ({_line(error)}); raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a format that Pillow reads" if os.path.getsize(path) else "the file is empty"
    return f"damaged, cut short, or of an unknown kind: {_line(error)}"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _report(error: ImageReadError, on_error: OnError | None) -> None:
    if on_error is None:
        raise error
    on_error(error)


def _check_side(side: int | None) -> None:
    if side is not None and side < 1:
        raise ValueError(f"side={side} was given. Use the number of pixels, 1 or more.")


def _cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
