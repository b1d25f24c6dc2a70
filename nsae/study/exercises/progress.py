"""How far a learner is: a small JSON file in the folder of exercises."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any, NamedTuple

from nsae.study.exercises.exercise import Exercise
from nsae.study.exercises.judge import NOT_WRITTEN, RIGHT, WRONG, FileVerdict
from nsae.study.exercises.tasks import EXERCISES
from nsae.system.storage import atomic_file

FILE = "progress.json"


class Progress(NamedTuple):
    """What is known of each exercise, by its number as text.

    Attributes
    ----------
    exercises : dict
        Of each: "state", as in the last check; "checks", how often it was checked; "right_since", the day.
    damaged : bool
        Whether there was a file that could not be read.
    """

    exercises: dict[str, dict[str, Any]]
    damaged: bool = False

    @classmethod
    def load(cls, folder: Path) -> Progress:
        """Return the progress that is kept in a ``folder``."""
        try:
            kept = json.loads((folder / FILE).read_text(encoding="utf-8"))["exercises"]
            known = {str(exercise.number) for exercise in EXERCISES}
            return cls({number: _understood(one) for number, one in kept.items() if number in known})
        except FileNotFoundError:
            return cls({})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls({}, damaged=True)

    def save(self, folder: Path) -> None:
        """Write it to a ``folder``."""
        text = json.dumps({"version": 1, "exercises": self.exercises}, indent=1)
        with atomic_file(folder / FILE, overwrite=True) as file:
            file.write(f"{text}\n".encode())

    def note(self, exercise: Exercise, verdict: FileVerdict) -> None:
        """Keep the ``verdict`` on an ``exercise``."""
        known = self.exercises.setdefault(str(exercise.number), _nothing())
        known["state"] = verdict.state
        known["checks"] += verdict.state != NOT_WRITTEN
        if verdict.state == RIGHT:
            known["right_since"] = known["right_since"] or datetime.date.today().isoformat()
        else:
            known["right_since"] = None

    def state(self, exercise: Exercise) -> str:
        """Return the state of an ``exercise`` as of its last check."""
        return str(self.exercises.get(str(exercise.number), _nothing())["state"])

    def table(self) -> list[str]:
        """Return a line for each exercise: number, name, equations, state."""
        titles = max(len(exercise.title) for exercise in EXERCISES)
        numbers = max(len(exercise.equations) for exercise in EXERCISES)
        return [
            f"{e.number:>2}  {e.title:<{titles}}  {e.equations:<{numbers}}  {self.state(e)}"
            for e in EXERCISES
        ]


def _understood(kept: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an exercise; a ValueError if it is not what is written here."""
    if kept["state"] not in (RIGHT, WRONG, NOT_WRITTEN):
        raise ValueError(f"state {kept['state']!r}")
    return {"state": kept["state"], "checks": int(kept["checks"]), "right_since": kept.get("right_since")}


def _nothing() -> dict[str, Any]:
    return {"state": NOT_WRITTEN, "checks": 0, "right_since": None}
