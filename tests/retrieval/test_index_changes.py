"""An index is changed whole or not at all: by an interrupt at any place, in copies, and beside other threads."""

import copy
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from unmeasured import unmeasured

from nsae.retrieval import CodeIndex
from nsae.retrieval.search import searcher as searching
from nsae.retrieval.search.postings import Postings

H = 16


def code(number):
    """One code (h,) that no other number has: a multiple of none of theirs."""
    z = np.zeros(H, np.float32)
    for bit in range(H):
        z[bit] = 1 + (number >> bit & 1)
    return z


def block(numbers):
    return np.array([code(number) for number in numbers])


def filled(numbers):
    index = CodeIndex(H)
    index.add(block(numbers), [f"id {number}" for number in numbers])
    return index


def content(index):
    """{id: code}, by row; every id is found by its code at distance 0, and by its row."""
    codes, ids = index.codes, index.ids
    assert len(index) == len(codes) == len(ids) == len(set(ids))
    if ids:
        hits = index.search(codes, 1)
        assert hits.ids[:, 0].tolist() == ids
        assert not hits.distances.any()
        assert [index.row_of(id) for id in ids] == list(range(len(ids)))
    return {id: tuple(codes[row].to_dense()[0].tolist()) for row, id in enumerate(ids)}


# ---- interrupts


CHANGES = {
    "add": lambda index: index.add(block([50, 51, 52]), ["id 50", "id 51", "id 52"]),
    "replace": lambda index: index.add(block([60, 61]), ["id 3", "id 61"], on_duplicate="replace"),
    "remove": lambda index: index.remove(["id 2", "id 5"]),
    "merge": lambda index: index.merge(filled([70, 71]), filled([72])),
}


def interrupted(change, event, opcodes):
    """Run ``change`` with a KeyboardInterrupt at the given event; the number of events, if it came through."""
    seen = 0

    def trace(frame, kind, _):
        nonlocal seen
        if "nsae" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = opcodes
        seen += 1
        if seen == event:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        change()
    except KeyboardInterrupt:
        return None
    finally:
        sys.settrace(before)
    return seen


@pytest.mark.parametrize("opcodes", [False, True], ids=["lines", "opcodes"])
@pytest.mark.parametrize("name", CHANGES)
def test_an_interrupt_anywhere_leaves_all_or_nothing(name, opcodes, tmp_path):
    change = CHANGES[name]
    start, end = filled(range(10)), filled(range(10))
    change(end)
    old, new = content(start), content(end)
    index = filled(range(10))
    events = interrupted(lambda: change(index), 0, opcodes)
    rng, cut_short = random.Random(0), 0
    for number in range(40):
        index = filled(range(10))
        if rng.random() < 0.5:
            index.search(code(1), 1)  # with a searcher, and ids that have been looked up
        cut_short += interrupted(lambda index=index: change(index), rng.randint(1, events), opcodes) is None
        assert content(index) in (old, new)
        index.add(block([90]), ["id 90"])
        assert content(index) == {**content(index), "id 90": tuple(code(90).tolist())}
        if number % 8 == 0:
            index.save(tmp_path / "index", overwrite=number > 0)
            assert content(CodeIndex.load(tmp_path / "index")) == content(index)
    assert cut_short >= 30


def test_real_signals_leave_whole_indexes():
    """150 indexes, each interrupted by SIGINT after a random time, in a process of their own."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs setitimer")
    program = """
import random, signal, sys, time
import numpy as np
from nsae.retrieval import CodeIndex

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
rng, damaged, cut_short = random.Random(int(sys.argv[1])), 0, 0
Z = np.random.default_rng(0).random((2000, 8)).astype(np.float32)
for _ in range(150):
    index = CodeIndex(8)
    index.add(Z[:100], [f"id {i}" for i in range(100)])
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 8e-3))
        for start in range(100, 2000, 50):
            index.add(Z[start : start + 50], [f"id {i}" for i in range(start, start + 50)])
            index.remove([f"id {start}"])
            index.add(Z[:1], [f"id {start + 1}"], on_duplicate="replace")
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        cut_short += 1
    ids, codes = index.ids, index.codes
    found = index.search(codes, 1).distances
    damaged += not (len(index) == len(ids) == len(codes) == len(set(ids))) or bool(found.any())
    index.add(Z[:1], ["more"])
