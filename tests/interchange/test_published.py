"""Encoders in the layouts of sparsify and SAELens: what they compute, by their formulas, and what is refused."""

import json

import numpy as np
import pytest

import nsae
from nsae import CodeIndex, Encoder, ModelFormatError, SparseAutoencoder, load_encoder
from nsae.cli import main
from nsae.equations.activations import JumpReLU, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.interchange import (
    is_published,
    load_published,
    read_safetensors,
    save_saelens,
    save_sparsify,
    write_safetensors,
)

D, H, K = 12, 40, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, D))
SPARSIFY = {
    "encoder.weight": RNG.normal(size=(H, D)), "encoder.bias": RNG.normal(size=H),
    "W_dec": RNG.normal(size=(H, D)), "b_dec": RNG.normal(size=D),
}  # fmt: skip
SAELENS = {
    "W_enc": SPARSIFY["encoder.weight"].T, "b_enc": SPARSIFY["encoder.bias"], "W_dec": SPARSIFY["W_dec"],
    "b_dec": SPARSIFY["b_dec"],
}  # fmt: skip
THRESHOLD = {"threshold": RNG.uniform(-0.2, 2, H)}
GATES = {name: RNG.normal(size=H) for name in ("b_gate", "b_mag", "r_mag")}
OF_SPARSIFY = {"activation": "topk", "num_latents": H, "k": K, "d_in": D}
OF_SAELENS = {
    "architecture": "standard",
    "d_in": D,
    "d_sae": H,
    "dtype": "float32",
    "apply_b_dec_to_input": True,
}


def folder_of(folder, config, arrays, dtype="float64"):
    """A folder of sparsify, or of SAELens if there is a d_sae."""
    folder.mkdir()
    (folder / "cfg.json").write_text(json.dumps(config), encoding="utf-8")
    name = "sae_weights.safetensors" if "d_sae" in config else "sae.safetensors"
    write_safetensors(folder / name, {n: a.astype(dtype) for n, a in arrays.items()})
    return folder


def top(Y, k):
    """ReLU of the k largest entries of each row."""
    Z = np.zeros_like(Y)
    for y, z in zip(Y, Z, strict=True):
        best = np.argsort(-y)[:k]
        z[best] = np.maximum(y[best], 0)
    return Z


def relu(Y):
    return np.maximum(Y, 0)


def sparsify_codes(X, transcode=False):
    x = X if transcode else X - SPARSIFY["b_dec"]
    return top(relu(x @ SPARSIFY["encoder.weight"].T + SPARSIFY["encoder.bias"]), K)


def saelens(X):
    """(x − b_dec) W_enc"""
    return (X - SAELENS["b_dec"]) @ SAELENS["W_enc"]


def gated(X):
    on = saelens(X) + GATES["b_gate"] > 0
    return on * relu((X - SAELENS["b_dec"]) @ (SAELENS["W_enc"] * np.exp(GATES["r_mag"])) + GATES["b_mag"])


