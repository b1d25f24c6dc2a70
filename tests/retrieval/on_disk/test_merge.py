"""Index folders merged: the bytes of a single build, in memory that hardly grows."""

import filecmp
import json
import subprocess
import sys

import numpy as np
import pytest

from nsae import CodeIndex, Codes
from nsae.errors import ModelFormatError
from nsae.retrieval import merge_folders
from nsae.retrieval.ids import Ids
from nsae.retrieval.on_disk import unique_ids
from nsae.retrieval.on_disk.unique_ids import check_unique
from nsae.retrieval.search import stream_postings
from nsae.retrieval.search.postings import WINDOW

H = 40
ID_OF = {
    "integers": lambda i: i - 5,
    "strings": lambda i: f"ü{i}\0",
    "mixed": lambda i: i if i % 2 else str(i),
    "beyond int64": lambda i: i << 60,
    "undecodable": lambda i: f"\udcff{i}",
}


def random_codes(rng, n, k=4, h=H):
    units = np.sort(rng.integers(0, h // k, (n, k)) + np.arange(k) * (h // k), axis=1).astype(np.int32)
    values = rng.normal(size=(n, k)).astype(np.float32)
    return Codes(np.arange(n + 1, dtype=np.int64) * k, units.ravel(), values.ravel(), h)


def built(folder, codes, ids, metric="cosine", extra=None):
    index = CodeIndex(codes.n_units, metric=metric)
    index.add(codes, ids)
    index.save(folder, extra_files=extra)
    return folder


def shards_and_single(tmp_path, codes, ids, sizes, metric="cosine", extra=None):
    ends = np.cumsum(sizes)
    folders = [
        built(tmp_path / f"shard {i}", codes[stop - size : stop], ids[stop - size : stop], metric, extra)
        for i, (size, stop) in enumerate(zip(sizes, ends, strict=True))
    ]
    return folders, built(tmp_path / "single", codes, ids, metric, extra)


def assert_same_bytes(one, other):
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    same, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    assert same == names


@pytest.mark.parametrize("id_of", ID_OF.values(), ids=ID_OF)
@pytest.mark.parametrize("sizes", [(0,), (0, 0), (3, 0, 5), (7,)], ids=str)
def test_few_rows_have_the_bytes_of_a_single_build(rng, tmp_path, sizes, id_of):
    n = sum(sizes)
    shards, single = shards_and_single(
        tmp_path, random_codes(rng, n), [id_of(i) for i in range(n)], sizes, extra={"encoder.npz": b"weights"}
    )
    merge_folders(shards, tmp_path / "merged")
    assert_same_bytes(tmp_path / "merged", single)


@pytest.mark.parametrize("metric", ["cosine", "l2", "jaccard"])
def test_many_rows_too_with_the_search_structure(rng, tmp_path, metric, monkeypatch):
    codes = random_codes(rng, WINDOW + 900)
    codes.values[: 4 * 50] = 0  # 50 rows without a unit
    monkeypatch.setattr(stream_postings, "BLOCK_ENTRIES", 4 * 5000)
    sizes = (9000, 1, WINDOW + 900 - 9001)
    shards, single = shards_and_single(tmp_path, codes, list(range(len(codes))), sizes, metric)
    merge_folders(shards, tmp_path / "merged")
    assert_same_bytes(tmp_path / "merged", single)
    Q = codes[np.arange(0, len(codes), 3000)]
    mapped = CodeIndex.load(tmp_path / "merged", mmap=True)
    np.testing.assert_array_equal(mapped.search(Q).ids, CodeIndex.load(single).search(Q).ids)


def test_loops_in_numpy_make_the_same_bytes(rng, tmp_path, monkeypatch):
    codes = random_codes(rng, WINDOW + 100)
    shards, single = shards_and_single(tmp_path, codes, list(range(len(codes))), (100, WINDOW))
    monkeypatch.setattr(stream_postings, "resolve_backend", lambda *_: "numpy")
    merge_folders(shards, tmp_path / "merged")
    assert_same_bytes(tmp_path / "merged", single)


def test_rows_without_any_unit(tmp_path):
    codes = Codes(np.zeros(WINDOW + 2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), H)
    shards, single = shards_and_single(tmp_path, codes, list(range(len(codes))), (1, WINDOW))
    merge_folders(shards, tmp_path / "merged")
    assert_same_bytes(tmp_path / "merged", single)


def test_the_next_default_id_is_that_of_a_merged_index(rng, tmp_path):
    index = CodeIndex(H)
    index.add(random_codes(rng, 9))
    index.remove([8, 3])
    index.save(tmp_path / "a")
    merge_folders([tmp_path / "a", built(tmp_path / "b", random_codes(rng, 1), [20])], tmp_path / "merged")
    merged = CodeIndex.load(tmp_path / "merged")
    merged.add(random_codes(rng, 1))
    in_memory = CodeIndex(H)
    in_memory.merge(index, CodeIndex.load(tmp_path / "b"))
    in_memory.add(random_codes(rng, 1))
    assert merged.ids == in_memory.ids == [0, 1, 2, 4, 5, 6, 7, 20, 9]


def test_what_does_not_belong_together_is_refused_and_nothing_is_written(rng, tmp_path):
    a = built(tmp_path / "a", random_codes(rng, 3), [1, 2, 3])
    cases = {
        r"The id 3 is in .*a and in .*b0\. Ids are unique": ([7, 3], "cosine", None),
        r"metric='cosine', and .* has metric='dot'": ([7], "dot", None),
        r"encoder\.npz": ([7], "cosine", {"encoder.npz": b""}),
    }
    for number, (match, (ids, metric, extra)) in enumerate(cases.items()):
        b = built(tmp_path / f"b{number}", random_codes(rng, len(ids)), ids, metric, extra)
        with pytest.raises(ValueError, match=match):
            merge_folders([a, b], tmp_path / "merged")
    with pytest.raises(ValueError, match="No index was given"):
        merge_folders([], tmp_path / "merged")
    with pytest.raises(FileExistsError, match="exists already"):
        merge_folders([a], a)
    (tmp_path / "b0" / "ids.npy").write_bytes(b"")
    with pytest.raises(ModelFormatError, match=r"ids\.npy is truncated"):
        merge_folders([a, tmp_path / "b0"], tmp_path / "merged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b0", "b1", "b2"]


def test_damaged_codes_of_a_large_shard_are_refused(rng, tmp_path):
    """A large file is mapped, and its checksum is not read: what it holds is looked at while it is copied."""
    a = built(tmp_path / "a", random_codes(rng, 9000), list(range(9000)))
    data = np.load(a / "units.npy", mmap_mode="r+")
    data[5000] = H + 1
    data.flush()
    with pytest.raises(ModelFormatError, match=r"a does not hold a usable index.*Units from 0 to 39"):
        merge_folders([a], tmp_path / "merged")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_id_that_comes_twice_is_found_in_many_passes(rng, monkeypatch):
    monkeypatch.setattr(unique_ids, "MOST_KEYS", 50)
    monkeypatch.setattr(unique_ids, "KEY_BLOCK", 30)
    monkeypatch.setattr(unique_ids, "ID_BLOCK", 17)
    for id_of in ID_OF.values():
        every = [id_of(i) for i in range(400)]
        check_unique(["a", "b", "c"], [Ids(every[:150]), Ids(), Ids(every[150:])])
        for twice in (0, 149, 200):
            with pytest.raises(ValueError, match=r"is in .* and in c"):
                check_unique(["a", "b", "c"], [Ids(every[:150]), Ids(), Ids([*every[150:], every[twice]])])
    check_unique(["a", "b"], [Ids(np.arange(3)), Ids(["0", "1", "2"])])
    with pytest.raises(ValueError, match="The id 2 is in a and in b"):
        check_unique(["a", "b"], [Ids(np.arange(3)), Ids(["0", 2])])


def test_ids_are_read_as_often_however_many_there_are(monkeypatch):
    monkeypatch.setattr(unique_ids, "MOST_KEYS", 50)
    monkeypatch.setattr(unique_ids, "KEY_BLOCK", 30)
    read = 0

    def counted(keys, real=unique_ids._blocks):
        nonlocal read
        for start, block in real(keys):
            read += len(block)
            yield start, block

    monkeypatch.setattr(unique_ids, "_blocks", counted)
    for n in (500, 5000):
        read = 0
        check_unique(["a"], [Ids(np.arange(n))])
        assert read <= 2 * n


def test_ids_are_not_looked_at_where_they_are_known_to_differ(rng, tmp_path):
    shards, single = shards_and_single(tmp_path, random_codes(rng, 9), list(range(9)), (4, 5))
    merge_folders(shards, tmp_path / "merged", check_ids=False)
    assert_same_bytes(tmp_path / "merged", single)
    merge_folders([shards[0], shards[0]], tmp_path / "twice", check_ids=False)
    with pytest.raises(ModelFormatError, match="The id 0 comes twice"):
        CodeIndex.load(tmp_path / "twice")


def test_one_path_is_one_folder(rng, tmp_path, monkeypatch):
    shard = built(tmp_path / "shard", random_codes(rng, 3), [1, 2, 3])
    monkeypatch.chdir(tmp_path)
    for i, path in enumerate(("shard", shard)):
        merge_folders(path, f"merged {i}")
        assert_same_bytes(tmp_path / f"merged {i}", shard)


def test_equal_keys_of_different_ids_are_no_duplicates(monkeypatch):
    monkeypatch.setattr(unique_ids, "_keys", lambda ids, integers: np.zeros(len(ids), np.uint64))
    check_unique(["a"], [Ids([1, 2, 3])])
    with pytest.raises(ValueError, match="The id 2 is in a and in b"):
        check_unique(["a", "b"], [Ids([1, 2]), Ids([2])])


MEASURE = """
import json, sys
from nsae.retrieval import merge_folders
from nsae.retrieval.search import stream_postings
stream_postings.ENTRY_WORK = 1e9  # compiled loops, whatever the size
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
merge_folders(sys.argv[2:3], sys.argv[1] + " first")  # compiles, or loads what was compiled
before = peak()
merge_folders(sys.argv[2:], sys.argv[1])
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_memory_hardly_grows_with_the_rows(rng, tmp_path):
    pytest.importorskip("numba")  # Plain NumPy takes minutes for so many entries.
    grown = {}
    for n in (40_000, 240_000):
        shards = [
            built(tmp_path / f"{n}-{i}", random_codes(rng, n // 2, k=12), range(i * n, i * n + n // 2))
            for i in (0, 1)
        ]
        command = [sys.executable, "-c", MEASURE, tmp_path / f"merged-{n}", *shards]
        grown[n] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # The larger index has 35 MB, and the smaller one 6.
    assert grown[240_000] < grown[40_000] + 12_000, grown
