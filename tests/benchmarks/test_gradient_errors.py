"""benchmarks/gradient_errors.py: right gradients and wrong ones are far apart, and nothing stays broken."""

import json

import pytest


@pytest.fixture(scope="module")
def gradient_errors(benchmark_module):
    return benchmark_module("gradient_errors")


def test_quick_run(gradient_errors, capsys):
    assert gradient_errors.main(["--quick", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["right"]["max"] < 1e-7
    assert min(row["min"] for row in figures["mistakes"].values()) > 1e-4
    assert len(figures["mistakes"]) == 28
    assert sum(row["n"] for row in figures["wrong"].values()) == sum(
        row["n"] for row in figures["mistakes"].values()
    )
    assert gradient_errors.main(["--quick"]) == 0  # backward is whole again


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dense, dW sign", "a sign is wrong"),
        ("kl, sum for mean", "a factor is wrong"),
        ("output sigmoid, missing slope", "a factor is wrong"),
        ("gate, missing", "a term is missing, or the wrong one"),
    ],
)
def test_kinds_of_mistakes(gradient_errors, name, kind):
    assert gradient_errors.kind_of(name) == kind
