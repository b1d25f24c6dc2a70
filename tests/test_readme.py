"""README's samples print what README says; links in README and docs/ lead somewhere; commands in docs/ exist."""

import argparse
import io
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from nsae.cli import main, parser
from nsae.cli.demo_photos import index_photos

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_LINE = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md"))]
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d*)?(?:e[-+]?\d+)?")


# ---- the three doors


def test_the_example_by_hand_prints_what_it_says():
    assert_same_but_for_the_last_digit(*_run("math"))


def test_the_encoder_prints_what_it_says(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    pytest.importorskip("numba")  # without it, the same takes minutes
    monkeypatch.chdir(tmp_path)
    assert_same_but_for_the_last_digit(*_run("encoder"))
    assert (tmp_path / "encoder.npz").stat().st_size > 0


def test_the_commands_for_photos_print_what_they_say(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("matplotlib")
    (tmp_path / "nsae_demo").mkdir()
    index_photos(tmp_path / "nsae_demo", lambda said: None)  # as nsae demo does
    session = re.search(r"<!-- sample: photos -->\n```console\n(.*?)```", README, re.S)[1]
    for call in re.split(r"^\$ ", session, flags=re.M)[1:]:
        command, _, said = call.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "nsae"
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(io.StringIO()):
            assert main(arguments) == (": different" in said)
        assert_same_but_for_the_last_digit(printed.getvalue(), said)


def test_samples_are_short():
    assert len(README.splitlines()) <= 130
    for sample in re.findall(r"<!-- sample: \w+ -->\n```\w+\n(.*?)```", README, re.S):
        assert len([line for line in sample.splitlines() if line.strip()]) <= 14


def test_the_comparison_tells_the_last_digit_from_others():
    assert_same_but_for_the_last_digit("mAP 0.45, 3e-12\n", "mAP 0.46, 8e-13\n")
    for printed, said in [
        ("mAP 0.45", "mAP 0.47"),
        ("mAP 0.45", "map 0.45"),
        ("1e-3", "3e-12"),
        ("5", "5 6"),
    ]:
        with pytest.raises(AssertionError):
            assert_same_but_for_the_last_digit(printed, said)


def assert_same_but_for_the_last_digit(printed, said):
    """Words are equal; numbers differ by at most one unit of the last digit, or are both below 1e-9."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", said).split()
    for ours, theirs in zip(NUMBER.findall(printed), NUMBER.findall(said), strict=True):
        a, b = (float(number.replace(",", "")) for number in (ours, theirs))
        digit = 10.0 ** -len(theirs.partition("e")[0].partition(".")[2])
        assert (abs(a - b) <= 1.001 * digit and "e" not in theirs) or max(abs(a), abs(b)) < 1e-9, (
            ours,
            theirs,
        )


def _run(name):
    """What a sample prints, and what README says that it prints."""
    found = re.search(rf"<!-- sample: {name} -->\n```python\n(.*?)```\n```text\n(.*?)```", README, re.S)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(found[1], {})
    return printed.getvalue(), found[2]


# ---- links and commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S)):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target}"


def anchors(text):
    """The anchors that GitHub gives to the headings of a page, and those that stand in it as HTML."""
    found, seen = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)), {}
    for heading in re.findall(r"^#+ (.+?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        seen[anchor] = seen.get(anchor, -1) + 1
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
    return found


def test_the_links_that_are_checked_are_found():
    assert anchors("# A b\n\n### (7) L1 sparsity\n\n## A b\n```\n# none\n```\n") == {
        "a-b",
        "7-l1-sparsity",
        "a-b-1",
    }


def test_the_page_of_commands_names_each_command_and_no_option_that_is_none():
    commands = _commands()
    named = set(re.findall(r"`nsae ([a-z]+)`", COMMAND_LINE))
    assert named == set(commands)
    options = {option for command in commands.values() for option in command._option_string_actions}
    used = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", COMMAND_LINE))
    assert used - {"--help"} <= options
    for line in re.findall(r"^    nsae (.+?)(?:  .*)?$", COMMAND_LINE, re.M):
        name, *rest = shlex.split(line.partition(" | ")[0])
        for option in rest:
            if option.startswith("-") and len(option) > 1:
                assert option in commands[name]._option_string_actions, line


def _commands():
    subparsers = (a for a in parser.build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return next(subparsers).choices
