"""Where no known mistake fits: where an answer differs from the right one, and what that may come from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nsae.study.exercises.exercise import Case, Task
from nsae.study.exercises.outcome import Outcome, close

Differing = list[
    tuple[Case, np.ndarray, np.ndarray]
]  # inputs, the right answer, the learner's; where they differ

FACTS = 3  # about a training loop that are told
LARGE = 20  # times as large: a value that stands out
SHORT = 12  # entries of a list that are shown


def differences(task: Task, cases: list[Case], rights: list[Outcome], gots: list[Outcome]) -> list[str]:
    """Return sentences about the first output of a ``task`` that differs.

    ``cases`` are the inputs; ``rights`` and ``gots`` are what the right function and the learner's came to.
    """
    pairs = list(zip(rights, gots, strict=True))
    wrong = [i for i in range(len(task.outputs)) if not all(_right(r, g, i) for r, g in pairs)]
    if not wrong:
        return []
    output, right_names = wrong[0], [n for i, n in enumerate(task.outputs) if i not in wrong]
    first = next(n for n, (r, g) in enumerate(pairs) if not _right(r, g, output))
    if task.observe:
        return [_fact(task.outputs[i], rights[first].values[i], gots[first].values[i]) for i in wrong[:FACTS]]
    name, expected, got = task.outputs[output], rights[first].values[output], gots[first].values[output]
    are = "is" if len(right_names) == 1 else "are"
    lines = [f"{' and '.join(right_names)} {are} right."] if right_names else []
    with_sizes = ", ".join(f"{letter} = {size}" for letter, size in task.sizes(cases[first]).items())
    inputs = f"With {with_sizes}, " if with_sizes else "With one of the inputs, "
    if expected.shape != got.shape:
        return [*lines, *_about_shape(inputs, name, task.shapes.get(name, ""), expected, got)]
    lines += _about_entry(inputs, name, expected, got)
    every = [
        (case, r.values[output], g.values[output])
        for case, (r, g) in zip(cases, pairs, strict=True)
        if not _right(r, g, output)
    ]
    lines += _about_cases(cases, every)
    warned = {name for r, g in pairs for name in g.warned - r.warned}
    if warned:
        lines.append(f"NumPy warned on the way: {', '.join(sorted(warned))}.")
    if all(e.shape == g.shape for _, e, g in every):
        lines += [f"Hint: {hint}" for hint in _first_hint(task, every)]
    return lines


def _about_cases(cases: list[Case], every: Differing) -> list[str]:
    """Return for which of the inputs the answer is right, if it is for some."""
    if len(every) == len(cases):
        return []
    wrong = [case for case, _, _ in every]
    for name in _flags(cases):
        values = {repr(case[name]) for case in wrong}
        right_values = {repr(case[name]) for case in cases if not any(case is other for other in wrong)}
        if len(values) == 1 and values.isdisjoint(right_values):
            return [
                f"It is wrong where {name} is {values.pop()}, and right where it is {' or '.join(right_values)}."
            ]
    right = [case for case in cases if not any(case is other for other in wrong)]
    for name, value in cases[0].items():
        if isinstance(value, np.ndarray):
            largest = min(np.max(np.abs(case[name]), initial=0.0) for case in wrong)
            if largest > LARGE * max(np.max(np.abs(case[name]), initial=0.0) for case in right):
                return [f"It is wrong where {name} has large entries, such as {largest:.4g}."]
    return [f"It is right for {len(right)} of {len(cases)} inputs."]


def _flags(cases: list[Case]) -> list[str]:
    """Return the names of the arguments that choose between ways of computing."""
    return [name for name, value in cases[0].items() if isinstance(value, bool | str)]


def _first_hint(task: Task, every: Differing) -> list[str]:
    """Return what holds for all inputs, or for those with one value of a flag; nothing if nothing does."""
    hint = next(_hints(task, every), None)
    if hint:
        return [hint]
    for name in _flags([case for case, _, _ in every]):
        for value in dict.fromkeys(case[name] for case, _, _ in every):
            hint = next(_hints(task, [one for one in every if one[0][name] == value]), None)
            if hint:
                return [f"where {name} is {value!r}, {hint}"]
    return []


def _right(right: Outcome, got: Outcome, output: int) -> bool:
    return close(got.values[output], right.values[output], got.dtypes[output])


def _fact(name: str, expected: np.ndarray, got: np.ndarray) -> str:
    return f"{name[0].upper()}{name[1:]}: {_shown(expected)} is expected, {_shown(got)} came."


def _about_shape(inputs: str, name: str, letters: str, expected: np.ndarray, got: np.ndarray) -> list[str]:
    comma = "," if len(letters) == 1 else ""
    shape = f"({', '.join(letters)}{comma}) = {expected.shape}" if letters else str(expected.shape)
    wanted = f"have the shape {shape}" if expected.ndim else "be one number"
    came = f"has the shape {got.shape}" if got.ndim else "is one number"
    lines = [f"{inputs}{name} is expected to {wanted}, but {came}."]
    if got.T.shape == expected.shape and close(got.T, expected):
        lines.append("Hint: it is the transpose of the right answer.")
    elif got.size == expected.size and close(got.reshape(expected.shape), expected):
        lines.append(
            "Hint: the numbers are right. Only the shape is not: look for a keepdims=True or a reshape."
        )
    elif got.ndim > expected.ndim:
        for axis in range(got.ndim):
            if got.sum(axis=axis).shape == expected.shape and close(got.sum(axis=axis), expected):
                lines.append(f"Hint: its sum over axis {axis} is the right answer.")
    return lines


def _about_entry(inputs: str, name: str, expected: np.ndarray, got: np.ndarray) -> list[str]:
    different = ~np.isclose(got, expected, rtol=1e-6, atol=1e-9, equal_nan=True)
    if not different.any():
        different = got != expected
    at = tuple(int(i) for i in np.argwhere(different)[0])
    entry = f"{name}[{', '.join(map(str, at))}]" if at else name
    lines = [f"{inputs}{entry} is expected to be {expected[at]:.6g}, and is {got[at]:.6g}."]
    if not np.isfinite(got).all():
        lines.append(
            "Hint: NaN comes of 0/0, of the logarithm or the root of a negative number, and of infinity − infinity."
        )
        return lines
    scale = np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)
    if scale > 0 and got.ndim:
        error = np.max(np.abs(got - expected), initial=0.0) / scale
        lines.append(
            f"The largest difference, divided by the largest entry, is {error:.2g}. "
            f"{int(different.sum())} of {got.size} entries differ."
        )
    return lines


def _hints(task: Task, every: Differing) -> Iterator[str]:
    """Yield what holds for the answer in all cases: a factor, a difference, an order."""
    if any(not np.isfinite(g).all() for _, _, g in every):
        return
    if all(close(g, np.zeros_like(g)) for _, _, g in every):
        yield "it is 0 everywhere. (In Python, 1 // 2 is 0.)"
    elif all(_is_whole(g) for _, _, g in every) and not all(_is_whole(e) for _, e, _ in every):
        yield "all numbers are whole. Is there a //, or an array of integers?"
    for name in every[0][0]:
        if all(_is_argument(case.get(name), g) for case, _, g in every):
            yield f"it is the argument {name}, unchanged."
    if all(e.ndim == 2 and e.shape == g.T.shape and close(g.T, e) for _, e, g in every):
        yield "it is the transpose of the right answer."
    yield from _factor(task, every)
    yield from _difference(task, every)
    if all(np.allclose(np.sort(e, axis=None), np.sort(g, axis=None)) for _, e, g in every):
        yield "the numbers are right, but in another order."
    yield from _rows_and_columns(every)
    yield from _where(every)


def _factor(task: Task, every: Differing) -> Iterator[str]:
    ratios = [_ratio(g, e) for _, e, g in every]
    if any(ratio is None for ratio in ratios):
        return
    names = [
        name for name, values in _named(task, every) if np.allclose(values, [float(r or 0) for r in ratios])
    ]
    if names:
        yield f"the ratio of yours to the right answer is {_number(ratios[0])} everywhere, which is {names[0]}."
    elif all(g.ndim == 0 for _, _, g in every) and len(every) < 2:
        return  # any two numbers have a ratio
    elif np.allclose(np.array(ratios, float), float(ratios[0] or 0)):
        yield f"the ratio of yours to the right answer is {_number(ratios[0])} everywhere."
    elif all(g.ndim for _, _, g in every):
        yield (
            "the ratio of yours to the right answer is the same for all entries, but another one with other inputs: "
            f"{', '.join(_number(r) for r in ratios)}."
        )


def _difference(task: Task, every: Differing) -> Iterator[str]:
    """Yield of what the difference is a multiple: of 1, or of an argument of the same shape."""
    if sum(g.size for _, _, g in every) < 2:
        return  # any two numbers have a difference
    arguments = [name for name, value in every[0][0].items() if isinstance(value, np.ndarray)]
    for name in ("", *arguments):
        factors = []
        for case, expected, got in every:
            of = np.ones_like(got) if not name else case[name]
            factors.append(_ratio(got - expected, of) if of.shape == got.shape else None)
        if any(factor is None for factor in factors):
            continue
        values = np.array(factors, float)
        known = [text for text, of_case in _named(task, every) if np.allclose(of_case, values)]
        times = known[0] if known else _number(values[0]) if np.allclose(values, values[0]) else ""
        if not times and name:
            yield f"yours minus the right answer is a multiple of {name}."
        elif times:
            yield f"yours minus the right answer is {f'{times} times {name}' if name else times}."


def _rows_and_columns(every: Differing) -> Iterator[str]:
    if any(e.ndim != 2 or min(e.shape) < 2 for _, e, _ in every):
        return
    for axis, what in ((1, "row"), (0, "column")):
        lines = [(np.moveaxis(e, 1 - axis, 0), np.moveaxis(g, 1 - axis, 0)) for _, e, g in every]
        if all(_ratio(g, e) is not None for many in lines for e, g in zip(*many, strict=True)):
            yield f"each {what} is the right one times a factor of its own. Is a sum or a mean over the wrong axis?"


def _where(every: Differing) -> Iterator[str]:
    """Yield where the entries are that differ, as told by the sign of an argument, or of the right answer."""
    arrays = [name for name, value in every[0][0].items() if isinstance(value, np.ndarray)]
    for name in (*arrays, "the right answer"):
        signs = [case.get(name, expected) for case, expected, _ in every]
        if any(sign.shape != g.shape for sign, (_, _, g) in zip(signs, every, strict=True)):
            continue
        wrong = [np.abs(e - g) > 1e-6 * np.max(np.abs(e), initial=1e-300) for _, e, g in every]
        tests = ("above 0", np.greater), ("0", np.equal), ("below 0", np.less), ("not above 0", np.less_equal)
        for text, test in tests:
            where = [test(sign, 0) for sign in signs]
            if all(map(np.array_equal, where, wrong)) and not all(w.all() for w in wrong):
                yield f"the entries that differ are those where {name} is {text}."
                return


def _named(task: Task, every: Differing) -> Iterator[tuple[str, list[float]]]:
    """Yield numbers that have a name, with their value in each case: −1, 2, B, λ and the like."""
    quantities: dict[str, list[float]] = {"": [1.0] * len(every), "2": [2.0] * len(every)}
    for letter in task.sizes(every[0][0]):
        quantities[letter] = [float(task.sizes(case)[letter]) for case, _, _ in every]
    for name, value in every[0][0].items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            quantities[name] = [float(case[name]) for case, _, _ in every]
    quantities["log 2"] = [float(np.log(2))] * len(every)
    quantities["log 10"] = [float(np.log(10))] * len(every)
    for name, values in quantities.items():
        yield name or "1", values
        yield f"−{name or 1}", [-value for value in values]
        if name and all(values):
            yield f"1/{name}", [1 / value for value in values]
            yield f"−1/{name}", [-1 / value for value in values]
    names = [name for name in quantities if name]
    for i, one in enumerate(names):
        for other in names[i:]:
            product = [a * b for a, b in zip(quantities[one], quantities[other], strict=True)]
            yield (f"{one} · {other}" if one != other else f"{one}²"), product
            if all(product):
                yield (
                    (f"1/({one} · {other})" if one != other else f"1/{one}²"),
                    [1 / value for value in product],
                )
        for other in names:
            if other != one and all(quantities[other]):
                yield (
                    f"{one}/{other}",
                    [a / b for a, b in zip(quantities[one], quantities[other], strict=True)],
                )


def _ratio(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return the number by which ``other`` is multiplied to give ``one``; None if there is none."""
    square = float(np.sum(other * other))
    if square == 0 or not np.isfinite(square):
        return None
    ratio = float(np.sum(one * other)) / square
    return ratio if ratio != 0 and close(one, ratio * other) else None


def _is_argument(value: object, got: np.ndarray) -> bool:
    return isinstance(value, np.ndarray) and value.shape == got.shape and got.size > 1 and close(got, value)


def _is_whole(values: np.ndarray) -> bool:
    return np.array_equal(values, np.round(values))


def _number(value: float | None) -> str:
    return f"{value:.4g}"


def _shown(values: np.ndarray) -> str:
    """Return a number, or a list that is cut."""
    if values.ndim == 0:
        return f"{values:.6g}"
    listed = ", ".join(f"{value:.6g}" for value in values.ravel()[:SHORT])
    return f"[{listed}{', …' if values.size > SHORT else ''}]"
