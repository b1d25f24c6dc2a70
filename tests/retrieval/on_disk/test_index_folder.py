"""A saved index against what may happen to its files, and to whoever writes them."""

import builtins
import hashlib
import json
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from nsae.errors import ModelFormatError
from nsae.retrieval import CodeIndex
from nsae.retrieval.ids import Ids
from nsae.retrieval.on_disk import manifest
from nsae.retrieval.on_disk.index_folder import READ_BYTES, read_folder, use_file, write_folder
from nsae.retrieval.on_disk.manifest import read_manifest
from nsae.retrieval.search.postings import WINDOW

METRICS = ("cosine", "l2", "dot")


def filled(Z, metric="cosine", ids=None):
    index = CodeIndex(Z.shape[1], metric=metric)
    index.add(Z, ids)
    return index


IDS = {
    "integers": [4, -2, 9],
    "strings": ["a", "ü/é.jpg", ""],
    "mixed": [1, "1", "b"],
    "trailing NUL": ["a", "a\0", "b"],
    "undecodable file name": ["a\udcff", "b", "c"],
    "beyond int64": [2**70, 1, -(2**63)],
}
CODES = np.array([[0, 1.5, 0, 0.25], [0, 0, 0, 0], [2, 0, 0, -1]], np.float32)


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize("metric", METRICS)
def test_save_and_load(tmp_path, ids, metric):
    index = filled(CODES, metric, ids)
    index.save(tmp_path / "index")
    loaded = CodeIndex.load(tmp_path / "index")
    assert (loaded.ids, loaded.metric, loaded.n_units) == (ids, metric, 4)
    assert [type(id) for id in loaded.ids] == [type(id) for id in ids]
    for part in ("indptr", "units", "values"):
        np.testing.assert_array_equal(getattr(loaded.codes, part), getattr(index.codes, part), strict=True)
    here, there = index.search(CODES, 5), loaded.search(CODES, 5)
    np.testing.assert_array_equal(here.distances, there.distances)
    np.testing.assert_array_equal(here.ids, there.ids)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_save_and_load_an_empty_index_and_the_next_default_id(tmp_path):
    index = CodeIndex(4)
    index.save(tmp_path / "index")
    assert len(CodeIndex.load(tmp_path / "index")) == 0
    index.add(CODES)
    index.remove([2])
    index.save(tmp_path / "index", overwrite=True)
    loaded = CodeIndex.load(tmp_path / "index")
    loaded.add(CODES[:1])
    assert loaded.ids == [0, 1, 3]


def test_extra_files_travel_with_the_index(tmp_path):
    index = filled(CODES)
    index.save(tmp_path / "index", extra_files={"model.npz": b"weights"})
    assert (tmp_path / "index/model.npz").read_bytes() == b"weights"
    CodeIndex.load(tmp_path / "index")
    (tmp_path / "index/model.npz").write_bytes(b"other")
    with pytest.raises(ModelFormatError, match=r"model\.npz is truncated or altered"):
        CodeIndex.load(tmp_path / "index")


@pytest.mark.parametrize(
    "name", ["manifest.json", "ids.json", "ids.npy", "units.npy", "../x", "a/b", "..", ".", ""]
)
def test_extra_files_have_free_plain_names(tmp_path, name):
    with pytest.raises(ValueError, match="not a file name that is free"):
        filled(CODES).save(tmp_path / "index", extra_files={name: b""})
    assert not list(tmp_path.iterdir())


