"""The encoder of photos that comes with nsae."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nsae
from nsae.images.few_photos import encoder_for_few
from nsae.images.load_encoder import PRETRAINED


def pictures(n, seed=0):
    return nsae.datasets.dead_leaves(n, size=96, random_state=seed)


def test_it_encodes_arrays_with_numpy_alone(tmp_path):
    program = """
import sys
import numpy as np
import nsae
for name in ("PIL", "numba", "matplotlib", "scipy", "threadpoolctl"):
    sys.modules[name] = None
images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
codes = nsae.load_encoder("photos").encode(images)
print(codes.shape, int(codes.counts.max()))
"""
    path = os.pathsep.join([str(Path(nsae.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    run = [sys.executable, "-c", program]
    out = subprocess.run(run, capture_output=True, text=True, check=True, cwd=tmp_path, env=env)
    assert out.stdout == "(2, 4096) 128\n"


def test_its_file_is_small_and_says_where_it_is_from():
    assert (PRETRAINED / "photos.npz").stat().st_size <= 4_000_000
    assert "Caltech-101" in nsae.load_encoder("photos").header["learned_from"]
    assert "CC BY 4.0" in (PRETRAINED / "README.md").read_text(encoding="utf-8")


def test_a_file_of_that_name_is_read_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").write_bytes(b"no model")
    assert nsae.load_encoder("photos").n_units == 4096
    with pytest.raises(nsae.ModelFormatError):
        nsae.load_encoder("./photos")


def test_half_the_bytes_and_the_same_codes_but_for_rounding(tmp_path):
    encoder = nsae.load_encoder("photos")
    images = pictures(4)
    encoder.save(tmp_path / "half.npz", half=True)
    encoder.save(tmp_path / "whole.npz")
    sizes = [(tmp_path / name).stat().st_size for name in ("half.npz", "whole.npz")]
    assert sizes[0] < 0.6 * sizes[1]
    for name in ("half.npz", "whole.npz"):  # these weights are float16 already
        codes = nsae.load_encoder(tmp_path / name).encode(images)
        assert codes.values.tobytes() == encoder.encode(images).values.tobytes()
    assert encoder.to_bytes(half=True) == encoder.to_bytes(half=True)


def test_few_photos_get_a_unit_each():
    images = pictures(12)
    few = encoder_for_few(np.concatenate([images, images[:1]]))  # an equal one gets none
    assert few.n_units == 4096 + 12
    assert few.k == 32
    assert encoder_for_few(images[:1]).k == 32
    assert encoder_for_few(images, k=5).k == 5
    codes = few.encode(images)
    assert (codes.keep(1).units >= 4096).all()
    assert len(set(codes.keep(1).units.tolist())) == 12


def test_with_units_of_another_width_is_refused():
    with pytest.raises(ValueError, match="dimension"):
        nsae.load_encoder("photos").with_units(np.ones((1, 5), np.float32))
