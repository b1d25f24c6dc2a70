"""Check what is in the source archive and in the wheel.

    python .ci/archives.py DIST    the folder that holds both

The source archive has every file that git tracks.  The wheel has the package, whole, and nothing else.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main(folder: Path) -> int:
    """Return 1 and say what is wrong, or 0."""
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {name for name in listed.stdout.split("\0") if name}
    with tarfile.open(source) as archive:
        in_source = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {name for name in tracked if name.startswith("nsae/")}
    made = {name for name in in_source if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
    wrong = [
        *(f"{source.name}: {name} is not in it" for name in sorted(tracked - in_source)),
        *(
            f"{source.name}: {name} is in it, but git does not track it"
            for name in sorted(in_source - tracked - made)
        ),
        *(f"{wheel.name}: {name} is not in it" for name in sorted(package - in_wheel)),
        *(f"{wheel.name}: {name} is in it, but does not belong there" for name in sorted(in_wheel - package)),
    ]
    print("\n".join([*wrong, f"{source.name}: {len(in_source)} files; {wheel.name}: {len(in_wheel)} files"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