def test_overwriting_is_asked_for_and_replaces_only_an_index(tmp_path):
    index = filled(CODES)
    index.save(tmp_path / "index")
    with pytest.raises(FileExistsError, match="exists already"):
        index.save(tmp_path / "index")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/me.jpg").write_bytes(b"dear")
    with pytest.raises(FileExistsError, match="is not an index"):
        index.save(tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos/me.jpg").read_bytes() == b"dear"
    filled(CODES[:1]).save(tmp_path / "index", overwrite=True)
    assert len(CodeIndex.load(tmp_path / "index")) == 1


@pytest.fixture(scope="module", params=["integers", "mixed"])
def saved(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "index"
    filled(CODES, ids=IDS[request.param]).save(folder, extra_files={"model.npz": b"weights"})
    return folder


def damaged(saved, tmp_path):
    folder = tmp_path / "index"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    return folder


def refused(folder, match=""):
    with pytest.raises(ModelFormatError, match=match):
        CodeIndex.load(folder)


def test_each_file_truncated_flipped_or_missing_is_refused(saved, tmp_path):
    names = sorted(path.name for path in saved.iterdir())
    assert len(names) == 6
    for name in names:
        data = (saved / name).read_bytes()
        for size in {0, 1, len(data) // 2, len(data) - 2}:
            folder = damaged(saved, tmp_path)
            (folder / name).write_bytes(data[:size])
            refused(folder, name)
        (folder / name).unlink()
        refused(folder, name)
        (folder / name).mkdir()
        refused(folder, name)
        shutil.rmtree(folder)


def test_a_flipped_byte_is_refused_or_harmless(tmp_path):
    """In the manifest, a flipped byte of white space changes nothing; then the index is the same."""
    saved = tmp_path / "saved"
    filled(CODES).save(saved)
    before = CodeIndex.load(saved)
    for path in saved.iterdir():
        data = path.read_bytes()
        folder = damaged(saved, tmp_path)
        for place in range(0, len(data), 1 if path.name == "manifest.json" else 7):
            flipped = bytearray(data)
            flipped[place] ^= 1 << (place % 8)
            (folder / path.name).write_bytes(flipped)
            try:
                after = CodeIndex.load(folder)
            except ModelFormatError:
                continue
            assert path.name == "manifest.json"
            assert data[place : place + 1].isspace()
            assert (after.ids, after.metric, after.n_units) == (before.ids, before.metric, before.n_units)


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", "{}", '{"format": "other"}', "[" * 100_000, "\xff", '"x"']
)
def test_a_foreign_manifest_is_refused(saved, tmp_path, text):
    folder = damaged(saved, tmp_path)
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    refused(folder, r"manifest\.json")


def test_a_missing_folder_or_a_file_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "nowhere does not exist. Give the folder of an index")
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file", "file is no index")
    refused(tmp_path, "is no index")
    np.save(tmp_path / "units.npy", np.zeros(3))  # what is left of an index that has lost its manifest
    refused(tmp_path, "manifest.json cannot be read .* Restore the folder")


def forge(folder, change, arrays=None):
    """Change the manifest and arrays, and make every checksum right again."""
    for name, array in (arrays or {}).items():
        np.save(folder / name, array)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"]
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest |= change
    manifest["checksum"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_forging_alone_is_harmless(saved, tmp_path):
    folder = damaged(saved, tmp_path)
    forge(folder, {})
    assert CodeIndex.load(folder).ids == CodeIndex.load(saved).ids


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 4}, "has index version 4; this nsae reads up to version 3. Upgrade"),
        ({"version": 0}, "not complete"),
        ({"version": "2"}, "not complete"),
        ({"files": ["indptr.npy"]}, "not complete"),
        ({"files": {}}, "not usable"),
        ({"files": {"../index/ids.npy": {"sha256": "0"}}}, "not complete"),
        ({"files": {"ids.npy": "0"}}, "checksum for each"),
        ({"files": {"a\0b": {"sha256": "0"}}}, "cannot be read"),
        ({"rows": 4}, "rows=4 differ"),
        ({"metric": "l7"}, "'l7' is not known"),
        ({"metric": ["l2"]}, "is not known"),
        ({"n_units": 3}, "Units from 0 to 2"),
        ({"n_units": -1}, "n_units=-1"),
        ({"n_units": "4"}, "usable"),
        ({"n_added": None}, "usable"),
    ],
)
def test_a_manifest_with_wrong_content_is_refused(saved, tmp_path, change, match):
    folder = damaged(saved, tmp_path)
    forge(folder, change)
    refused(folder, match)


