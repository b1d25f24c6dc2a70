"""Check the files of a folder, each in a process of its own, and keep what is reached."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from nsae.study.exercises.exercise import Exercise
from nsae.study.exercises.judge import NOT_WRITTEN, WRONG, FileVerdict, Verdict
from nsae.study.exercises.template import file_text

SECONDS = 10.0  # that one call of a learner's function may take
START = 60.0  # seconds for all else: starting Python on a busy machine, and trying mistakes
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nsae.study.exercises.child import main; main(sys.argv[2])"
)


def check(exercise: Exercise, folder: Path, *, seconds: float = SECONDS) -> FileVerdict:
    """Return the verdict on the learner's file for an ``exercise`` in a ``folder``.

    The file is run in a process of its own, in which a call may take so many ``seconds``.
    """
    path = folder / exercise.file
    if _untouched(exercise, path):
        return FileVerdict(
            NOT_WRITTEN, [Verdict(task.name, NOT_WRITTEN, [], []) for task in exercise.tasks], []
        )
    with tempfile.TemporaryDirectory() as work:
        target = Path(work, "verdict.json")
        order = {
            "number": exercise.number,
            "file": str(path.resolve()),
            "seconds": seconds,
            "verdict": str(target),
        }
        command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), json.dumps(order)]
        try:
            process = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=START + seconds * (len(exercise.tasks) * 8),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _ended(path, "It did not end. Is there a loop without an end?")
        if not target.exists():
            said = process.stderr.decode(errors="replace").strip().splitlines()[-1:]
            return _ended(
                path, f"It ended Python itself, with the code {process.returncode}. {' '.join(said)}".strip()
            )
        return FileVerdict.from_json(json.loads(target.read_text(encoding="utf-8")))


def _untouched(exercise: Exercise, path: Path) -> bool:
    """Whether a file is as it was made, so that there is nothing to run."""
    try:
        return path.read_bytes().replace(b"\r\n", b"\n") == file_text(exercise).encode()
    except OSError:
        return False


def _ended(path: Path, text: str) -> FileVerdict:
    return FileVerdict(WRONG, [Verdict(path.name, WRONG, [], [text])], [])
