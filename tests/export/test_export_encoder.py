"""One-file exports: they import NumPy alone, and give the bits of the encoder that they were made from."""

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nsae import Codes, Encoder, ImageEncoder, SparseAutoencoder, export_encoder
from nsae.equations.activations import JumpReLU, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.export import exported, exported_images
from nsae.export.images import source_of_images
from nsae.images.pipeline import ImagePipeline

FEW = {
    "patch_units": 64, "n_patches": 5000, "epochs": 3, "patch_epochs": 1, "n_units": 70, "k": 9, "random_state": 0
}  # fmt: skip
# Refuses every import but of NumPy, of the standard library, and of the files that are tried.
RUN = """
import sys

class Only:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in {*sys.stdlib_module_names, "numpy"} and not root.startswith("exported_"):
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, Only())
sys.path.insert(0, sys.argv[1])
import importlib
import numpy as np

for name in sys.argv[2:]:
    module = importlib.import_module(f"exported_{name}")
    with np.load(f"{sys.argv[1]}/{name}.npz") as inputs:
        found = {}
        for key, X in inputs.items():
            found[f"{key} dense"] = module.encode(X)
            for part, array in zip(("indptr", "units", "values"), module.encode_sparse(X)):
                found[f"{key} {part}"] = array
    np.savez(f"{sys.argv[1]}/{name}_found.npz", **found)
print({name.partition(".")[0] for name in sys.modules} & {"nsae", "numba", "scipy", "PIL", "threadpoolctl"})
"""


def encoder(h, d, g, dtype="float32", whole_numbers=False, **header):
    rng = np.random.default_rng([h, d])
    W, b = rng.normal(size=(h, d)), rng.normal(size=h)
    if whole_numbers:  # so that many pre-activations are equal
        W, b = np.rint(W), np.rint(b)
    W, b = W.astype(dtype), b.astype(dtype)
    return Encoder(Dense(W, b), Dense(W.T.copy(), np.zeros(d, dtype)), g, "linear", header)