@pytest.mark.parametrize(
    "arrays",
    [
        {"indptr.npy": np.array([0, 2, 1, 4])},
        {"indptr.npy": np.array([0, 2, 2, 3])},
        {"indptr.npy": np.array([1, 2, 2, 4])},
        {"indptr.npy": np.array([0, 2, 4])},
        {"indptr.npy": np.array([0, 2, 2, 4], np.int32)},
        {"indptr.npy": np.array(0)},
        {"units.npy": np.array([1, 3, 0, 4], np.int32)},
        {"units.npy": np.array([1, 3, 0, -1], np.int32)},
        {"units.npy": np.array([3, 1, 0, 3], np.int32)},
        {"units.npy": np.zeros((2, 2), np.int32)},
        {"values.npy": np.array([1, 1, 1, np.nan], np.float32)},
        {"values.npy": np.ones(4)},
        {"values.npy": np.array([1, None], object)},
    ],
)
def test_arrays_with_wrong_content_are_refused(saved, tmp_path, arrays):
    folder = damaged(saved, tmp_path)
    forge(folder, {}, arrays)
    refused(folder, "usable")


@pytest.mark.parametrize("ids", [[1, 1, 2], [1.5, 2.5, 3.5], [True, False, True], [1, 2]])
def test_wrong_ids_are_refused(tmp_path, ids):
    filled(CODES).save(tmp_path / "index")
    forge(tmp_path / "index", {}, {"ids.npy": np.array(ids)})
    refused(tmp_path / "index", "usable")


# ---- mapped


def large(n=3000, seed=0):
    """An index whose files are large enough to be mapped."""
    rng = np.random.default_rng(seed)
    Z = rng.random((n, 40), np.float32) * (rng.random((n, 40)) < 0.2)
    return filled(Z, ids=[f"photos/number {i} of many.jpg" for i in range(n)])


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_mapped_is_the_same(tmp_path, ids):
    filled(CODES, ids=ids).save(tmp_path / "small")
    assert CodeIndex.load(tmp_path / "small", mmap=True).ids == ids
    index = large()
    index.save(tmp_path / "large")
    mapped = CodeIndex.load(tmp_path / "large", mmap=True)
    assert not mapped.codes.values.flags.writeable
    assert (len(mapped), mapped.ids) == (3000, index.ids)
    assert mapped.row_of("photos/number 7 of many.jpg") == 7
    here, there = index.search(index.codes[:20], 9), mapped.search(index.codes[:20], 9)
    np.testing.assert_array_equal(here.distances, there.distances)
    np.testing.assert_array_equal(here.ids, there.ids)


def test_a_mapped_index_can_be_changed_and_does_not_change_with_its_folder(tmp_path):
    large().save(tmp_path / "index")
    mapped = CodeIndex.load(tmp_path / "index", mmap=True)
    before = mapped.codes.values.copy()
    large(2500, seed=1).save(tmp_path / "index", overwrite=True)
    np.testing.assert_array_equal(mapped.codes.values, before)
    mapped.add(np.ones((1, 40)), ["one more"])
    mapped.remove(["photos/number 0 of many.jpg"])
    assert (len(mapped), mapped.row_of("one more")) == (3000, 2999)
    mapped.save(tmp_path / "index", overwrite=True)
    assert CodeIndex.load(tmp_path / "index").ids == mapped.ids


def test_no_array_of_a_mapped_index_can_be_written_to_whatever_its_size(tmp_path):
    """Small files were read into arrays of their own, and the loops compiled anew for each mixture of both kinds."""
    Z = np.zeros((WINDOW + 1, 4), np.float32)
    Z[:, 1] = 1
    filled(Z).save(tmp_path / "x")
    searcher = CodeIndex.load(tmp_path / "x", mmap=True)._state.searcher()
    postings = searcher.prepare()
    assert postings.lists.steps.nbytes < READ_BYTES < postings.lists.order.nbytes
    arrays = [*searcher.code_arrays(None)[:4], *postings.lists[:-1], postings.squared_norms]
    assert [array.flags.writeable for array in arrays] == [False] * len(arrays)


