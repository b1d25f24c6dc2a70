"""A process that judges one file: what a learner wrote may run for ever, exit, or crash, and only this ends.

``check.py`` starts it, with its instructions as JSON; the verdict goes to a file.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from nsae.study.exercises.exercise import Exercise
from nsae.study.exercises.judge import WRONG, FileVerdict, Verdict, judge_file
from nsae.study.exercises.learner_file import line_text
from nsae.study.exercises.tasks import EXERCISES


def main(instructions: str) -> None:
    """Judge a file, and write the verdict.

    Parameters
    ----------
    instructions : str
        JSON with the number of the exercise, the file, the seconds that a call may take, and where the verdict goes.
    """
    order = json.loads(instructions)
    exercise: Exercise = EXERCISES[order["number"] - 1]
    path, target = Path(order["file"]), Path(order["verdict"])
    sys.path.append(
        str(path.parent)
    )  # a learner may import helpers of their own; the end, so that they hide nothing
    watch = Watch(path, float(order["seconds"]), target)
    try:
        verdict = judge_file(exercise, path, watch.limit)
    except Exception as error:
        text = f"It could not be judged: {type(error).__name__}: {error}. This is a fault of nsae itself."
        verdict = FileVerdict(WRONG, [Verdict(path.name, WRONG, [], [text])], [])
    _write(target, verdict)


class Watch:
    """Ends the process if what a learner wrote takes too long, and says where it was.

    Parameters
    ----------
    path : Path
        The learner's file.
    seconds : float
        How long one call may take.
    target : Path
        Where the verdict goes.
    """

    def __init__(self, path: Path, seconds: float, target: Path):
        self.path, self.seconds, self.target = path, seconds, target

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Run a block for at most ``seconds``."""
        timer = threading.Timer(self.seconds, self._end, [threading.main_thread().ident])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self, thread: int) -> None:
        frame: FrameType | None = sys._current_frames().get(thread)
        where = 0
        while frame is not None and not where:
            where = frame.f_lineno if frame.f_code.co_filename == self.path.name else 0
            frame = frame.f_back
        lines = self.path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        at = f" It was in line {where}, `{line_text(lines, where)}`." if where else ""
        text = f"It did not end within {self.seconds:g} seconds.{at} Is there a loop without an end?"
        _write(self.target, FileVerdict(WRONG, [Verdict(self.path.name, WRONG, [], [text])], []))
        os._exit(0)


def _write(target: Path, verdict: FileVerdict) -> None:
    beside = target.with_suffix(".part")
    beside.write_text(json.dumps(verdict.as_json()), encoding="utf-8")
    os.replace(beside, target)