NORMS = np.linalg.norm(SAELENS["W_dec"], axis=1)
WITHOUT_BIAS = {name: array for name, array in SAELENS.items() if name != "b_enc"}
LAYOUTS = {  # name: (cfg.json, arrays, codes of X, what decodes them)
    "sparsify": (OF_SPARSIFY, SPARSIFY, sparsify_codes, None),
    "sparsify, expansion factor": (
        {"d_in": D, "k": K, "expansion_factor": 4}, {**SPARSIFY, "encoder.weight": RNG.normal(size=(48, D)),
        "encoder.bias": np.zeros(48), "W_dec": np.ones((48, D))}, None, None),
    "sparsify, transcoder": ({**OF_SPARSIFY, "transcode": True}, SPARSIFY, lambda X: sparsify_codes(X, True), None),
    "ReLU": (OF_SAELENS, SAELENS, lambda X: relu(saelens(X) + SAELENS["b_enc"]), None),
    "ReLU, bias not applied": (
        {**OF_SAELENS, "apply_b_dec_to_input": False, "metadata": {"sae_lens_version": "6.5.0", "hook_name": "a"}},
        SAELENS, lambda X: relu(X @ SAELENS["W_enc"] + SAELENS["b_enc"]), None),
    "ReLU, old": (
        {"d_in": D, "d_sae": H, "activation_fn_str": "relu", "hook_point": "a", "normalize_activations": False},
        {**SAELENS, "scaling_factor": np.ones(H)}, lambda X: relu(saelens(X) + SAELENS["b_enc"]), None),
    "TopK": ({**OF_SAELENS, "architecture": "topk", "k": K}, SAELENS,
        lambda X: top(saelens(X) + SAELENS["b_enc"], K), None),
    "TopK, old": (
        {**OF_SAELENS, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}, SAELENS,
        lambda X: top(saelens(X) + SAELENS["b_enc"], K), None),
    "TopK, old, named so": (
        {**OF_SAELENS, "architecture": "topk", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}, SAELENS,
        lambda X: top(saelens(X) + SAELENS["b_enc"], K), None),
    "TopK, named so, its activation not": (
        {**OF_SAELENS, "architecture": "topk", "activation_fn_kwargs": {"k": K}}, SAELENS,
        lambda X: top(saelens(X) + SAELENS["b_enc"], K), None),
    "TopK, by norm": (
        {**OF_SAELENS, "architecture": "topk", "k": K, "rescale_acts_by_decoder_norm": True}, SAELENS,
        lambda X: top((saelens(X) + SAELENS["b_enc"]) * NORMS, K), SAELENS["W_dec"] / NORMS[:, None]),
    "JumpReLU": ({**OF_SAELENS, "architecture": "jumprelu"}, {**SAELENS, **THRESHOLD},
        lambda X: relu(saelens(X) + SAELENS["b_enc"]) * (saelens(X) + SAELENS["b_enc"] > THRESHOLD["threshold"]), None),
    "gated": ({**OF_SAELENS, "architecture": "gated"}, {**WITHOUT_BIAS, **GATES}, gated, None),
}  # fmt: skip


# ---- what they compute


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout[2]])
def test_codes_are_those_of_the_formula(tmp_path, name, dtype):
    config, arrays, codes_of, atoms = LAYOUTS[name]
    encoder = load_encoder(folder_of(tmp_path / "sae", config, arrays, dtype))
    assert isinstance(encoder, Encoder)
    assert (encoder.n_units, encoder.n_features, encoder.encoder_layer.W.dtype) == (H, D, dtype)
    Z, tolerance = codes_of(X), 1e-12 if dtype == "float64" else 2e-6
    assert 0.02 < np.count_nonzero(Z) / Z.size < 0.9
    found = encoder.transform(X)
    np.testing.assert_allclose(found, Z, atol=tolerance * np.abs(Z).max())
    X_hat = Z @ (arrays["W_dec"] if atoms is None else atoms) + arrays["b_dec"]
    np.testing.assert_allclose(encoder.inverse_transform(found), X_hat, atol=tolerance * np.abs(X_hat).max())

    encoder.save(tmp_path / "model.npz")
    again = load_encoder(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.transform(X), found)
    assert again.header["source"] == encoder.header["source"]
    codes = again.encode(X)
    np.testing.assert_array_equal(codes.to_dense(), found)
    index = CodeIndex(H)
    index.add(codes)
    chosen = np.flatnonzero(codes.counts)[:20]
    np.testing.assert_array_equal(index.search(codes[chosen], k=1).rows[:, 0], chosen)


def test_the_number_of_units_may_be_a_factor(tmp_path):
    config, arrays, _, _ = LAYOUTS["sparsify, expansion factor"]
    assert load_encoder(folder_of(tmp_path / "sae", config, arrays)).n_units == 48


def test_what_a_sparsify_model_learned_can_be_learned_on(tmp_path):
    load_encoder(folder_of(tmp_path / "sae", OF_SPARSIFY, SPARSIFY, "float32")).save(tmp_path / "model.npz")
    model = SparseAutoencoder.load(tmp_path / "model.npz").set_params(learning_rate=1e-3)
    before = model.score(X)
    for _ in range(20):
        model.partial_fit(X)
    assert model.score(X) > before
    assert (model.k, model.n_units) == (K, H)


