"""An index saved again after a few changes: what is written, what stays, and that it is the same index."""

import json
import os
import shutil

import numpy as np
import pytest

from nsae import Codes
from nsae.errors import ModelFormatError
from nsae.retrieval import CodeIndex, merge_folders
from nsae.retrieval.on_disk.changes import Changes
from nsae.retrieval.on_disk.manifest import _seal, read_manifest

H, N = 12, 40
BASE = {"indptr.npy", "units.npy", "values.npy"}


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    """Have the search structure of few rows saved as that of many is."""
    monkeypatch.setattr("nsae.retrieval.index.WINDOW", 0)


def rows(rng, n):
    return np.where(rng.random((n, H)) < 0.3, rng.random((n, H)) + 0.1, 0).astype(np.float32)


def saved(folder, rng, metric="cosine", ids=None):
    index = CodeIndex(H, metric=metric)
    index.add(rows(rng, N), ids)
    index.save(folder)
    return index


def stamps(folder):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def written(folder, before):
    now = stamps(folder)
    return {name for name in now if now[name] != before.get(name)}


def same(index, other, rng):
    assert index.ids == other.ids
    for part in ("indptr", "units", "values"):
        np.testing.assert_array_equal(getattr(index.codes, part), getattr(other.codes, part))
    queries = rows(rng, 3)
    for backend in ("numpy", "auto"):
        hits, expected = index.search(queries, 7, backend=backend), other.search(queries, 7, backend=backend)
        np.testing.assert_array_equal(hits.distances, expected.distances)
        assert hits.ids.tolist() == expected.ids.tolist()


def afresh(index):
    other = CodeIndex(index.n_units, metric=index.metric)
    other.add(index.codes, index.ids)
    return other


@pytest.mark.parametrize("opened", ["made", "loaded", "mapped"])
def test_what_did_not_change_is_not_written(rng, tmp_path, opened):
    folder = tmp_path / "index"
    index = saved(folder, rng)
    if opened != "made":
        index = CodeIndex.load(folder, mmap=opened == "mapped")
    for step in range(3):
        index.add(rows(rng, 1))
        index.remove([step])
        index.add(rows(rng, 1), [9 + step], on_duplicate="replace")
        before = stamps(folder)
        index.save(folder, overwrite=True)
        assert {"ids.npy", "manifest.json", "changes_rows.npy"} <= written(folder, before)
        assert not {name for name in written(folder, before) if name in BASE or name.startswith("search_")}
        CodeIndex.verify(folder)
        for mmap in (False, True):
            same(CodeIndex.load(folder, mmap=mmap), afresh(index), rng)
    assert read_manifest(folder)["version"] == 3  # An older nsae would pass over the changes.


@pytest.mark.parametrize("metric", ["cosine", "jaccard"])
@pytest.mark.parametrize("of_strings", [False, True])
def test_any_changes_saved_on_the_way_are_those_in_memory(rng, tmp_path, metric, of_strings):
    folder, names = tmp_path / "index", [f"photo {i}" for i in range(N)]
    index, kinds = saved(folder, rng, metric, names if of_strings else None), set()
    for step in range(40):
        what = rng.integers(4)
        if what == 0:
            index.add(rows(rng, 2), [f"new {step}", f"newer {step}"] if of_strings else None)
        elif what == 1:
            index.remove(rng.choice(index.ids, 2, replace=False).tolist())
        elif what == 2:
            index.add(rows(rng, 1), [index.ids[rng.integers(len(index))]], on_duplicate="replace")
        else:
            index = CodeIndex.load(folder, mmap=bool(rng.integers(2)))
        index.save(folder, overwrite=True)
        kinds.add(read_manifest(folder)["version"])
        if step % 5 == 4:
            same(CodeIndex.load(folder), afresh(index), rng)
    assert kinds == {2, 3}


