"""``nsae learn``: a folder of exercises, what is wrong with the answers, and the solutions.

The exit code of a check is its answer: 0 all right, 1 not; 2 is an error.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, NamedTuple

from nsae.cli.command import Add, new_command
from nsae.cli.outputs import as_json, printable
from nsae.errors import UsageError
from nsae.study.exercises.check import SECONDS, check
from nsae.study.exercises.exercise import Exercise
from nsae.study.exercises.judge import NOT_WRITTEN, RIGHT, FileVerdict
from nsae.study.exercises.progress import Progress
from nsae.study.exercises.tasks import EXERCISES
from nsae.study.exercises.template import make_folder, solution_text

FOLDER = "nsae_exercises"
WIDTH = 100  # letters of a line at most
EXAMPLES = """examples:
  nsae learn                     make the folder nsae_exercises, with a small file for each exercise
  nsae learn check               check all files in order, and tell what is wrong with the first one that is
  nsae learn check 4             check one
  nsae learn check FOLDER 4      in another folder
  nsae learn --solution 4        show a solution of exercise 4, and the lines of nsae that compute it
"""


class Words(NamedTuple):
    """What the words after ``nsae learn`` ask for."""

    action: str  # "make", "check" or "solution"
    folder: Path
    number: int | None


def add_learn(add: Add) -> ArgumentParser:
    """Add the command to a parser's commands, by its ``add``."""
    what = "make exercises that know what you did wrong, check the answers, show solutions"
    command = new_command(add, "learn", learn, what, epilog=EXAMPLES)
    command.set_defaults(error_code=2)
    option = command.add_argument
    option(
        "words",
        nargs="*",
        metavar="check | solution | FOLDER | N",
        help=f"what to do, the folder ({FOLDER}), and the number of an exercise",
    )
    option("--solution", type=int, metavar="N", help="show a solution of exercise N")
    option(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="S",
        help="how long one call of a function may take (%(default)g)",
    )
    return command


def learn(args: Namespace) -> int:
    """Make exercises, check answers or show a solution: ``nsae learn`` with ``args``."""
    words = _understand(args.words, args.solution)
    if not args.seconds > 0:
        raise UsageError(f"--seconds {args.seconds:g}: a number above 0 is expected.")
    if words.action == "solution":
        return _show_solution(words, args.json)
    if words.action == "check":
        return _check(words, args)
    return _make(words.folder, args.json)


def _understand(words: list[str], solution: int | None) -> Words:
    """Return what is asked for; a UsageError where that is not clear."""
    left = list(words)
    action = next(
        (word for word in words[:2] if word in ("check", "solution")), "make"
    )  # check FOLDER, FOLDER check
    if action != "make":
        left.remove(action)
    folder, number = None, None
    for word in left:
        if word.isdigit() and number is None and action != "make":
            number = int(word)
        elif Path(word).suffix == ".py" and Path(word).name in _files() and folder is None and number is None:
            folder, number = str(Path(word).parent), _files()[Path(word).name]
        elif folder is None and not word.isdigit():
            folder = word
        else:
            raise UsageError(f"{' '.join(words)} is not understood. Examples are in: nsae learn --help")
    if solution is not None:
        action, number = "solution", solution
    if action == "solution" and number is None:
        raise UsageError("Which one? Give its number: nsae learn --solution 1")
    if number is not None and not 1 <= number <= len(EXERCISES):
        raise UsageError(f"There is no exercise {number}: they are numbered from 1 to {len(EXERCISES)}.")
    return Words(action, Path(folder) if folder is not None else _default_folder(action), number)


def _files() -> dict[str, int]:
    return {exercise.file: exercise.number for exercise in EXERCISES}


def _default_folder(action: str) -> Path:
    """Return the folder that is meant if none is named: this one, if the exercises are here, or FOLDER in it."""
    here = any(Path(name).exists() for name in _files()) and not Path(FOLDER).is_dir()
    return Path(os.curdir) if here else Path(FOLDER)


def _make(folder: Path, as_object: bool) -> int:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, where a folder was expected. Choose another name.")
    made, left = make_folder(folder)
    progress = Progress.load(folder)
    if as_object:
        print(as_json({"folder": str(folder), "made": made, "left": left, **_states(progress)}))
        return 0
    where = "this folder" if folder == Path(os.curdir) else printable(str(folder))
    if left:
        missing = f"; missing files were made: {len(made)}" if made else ""
        print(f"There are exercises in {where} already. They were left as they are{missing}.\n")
    else:
        print(f"Made {len(EXERCISES)} exercises in {where}.\n")
    print("\n".join(progress.table()))
    following = next((e for e in EXERCISES if progress.state(e) != RIGHT), None)
    if following:
        print(f"\n{'Next:' if left else 'Begin with'} {_shown(folder, following)}")
        print(f"Write the body of its functions. Then ask: {_command(folder, following.number)}")
    return 0


