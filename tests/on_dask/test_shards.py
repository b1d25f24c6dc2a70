"""Shards that workers write: merged they are the bytes of a single build, searched they have its hits."""

import filecmp
import os
import signal

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")
import cloudpickle
import dask
import dask.array as da

import nsae.distributed
from nsae import CodeIndex, Codes
from nsae.distributed import ShardedIndex, build_index, merge_folders

H = 12


@pytest.fixture
def Z():
    rng = np.random.default_rng(0)
    return (rng.integers(0, 3, (90, H)) * (rng.random((90, H)) < 0.3)).astype(np.float32)


def single(Z, ids=None):
    index = CodeIndex(H)
    index.add(Z, ids)
    return index


def check_merged(folders, index, tmp_path):
    merge_folders(folders, tmp_path / "merged")
    index.save(tmp_path / "single")
    names = [path.name for path in (tmp_path / "single").iterdir()]
    assert sorted(names) == sorted(path.name for path in (tmp_path / "merged").iterdir())
    assert filecmp.cmpfiles(tmp_path / "single", tmp_path / "merged", names, shallow=False)[0] == names


def assert_same(hits, expected):
    for part in ("distances", "rows", "counts", "ids"):
        np.testing.assert_array_equal(getattr(hits, part), getattr(expected, part), strict=True)


def chunks_of(Z, kind):
    if kind == "array":
        return da.from_array(Z, (40, 5))
    if kind == "codes":
        return [Codes.from_dense(Z[:50]), Codes.from_dense(Z[50:50]), Z[50:]]
    if kind == "delayed":
        return [dask.delayed(Codes.from_dense)(part) for part in (Z[:1], Z[1:])]
    sparse = pytest.importorskip("scipy.sparse")
    unknown = da.from_array(Z, (30, H)).map_blocks(sparse.csr_array, dtype=Z.dtype)
    unknown._chunks = ((np.nan,) * 3, (H,))
    return unknown


@pytest.mark.parametrize("kind", ["array", "codes", "delayed", "csr of unknown length"])
def test_shards_are_a_single_index(client, Z, tmp_path, kind):
    folders = build_index(chunks_of(Z, kind), tmp_path / "shards", n_units=H)
    index = single(Z)
    check_merged(folders, index, tmp_path)
    for where in (client, None):
        sharded = ShardedIndex(folders, client=where)
        assert_same(sharded.search(Z[:7], 9), index.search(Z[:7], 9))
        options = {"where": lambda id: id % 3 > 0, "exclude": [1, 60, None], "keep": 2}
        assert_same(sharded.search(Z[:3], 100, **options), index.search(Z[:3], 100, **options))
        assert_same(sharded.within(Z[:3], 0.7), index.within(Z[:3], 0.7))


@pytest.mark.parametrize("kind", ["csc", "coo", "csr", "codes", "array", "delayed"])
def test_every_sparse_format_and_one_chunk_alone(client, tmp_path, kind):
    """A square one: its transpose would have the same shape."""
    Z = np.array([[0, 1, 0], [0, 0, 0], [2, 0, 3]], np.float32)
    if kind in ("csc", "coo", "csr"):
        sparse = pytest.importorskip("scipy.sparse")
        chunk = getattr(sparse, f"{kind}_array")(Z)
        if kind == "csr":  # not in order
            chunk = sparse.csr_array((Z[[0, 2, 2], [1, 2, 0]], [1, 2, 0], [0, 1, 1, 3]), shape=(3, 3))
    else:
        chunk = {"codes": Codes.from_dense(Z), "array": Z, "delayed": dask.delayed(Codes.from_dense)(Z)}[kind]
    for name, chunks in (("alone", chunk), ("a list", [chunk])):
        (folder,) = build_index(chunks, tmp_path / name, n_units=3)
        assert CodeIndex.load(folder).codes.to_dense().tolist() == Z.tolist()


def test_what_is_no_chunk_is_refused(client, Z, tmp_path):
    for chunks, match in (
        (Z[0], r"Chunks of codes \(rows, h\) were expected, float32 of shape \(\) is among them"),
        ([Z, Z[0]], r"ndarray of shape \(12,\) is among"),
        ([Z.tolist()], "list is among them. Give a list of"),
        ([dask.delayed(Z.tolist)()], "list is among them"),
    ):
        with pytest.raises(ValueError, match=match):
            build_index(chunks, tmp_path / "shards", n_units=H)


def test_further_files_are_sent_once(client, Z, tmp_path, monkeypatch):
    sent = []

    def submit(function, *args, real=client.submit, **options):
        sent.append(len(cloudpickle.dumps([arg for arg in args if not isinstance(arg, distributed.Future)])))
        return real(function, *args, **options)

    monkeypatch.setattr(client, "submit", submit)
    extra = {"encoder.npz": bytes(100_000)}
    folders = build_index(np.split(Z, 6), tmp_path / "shards", n_units=H, extra_files=extra, client=client)
    assert all((folder / "encoder.npz").read_bytes() == extra["encoder.npz"] for folder in folders)
    assert 100_000 < sum(sent) < 150_000


