"""The fuzzer finds what it is to find, and a short run of it finds nothing."""

import faulthandler
import os
import random
import signal
import time

import numpy as np
import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def fuzz(benchmark_module):
    return benchmark_module("fuzz")


@pytest.fixture(scope="module")
def mutation(benchmark_module):
    return benchmark_module("helpers.mutation")


def test_each_fault_is_told_by_its_name(fuzz, monkeypatch):
    class Faulty(fuzz.Target):
        def make(self, rng):
            return b"x"

        def attempt(self, given):
            self.n = getattr(self, "n", -1) + 1
            if self.n == 1:
                raise ValueError("this is documented")
            if self.n == 2:
                raise KeyError("this is not")
            if self.n == 3:
                np.zeros(1 << 25).fill(1)
            if self.n == 4:
                with open("/dev/shm/of-a-fuzz-test" if os.path.isdir("/dev/shm") else "../x", "w"):
                    pass
            if self.n == 5:
                faulthandler.disable()  # pytest would print the stack
                os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setitem(fuzz.TARGETS, "faulty", Faulty)
    result = fuzz.fuzz("faulty", 1, 8)
    found = {fault["outcome"] for fault in result["faults"]}
    assert {"error", "memory", "crash"} <= found
    assert result["refused"] == 2  # the process that takes the place of the crashed one meets it, too
    assert sum(result[outcome] for outcome in fuzz.OUTCOMES) == 8


def test_a_hang_is_ended(fuzz, monkeypatch):
    class Hanging(fuzz.Target):
        def make(self, rng):
            return b"x"

        def attempt(self, given):
            end = time.process_time() + 20
            while time.process_time() < end:
                pass

    monkeypatch.setitem(fuzz.TARGETS, "hanging", Hanging)
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    result = fuzz.fuzz("hanging", 1, 1)
    assert result["hang"] == 1


@pytest.mark.parametrize("name", ["model", "index", "idx", "image", "published", "csr", "command"])
def test_a_short_run_finds_no_fault(fuzz, name):
    result = fuzz.fuzz(name, 0, 60)
    assert result["faults"] == []
    assert result["accepted"] + result["refused"] == 60
    assert result["refused"] > 0


def test_the_same_number_is_the_same_input(fuzz, tmp_path):
    target = fuzz.IdxFiles(tmp_path)
    assert list(fuzz.inputs("idx", target, 0, 30)) == list(fuzz.inputs("idx", target, 0, 30))
    assert list(fuzz.inputs("idx", target, 7, 3)) == list(fuzz.inputs("idx", target, 0, 30))[7:10]


def test_changed_files_keep_their_outer_form(mutation, tmp_path):
    np.savez(
        tmp_path / "a.npz",
        header=np.frombuffer(b'{"format": "x", "params": {"k": 3}}', np.uint8),
        W=np.zeros((2, 3)),
    )
    valid = (tmp_path / "a.npz").read_bytes()
    opened = 0
    for seed in range(60):
        changed = mutation.mutate_model(valid, random.Random(seed))
        (tmp_path / "b.npz").write_bytes(changed)
        try:
            with np.load(tmp_path / "b.npz") as stored:
                opened += bool(stored.files)
        except Exception:
            continue
    assert opened > 30
