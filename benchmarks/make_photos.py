"""Make the photos that come with nsae: the 24 Kodak photographs, small.

    python benchmarks/make_photos.py kodak.tar nsae/datasets/kodak

kodak.tar holds 01.png to 24.png, of 768 × 512 or 512 × 768 pixels.  Kodak has released them for unrestricted usage
(https://r0k.us/graphics/kodak/).  Other versions of Pillow write other bytes of the same pictures.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from pathlib import Path

from helpers import usage
from PIL import Image

SIDE = 160  # pixels of the longer side
QUALITY = 90  # of JPEG
NAMES = """
01_brick_house 02_red_door 03_caps 04_red_hat 05_motorcycles 06_boat_at_anchor 07_window 08_timbered_houses
09_sailing_boats 10_sailing_boat 11_boat_at_pier 12_couple_on_beach 13_mountain_stream 14_rafting 15_painted_face
16_island 17_statue 18_woman_in_garden 19_lighthouse 20_airplane 21_lighthouse 22_red_barn 23_parrots
24_painted_house
""".split()


def make_photos(archive: Path, folder: Path) -> list[Path]:
    """Write each photo of the archive into the folder, and return their paths."""
    made = []
    with tarfile.open(archive) as tar:
        for name in NAMES:
            member = tar.extractfile(f"{name[:2]}.png")
            photo = Image.open(io.BytesIO(member.read())).convert("RGB")
            photo.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            made.append(folder / f"{name}.jpg")
            photo.save(made[-1], quality=QUALITY, optimize=True)
    return made


def main(argv: list[str] | None = None) -> int:
    """Make them, and print their number and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="kodak.tar")
    parser.add_argument(
        "folder", type=usage.new_folder, help="where the photos go; those of these names are replaced"
    )
    usage.add_debug(parser)
    args = parser.parse_args(argv)
    made = make_photos(args.archive, args.folder)
    print(f"{len(made)} photos, {sum(path.stat().st_size for path in made):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