def test_an_index_as_it_was_needs_no_codes_written_and_older_versions_read_it(rng, tmp_path):
    folder = tmp_path / "index"
    index = saved(folder, rng)
    before = stamps(folder)
    index.add(rows(rng, 1), ["x"])
    index.save(folder, overwrite=True)
    index.remove(["x"])
    index.save(folder, overwrite=True)
    assert written(folder, before) <= {"ids.npy", "manifest.json"}
    assert read_manifest(folder)["version"] == 2
    assert not list(folder.glob("changes_*"))


def test_many_changes_and_another_place_are_written_whole(rng, tmp_path, monkeypatch):
    monkeypatch.setattr("nsae.retrieval.index_state.FEW_ADDED", 3)
    folder = tmp_path / "index"
    index = saved(folder, rng)
    index.add(rows(rng, 1))
    index.save(folder, overwrite=True)
    index.save(tmp_path / "other")
    index.add(rows(rng, 3))
    index.save(folder, overwrite=True)
    for place, whole in ((folder, afresh(index)), (tmp_path / "other", None)):
        assert not list(place.glob("changes_*"))
        assert read_manifest(place)["version"] == 2
        if whole is not None:
            whole.save(tmp_path / "whole")
            for name in BASE:
                assert (place / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_changes_are_those_of_the_folder_that_is_there_or_everything_is_written(rng, tmp_path):
    """Another process saved another index meanwhile, a file was touched, or is gone, or the folder is."""
    folder = tmp_path / "index"

    def other():
        afresh(saved(tmp_path / "elsewhere", rng)).save(folder, overwrite=True)

    def touched():
        data = bytearray((folder / "values.npy").read_bytes())
        data[-1] ^= 1
        (folder / "values.npy").write_bytes(data)

    for happens in (
        other,
        touched,
        lambda: (folder / "units.npy").unlink(),
        lambda: shutil.rmtree(folder),
        lambda: (folder / "manifest.json").write_text("{"),
    ):
        shutil.rmtree(folder, ignore_errors=True)
        index = saved(folder, rng)
        index.add(rows(rng, 1))
        happens()
        index.save(folder, overwrite=True)
        CodeIndex.verify(folder)
        same(CodeIndex.load(folder), index, rng)
        assert not list(folder.glob("changes_*"))


def test_a_folder_with_changes_is_moved_and_copied_as_one(rng, tmp_path):
    folder = tmp_path / "index"
    index = saved(folder, rng)
    index.add(rows(rng, 1))
    index.save(folder, overwrite=True)
    shutil.copytree(folder, tmp_path / "copy")
    os.rename(folder, tmp_path / "moved")
    for place in ("copy", "moved"):
        again = CodeIndex.load(tmp_path / place)
        again.remove([3])
        before = stamps(tmp_path / place)
        again.save(tmp_path / place, overwrite=True)
        assert not BASE & written(tmp_path / place, before)
        same(CodeIndex.load(tmp_path / place), again, rng)


@pytest.mark.parametrize("call", ["replace", "fsync", "unlink"])
def test_at_each_moment_there_are_the_old_changes_or_the_new(rng, tmp_path, monkeypatch, call):
    folder = tmp_path / "index"
    index = saved(folder, rng)
    index.add(rows(rng, 1), ["old"])
    index.save(folder, overwrite=True)
    old = afresh(index)
    index.remove([0])
    index.add(rows(rng, 2), ["new", "newer"])
    owner = os if call != "unlink" else type(tmp_path)
    original, copies = getattr(owner, call), []

    def copied(*arguments, **options):
        copies.append(tmp_path / f"copy {len(copies)}")
        shutil.copytree(folder, copies[-1])
        return original(*arguments, **options)

    monkeypatch.setattr(owner, call, copied)
    index.save(folder, overwrite=True)
    if call == "unlink":  # the changes go
        index.remove(index.ids[5:])
        index.save(folder, overwrite=True)
    monkeypatch.undo()
    assert copies
    for copy in copies:
        CodeIndex.verify(copy)
        found = CodeIndex.load(copy)
        if call != "unlink":
            same(found, afresh(index) if "new" in found else old, rng)
        found.add(rows(rng, 1), ["next"])
        found.save(copy, overwrite=True)
        same(CodeIndex.load(copy), found, rng)
        assert not list(copy.glob("*.part"))


def test_indexes_with_changes_are_merged(rng, tmp_path):
    indexes = []
    for name in "ab":
        index = saved(tmp_path / name, rng, ids=[f"{name}{i}" for i in range(N)])
        index.remove([f"{name}7"])
        index.add(rows(rng, 2), [f"{name}x", f"{name}y"])
        index.save(tmp_path / name, overwrite=True, extra_files={"model.npz": b"model"})
        indexes.append(index)
    merge_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "ab")
    indexes[0].merge(indexes[1])
    same(CodeIndex.load(tmp_path / "ab"), afresh(indexes[0]), rng)
    assert (tmp_path / "ab" / "model.npz").read_bytes() == b"model"


