"""Codes say which encoder made them, and an index refuses those of another: units mean something else there."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from nsae import (
    CodeIndex,
    Codes,
    ImageEncoder,
    ModelFormatError,
    SparseAutoencoder,
    encode_photos,
    load_encoder,
)
from nsae.retrieval import ShardedIndex, merge_folders

X = np.random.default_rng(0).random((60, 7)).astype(np.float32)
MODELS = [SparseAutoencoder(20, k=3, epochs=1, random_state=seed).fit(X) for seed in (0, 1)]
ONE, OTHER = (model.encode(X) for model in MODELS)


def filled(codes, ids=None):
    index = CodeIndex(20)
    index.add(codes, ids)
    return index


def test_a_fingerprint_is_that_of_the_weights(tmp_path):
    encoder = MODELS[0].encoder()
    assert encoder.fingerprint == ONE.made_by != OTHER.made_by
    encoder.save(tmp_path / "model.npz")
    assert load_encoder(tmp_path / "model.npz").fingerprint == ONE.made_by
    assert MODELS[0].with_k(2).encoder().fingerprint == ONE.made_by  # the units mean the same
    assert MODELS[0].encode(X[:1]).made_by == ONE.made_by
    before = SparseAutoencoder(20, k=3, epochs=1, random_state=2).fit(X)
    codes = before.encode(X)
    assert before.partial_fit(X).encode(X).made_by != codes.made_by


def test_chosen_rows_have_it_still_and_arithmetic_has_not():
    parts = (ONE[3], ONE[2:9], ONE[::2], ONE[[1, 4]], ONE.keep(2), ONE.astype(np.float64))
    assert {codes.made_by for codes in parts} == {ONE.made_by}
    assert Codes.concatenate([ONE, ONE]).made_by == ONE.made_by
    assert pickle.loads(pickle.dumps(ONE)).made_by == ONE.made_by
    for codes in (
        ONE * 2.0,
        ONE.T,
        ONE.square(),
        Codes.from_dense(np.eye(3)),
        Codes.concatenate([ONE, OTHER]),
    ):
        assert codes.made_by is None


def test_codes_that_were_pickled_before_have_none():
    state = {name: value for name, value in vars(ONE).items() if name != "made_by"}
    old = Codes.__new__(Codes)
    old.__dict__.update(state)
    assert old[:2].made_by is None
    assert len(filled(old)) == len(ONE)


def test_an_index_refuses_codes_of_another_model_of_equal_width(tmp_path):
    index = filled(ONE)
    index.save(tmp_path / "index")
    for each in (index, CodeIndex.load(tmp_path / "index"), CodeIndex.load(tmp_path / "index", mmap=True)):
        assert each.made_by == ONE.made_by
        for call in (each.add, each.search, lambda codes, each=each: each.within(codes, 0.5)):
            with pytest.raises(ValueError, match="two models made them"):
                call(OTHER)
        with pytest.raises(ValueError, match="two models made them"):
            each.explain(OTHER[0], 0)
        with pytest.raises(ValueError, match="two models made them"):
            each.counterfactual(OTHER[0], 0)
        assert len(each) == len(ONE)
        assert each.search(ONE[5], k=1).rows.tolist() == [[5]]
        # What does not say who made it is taken, and so is what the caller vouches for.
        each.search(OTHER.to_dense(), k=1)
        each.add(replace(OTHER, made_by=None))


def test_photos_of_one_encoder_are_refused_by_the_index_of_another():
    images = np.random.default_rng(1).random((40, 28, 28)).astype(np.float32)
    encoders = [
        ImageEncoder(16, k=3, patch_units=8, patch_k=2, epochs=1, random_state=seed).fit(images).encoder()
        for seed in (0, 1)
    ]
    one, other = (encode_photos(encoder, images) for encoder in encoders)
    assert one.made_by == encoders[0].encode(images[:1]).made_by != other.made_by
    index = CodeIndex(one.n_units)
    index.add(one)
    with pytest.raises(ValueError, match="two models made them"):
        index.search(other[:1], k=1)


def test_an_index_of_unknown_codes_learns_who_made_the_next_and_an_empty_one_begins_anew(tmp_path):
    unknown = filled(ONE.to_dense())
    unknown.add(ONE.to_dense())
    assert unknown.made_by is None
    unknown.add(OTHER)
    assert unknown.made_by == OTHER.made_by
    with pytest.raises(ValueError, match="two models made them"):
        unknown.add(ONE)
    merged = filled(ONE.to_dense(), [f"unknown {i}" for i in range(len(ONE))])
    merged.save(tmp_path / "unknown")
    filled(ONE).save(tmp_path / "known")
    merged.merge(filled(ONE))
    merge_folders([tmp_path / "unknown", tmp_path / "known"], tmp_path / "merged")
    for index in (merged, CodeIndex.load(tmp_path / "merged")):
        assert index.made_by == ONE.made_by
    index = filled(ONE)
    index.remove(index.ids)
    index.add(OTHER)
    assert index.made_by == OTHER.made_by


@pytest.mark.parametrize("on_duplicate", ["raise", "skip"])
def test_codes_of_which_no_row_comes_in_name_no_one(on_duplicate):
    """An index adopted the name of 0 rows, or of rows that were all skipped, and then refused its own model."""
    index = filled(ONE.to_dense(), range(len(ONE)))
    index.add(
        OTHER[:0] if on_duplicate == "raise" else OTHER[:9],
        None if on_duplicate == "raise" else range(9),
        on_duplicate=on_duplicate,
    )
    assert index.made_by is None
    index.add(ONE[:1], ["new"])
    assert index.made_by == ONE.made_by
    index.remove(index.ids)
    index.add(np.zeros((0, 20)), [])
    index.merge(CodeIndex(20))
    assert index.made_by == ONE.made_by
    index.add(OTHER[:2], ["a", "b"], on_duplicate="skip")
    assert index.made_by == OTHER.made_by


def test_codes_of_an_index_say_who_made_them(tmp_path):
    index = filled(ONE)
    index.save(tmp_path / "index")
    loaded, mapped = (CodeIndex.load(tmp_path / "index", mmap=mmap) for mmap in (False, True))
    for each in (index, loaded, mapped):
        assert each.codes.made_by == each.codes_and_ids()[0].made_by == ONE.made_by
    codes = loaded.codes[:3]
    loaded.remove(loaded.ids)
    loaded.add(codes, ["renamed", "renamed too", "and this"])
    assert loaded.made_by == ONE.made_by
    with pytest.raises(ValueError, match="two models made them"):
        filled(OTHER).add(mapped.codes[:2])
    mapped.made_by = None
    assert mapped.made_by is mapped.codes.made_by is None


def test_indexes_of_two_models_are_not_put_together(tmp_path):
    parts = {
        "a": filled(ONE[:9], range(9)),
        "b": filled(ONE[9:], range(9, 60)),
        "c": filled(OTHER, range(60, 120)),
    }
    for name, index in parts.items():
        index.save(tmp_path / name)
    a, b, c = (tmp_path / name for name in "abc")
    for call in (
        lambda: parts["a"].merge(parts["c"]),
        lambda: merge_folders([a, c], tmp_path / "both"),
        lambda: ShardedIndex([a, c]),
        lambda: ShardedIndex([parts["a"], parts["c"]]),
        lambda: ShardedIndex([a, b]).search(OTHER[:2], k=1),
    ):
        with pytest.raises(ValueError, match="two models made them"):
            call()
    merge_folders([a, b], tmp_path / "both")
    assert CodeIndex.load(tmp_path / "both").made_by == ONE.made_by
    parts["a"].merge(parts["b"], CodeIndex(20))
    assert parts["a"].made_by == ONE.made_by
    assert ShardedIndex([a, b]).search(ONE[11], k=1).rows.tolist() == [[11]]


def test_a_fingerprint_that_is_no_text_is_a_format_error(tmp_path):
    index = filled(ONE)
    with pytest.raises(TypeError, match="made_by=3"):
        index.made_by = 3
    index._state = index._state.named(3)  # as an older nsae kept it
    index.save(tmp_path / "index")
    with pytest.raises(ModelFormatError, match="made_by"):
        CodeIndex.load(tmp_path / "index")
