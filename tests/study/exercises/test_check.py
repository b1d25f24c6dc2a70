"""The folder of exercises and the command: whatever a file holds, there is a sentence, and never a traceback."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nsae.cli import main
from nsae.study.exercises.check import check
from nsae.study.exercises.exercise import compiled, source_of, variant
from nsae.study.exercises.judge import NOT_WRITTEN, RIGHT, WRONG, FileVerdict, judge, judge_file
from nsae.study.exercises.learner_file import LearnerFile
from nsae.study.exercises.progress import FILE, Progress
from nsae.study.exercises.tasks import EXERCISES
from nsae.study.exercises.template import file_text, make_folder, solution_text

ROOT = Path(__file__).parents[3]
OUTPUT = EXERCISES[4]  # one function with a flag
HEAD = "import numpy as np\ndef output_gradient(X, X_hat, slope):\n"
ANSWER = """
    dU = (X_hat - X) / len(X)
    if slope:
        dU = dU * X_hat * (1 - X_hat)
    return dU
"""


@pytest.fixture(autouse=True)
def a_wide_terminal(monkeypatch):
    """Lines are broken where the terminal ends: here it is the same for everybody."""
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def folder(tmp_path):
    make_folder(tmp_path / "exercises")
    return tmp_path / "exercises"


def solved(exercise):
    return "import numpy as np\n\n\n" + "\n\n".join(source_of(t.function).solution for t in exercise.tasks)


def text_of(verdict):
    return " ".join(line for function in verdict.functions for line in function.text)


def verdict_on(tmp_path, content, exercise=OUTPUT):
    """What is told of a file, in this process."""
    path = tmp_path / exercise.file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return judge_file(exercise, path)


# ---- what a file may hold


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            HEAD + "    return (X_hat - X / len(X)\n",
            "Line 3 cannot be read as Python, `return (X_hat - X / len(X)`",
        ),
        (HEAD + "  a = 1\n    return a\n", "how far the lines are indented"),
        (HEAD + "    a = 1\n\treturn a\n", "Tabs and spaces are mixed"),
        ((HEAD + "    return X\n").encode("utf-16"), "not UTF-8 text"),
        (b"# caf\xe9\n", "Line 1 of 05_output_gradient.py is not UTF-8 text"),
        ("import scippy\n", "`import scippy`, scippy, which is not installed"),
        ("from numpy import nothing\n", "line 1, `from numpy import nothing`, with ImportError"),
        ("exit()\n", "calls exit()"),
        (HEAD + "    return (x_hat - X)\n", "line 3, `return (x_hat - X)`, with NameError: name 'x_hat'"),
        (HEAD + "    return X @ X_hat\n", "The shapes of its arguments: X (5, 3), X_hat (5, 3)."),
        (HEAD + "    return output_gradient(X, X_hat, slope)\n", "without an end"),
        (HEAD + "    return np.zeros((10**7, 10**7))\n", "more memory"),
        (HEAD + "    dU = X_hat - X\n", "returns None"),
        (HEAD + "    return 'text'\n", "an array of numbers, but is something of type str"),
        (HEAD + "    return X, X_hat\n", "a tuple of 2 arrays"),
        (HEAD + "    return X + 1j\n", "complex"),
        (HEAD + "    return [[1, None]]\n", "an array of numbers"),
        (HEAD + "    return ((X_hat - X) / len(X)).T\n", "(B, d) = (5, 3), but has the shape (3, 5)"),
        (HEAD + "    return 1.0\n", "but is one number"),
        (HEAD + "    return (X_hat - X) // len(X)\n", "Is there a //"),
        (HEAD + "    return np.log(X_hat - X)\n", "NaN comes of 0/0"),
        (
            HEAD + "    return 3 * (X_hat - X) / len(X)\n",
            "where sigmoid_then_squared is False, the ratio of yours to the right answer is 3 everywhere",
        ),
        (HEAD + "    return (X_hat - X) / len(X) + X / 2\n", "yours minus the right answer is 1/2 times X"),
        (HEAD + "    return max(X_hat - X, 0)\n", "Python's if, and, max want one truth value"),
        (HEAD + "    import math\n    return math.exp(X)\n", "The functions of math take one number"),
        (HEAD + "    return X_hat + X[:2]\n", "Shapes must agree from the right"),
        (HEAD + "    return {'dU': X}\n", "an array of numbers, but is a dict of 1"),
        (HEAD + "    return X\n", "the argument X, unchanged"),
        (HEAD + "    return 0 * X\n", "0 everywhere"),
        ("output_gradient = 5\n", "expected to be a function"),
        ("", "There is no function output_gradient"),
        ("def output_gradient(X, X_hat): return X\n", "does not take the 3 arguments"),
    ],
)
def test_a_wrong_file_gets_a_sentence(tmp_path, content, told):
    verdict = verdict_on(tmp_path, content)
    assert verdict.state == WRONG
    assert told in text_of(verdict)


def test_a_file_of_windows_with_tabs_and_a_mark_is_fine(tmp_path):
    content = (HEAD + ANSWER).replace("    ", "\t").replace("\n", "\r\n").encode("utf-8-sig")
    assert verdict_on(tmp_path, content).state == RIGHT


def test_changing_an_argument_is_told(tmp_path):
    in_place = HEAD + "    X_hat -= X\n    X_hat /= len(X)\n    return X_hat\n"
    verdict = verdict_on(tmp_path, in_place)
    assert verdict.functions[0].mistakes == ["the slope of the sigmoid is missing"]
    assert "It also changes X_hat, which it was given, in place" in text_of(verdict)
    right = HEAD + ANSWER.replace("return dU", "X[0] = 7\n    return dU")
    told = text_of(verdict_on(tmp_path, right))
    assert told.startswith("The values are right, but it changes X, which it was given, in place.")


def test_what_is_printed_is_shown_and_kept_off_the_answer(tmp_path, capsys):
    verdict = verdict_on(tmp_path, HEAD + "    print('shape', X.shape)\n" * 3 + ANSWER)
    assert verdict.state == RIGHT
    assert verdict.printed[0] == "shape (5, 3)"
    assert verdict.printed[-1] == "… and 8 lines more"
    assert capsys.readouterr().out == ""


def test_float32_is_right_and_is_told(tmp_path):
    verdict = verdict_on(tmp_path, HEAD + ANSWER.replace("return dU", "return dU.astype(np.float32)"))
    assert verdict.state == RIGHT
    assert "float32" in text_of(verdict)


def test_a_case_that_is_wrong_alone_is_named(tmp_path):
    text = HEAD + ANSWER.replace("(1 - X_hat)", "(1.1 - X_hat)")
    told = text_of(verdict_on(tmp_path, text))
    assert "It is wrong where sigmoid_then_squared is True, and right where it is False." in told


def test_where_entries_differ_is_told():
    task = EXERCISES[6].tasks[0]
    text = source_of(task.function).solution.replace("np.sign(Z)", "np.where(Z > 0, 1, 0.5)")
    told = " ".join(judge(task, compiled(task, text), LearnerFile("x.py", [], {})).text)
    assert "the entries that differ are those where Z is" in told
    assert re.search(r"(\d+) of 20 entries differ", told)


def test_a_ratio_is_named():
    """A factor B, or d, or a weight, is told by its letter."""
    task = EXERCISES[3].tasks[1]
    text = source_of(task.function).solution.replace("beta / len(Z)", "beta / len(Z) ** 3")
    told = " ".join(judge(task, compiled(task, text), LearnerFile("x.py", [], {})).text)
    assert "which is 1/B²" in told


def told_of(exercise, task, *changes):
    """What is told of a solution that was changed in a way that no list has."""
    task = EXERCISES[exercise - 1].tasks[task]
    text = source_of(task.function).solution
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    verdict = judge(task, compiled(task, text), LearnerFile("x.py", [], {}))
    assert (verdict.state, verdict.mistakes) == (WRONG, [])
    return " ".join(verdict.text)


@pytest.mark.parametrize(
    ("exercise", "task", "change", "told"),
    [
        (1, 0, ("np.maximum(Y, 0)", "np.where(Y > 0, Y, 0.01 * Y)"), "those where the right answer is 0"),
        (
            2,
            0,
            ("1 + E)", "1 + E) * (np.abs(Y) < 100)"),
            "It is wrong where Y has large entries, such as 800.",
        ),
        (4, 0, ("np.sum(rho", "np.sum(rho / np.log(10)"), "With B = 5, h = 4, the penalty is expected to be"),
        (4, 0, ("beta *", "beta / np.log(10) *"), "which is 1/log 10."),
        (4, 0, ("beta *", "beta / Z.size *"), "which is 1/(B · h)."),
        (6, 0, ("gamma * V", "V * V.sum(axis=0)"), "dc is right."),
        (6, 0, ("dU.sum(axis=0)", "dU.sum(axis=0) + 3"), "yours minus the right answer is 3."),
        (
            6,
            0,
            ("dU.sum(axis=0)", "dU.sum(axis=0) - gamma * c"),
            "yours minus the right answer is −gamma times c.",
        ),
        (6, 0, ("dU.sum(axis=0)", "dU.sum(axis=0)[::-1]"), "the numbers are right, but in another order."),
        (7, 0, ("return through_output + l1 + kl", "return (through_output + l1 + kl).T"), "transpose"),
        (
            8,
            0,
            ("* 1.0", "* 2.0"),
            "It is wrong where activation is 'relu', and right where it is 'sigmoid'.",
        ),
        (
            11,
            0,
            (
                "V * np.sum(V * dV, axis=0)",
                "V * np.sum(V * dV, axis=0) + (dV - V * np.sum(V * dV, axis=0)) * np.arange(1, 1 + len(V.T))",
            ),
            "each column is the right one times a factor of its own",
        ),
        (
            13,
            1,
            (
                "np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)",
                "2 * products / lengths",
            ),
            "NumPy warned on the way",
        ),
    ],
)
def test_what_fits_no_known_mistake_is_described(exercise, task, change, told):
    assert told in told_of(exercise, task, change)


def test_the_right_outputs_are_named():
    task = EXERCISES[5].tasks[0]
    text = source_of(task.function).solution.replace("dU.sum(axis=0)", "dU.max(axis=0)")
    assert "dV is right." in judge(task, compiled(task, text), LearnerFile("x.py", [], {})).text


def test_facts_of_a_loop_that_fit_no_mistake_are_told():
    task = EXERCISES[11].tasks[0]
    text = source_of(task.function).solution.replace("start + batch_size]", "start + batch_size - 2]")
    told = " ".join(judge(task, compiled(task, text), LearnerFile("x.py", [], {})).text)
    assert "The sizes of the batches, from the largest: [5, 5," in told


# ---- the process


@pytest.mark.parametrize(
    ("content", "seconds", "told"),
    [
        (HEAD + "    while True:\n        pass\n", 0.5, "It did not end within 0.5 seconds. It was in line"),
        ("while True: pass\n", 0.5, "It was in line 1, `while True: pass`"),
        (HEAD + "    import os; os._exit(3)\n", 30, "It ended Python itself, with the code 3"),
        (HEAD + "    return input()\n", 30, "for input from the keyboard"),
    ],
)
def test_what_does_not_come_back_is_told(folder, content, seconds, told):
    (folder / OUTPUT.file).write_text(content, encoding="utf-8")
    verdict = check(OUTPUT, folder, seconds=seconds)
    assert verdict.state == WRONG
    assert told in text_of(verdict)


def test_a_helper_in_the_folder_can_be_imported_and_hides_nothing(folder):
    (folder / "helper.py").write_text("def mean(D): return D / len(D)\n")
    (folder / "json.py").write_text("raise RuntimeError('not the json of Python')\n")
    text = HEAD.replace("\n", "\nimport json\nfrom helper import mean\n", 1) + ANSWER.replace(
        "(X_hat - X) / len(X)", "mean(X_hat - X)"
    )
    (folder / OUTPUT.file).write_text(text, encoding="utf-8")
    assert check(OUTPUT, folder).state == RIGHT


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.slug)
def test_a_solution_in_its_file_is_right_and_a_mistake_is_told(folder, exercise):
    path = folder / exercise.file
    assert check(exercise, folder).state == NOT_WRITTEN
    path.write_text(solved(exercise), encoding="utf-8")
    assert check(exercise, folder) == FileVerdict(
        RIGHT, [judge(task, task.function, LearnerFile("x.py", [], {})) for task in exercise.tasks], []
    )
    task = exercise.tasks[-1]
    mistake = task.mistakes[0]
    text = solved(exercise).replace(source_of(task.function).solution.strip(), variant(task, mistake).strip())
    path.write_text(text, encoding="utf-8")
    assert mistake.name in check(exercise, folder).functions[-1].mistakes


# ---- the folder


def test_a_file_that_is_not_written_can_be_read_and_is_told_so(tmp_path):
    for exercise in EXERCISES:
        verdict = verdict_on(tmp_path, file_text(exercise), exercise)
        assert verdict.state == NOT_WRITTEN
        assert "np." not in file_text(exercise).split("raise NotImplementedError")[-1]
        for task in exercise.tasks:
            assert source_of(task.function).body.strip() not in file_text(exercise)


def test_one_of_two_functions_may_be_written(tmp_path):
    text = file_text(EXERCISES[3]).replace(
        "    raise NotImplementedError",
        source_of(EXERCISES[3].tasks[0].function).body + "    raise NotImplementedError",
        1,
    )
    verdict = verdict_on(tmp_path, text, EXERCISES[3])
    assert [function.state for function in verdict.functions] == [RIGHT, NOT_WRITTEN]
    assert verdict.state == NOT_WRITTEN


def test_work_is_never_overwritten(folder):
    mine = folder / OUTPUT.file
    mine.write_text("mine", encoding="utf-8")
    (folder / EXERCISES[0].file).unlink()
    made, left = make_folder(folder)
    assert made == [EXERCISES[0].file]
    assert len(left) == len(EXERCISES)
    assert mine.read_text(encoding="utf-8") == "mine"


def test_solutions_show_nsaes_own_lines():
    for exercise in EXERCISES:
        text = solution_text(exercise)
        assert "# In nsae: nsae/" in text
        for task in exercise.tasks:
            assert source_of(task.function).solution.strip() in text
    assert "return 0.5 * float(np.sum((X_hat - X) ** 2)) / len(X)  # (5)" in solution_text(EXERCISES[2])


# ---- the command


def run(capsys, *words):
    code = main(["learn", *map(str, words)])
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    if words[:1] == ("check",) and "--json" not in words:
        assert all(len(line) <= 100 for line in said.out.splitlines() if line.startswith("    "))
    return code, said.out, said.err


def test_from_the_first_command_to_the_first_exercise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys)
    assert code == 0
    assert "nsae_exercises/01_forward.py" in out.replace(os.sep, "/")
    assert (tmp_path / "nsae_exercises" / "README.md").exists()
    code, out, _ = run(capsys, "check")
    assert code == 1
    assert "1. forward, (1) (2) (3): not written yet" in out
    path = tmp_path / "nsae_exercises" / EXERCISES[0].file
    path.write_text(solved(EXERCISES[0]).replace("X @ W.T", "X @ W"), encoding="utf-8")
    code, out, _ = run(capsys, "check", 1)
    assert code == 1
    assert "W is not transposed, Eq. (1)" in out
    path.write_text(solved(EXERCISES[0]), encoding="utf-8")
    code, out, _ = run(capsys, "check", 1)
    assert code == 0
    assert "Well done! Next:" in out
    code, out, _ = run(capsys)  # again: what is there is left, and progress is shown
    assert code == 0
    assert "There are exercises in nsae_exercises already. They were left as they are." in out
    assert "(1) (2) (3)          right" in out
    monkeypatch.chdir(tmp_path / "nsae_exercises")  # and from inside
    assert run(capsys, "check", 1)[0] == 0
    assert run(capsys, "check", EXERCISES[0].file)[0] == 0
    (tmp_path / "nsae_exercises" / EXERCISES[4].file).unlink()
    assert "already. They were left as they are; missing files were made: 1." in run(capsys)[1]


def test_a_folder_may_have_any_name_and_stand_on_either_side(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out = run(capsys, "Übung 1")[1]
    assert 'nsae learn check "Übung 1" 1' in out
    for words in (["check", "Übung 1", 2], ["Übung 1", "check", 2], ["check", "Übung 1/02_sigmoid.py"]):
        assert run(capsys, *words)[1].startswith("2. sigmoid without overflow, (4): not written yet")


def test_all_right_ends_with_0_and_progress_is_kept(folder, capsys):
    for exercise in EXERCISES:
        (folder / exercise.file).write_text(solved(exercise), encoding="utf-8")
    code, out, _ = run(capsys, "check", folder, "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["right"] is True
    assert [e["state"] for e in answer["exercises"]] == [RIGHT] * 13
    kept = json.loads((folder / FILE).read_text(encoding="utf-8"))["exercises"]
    assert kept["7"]["checks"] == 1
    assert kept["7"]["right_since"]
    code, out, _ = run(capsys, "check", folder, 2)
    assert code == 0
    assert "All exercises are right" in out


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        "[]",
        '{"exercises": 5}',
        '{"exercises": {"1": {}}}',
        '{"exercises": {"1": {"state": "right", "checks": "x"}}}',
    ],
)
def test_damaged_progress_is_begun_anew(folder, content, capsys):
    (folder / FILE).write_text(content, encoding="utf-8")
    (folder / EXERCISES[0].file).write_text(solved(EXERCISES[0]), encoding="utf-8")
    code, _, err = run(capsys, "check", folder, 1)
    assert code == 0
    assert "begun anew" in err
    assert Progress.load(folder).state(EXERCISES[0]) == RIGHT


def test_the_first_that_is_not_right_is_told_in_detail(folder, capsys):
    (folder / EXERCISES[0].file).write_text(solved(EXERCISES[0]), encoding="utf-8")
    (folder / EXERCISES[1].file).write_text("def sigmoid(Y): return 5 * Y\n", encoding="utf-8")
    (folder / EXERCISES[2].file).write_text("(\n", encoding="utf-8")
    code, out, _ = run(capsys, "check", folder)
    assert code == 1
    assert out.startswith("2. sigmoid without overflow, (4): wrong\n\n    The answer is wrong")
    assert "cannot be read" not in out
    assert out.count("wrong") >= 3  # and the table has both


def test_the_page_of_commands_shows_what_a_check_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(capsys)
    text = solved(EXERCISES[5]).replace("dU.sum(axis=0)", "dU.mean(axis=0)")
    Path("nsae_exercises", EXERCISES[5].file).write_text(text, encoding="utf-8")
    printed = run(capsys, "check", 6)[1].partition("\n\nChange")[0]
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    shown = page.partition("    $ nsae learn check 6\n")[2].partition("\n\nIf no known")[0]
    assert textwrap.dedent(shown) == printed


def test_solutions_are_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    texts = [run(capsys, "--solution", 4)[1], run(capsys, "solution", 4)[1]]
    texts.append(json.loads(run(capsys, "--solution", 4, "--json")[1])["solution"])
    assert texts[0] == texts[1] == texts[2] == solution_text(EXERCISES[3])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "99"], "no exercise 99"),
        (["--solution", "0"], "no exercise 0"),
        (["solution"], "Which one?"),
        (["check", "a", "b"], "is not understood"),
        (["check", "1", "2"], "is not understood"),
        (["7"], "is not understood"),
        (["check", "nowhere"], "There is no folder nowhere. Make them with: nsae learn nowhere"),
        (["check", "."], "There are no exercises in ."),
        (["check", "--seconds", "0"], "--seconds 0"),
        (["file.txt"], "is a file"),
    ],
)
def test_what_is_not_understood_ends_with_2(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("")
    code, _, err = run(capsys, *words)
    assert code == 2
    assert told in err


def test_it_needs_numpy_alone(tmp_path):
    """A check loads no optional package."""
    code = (
        "import sys; from nsae.study.exercises import child; "
        "print([m for m in ('numba', 'PIL', 'matplotlib', 'scipy', 'sklearn') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.strip() == "[]"
