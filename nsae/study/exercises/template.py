"""What a learner gets: a file for each exercise, with signatures and docstrings, and a page that says how to go on."""

from __future__ import annotations

import importlib
import inspect
import textwrap
from pathlib import Path

from nsae.study.exercises.exercise import Exercise, source_of
from nsae.study.exercises.tasks import EXERCISES

README = "README.md"
TO_WRITE = "    raise NotImplementedError  # write your lines here, in place of this one"


def make_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Write the exercises into a ``folder``, and return the names of the files made and of those left as they are.

    A file that exists is never written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, left = [], []
    texts = {README: readme_text(), **{exercise.file: file_text(exercise) for exercise in EXERCISES}}
    for name, text in texts.items():
        try:
            with open(folder / name, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            made.append(name)
        except FileExistsError:
            left.append(name)
    return made, left


def file_text(exercise: Exercise) -> str:
    """Return the learner's file for an ``exercise``, not written yet."""
    parts = [
        f'"""Exercise {exercise.number} of {len(EXERCISES)}: {exercise.title}. Equations: {exercise.equations}.\n\n'
        f"Write the body of the function{'s' if len(exercise.tasks) > 1 else ''}. Then ask in a terminal: "
        f'nsae learn check {exercise.number}\n"""\n\nimport numpy as np\n'
    ]
    for task in exercise.tasks:
        source = source_of(task.function)
        parts.append(f"\n\n{source.header}\n{source.docstring}\n{TO_WRITE}\n")
    return "".join(parts)


def solution_text(exercise: Exercise) -> str:
    """Return the functions that solve an ``exercise``, and the lines of nsae that compute the same."""
    solutions = "\n\n".join(source_of(task.function).solution for task in exercise.tasks)
    parts = [f"# Exercise {exercise.number}, {exercise.title}: a solution", solutions]
    for place in exercise.in_nsae:
        module, _, name = place.partition(":")
        function: object = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
        text = textwrap.dedent(inspect.getsource(function))  # type: ignore[arg-type]
        parts.append(f"# In nsae: {module.replace('.', '/')}.py, {name}\n\n{text}")
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def readme_text() -> str:
    """Return the page that says how to go on."""
    return f"""# Exercises: a sparse autoencoder, step by step

1. Open `{EXERCISES[0].file}`. Read the docstring, and write the body in place of `raise NotImplementedError`.
2. Ask in a terminal whether it is right: `nsae learn check 1`
3. If it is wrong, you are told which mistake it is, where that is known. Change your lines and ask again.
4. Go on with the next file. `nsae learn check` checks all, and shows how far you are.

`nsae read` opens a page with all equations: (5) there is Eq. (5) here. Each is derived.
B is the number of samples in a batch, d of features, h of hidden units. A batch has a sample in each row.
`python -m doctest {EXERCISES[0].file}` tries the example of the docstring. `print` in your function shows what it
computes. NumPy is all that you need.
If you are stuck: `nsae learn --solution 1` shows a solution, and the lines of nsae that do the same.
"""