def test_a_shard_with_changes_is_merged_block_by_block(rng, tmp_path, monkeypatch):
    """All codes of such a shard came into memory at once, three times over."""
    monkeypatch.setattr("nsae.retrieval.search.stream_postings.BLOCK_ENTRIES", 20)
    index = saved(tmp_path / "index", rng)
    index.add(rows(rng, 3), [3, 30, "new"], on_duplicate="replace")
    index.remove([*range(10, 15), 0, 39])
    index.add(rows(rng, 2), ["last", "very last"])
    index.save(tmp_path / "index", overwrite=True)
    assert read_manifest(tmp_path / "index")["version"] == 3
    blocks, chosen = [], Codes.__getitem__

    def counted(codes, rows):
        block = chosen(codes, rows)
        blocks.append(len(block))
        return block

    monkeypatch.setattr(Codes, "__getitem__", counted)
    merge_folders(tmp_path / "index", tmp_path / "merged")
    monkeypatch.undo()
    assert 0 < max(blocks) <= 20
    assert CodeIndex.load(tmp_path / "merged").ids == index.ids
    np.testing.assert_array_equal(
        CodeIndex.load(tmp_path / "merged").codes.to_dense(), index.codes.to_dense()
    )


def test_damaged_codes_with_changes_are_not_merged(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "nsae.retrieval.on_disk.index_folder.READ_BYTES", 0
    )  # Large files are mapped, unread.
    index = saved(tmp_path / "index", rng)
    index.remove([4])
    index.save(tmp_path / "index", overwrite=True)
    indptr = np.load(tmp_path / "index" / "indptr.npy")
    indptr[20] = 1 << 40
    np.save(tmp_path / "index" / "indptr.npy", indptr)
    with pytest.raises(ModelFormatError, match="usable index, from row"):
        merge_folders(tmp_path / "index", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_extra_files_leave_the_names_of_changes_free(rng, tmp_path):
    index = saved(tmp_path / "index", rng)
    index.add(rows(rng, 1))
    for name in ("changes_rows.npy", "values.npy", "search_bounds.npy"):
        with pytest.raises(ValueError, match="not a file name that is free"):
            index.save(tmp_path / "index", overwrite=True, extra_files={name: b""})
    index.save(tmp_path / "index", overwrite=True, extra_files={"changes.txt": b"mine"})
    assert (tmp_path / "index" / "changes.txt").read_bytes() == b"mine"


def test_damaged_codes_are_not_saved_as_changes(rng, tmp_path):
    index = saved(tmp_path / "index", rng)
    index.add(rows(rng, 1))
    index._state._layers.added[-1].values[0] = np.nan
    with pytest.raises(ValueError, match="damaged"):
        index.save(tmp_path / "index", overwrite=True)


# ---- what is not right


def with_changes(rng, folder):
    index = saved(folder, rng)
    index.remove([3, 7])
    index.add(rows(rng, 3))
    index.save(folder, overwrite=True)
    return folder


def forge(folder, name, array):
    """Put another array into the folder, with checksums that are right."""
    import hashlib

    np.save(folder / name, array)
    manifest = json.loads((folder / "manifest.json").read_text())
    data = (folder / name).read_bytes()
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    del manifest["checksum"]
    manifest["checksum"] = _seal(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("mmap", [False, True])
def test_each_file_of_changes_truncated_flipped_or_missing_is_refused(rng, tmp_path, mmap):
    whole = with_changes(rng, tmp_path / "whole")
    names = [path.name for path in whole.glob("changes_*")]
    assert len(names) == 5
    for name in names:
        data = (whole / name).read_bytes()
        for damaged in (data[:-1], data[:-1] + bytes([data[-1] ^ 1]), None):
            shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
            shutil.copytree(whole, tmp_path / "damaged")
            (tmp_path / "damaged" / name).unlink()
            if damaged is not None:
                (tmp_path / "damaged" / name).write_bytes(damaged)
            with pytest.raises(ModelFormatError, match=name):
                CodeIndex.load(tmp_path / "damaged", mmap=mmap)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("changes_removed.npy", [3, 3]),
        ("changes_removed.npy", [3, N]),
        ("changes_removed.npy", [-1, 3]),
        ("changes_removed.npy", [3]),
        ("changes_removed.npy", [3.0, 7.0]),
        ("changes_rows.npy", [39, 40]),
        ("changes_rows.npy", [38, 40, 39]),
        ("changes_rows.npy", [39, 40, 41]),
        ("changes_indptr.npy", [0, 9, 1, 2]),
        ("changes_indptr.npy", [0, 0, 0]),
    ],
)
def test_changes_with_wrong_content_are_refused(rng, tmp_path, name, array, mmap):
    folder = with_changes(rng, tmp_path / "index")
    forge(folder, name, np.array(array))
    with pytest.raises(ModelFormatError):
        CodeIndex.load(folder, mmap=mmap)