def test_sixteen_bits_become_float32(tmp_path):
    folder = folder_of(tmp_path / "sae", OF_SPARSIFY, SPARSIFY, "float16")
    assert load_encoder(folder).encoder_layer.W.dtype == np.float32


def test_a_scaling_factor_is_folded_into_the_weights(tmp_path):
    config = {**OF_SAELENS, "normalize_activations": "expected_average_only_in"}
    folder = folder_of(tmp_path / "sae", config, SAELENS)
    with pytest.raises(ModelFormatError, match=r"load_published.folder, scaling_factor="):
        load_encoder(folder)
    encoder = load_published(folder, scaling_factor=1.7)
    Z = relu((1.7 * X - SAELENS["b_dec"]) @ SAELENS["W_enc"] + SAELENS["b_enc"])
    np.testing.assert_allclose(encoder.transform(X), Z, atol=1e-12)
    X_hat = (Z @ SAELENS["W_dec"] + SAELENS["b_dec"]) / 1.7
    np.testing.assert_allclose(encoder.inverse_transform(Z), X_hat, atol=1e-12)
    for wrong in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a number above 0"):
            load_published(folder, scaling_factor=wrong)
    for name, (other, arrays) in {"a": (OF_SAELENS, SAELENS), "b": (OF_SPARSIFY, SPARSIFY)}.items():
        with pytest.raises(ValueError, match=r"scaling_factor"):
            load_published(folder_of(tmp_path / name, other, arrays), scaling_factor=2.0)


@pytest.mark.parametrize(("dtype", "held", "lost"), [("float32", -8, -9), ("float64", -28, -29)])
def test_gates_that_rounding_loses_are_refused_by_name(tmp_path, dtype, held, lost):
    config = {**OF_SAELENS, "architecture": "gated", "apply_b_dec_to_input": False}
    W = SAELENS["W_enc"] / np.linalg.norm(SAELENS["W_enc"], axis=0)
    rows = RNG.normal(size=(3000, D)).astype(dtype)

    def arrays(r_mag, b_mag=1.0):
        gates = {
            "b_gate": np.zeros(H),
            "b_mag": np.full(H, b_mag),
            "r_mag": np.where(np.arange(H) == 3, r_mag, 0.0),
        }
        return {**WITHOUT_BIAS, "W_enc": W, **gates}

    encoder = load_encoder(folder_of(tmp_path / "held", config, arrays(held), dtype))
    on = rows @ W.astype(dtype) > 0
    y = (rows @ W.astype(dtype)) * np.exp(arrays(held)["r_mag"]) + 1
    assert ((encoder.transform(rows) > 0) != (on & (y > 0)))[:, 3].mean() < 3e-4
    for r_mag in (lost, lost - 100):  # where exp(r_mag) is 0, too
        folder = folder_of(tmp_path / f"lost{r_mag}", config, arrays(r_mag), dtype)
        with pytest.raises(
            ModelFormatError, match=f"gates that are lost in rounding in 1 of {H} units.*unit 3"
        ):
            load_encoder(folder)
    # Below a bias of 0 it is ReLU that opens the unit, and a unit without weights has no gate to lose.
    load_encoder(folder_of(tmp_path / "off", config, arrays(lost, -1.0), dtype))
    without = {**arrays(lost), "W_enc": np.where(np.arange(H) == 3, 0, W)}
    assert (
        not load_encoder(folder_of(tmp_path / "without", config, without, dtype)).transform(rows)[:, 3].any()
    )


def test_gates_that_float32_loses_are_read_in_float64(tmp_path):
    config = {**OF_SAELENS, "architecture": "gated"}
    arrays = {**WITHOUT_BIAS, **GATES, "r_mag": np.full(H, -12.0), "b_mag": np.ones(H)}
    with pytest.raises(ModelFormatError, match="Write the folder's weights in float64"):
        load_encoder(folder_of(tmp_path / "narrow", config, arrays, "float32"))
    found = load_encoder(folder_of(tmp_path / "wide", config, arrays)).transform(X)
    on = saelens(X) + GATES["b_gate"] > 0
    np.testing.assert_allclose(found, on * relu(saelens(X) * np.exp(-12) + 1), atol=1e-10)