def test_mapped_checks_sizes_and_verify_checks_all(tmp_path):
    large().save(tmp_path / "index")
    CodeIndex.verify(tmp_path / "index")
    path = tmp_path / "index/values.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    CodeIndex.load(tmp_path / "index", mmap=True)
    with pytest.raises(ModelFormatError, match=r"values\.npy is truncated or altered"):
        CodeIndex.verify(tmp_path / "index")
    path.write_bytes(data[:-4])
    with pytest.raises(ModelFormatError, match=r"values\.npy is truncated or altered"):
        CodeIndex.load(tmp_path / "index", mmap=True)


@pytest.mark.parametrize("n_units", [1 << 16, (1 << 16) + 1])
def test_units_are_small_where_they_can_be(tmp_path, n_units):
    Z = np.zeros((2, n_units), np.float32)
    Z[:, -1] = 1
    filled(Z).save(tmp_path / "index")
    stored = np.load(tmp_path / "index/units.npy")
    assert stored.dtype == (np.uint16 if n_units == 1 << 16 else np.int32)
    assert CodeIndex.load(tmp_path / "index").codes.units.tolist() == [n_units - 1] * 2


# ---- version 1


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize("mmap", [False, True])
def test_version_1_is_read_and_replaced(tmp_path, ids, mmap):
    folder = tmp_path / "index"
    folder.mkdir()
    codes = filled(CODES).codes
    for name in ("indptr", "units", "values"):
        np.save(folder / f"{name}.npy", getattr(codes, name))
    array = np.array(ids)
    if (array.dtype == np.int64 or array.dtype.kind == "U") and array.tolist() == ids:
        np.save(folder / "ids.npy", array)
    else:
        (folder / "ids.json").write_text(json.dumps(ids))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    manifest = {"format": "nsae-index", "version": 1, "metric": "l2", "n_units": 4, "n_added": 9, "rows": 3}
    manifest["files"] = files
    manifest["checksum"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))

    index = CodeIndex.load(folder, mmap=mmap)
    assert (index.ids, index.metric) == (ids, "l2")
    np.testing.assert_array_equal(index.codes.to_dense(), CODES)
    index.save(folder, overwrite=True)
    assert CodeIndex.load(folder).ids == ids
    assert sorted(json.loads((folder / "manifest.json").read_text())["files"]) == sorted(
        path.name for path in folder.iterdir() if path.name != "manifest.json"
    )


# ---- replaced


def state(folder):
    """Which of the two indexes a folder holds: by codes, ids and the extra file."""
    index = CodeIndex.load(folder)
    model = use_file(folder, "model.npz", None, Path.read_bytes)
    return index.ids, index.codes.values.tolist(), model


@pytest.mark.parametrize("call", ["replace", "fsync", "unlink"])
def test_at_each_moment_of_a_replacement_there_is_the_old_or_the_new(tmp_path, monkeypatch, call):
    """What a kill just before each such call would leave is copied, and opened later."""
    folder = tmp_path / "index"
    old, new = filled(CODES, ids=[1, 2, 3]), filled(CODES[:2] * 2, ids=["a", "b"])
    old.save(folder, extra_files={"model.npz": b"old", "same": b"same"})
    states = [state(folder)]
    owner = os if call != "unlink" else type(tmp_path)
    original, copies = getattr(owner, call), []

    def copied(*arguments, **options):
        copies.append(tmp_path / f"copy {len(copies)}")
        shutil.copytree(folder, copies[-1])
        return original(*arguments, **options)

    monkeypatch.setattr(owner, call, copied)
    new.save(folder, overwrite=True, extra_files={"model.npz": b"new", "same": b"same"})
    monkeypatch.undo()
    states.append(state(folder))
    seen = [states.index(state(copy)) for copy in copies]
    assert copies
    assert seen == sorted(seen)
    if call == "replace":
        assert seen[0] == 0
        assert seen[-1] == 1
    for copy in copies:  # and the next save clears up
        old.save(copy, overwrite=True, extra_files={"model.npz": b"old", "same": b"same"})
        assert sorted(path.name for path in copy.iterdir()) == [
            "ids.npy",
            "indptr.npy",
            "manifest.json",
            "model.npz",
            "same",
            "units.npy",
            "values.npy",
        ]


