"""A saved index against what may happen to its files, and to whoever writes them."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from nsae.errors import ModelFormatError
from nsae.retrieval import CodeIndex

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
    refused(tmp_path / "nowhere", "cannot be read")
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file", "cannot be read")
    refused(tmp_path, "cannot be read")


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
        ({"version": 3}, "has index version 3; this nsae reads up to version 2. Upgrade"),
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