def test_a_damaged_search_structure_is_made_again_and_saved(rng, tmp_path):
    folder = with_changes(rng, tmp_path / "index")
    name = next(path.name for path in folder.glob("search_*"))
    (folder / name).write_bytes(b"damaged")
    index = CodeIndex.load(folder)
    index.add(rows(rng, 1))
    same(index, afresh(index), rng)
    index.save(folder, overwrite=True)
    CodeIndex.verify(folder)
    assert not list(folder.glob("changes_*"))


def test_changes_there_and_back(rng):
    added = CodeIndex(H)
    added.add(rows(rng, 4))
    source = np.array([0, 11, 2, 3, 13, 9, 12])  # of 10 rows before
    changes = Changes.of(10, added.codes, source)
    assert (changes.rows.tolist(), changes.removed.tolist()) == ([1, 4, 6], [1, 4, 5, 6, 7, 8])
    np.testing.assert_array_equal(changes.added.to_dense(), added.codes.to_dense()[[1, 3, 2]])
    assert changes.source(10).tolist() == [0, 10, 2, 3, 11, 9, 12]


def test_a_part_of_the_source_is_that_part_of_it(rng):
    for _ in range(50):
        n = int(rng.integers(0, 12))
        left = np.sort(rng.permutation(n)[: rng.integers(0, n + 1)])
        source = left
        for i in range(int(rng.integers(0, 5))):
            source = np.insert(source, rng.integers(0, len(source) + 1), n + i)
        added = Codes.from_dense(np.ones((len(source) - len(left), H)))
        changes = Changes.of(n, added, source)
        whole = source.copy()
        whole[source >= n] = n + np.arange(len(added))
        assert changes.source(n).tolist() == whole.tolist()
        start, stop = np.sort(rng.integers(0, len(source) + 1, 2))
        assert changes.source_of(start, stop, n).tolist() == whole[start:stop].tolist()