# ---- what is refused

REFUSED = [
    (OF_SPARSIFY, {"activation": "groupmax"}, "activation='groupmax'"),
    (OF_SPARSIFY, {"skip_connection": True}, "skip_connection"),
    (OF_SPARSIFY, {"signed": True}, "signed"),
    (OF_SPARSIFY, {"k": 0}, "k=0; a whole number of at least 1"),
    (OF_SPARSIFY, {"k": 5.0}, r"k=5.0; a whole number"),
    (OF_SPARSIFY, {"k": True}, "k=True; a whole number"),
    (OF_SPARSIFY, {"k": H + 1}, f"k={H + 1} for {H} units"),
    (OF_SPARSIFY, {"d_in": None}, "d_in=None; a whole number"),
    (OF_SPARSIFY, {"num_latents": -1}, "num_latents=-1; a whole number"),
    (OF_SPARSIFY, {"d_in": D + 1}, "They do not belong together"),
    (OF_SPARSIFY, {"d_in": 10**30}, "They do not belong together"),
    (OF_SAELENS, {"architecture": "transcoder"}, "the architecture 'transcoder'"),
    (OF_SAELENS, {"architecture": "batchtopk"}, "save_inference_model"),
    (OF_SAELENS, {"architecture": ["gated"]}, "the architecture"),
    (OF_SAELENS, {"activation_fn_str": "tanh-relu"}, "the activation 'tanh-relu'"),
    (OF_SAELENS, {"architecture": "topk"}, "k=None; a whole number"),
    (OF_SAELENS, {"architecture": "topk", "k": H + 1}, f"k={H + 1} for {H} units"),
    (OF_SAELENS, {"activation_fn_str": "topk", "activation_fn_kwargs": 5}, "k=None; a whole number"),
    (OF_SAELENS, {"normalize_activations": "layer_norm"}, "normalize_activations='layer_norm'"),
    (OF_SAELENS, {"normalize_activations": "constant_norm_rescale"}, "each row is divided by its norm"),
    (OF_SAELENS, {"normalize_activations": "covariance_whitening"}, "'covariance_whitening'"),
    (OF_SAELENS, {"normalize_activations": {}}, "normalize_activations={}"),
    (OF_SAELENS, {"architecture": "jumprelu"}, "has no threshold"),
    (OF_SAELENS, {"architecture": "gated"}, "has no b_gate"),
    (OF_SAELENS, {"d_sae": None}, "d_sae=None; a whole number"),
]


@pytest.mark.parametrize(("config", "change", "message"), REFUSED)
def test_what_an_encoder_cannot_compute_is_refused_by_name(tmp_path, config, change, message):
    arrays = SPARSIFY if config is OF_SPARSIFY else SAELENS
    with pytest.raises(ModelFormatError, match=message):
        load_encoder(folder_of(tmp_path / "sae", {**config, **change}, arrays))


@pytest.mark.parametrize(("config", "arrays"), [(OF_SPARSIFY, SPARSIFY), (OF_SAELENS, SAELENS)])
def test_weights_that_do_not_fit_are_refused(tmp_path, config, arrays):
    for number, name in enumerate(arrays):
        changes = {
            "has no": {n: a for n, a in arrays.items() if n != name},
            "They do not belong together": {**arrays, name: arrays[name][..., :-1]},
            "holds NaN or infinity": {**arrays, name: np.where(arrays[name] > 0, np.nan, arrays[name])},
        }
        for message, changed in changes.items():
            folder = folder_of(tmp_path / f"{number}{message}", config, changed)
            with pytest.raises(ModelFormatError, match=message):
                load_encoder(folder)
    with pytest.raises(ModelFormatError, match="of floats"):
        load_encoder(folder_of(tmp_path / "whole", config, arrays, "int32"))