def _check(words: Words, args: Namespace) -> int:
    folder = words.folder
    if not any((folder / exercise.file).is_file() for exercise in EXERCISES):
        what = "are no exercises in" if folder.is_dir() else "is no folder"
        raise FileNotFoundError(f"There {what} {folder}. Make them with: nsae learn {folder}")
    progress = Progress.load(folder)
    if progress.damaged:
        print("nsae: progress.json could not be read, so it is begun anew.", file=sys.stderr)
    chosen = [e for e in EXERCISES if words.number in (None, e.number)]
    verdicts = []
    for exercise in chosen:
        verdict = check(exercise, folder, seconds=args.seconds)
        verdicts.append((exercise, verdict))
        progress.note(exercise, verdict)
    _keep(progress, folder)
    right = all(verdict.state == RIGHT for _, verdict in verdicts)
    if args.json:
        print(
            as_json(
                {
                    "folder": str(folder),
                    "right": right,
                    **_states(progress),
                    "checked": [{"number": e.number, "file": e.file, **v.as_json()} for e, v in verdicts],
                }
            )
        )
    else:
        _tell(folder, verdicts, progress)
    return int(not right)


def _keep(progress: Progress, folder: Path) -> None:
    try:
        progress.save(folder)
    except OSError as error:
        print(f"nsae: progress is not kept: {printable(str(error))}", file=sys.stderr)


def _tell(folder: Path, verdicts: list[tuple[Exercise, FileVerdict]], progress: Progress) -> None:
    """Print the details of the first file that is not right, and how far the learner is."""
    exercise, verdict = next(((e, v) for e, v in verdicts if v.state != RIGHT), verdicts[-1])
    print(f"{exercise.number}. {exercise.title}, {exercise.equations}: {verdict.state}\n")
    for function in verdict.functions:
        if len(verdict.functions) > 1:
            print(f"  {function.name}: {function.state}")
        print(*map(_paragraph, function.text), sep="", end="")
    if verdict.printed:
        print("  It printed:")
        print(*(f"    {printable(line)}\n" for line in verdict.printed), sep="", end="")
    if any(function.text for function in verdict.functions) or verdict.printed or len(verdict.functions) > 1:
        print()
    done = [e.number for e in EXERCISES if progress.state(e) == RIGHT]
    if len(verdicts) > 1:
        print("\n".join(progress.table()), end="\n\n")
    elif done:
        print(f"Right so far: {', '.join(map(str, done))} ({len(done)} of {len(EXERCISES)}).")
    print(_what_next(folder, exercise, verdict, progress))


def _what_next(folder: Path, exercise: Exercise, verdict: FileVerdict, progress: Progress) -> str:
    left = [e for e in EXERCISES if progress.state(e) != RIGHT]
    if not left:
        return "All exercises are right. Well done!"
    if verdict.state == RIGHT:
        later = next((e for e in left if e.number > exercise.number), left[0])
        return f"Well done! Next: {_shown(folder, later)}, then: {_command(folder, later.number)}"
    do = "Next: write" if verdict.state == NOT_WRITTEN else "Change"
    return f"{do} {_shown(folder, exercise)}, then: {_command(folder, exercise.number)}"


def _paragraph(line: str) -> str:
    """Return a sentence, cut into lines that fit the terminal."""
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    hanging = "      " if line.startswith("- ") else "    "
    cut = textwrap.wrap(printable(line), max(width, 40), initial_indent="    ", subsequent_indent=hanging)
    return "\n".join(cut) + "\n"


def _shown(folder: Path, exercise: Exercise) -> str:
    return printable(str(folder / exercise.file))


def _command(folder: Path, number: int) -> str:
    if folder in (Path(FOLDER), Path(os.curdir)):
        return f"nsae learn check {number}"
    shown = printable(str(folder))
    quoted = f'"{shown}"' if " " in shown else shown
    return f"nsae learn check {quoted} {number}"


def _states(progress: Progress) -> dict[str, Any]:
    return {
        "exercises": [
            {
                "number": e.number,
                "title": e.title,
                "equations": e.equations,
                "file": e.file,
                "state": progress.state(e),
            }
            for e in EXERCISES
        ]
    }


def _show_solution(words: Words, as_object: bool) -> int:
    exercise = EXERCISES[(words.number or 1) - 1]
    text = solution_text(exercise)
    if as_object:
        print(as_json({"number": exercise.number, "title": exercise.title, "solution": text}))
    else:
        print(text, end="")
    return 0
