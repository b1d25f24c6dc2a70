"""Changed versions of valid files: random bytes anywhere, and changes that keep the outer form whole.

A flipped bit in a zip archive fails at its checksum, so most of what lies behind is never reached.
The functions that know the form (zip, .npy, JSON) change the inside and then make the outside right again.
"""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from typing import Any

NUMBERS = [
    0,
    1,
    -1,
    2,
    7,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
]
VALUES = [
    *NUMBERS,
    None,
    True,
    False,
    "",
    "x",
    "linear",
    "../../x",
    "\x00",
    1e308,
    float("nan"),
    [],
    {},
    [[]],
    0.5,
]
SHAPES = [
    "()",
    "(0,)",
    "(1,)",
    "(-1,)",
    "(4611686018427387904,)",
    "(1099511627776,)",
    "(2, 3)",
    "(1000000, 1000000)",
]
DTYPES = ["<f4", "<f8", ">f4", "<i8", "|O", "|u1", "<U8", "<c16", "|V4", "<f2", "|S5", "nonsense"]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one to four random changes of its bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        stop = min(len(changed), at + rng.choice((1, 2, 4, 8, 64, 1024)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at:stop] = rng.randbytes(stop - at)
        elif kind == 2:
            del changed[at:stop]
        elif kind == 3:
            changed[at:at] = rng.randbytes(rng.choice((1, 4, 64)))
        elif kind == 4:
            del changed[at:]
        elif kind == 5:
            number = rng.choice(NUMBERS) % 2**64
            size = rng.choice((1, 2, 4, 8))
            changed[at : at + size] = (number % 256**size).to_bytes(size, rng.choice(("little", "big")))
        else:
            changed[at:at] = changed[at:stop]
    return bytes(changed)


def mutate_json(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one of its inner values replaced, removed, or given twice."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        if kind < 0.15:
            return {**value, f"{key}_": value[key]}
        return {**value, key: mutate_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], mutate_json(value[at], rng), *value[at + 1 :]]
    return rng.choice(VALUES)


def mutate_npy(data: bytes, rng: random.Random) -> bytes:
    """Return a ``.npy`` file with another shape, dtype or order in its header, or with changed bytes."""
    kind = rng.randrange(4)
    if kind == 3:
        return mutate(data, rng)
    pattern, new = [
        (rb"'shape': \([^)]*\)", b"'shape': " + rng.choice(SHAPES).encode()),
        (rb"'descr': '[^']*'", b"'descr': '" + rng.choice(DTYPES).encode() + b"'"),
        (rb"'fortran_order': \w+", b"'fortran_order': True"),
    ][kind]
    start, body = data[:10], data[10:]
    length = int.from_bytes(start[8:10], "little")
    header = re.sub(pattern, new, body[:length], count=1).rstrip()
    header = header.ljust(max(length, len(header) + 1) - 1) + b"\n"
    return start[:8] + len(header).to_bytes(2, "little") + header + body[length:]


def mutate_model(data: bytes, rng: random.Random) -> bytes:
    """Return a model file with one member changed, in a zip archive whose checksums are right."""
    if rng.random() < 0.3:
        return mutate(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(["header.npy", *members])
    if name == "header.npy":
        header = json.loads(npy_content(members[name]))
        members[name] = npy_of_bytes(json.dumps(mutate_json(header, rng)).encode())
    elif rng.random() < 0.1:
        del members[name]
    elif (
        npy_content(members[name]).startswith(b"PK\x03\x04") and rng.random() < 0.7
    ):  # a model within the model
        members[name] = npy_of_bytes(mutate_model(npy_content(members[name]), rng))
    else:
        members[name] = mutate_npy(members[name], rng)
    written = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(written, "w", how) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return written.getvalue()


def npy_content(data: bytes) -> bytes:
    """Return what follows the header of a ``.npy`` file of version 1."""
    return data[10 + int.from_bytes(data[8:10], "little") :]


def npy_of_bytes(content: bytes) -> bytes:
    """Return the ``.npy`` file of an array of these bytes."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(content)},), }}".encode()
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content