def test_a_shard_that_is_replaced_is_named(client, Z, tmp_path):
    folders = build_index(np.split(Z, 2), tmp_path / "shards", n_units=H)
    sharded = ShardedIndex(folders, client=client)
    single(Z[::-1], range(100, 190)).save(folders[1], overwrite=True)  # before a worker has opened it
    with pytest.raises(ValueError, match=r"shard-00001 was replaced.*Open the ShardedIndex again"):
        sharded.search(Z[:3], 4)
    one = single(np.concatenate([Z[:45], Z[::-1]]), [*range(45), *range(100, 190)])
    again = ShardedIndex(folders, client=client)
    assert_same(again.search(Z[:3], 4), one.search(Z[:3], 4))


def test_ids_and_further_files(client, Z, tmp_path):
    ids = [f"photo {i}" for i in range(90)]
    chunks = da.from_array(Z, (40, H))
    folders = build_index(chunks, tmp_path / "shards", n_units=H, ids=ids, extra_files={"encoder.npz": b"x"})
    assert ShardedIndex(folders).ids == ids
    assert all((folder / "encoder.npz").read_bytes() == b"x" for folder in folders)
    with pytest.raises(ValueError, match="90 codes came with 89 ids"):
        build_index(chunks, tmp_path / "a", n_units=H, ids=ids[1:])
    with pytest.raises(ValueError, match="comes twice"):
        build_index(chunks, tmp_path / "a", n_units=H, ids=[*ids[1:], ids[1]])
    with pytest.raises(FileExistsError, match="is not empty"):
        build_index(chunks, tmp_path / "shards", n_units=H)
    with pytest.raises(ValueError, match="no chunk"):
        build_index([], tmp_path / "a", n_units=H)
    with pytest.raises(ValueError, match="metric"):
        build_index(chunks, tmp_path / "a", n_units=H, metric="none")
    with pytest.raises(ValueError, match="have 12 units, the index has 11"):
        build_index(chunks, tmp_path / "a", n_units=11)


def test_a_worker_that_is_killed_changes_nothing(client, Z, tmp_path):
    """It dies while it writes: the first half of its shard is there under another name, and does not count."""
    client.cluster.scale(2)  # A nanny that could not start its worker again on a busy machine is gone.
    client.wait_for_workers(2, timeout=60)
    killed = tmp_path / "killed"

    def install(killed):
        from nsae.retrieval.on_disk import manifest

        def write(path, content, real=manifest._write):
            entry = real(path, content)
            if path.name == "units.npy":
                try:
                    open(killed, "x").close()
                except FileExistsError:
                    return entry
                os.kill(os.getpid(), signal.SIGKILL)
            return entry

        manifest._write = write

    def uninstall():
        from nsae.retrieval.on_disk import manifest

        if manifest._write.__defaults__:
            (manifest._write,) = manifest._write.__defaults__

    client.run(install, os.fspath(killed))
    try:
        folders = build_index(da.from_array(Z, (15, H)), tmp_path / "shards", n_units=H)
    finally:
        client.run(uninstall)
    assert killed.exists()
    assert sorted((tmp_path / "shards").iterdir()) == folders
    check_merged(folders, single(Z), tmp_path)


def test_a_shard_that_was_written_by_a_worker_that_died_before_it_said_so(Z, tmp_path):
    from nsae.distributed.shards import _write_shard

    how = {"n_units": H, "metric": "cosine", "extra_files": {}}
    for _ in range(2):
        _write_shard(Z, range(90), os.fspath(tmp_path / "shard"), how)
    check_merged([tmp_path / "shard"], single(Z), tmp_path)
    with pytest.raises(FileExistsError):
        _write_shard(Z[:5], range(5), os.fspath(tmp_path / "shard"), how)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        _write_shard(Z, range(90), os.fspath(tmp_path / "file"), how)


def test_a_search_goes_on_when_a_worker_is_killed(client, Z, tmp_path):
    client.cluster.scale(2)  # A nanny that could not start its worker again on a busy machine is gone.
    client.wait_for_workers(2, timeout=60)
    folders = build_index(da.from_array(Z, (15, H)), tmp_path / "shards", n_units=H)
    sharded = nsae.distributed.ShardedIndex(folders, client=client)
    expected = single(Z).search(Z, 5)
    assert_same(sharded.search(Z, 5), expected)
    os.kill(next(iter(client.run(os.getpid, on_error="ignore").values())), signal.SIGKILL)
    assert_same(sharded.search(Z, 5), expected)