def images(n, shape):
    """Blobs of some colours, uint8."""
    rng = np.random.default_rng(n)
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres, sizes = rng.uniform(0, shape[0], (n, 2)), rng.uniform(4, 40, n)
    found = np.exp(
        -((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / sizes[:, None, None]
    )
    if len(shape) == 3:
        found = found[..., None] * rng.uniform(0.2, 1, (n, 1, 1, 3))
    return np.rint(found * 200 + rng.uniform(0, 55, found.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def encoders():
    X = np.random.default_rng(0).random((200, 12), np.float32)
    fitted = SparseAutoencoder(20, k=3, epochs=2, random_state=0).fit(X)
    centred = SparseAutoencoder(20, k=3, epochs=2, random_state=0).fit(X + 3)
    return {
        "fitted": fitted,
        "threshold": fitted.with_threshold(0.05),
        "centred": centred,
        "double": SparseAutoencoder(20, l1=0.1, epochs=2, random_state=0, dtype="float64").fit(X),
        "sigmoid": SparseAutoencoder(20, activation="sigmoid", kl=0.1, epochs=2, random_state=0).fit(X),
        "one_unit": encoder(1, 12, KSparse(1)),
        "all_units": encoder(7, 12, KSparse(7)),
        "ties": encoder(33, 12, KSparse(5), whole_numbers=True),
        "relu": encoder(40, 12, ReLU()),
        "jumprelu": encoder(40, 12, JumpReLU(np.linspace(0, 3, 40, dtype=np.float32))),
        "sigmoid_double": encoder(33, 12, Sigmoid(), "float64"),
        # A BLAS with two threads has other bits for these.
        "wide": encoder(500, 100, KSparse(32)),
        "wide_double": encoder(513, 300, KSparse(32), "float64"),
        "images": ImageEncoder(**FEW).fit(images(60, (28, 28))),
        "neighbours": ImageEncoder(**FEW, neighbour_steps=2).fit(images(120, (28, 28))),
        "no_threshold": ImageEncoder(**FEW, neighbour_steps=0, shrink_threshold=0).fit(images(60, (28, 28))),
        "photos": ImageEncoder(**FEW, image_size=32).fit(images(60, (32, 32, 3))).encoder(),
        "photos_without_colors": ImageEncoder(**FEW, image_size=32, color_weight=0).fit(
            images(60, (32, 32, 3))
        ),
    }


@pytest.fixture(scope="module")
def found(encoders, tmp_path_factory):
    """The codes by the exported files, and by the encoders, by name."""
    folder, rng = tmp_path_factory.mktemp("exported"), np.random.default_rng(1)
    inputs = {}
    for name, one in encoders.items():
        export_encoder(one, folder / f"exported_{name}.py")
        if isinstance(one.encoder(), ImagePipeline):
            pixels = images(130, one.encoder().geometry.shape)
            inputs[name] = {"bytes": pixels, "floats": pixels[:20] / np.float32(255), "one": pixels[:1] / 255}
            np.savez(folder / f"{name}.npz", **inputs[name])
            continue
        d = one.encoder().n_features
        inputs[name] = {
            "floats": rng.random((300, d), np.float32),
            "doubles": rng.normal(size=(129, d)),
            "row": rng.normal(size=(1, d)),
            "bytes": rng.integers(0, 256, (5, d)).astype(np.uint8),
            "zeros": np.zeros((3, d), bool),
        }
        np.savez(folder / f"{name}.npz", **inputs[name])
    command = [sys.executable, "-I", "-c", RUN, str(folder), *encoders]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"
    by_file = {name: dict(np.load(folder / f"{name}_found.npz")) for name in encoders}
    return {name: (inputs[name], by_file[name]) for name in encoders}


@pytest.mark.parametrize("name", [
    "fitted", "threshold", "centred", "double", "sigmoid", "one_unit", "all_units", "ties", "relu",
    "jumprelu", "sigmoid_double", "wide", "wide_double", "images", "photos", "neighbours", "no_threshold",
    "photos_without_colors",
])  # fmt: skip
def test_the_bits_are_those_of_encode(name, encoders, found):
    inputs, by_file = found[name]
    for key, X in inputs.items():
        codes = encoders[name].encode(X)
        for part in ("indptr", "units", "values"):
            expected, got = getattr(codes, part), by_file[f"{key} {part}"]
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(by_file[f"{key} dense"], codes.to_dense())
    assert any(len(by_file[f"{key} units"]) for key in inputs)


def test_the_encoders_that_are_tried_have_all_parts(encoders):
    assert encoders["neighbours"].encoder().neighbours is not None
    assert encoders["no_threshold"].encoder().neighbours is None
    assert encoders["no_threshold"].encoder().shrink_threshold == 0 < encoders["photos"].shrink_threshold


@pytest.mark.parametrize("g", [KSparse(3), ReLU(), Sigmoid()])
def test_the_functions_that_are_copied(g):
    one = encoder(9, 4, g)
    X = np.random.default_rng(2).normal(size=(130, 4))
    blocks = list(
        exported.codes_of_rows(exported.check_rows(X, 4), one.encoder_layer.W, one.encoder_layer.b, g)
    )
    assert [len(block) for block in blocks] == [128, 2]
    codes = one.encode(X)
    for got, expected in zip(
        exported.as_pairs(blocks), (codes.indptr, codes.units, codes.values), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_another_blas_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(exported, "blas_thread_functions", lambda: None)
    one = encoder(9, 4, ReLU())
    X = np.ones((2, 4))
    (Z,) = exported.codes_of_rows(X, one.encoder_layer.W, one.encoder_layer.b, ReLU())
    np.testing.assert_allclose(Z, one.transform(X), rtol=1e-6)


@pytest.mark.parametrize(("X", "message"), [
    (np.zeros((3, 5)), r"shape \(3, 5\) of float64; numbers of shape \(n, 4\)"),
    (np.zeros(4), r"shape \(4,\)"),
    (np.zeros((0, 4)), r"shape \(0, 4\)"),
    (np.array([["a"] * 4]), "numbers"),
    (np.full((1, 4), np.nan), "NaN or infinity"),
    (Codes.from_dense(np.eye(4)), r"sparse \(Codes\).*X.toarray\(\), or X.to_dense\(\) of Codes"),
    (SimpleNamespace(toarray=None), r"sparse \(SimpleNamespace\)"),
])  # fmt: skip
def test_wrong_rows_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        exported.check_rows(X, 4)


def test_the_functions_that_are_copied_of_images():
    pixels = images(130, (32, 32, 3))
    pipeline = ImageEncoder(**FEW, image_size=32).fit(pixels).encoder()
    namespace = {}
    exec(source_of_images(pipeline, "here").partition("if __name__")[0], namespace)
    layer, A, a = namespace["layer"], namespace["A"], namespace["a"]
    np.testing.assert_array_equal(
        exported_images.components(pixels, layer, A, a), namespace["rows_of"](pixels)
    )
    for given in (pixels, pixels / np.float32(255)):
        F = [
            exported_images.pooled(image, layer) for image in exported_images.check_images(given, (32, 32, 3))
        ]
        np.testing.assert_array_equal(F, pipeline.pooled(given))
    plain = exported_images.pooled(pixels[0], layer._replace(color_weight=0.0))
    assert len(plain) == pipeline.features.n_pooled


@pytest.mark.parametrize(("pixels", "message"), [
    (np.zeros((1, 4, 5)), r"shape \(1, 4, 5\) of float64 came; .* of shape \(n, 4, 4\)"),
    (np.zeros((4, 4)), r"\(4, 4\)"),
    (np.zeros((0, 4, 4)), r"\(0, 4, 4\)"),
    (np.zeros((1, 4, 4), int), "int64"),
    (np.full((1, 4, 4), 2.0), r"outside of \[0, 1\]"),
    (np.full((1, 4, 4), np.nan), r"outside of \[0, 1\]"),
])  # fmt: skip
def test_wrong_images_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        exported_images.check_images(pixels, (4, 4))


def test_the_file_is_a_command(tmp_path):
    one = encoder(9, 4, KSparse(2))
    export_encoder(one, tmp_path / "my_encoder.py")
    X = np.random.default_rng(3).normal(size=(6, 4))
    np.save(tmp_path / "X.npy", X)

    def run(*words):
        command = [sys.executable, "-I", "my_encoder.py", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("X.npy", "Z.npy")
    assert done.stdout.startswith("Z.npy: 6 codes of 9 units, ")
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), one.encode(X).to_dense())
    for words, message in (
        (("X.npy", "Z.npy"), "error: [Errno 17] File exists"),
        (("none.npy", "Y.npy"), "error: [Errno 2] No such file"),
        (("X.npy",), "usage: python my_encoder.py INPUT.npy CODES.npy"),
    ):
        failed = run(*words)
        assert failed.returncode == 1
        assert failed.stderr.startswith(message)


def test_main_in_this_process(tmp_path, monkeypatch, capsys):
    one = encoder(9, 4, KSparse(2))
    np.save(tmp_path / "X.npy", np.ones((2, 4)))
    monkeypatch.setattr(sys, "argv", ["it.py", str(tmp_path / "X.npy"), str(tmp_path / "Z.npy")])
    exported.main(one.transform)
    assert "2 codes of 9 units, 2 active in each" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"error: .*exists"):
        exported.main(one.transform)
    monkeypatch.setattr(sys, "argv", ["it.py"])
    with pytest.raises(SystemExit, match="usage"):
        exported.main(one.transform)


def test_the_file_says_what_it_is(tmp_path):
    how = {"side": 2, "color": True, "dtype": "uint8"}
    export_encoder(encoder(9, 12, KSparse(2), preprocessing=how), tmp_path / "of_images.py")
    text = (tmp_path / "of_images.py").read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text))
    assert "from of_images import encode" in said
    assert "9 units, of which at most 2 are active" in said
    assert "an image of 2 × 2 × 3 pixels from 0 to 255" in said
    assert "def grad" not in text
    assert "NamedTuple" not in text  # nothing is imported that is not used
    export_encoder(encoder(9, 12, ReLU(), preprocessing={"side": 2, "color": True}), tmp_path / "floats.py")
    assert "pixels from 0 to 1," in (tmp_path / "floats.py").read_text(encoding="utf-8")
    export_encoder(encoder(9, 12, JumpReLU(np.ones(9, np.float32))), tmp_path / "jumps.py")
    assert "g the JumpReLU with thresholds theta (48)." in (tmp_path / "jumps.py").read_text(encoding="utf-8")


def test_names_of_columns_are_text_whatever_is_in_them(tmp_path):
    names = ["length", 'a"""', "b\\", "\n"]
    export_encoder(encoder(9, 4, KSparse(2), feature_names=names), tmp_path / "named.py")
    said = ast.get_docstring(ast.parse((tmp_path / "named.py").read_text(encoding="utf-8")), clean=False)
    assert f"The columns of X: {', '.join(map(ascii, names))}." in said


def test_what_cannot_be_exported(tmp_path):
    one = encoder(9, 4, KSparse(2))
    for name in ("my-encoder.py", "encoder.txt", "import.py", "3.py"):
        with pytest.raises(ValueError, match="no name that Python can import"):
            export_encoder(one, tmp_path / name)
    path = tmp_path / "there.py"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export_encoder(one, path)
    assert path.read_text(encoding="utf-8") == "mine"
    export_encoder(one, path, overwrite=True)
    assert "KSparse(2)" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not fitted"):
        export_encoder(ImageEncoder(), tmp_path / "none.py")
    with pytest.raises(TypeError, match="A list cannot be exported; a SparseAutoencoder or an ImageEncoder"):
        export_encoder([1, 2], tmp_path / "none.py")
    assert [found.name for found in Path(tmp_path).iterdir()] == ["there.py"]


@pytest.mark.parametrize("name", ["numpy.py", "base64.py", "sys.py"])
def test_names_of_modules_that_the_file_needs_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="the name of a module that it imports"):
        export_encoder("photos", tmp_path / name)