@pytest.mark.parametrize(("config", "arrays"), [(OF_SPARSIFY, SPARSIFY), (OF_SAELENS, SAELENS)])
def test_weights_whose_products_are_infinite_are_refused(tmp_path, config, arrays):
    large = {name: np.full_like(array, 1e38) for name, array in arrays.items()}
    with pytest.raises(ModelFormatError, match="b of the encoder would be infinite in float32"):
        load_encoder(folder_of(tmp_path / "sae", config, large, "float32"))


def test_a_scaling_before_decoding_is_refused(tmp_path):
    folder = folder_of(tmp_path / "sae", OF_SAELENS, {**SAELENS, "scaling_factor": np.full(H, 2.0)})
    with pytest.raises(ModelFormatError, match="a scaling_factor"):
        load_encoder(folder)


def test_folders_that_are_something_else(tmp_path):
    with pytest.raises(ModelFormatError, match=r"cfg.json and sae.safetensors .sparsify. or sae_weights"):
        load_encoder(tmp_path)
    index = CodeIndex(4)
    index.add(np.eye(4))
    index.save(tmp_path / "index.nsae")
    with pytest.raises(ModelFormatError, match=r"is an index of nsae, .* read with CodeIndex.load"):
        load_encoder(tmp_path / "index.nsae")
    index.save(tmp_path / "photos.nsae", extra_files={"model.npz": b"an encoder"})
    with pytest.raises(ModelFormatError, match=r"is an index of nsae, .* encoder is .*photos.nsae.model.npz"):
        load_encoder(tmp_path / "photos.nsae")
    with pytest.raises(ModelFormatError, match="There is no model file"):
        load_encoder(tmp_path / "absent")

    folder = folder_of(tmp_path / "sae", OF_SPARSIFY, SPARSIFY)
    (folder / "sae_weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelFormatError, match="has both of"):
        load_encoder(folder)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelFormatError, match="has neither of"):
        load_encoder(folder)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, None])
def test_a_damaged_or_missing_configuration(tmp_path, content):
    folder = folder_of(tmp_path / "sae", OF_SPARSIFY, SPARSIFY)
    (folder / "cfg.json").unlink()
    if content is not None:
        (folder / "cfg.json").write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"has no cfg.json" if content is None else "cannot be read"):
        load_encoder(folder)


WEIRD = [None, True, 0, -1, 1, 1.5, "x", "topk", [], {}, {"a": 1}, 10**40, float("nan")]


@pytest.mark.parametrize("name", ["sparsify", "TopK, by norm", "TopK, old"])
def test_any_value_in_the_configuration_gives_an_encoder_or_a_format_error(tmp_path, name):
    config, arrays, _, _ = LAYOUTS[name]
    folder, refused = folder_of(tmp_path / "sae", config, arrays), 0
    more = {
        "metadata",
        "activation_fn",
        "normalize_activations",
        "architecture",
        "activation",
        "expansion_factor",
    }
    for key in {*config, *more}:
        for value in WEIRD:
            (folder / "cfg.json").write_text(json.dumps({**config, key: value}), encoding="utf-8")
            try:
                assert load_encoder(folder).n_features == D
            except ModelFormatError:
                refused += 1
    assert refused > 30


# ---- writing


def fitted(**options):
    return SparseAutoencoder(20, epochs=2, random_state=0, dtype="float64", **options).fit(X)


@pytest.mark.parametrize("options", [{"k": 4}, {"l1": 0.1}])
def test_saelens_is_written_exactly(tmp_path, options):
    model = fitted(**options)
    save_saelens(model, tmp_path / "sae")
    encoder = load_encoder(tmp_path / "sae")
    np.testing.assert_array_equal(encoder.transform(X), model.transform(X))
    np.testing.assert_allclose(  # V lies in memory another way, and a BLAS may sum in another order
        encoder.inverse_transform(model.encode(X)),
        model.inverse_transform(model.encode(X)),
        rtol=1e-10,
        atol=1e-13,
    )
    config = json.loads((tmp_path / "sae" / "cfg.json").read_text(encoding="utf-8"))
    assert config["architecture"] == ("topk" if "k" in options else "standard")
    assert config["apply_b_dec_to_input"] is False
    assert read_safetensors(tmp_path / "sae" / "sae_weights.safetensors")["W_enc"].shape == (D, 20)
    with pytest.raises(FileExistsError):
        save_saelens(model, tmp_path / "sae")


