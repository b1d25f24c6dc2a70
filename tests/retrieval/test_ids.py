"""Ids by row, from memory and from mapped arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsae.retrieval.ids import Ids, Texts

# any text that a file name can become, surrogates and NUL included
TEXTS = st.lists(st.text(st.characters(exclude_categories=()), max_size=6), max_size=8)


@given(TEXTS)
def test_texts_come_back(texts):
    stored = Texts.of(texts)
    again = Texts(stored.utf8.copy(), stored.ends.copy())
    assert again.tolist() == texts
    assert [again[row] for row in range(len(again))] == texts
    if texts:
        assert again[-1] == texts[-1]
    with pytest.raises(IndexError):
        again[len(texts)]


def test_texts_must_fit_their_ends():
    with pytest.raises(ValueError, match="3 bytes"):
        Texts(np.zeros(3, np.uint8), np.array([2]))


@pytest.mark.parametrize(
    "stored", [["a", "b", "c"], Texts.of(["a", "b", "c"]), np.array([5, 6, 7]), [5, "5", 2**70]], ids=type
)
def test_ids_are_a_sequence_with_look_up(stored):
    ids = Ids(stored)
    values = ids.tolist()
    assert list(ids) == [ids[0], ids[1], ids[2]] == ids[:] == values
    assert ids.at(np.array([[2, -1], [0, 0]])).tolist() == [[values[2], None], [values[0], values[0]]]
    assert values[1] in ids
    assert "nothing" not in ids
    more = ids.extended(["new", 99])
    assert more.tolist() == [*values, "new", 99]
    assert [more.row_of(id) for id in more] == [0, 1, 2, 3, 4]
    assert all(type(id) in (int, str) for id in more)


def test_ids_that_were_extended_stay_what_they_were():
    ids = Ids()
    assert ids.row_of("a") is None
    first = ids.extended(["a", "b"])
    assert first.row_of("b") == 1
    second, third = first.extended(["c"]), first.extended(["d", "c"])
    assert [list(some) for some in (ids, first, second, third)] == [
        [],
        ["a", "b"],
        ["a", "b", "c"],
        ["a", "b", "d", "c"],
    ]
    assert [some.row_of("c") for some in (ids, first, second, third)] == [None, None, 2, 3]
    assert first[-1] == "b"
    assert first[:] == ["a", "b"]
    assert first.at(np.array([1, -1, 0])).tolist() == ["b", None, "a"]
    with pytest.raises(IndexError):
        first[2]
