"""The photos of ``nsae demo``: those that come with nsae, indexed by the encoder that comes with nsae, too."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nsae import plots
from nsae.cli.outputs import check_index, check_picture, save_picture
from nsae.datasets import photos
from nsae.images import ImageLibrary
from nsae.images.decoding import load_thumbnail
from nsae.images.load_encoder import PHOTOS, load_encoder
from nsae.system.storage import refuse_existing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUERIES = ("09_sailing_boats.jpg", "19_lighthouse.jpg", "04_red_hat.jpg", "08_timbered_houses.jpg")
N_HITS = 5
THUMBNAIL = 160  # pixels of the longer side


def check_places(folder: Path, overwrite: bool) -> None:
    """Raise an OSError if what :func:`index_photos` writes to ``folder`` is there, unless ``overwrite`` is true."""
    refuse_existing(folder / "photos", overwrite)
    check_index(folder / "photos.nsae", overwrite)
    check_picture(folder / "photos.png", overwrite)


def index_photos(folder: Path, say: Callable[[str], object], *, overwrite: bool = False) -> None:
    """Copy the photos of the package, index them, and draw the photos most similar to four of them.

    Parameters
    ----------
    folder : Path
        Gets the folder ``photos``, the index ``photos.nsae`` and the picture ``photos.png``.
    say : callable
        Is given what to print.
    overwrite : bool
        Replace what is there.
    """
    copies = folder / "photos"
    copies.mkdir(exist_ok=overwrite)
    for photo in photos():
        shutil.copyfile(photo, copies / photo.name)
    library = ImageLibrary(load_encoder(PHOTOS), copies)
    library.update()
    library.save(folder / "photos.nsae", overwrite=overwrite)
    save_picture(_draw_hits(library), folder / "photos.png", overwrite)
    say(
        f"{len(library)} photos are in {copies}, and indexed in {copies}.nsae, by the encoder that comes with nsae.\n"
        f"{copies}.png shows {len(QUERIES)} of them, each with the {N_HITS} most similar ones. Try:\n"
        f"    nsae similar {copies / QUERIES[0]} -i {copies}.nsae\n"
    )


def _draw_hits(library: ImageLibrary) -> Figure:
    """A row for each query, with the most similar photos and their distances."""

    def thumbnail(id: object) -> np.ndarray:
        return load_thumbnail(library.root / str(id), THUMBNAIL)

    found = [library.similar(library.root / query, N_HITS) for query in QUERIES]
    return plots.search_results(
        [thumbnail(query) for query in QUERIES],
        [[thumbnail(id) for id in hits.ids[0]] for hits in found],
        [hits.distances[0].tolist() for hits in found],
        names=[[Path(str(id)).stem for id in hits.ids[0]] for hits in found],
        row_titles=[Path(query).stem for query in QUERIES],
        title="Photos and those most similar to them, by the units that their sparse codes share (cosine distance)",
    )