def test_thresholds_are_written(tmp_path):
    config, arrays, _, _ = LAYOUTS["gated"]
    encoder = load_encoder(folder_of(tmp_path / "gated", config, arrays))
    save_saelens(encoder, tmp_path / "jumprelu")
    again = load_encoder(tmp_path / "jumprelu")
    assert again.header["source"]["architecture"] == "jumprelu"
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))


def test_sparsify_is_written(tmp_path):
    model = fitted(k=4)
    save_sparsify(model, tmp_path / "sae")
    np.testing.assert_allclose(load_encoder(tmp_path / "sae").transform(X), model.transform(X), atol=1e-12)
    found = read_safetensors(tmp_path / "sae" / "sae.safetensors")
    Z = top(relu((X - found["b_dec"]) @ found["encoder.weight"].T + found["encoder.bias"]), 4)
    np.testing.assert_allclose(model.transform(X), Z, atol=1e-12)


def frozen(g, output="linear"):
    return Encoder(Dense(np.ones((3, 2)), np.ones(3)), Dense(np.ones((2, 3)), np.ones(2)), g, output, {})


@pytest.mark.parametrize(
    ("save", "model", "error", "message"),
    [
        (save_sparsify, frozen(ReLU()), ValueError, "KSparse units .* ReLU units"),
        (save_sparsify, frozen(JumpReLU(np.ones(3))), ValueError, "JumpReLU units"),
        (save_sparsify, frozen(KSparse(2), "sigmoid"), ValueError, "output='sigmoid'"),
        (save_saelens, frozen(Sigmoid()), ValueError, "sigmoid units"),
        (save_saelens, [1], TypeError, "A list cannot be written for SAELens"),
        (save_saelens, SparseAutoencoder(), ValueError, "not fitted"),
    ],
)
def test_models_that_a_layout_has_not(tmp_path, save, model, error, message):
    with pytest.raises(error, match=message):
        save(model, tmp_path / "sae")
    assert list(tmp_path.iterdir()) == []


def test_image_pipelines_are_not_written(tmp_path):
    with pytest.raises(TypeError, match=r"A ImagePipeline cannot be written"):
        save_saelens(nsae.load_encoder("photos"), tmp_path / "sae")


# ---- the command line


def test_the_commands_take_such_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, arrays, _, _ = LAYOUTS["JumpReLU"]
    encoder = load_encoder(folder_of(tmp_path / "sae", config, arrays, "float32"))
    np.save("X.npy", X)
    assert is_published("sae")
    assert main(["info", "sae", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["activation"], said["n_units"], said["source"]["layout"]) == ("jumprelu", H, "SAELens")
    assert main(["export", "sae", "-o", "exported_sae.py"]) == 0
    assert main(["encode", "sae", "X.npy", "-o", "codes.nsae"]) == 0
    assert main(["index", "X.npy", "--model", "sae", "-o", "rows.nsae"]) == 0
    assert main(["export", "rows.nsae", "-o", "exported_rows.py"]) == 0
    capsys.readouterr()
    for file in ("exported_sae.py", "exported_rows.py"):
        scope: dict = {"__name__": "exported"}
        exec((tmp_path / file).read_text(encoding="utf-8"), scope)
        np.testing.assert_array_equal(scope["encode"](X), encoder.transform(X))
    np.testing.assert_array_equal(CodeIndex.load("codes.nsae").codes.to_dense(), encoder.transform(X))
    assert main(["export", "sae", "-o", "page.html", "--shape", "3x4"]) == 1
    assert "JumpReLU" in capsys.readouterr().err
    (tmp_path / "sae" / "cfg.json").unlink()
    assert main(["info", "sae"]) == 1
    assert "has no cfg.json" in capsys.readouterr().err