print(damaged, cut_short)
"""
    out = subprocess.run(
        [sys.executable, "-c", program, "1"],
        env=unmeasured(),
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    damaged, cut_short = map(int, out.stdout.split())
    assert damaged == 0
    assert cut_short > 50


# ---- copies


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda index: pickle.loads(pickle.dumps(index))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("searched", [False, True])
def test_a_copy_is_an_index_of_its_own(duplicate, searched):
    index = filled(range(6))
    if searched:
        index.search(code(1), 1, backend="numpy")
    other = duplicate(index)
    other.add(block([20]), ["id 20"])
    index.add(block([30, 31]), ["id 30", "id 31"])
    other.remove(["id 1"])
    assert list(content(index)) == [f"id {n}" for n in (0, 1, 2, 3, 4, 5, 30, 31)]
    assert list(content(other)) == [f"id {n}" for n in (0, 2, 3, 4, 5, 20)]
    third = duplicate(other)
    assert content(third) == content(other)


def test_a_pickle_brings_the_search_structure_and_no_leftovers():
    index = filled(range(6))
    index._state.searcher().prepare()
    again = pickle.loads(pickle.dumps(index))
    assert again._state.searcher().has_postings()
    older = index._state.ids
    index.add(block([20]), ["id 20"])
    assert list(pickle.loads(pickle.dumps(older))) == [f"id {n}" for n in range(6)]


def test_a_damaged_index_is_not_saved(tmp_path):
    index = filled(range(6))
    index.save(tmp_path / "index")
    codes = index.codes
    for name, array, value in (
        ("values", codes.values, np.nan),
        ("units", codes.units, H),
        ("indptr", codes.indptr, 99),
    ):
        kept = array[1].copy()
        array[1] = value
        with pytest.raises(ValueError, match="damaged"):
            index.save(tmp_path / "index", overwrite=True)
        array[1] = kept
        assert len(CodeIndex.load(tmp_path / "index")) == 6, name
    index.save(tmp_path / "index", overwrite=True)


# ---- threads


def test_a_search_beside_removals_sees_one_moment():
    """Each hit at distance 0 is of the id whose code was asked for."""
    numbers = list(range(200))
    index, asked, wrong = filled(numbers), block(numbers), []
    done = threading.Event()

    def search():
        rng = random.Random(threading.get_ident())
        while not done.is_set():
            some = rng.sample(numbers, 5)
            hits = index.search(asked[some], 1)
            for number, id, distance in zip(some, hits.ids[:, 0], hits.distances[:, 0], strict=True):
                if distance == 0 and id != f"id {number}":
                    wrong.append((number, id))

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(0, 200, 2):
        index.remove([f"id {number}"])
        index.add(block([number]), [f"id {number}"])
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    content(index)  # nothing of the old rows is left in what searches the new ones


def test_no_searcher_of_old_codes_is_kept(monkeypatch):
    """A search makes its searcher while another thread removes a row: the next search has a new one."""
    index = filled(range(20))
    made, go_on = threading.Event(), threading.Event()
    of = searching.BruteForce.of

    def slowly(*args, **options):
        lists = of(*args, **options)
        made.set()
        assert go_on.wait(10)
        return lists

    monkeypatch.setattr(searching.BruteForce, "of", slowly)
    with ThreadPoolExecutor(1) as pool:
        search = pool.submit(index.search, block(range(20)), 1, backend="numpy")
        assert made.wait(10)
        index.remove(["id 0"])
        go_on.set()
        assert search.result().ids[:, 0].tolist() == [f"id {n}" for n in range(20)]
    assert "id 0" not in content(index)
    hits = index.search(block(range(1, 20)), 1, backend="numpy")
    assert hits.ids[:, 0].tolist() == [f"id {n}" for n in range(1, 20)]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_threads_that_need_the_same_structure_make_it_once(monkeypatch, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    owner = Postings if backend == "numba" else searching.BruteForce
    calls, of = [], owner.of

    def counted(*args, **options):
        calls.append(threading.get_ident())
        threading.Event().wait(0.05)
        return of(*args, **options)

    monkeypatch.setattr(owner, "of", counted)
    monkeypatch.setattr(searching, "FEW", 0)  # few rows would be compared without any structure
    index = filled(range(20))
    barrier = threading.Barrier(8)

    def search():
        barrier.wait(10)
        return index.search(code(3), 1, backend=backend).ids[0, 0]

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(search) for _ in range(8)]
        assert {future.result() for future in found} == {"id 3"}
    assert len(calls) == 1


def test_changes_in_many_threads_are_all_made():
    index = CodeIndex(H)

    def change(worker):
        for i in range(30):
            number = 100 * worker + i
            index.add(block([number]), [f"id {number}"])
            if i % 3 == 2:
                index.remove([f"id {number - 1}"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(8)))
    kept = {f"id {100 * worker + i}" for worker in range(8) for i in range(30) if i % 3 != 1}
    assert set(content(index)) == kept


def test_a_child_forked_in_the_middle_of_a_change_can_go_on():
    """The lock of a thread that does not exist in the child is free there."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    program = """
import os, threading
import numpy as np
from nsae.retrieval import CodeIndex
index = CodeIndex(4)
index.add(np.eye(4))
held, done = threading.Event(), threading.Event()
def hold():
    with index._changing:
        held.set()
        done.wait(30)
thread = threading.Thread(target=hold)
thread.start()
held.wait(10)
child = os.fork()
if child == 0:
    index.add(np.eye(4))
    os._exit(0 if len(index) == 8 else 1)
done.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
"""
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=unmeasured(),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert out.stdout.strip() == "0"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_index_goes_to_other_processes(method, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    program = tmp_path / "program.py"
    program.write_text(f"""
import multiprocessing, pickle, sys
def nearest(index, Z):
    index.add(Z[:1] * 3)
    return index.search(Z, 1).ids[:, 0].tolist()
if __name__ == "__main__":
    index, Z = pickle.loads(sys.stdin.buffer.read())
    index.search(Z[:1], 1)
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(*(",".join(ids) for ids in pool.starmap(nearest, [(index, Z)] * 4)))
""")
    out = subprocess.run(
        [sys.executable, "-W", "ignore", program],
        input=pickle.dumps((filled(range(30)), block(range(1, 30)))),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        timeout=900,
    )
    assert out.stdout.decode().strip() == " ".join([",".join(f"id {n}" for n in range(1, 30))] * 4)