@pytest.mark.parametrize("overwrite", [True, False])
def test_two_that_write_a_new_folder_at_once(tmp_path, monkeypatch, overwrite):
    """The later of two threads that saved an index for the first time ended in an OSError of the rename."""
    sooner, later, path = CodeIndex(3), CodeIndex(3), tmp_path / "x"
    sooner.add(np.eye(3))
    later.add(np.ones((2, 3)))
    sealed = manifest._sealed

    def save_the_other(*args):
        monkeypatch.setattr(manifest, "_sealed", sealed)
        sooner.save(path)
        return sealed(*args)

    monkeypatch.setattr(manifest, "_sealed", save_the_other)
    if overwrite:
        later.save(path, overwrite=True)
    else:
        with pytest.raises(FileExistsError, match="exists already"):
            later.save(path)
    CodeIndex.verify(path)
    assert len(CodeIndex.load(path)) == (2 if overwrite else 3)
    assert not list(tmp_path.glob(".x*"))


def test_an_error_while_replacing_leaves_the_old_index_and_no_litter(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    filled(CODES).save(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        filled(CODES[:1]).save(folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_that_is_dropped_goes_and_files_of_others_stay(tmp_path):
    filled(CODES).save(tmp_path / "index", extra_files={"dropped": b""})
    (tmp_path / "index/notes.txt").write_text("mine")
    filled(CODES[:1]).save(tmp_path / "index", overwrite=True)
    assert (tmp_path / "index/notes.txt").read_text() == "mine"
    assert not (tmp_path / "index/dropped").exists()


def test_what_a_killed_writer_did_not_remove_goes_with_the_next_save(tmp_path, monkeypatch):
    """It stayed for good: no manifest named it any more."""
    folder, index = tmp_path / "index", filled(CODES, ids=["a", "b", "c"])
    filled(CODES).save(folder)
    for name in ("changes_rows.npy", "search_order.npy", "search_results.npy", "changes_mine.npy"):
        (folder / name).write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", Mock(side_effect=OSError))
        index.save(folder, overwrite=True)
    assert (folder / "ids.npy").exists()
    index.save(folder, overwrite=True)
    assert sorted({path.name for path in folder.iterdir()} - read_manifest(folder)["files"].keys()) == [
        "changes_mine.npy",
        "manifest.json",
        "search_results.npy",
    ]
    CodeIndex.verify(folder)


def test_a_damaged_index_can_be_replaced(tmp_path):
    filled(CODES).save(tmp_path / "index", extra_files={"same": b"same"})
    (tmp_path / "index/same").write_bytes(b"SAME")
    filled(CODES).save(tmp_path / "index", overwrite=True, extra_files={"same": b"same"})
    CodeIndex.verify(tmp_path / "index")
    (tmp_path / "index/manifest.json").write_bytes(b"{")
    filled(CODES).save(tmp_path / "index", overwrite=True)
    CodeIndex.verify(tmp_path / "index")


def test_reading_while_a_writer_replaces_starts_again(tmp_path, monkeypatch):
    """The files that are opened first belong to the old generation, the others to the new one."""
    folder = tmp_path / "index"
    large().save(folder)
    new = large(2500, seed=1)
    import nsae.retrieval.on_disk.index_folder as module

    opened, calls = module._opened, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            new.save(folder, overwrite=True)
        return opened(*arguments)

    monkeypatch.setattr(module, "_opened", interrupted)
    index = CodeIndex.load(folder, mmap=True)
    assert len(index) == 2500
    np.testing.assert_array_equal(index.codes.values, new.codes.values)


@pytest.mark.parametrize("mmap", [False, True])
def test_a_file_that_gets_its_plain_name_while_it_is_opened_is_read(tmp_path, monkeypatch, mmap):
    """A reader that had seen units.npy.<generation>.part found nothing there when it came to open it."""
    folder, new = tmp_path / "index", large(2500, seed=1)
    large().save(folder)
    monkeypatch.setattr(manifest, "_finish_renames", Mock(side_effect=[None, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        new.save(folder, overwrite=True, extra_files={"model.npz": bytes(100_000)})
    staged = [*folder.glob("*.part")]
    assert staged
    opened = builtins.open

    def late(path, *arguments, **options):
        if path in staged and path.exists():
            os.replace(path, path.with_suffix("").with_suffix(""))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(builtins, "open", late)
    index = CodeIndex.load(folder, mmap=mmap)
    monkeypatch.undo()
    np.testing.assert_array_equal(index.codes.values, new.codes.values)
    assert not [*folder.glob("*.part")]


# ---- the search structure


def saved_search(tmp_path, version=1):
    codes = filled(CODES).codes
    header = {"metric": "cosine", "n_units": 4, "n_added": 3}
    write_folder(
        tmp_path / "index",
        codes,
        Ids([1, 2, 3]),
        header,
        overwrite=False,
        extra_files={},
        search={"rows": np.arange(5)},
        search_version=version,
    )
    return tmp_path / "index"


def search_of(folder, **options):
    stored = read_folder(folder, mmap=False, **options)
    return stored.search and {name: array.tolist() for name, array in stored.search.items()}


def test_the_search_structure_is_kept_and_may_be_missing(tmp_path):
    folder = saved_search(tmp_path)
    assert search_of(folder, search_version=1) == {"rows": [0, 1, 2, 3, 4]}
    assert search_of(folder, search_version=2) is None
    (folder / "search_rows.npy").write_bytes(b"damaged")
    assert search_of(folder, search_version=1) is None
    with pytest.raises(ModelFormatError, match="search_rows"):
        read_folder(folder, mmap=False, search_version=1, need_search=True)
    (folder / "search_rows.npy").unlink()
    assert search_of(folder, search_version=1) is None
    assert len(CodeIndex.load(folder)) == 3


@pytest.mark.parametrize("generation", ["../../x", 7, [], "", "0" * 15, "é" * 16, "0" * 17])
def test_a_forged_generation_leads_nowhere(generation, tmp_path):
    from nsae.retrieval.on_disk.manifest import _seal

    index = CodeIndex(3)
    index.add(np.eye(3))
    index.save(tmp_path / "a")
    manifest = json.loads((tmp_path / "a/manifest.json").read_bytes())
    del manifest["checksum"]
    manifest["generation"] = generation
    (tmp_path / "a/manifest.json").write_text(json.dumps({**manifest, "checksum": _seal(manifest)}))
    with pytest.raises(ModelFormatError, match="generation"):
        CodeIndex.load(tmp_path / "a")


@pytest.mark.parametrize("mmap", [False, True])
def test_forged_codes_of_a_small_index_are_refused_also_where_they_could_be_mapped(mmap, tmp_path):
    from nsae.retrieval.on_disk import manifest as module

    index = CodeIndex(3)
    index.add(np.eye(3))
    index.save(tmp_path / "a")
    manifest = json.loads((tmp_path / "a/manifest.json").read_bytes())
    del manifest["checksum"]
    np.save(tmp_path / "a/indptr.npy", np.array([0, 2, 1, 3]))
    data = (tmp_path / "a/indptr.npy").read_bytes()
    manifest["files"]["indptr.npy"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (tmp_path / "a/manifest.json").write_text(json.dumps({**manifest, "checksum": module._seal(manifest)}))
    with pytest.raises(ModelFormatError, match="must not decrease"):
        CodeIndex.load(tmp_path / "a", mmap=mmap)


def test_a_damaged_row_of_a_mapped_index_is_not_explained(tmp_path):
    index = large(6000)
    index.save(tmp_path / "index")
    query, id = index.codes[3], index.ids[3]
    for name, dtype, value in (("units", np.uint16, 65535), ("values", np.float32, np.nan)):
        path = tmp_path / "index" / f"{name}.npy"
        kept = path.read_bytes()
        path.write_bytes(
            kept[:128] + np.full((len(kept) - 128) // np.dtype(dtype).itemsize, value, dtype).tobytes()
        )
        mapped = CodeIndex.load(tmp_path / "index", mmap=True)
        with pytest.raises(ModelFormatError, match="damaged"):
            mapped.explain(query, id)
        path.write_bytes(kept)
    assert CodeIndex.load(tmp_path / "index", mmap=True).explain(query, id)
