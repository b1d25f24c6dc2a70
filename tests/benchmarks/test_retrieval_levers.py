"""Levers: what changes a ranking is computed as it is described."""

import json

import numpy as np
import pytest
from small_images import SMALL, bars

from nsae import CodeIndex, Codes

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def levers(benchmark_module):
    return benchmark_module("retrieval_levers")


def test_expansion_is_the_mean_of_codes_at_norm_1(levers):
    query = Codes.from_dense(np.float32([[3, 0, 0, 4]]))
    others = Codes.from_dense(np.float32([[0, 2, 0, 0], [0, 0, 5, 0], [1, 0, 0, 0]]))
    Z = levers.expanded(query, np.array([[0, 2]]), others)
    np.testing.assert_allclose(Z, [[1.6 / 3, 1 / 3, 0, 0.8 / 3]], rtol=1e-6)


def test_reranking_by_neighbours_in_common(levers):
    order = np.array([[4, 1, 2, 0, 3]])
    near = np.array([[0, 9], [1, 4], [2, 4], [3, 8], [4, 7]])  # of rows 0 to 4
    mine = np.array([[4, 1]])  # in common with 4, 1, 2, 0, 3: 1, 2, 1, 0, 0; of 3, 2, 3, 4, 4 in either
    S = np.float32([[0.9, 0.8, 0.7, 0.6, 0.5]])
    assert levers.reranked(order, S, near, mine, 0.0).tolist() == [[4, 1, 2, 0, 3]]
    assert levers.reranked(order, S, near, mine, 1.0).tolist() == [[1, 4, 2, 0, 3]]
    # halves: 4 has 0.45 + 0.17, 1 has 0.4 + 0.5, 2 has 0.35 + 0.17
    assert levers.reranked(order, S, near, mine, 0.5).tolist() == [[1, 4, 2, 0, 3]]
    assert order.tolist() == [[4, 1, 2, 0, 3]]


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_levers_of_the_search_leave_what_they_do_not_touch(levers, leave_one_out, rng):
    Z = (rng.random((160, 40)) * (rng.random((160, 40)) < 0.2)).astype(np.float32)
    labels = rng.integers(4, size=160)
    codes, queries = Codes.from_dense(Z), Codes.from_dense(Z if leave_one_out else Z[:10] + np.float32(0.01))
    asked = labels if leave_one_out else labels[:10]
    problem = levers.Problem(Z, labels, Z if leave_one_out else Z[:10], asked, leave_one_out)
    found = dict(levers.of_the_search(problem, codes, queries))
    assert all(len(values["map"]) == len(asked) for values in found.values())
    plain = levers.quality(problem, codes.to_dense(), queries.to_dense())
    # all of the first hundred are re-ranked among themselves, so as many of them are relevant as before
    for name, values in found.items():
        if name.startswith("re-ranking"):
            np.testing.assert_array_equal(values["precision@100"], plain["precision@100"])
            assert (values["map"] != plain["map"]).any()
    # one hit more in the query can't lose that hit
    index = CodeIndex(40)
    index.add(codes)
    first = index.search(queries, 1, exclude=index.ids if leave_one_out else None).rows[:, 0]
    np.testing.assert_array_equal(plain["precision@1"], labels[first] == asked)
    np.testing.assert_array_equal(found["query expansion, 1 hits"]["precision@1"], plain["precision@1"])


def test_a_run(levers, monkeypatch, capsys):
    images, labels = bars(170)
    problem = levers.Problem(images[20:], labels[20:], images[:20], labels[:20], False)
    monkeypatch.setattr(levers, "trial", lambda name, quick: problem)
    plain = levers.ImageEncoder
    monkeypatch.setattr(
        levers, "ImageEncoder", lambda **options: plain(**{"n_units": 64, "k": 8, **SMALL, **options})
    )
    changes = {"defaults": {}, "whitening_power=0.0": {"whitening_power": 0.0}, "epochs=40": {"epochs": 40}}
    monkeypatch.setattr(levers, "levers", lambda images: changes)
    assert levers.main(["--data", "fashion_mnist", "--only", "w", "--seeds", "2", "--json"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)["fashion_mnist"]
    assert {"defaults", "whitening_power=0.0", "only which units"} <= set(result)
    assert "epochs=40" not in result
    shown = next(line for line in table if "whitening_power" in line).split()
    difference = result["whitening_power=0.0"]["map"] - result["defaults"]["map"]
    assert shown[1:3] == [f"{difference:+.3f}", f"({result['whitening_power=0.0']['spread']['map']:.3f})"]


def test_the_spread_is_that_of_differences(levers):
    runs = [{"defaults": {"map": a}, "patch_size=4": {"map": b}} for a, b in ((0.5, 0.75), (0.25, 0.375))]
    both = levers.over_seeds(runs)
    assert both["defaults"] == {"map": 0.375, "spread": {"map": 0.25}}
    assert both["patch_size=4"] == {"map": 0.5625, "spread": {"map": 0.125}}
    assert "spread" not in levers.over_seeds(runs[:1])["defaults"]


def test_each_lever_is_one_change_that_the_encoder_takes(levers):
    for images in (np.zeros((1, 28, 28), np.uint8), np.zeros((1, 96, 96, 3), np.uint8)):
        table = levers.levers(images)
        assert next(iter(table)) == "defaults"
        for change in list(table.values())[1:]:
            assert len(change) == 1
            levers.resolve_hyperparameters(levers.ImageEncoder(**change), images)


def test_variants_are_codes_of_features_of_their_own(levers):
    images, _ = bars(60, color=True)

    def learn(images, **change):
        options = {**SMALL, **change}
        return levers.ImageEncoder(24, k=4, random_state=0, **options).fit(images)

    encoder = learn(images)
    widths, plain = {}, encoder.pooled(images)
    for name, features in levers.variants(encoder, images, learn):
        F = features(images)
        np.testing.assert_allclose(np.linalg.norm(F, axis=1), 1, rtol=1e-4)
        widths[name] = F.shape[1] / plain.shape[1]
        if name == "pooling: sums, no root":
            np.testing.assert_allclose(F, plain**2 / np.linalg.norm(plain**2, axis=1)[:, None], atol=1e-5)
    assert widths["patches of two sizes: and larger ones"] == 2
    assert (widths["pooling: maxima"], widths["two-sided patch codes"]) == (1, 2)
    codes, queries = levers.second_layer(encoder, plain, plain[:7], 0)
    assert (codes.shape, queries.shape, codes.counts.max()) == ((60, 24), (7, 24), 4)
    np.testing.assert_allclose(codes[:7].to_dense(), queries.to_dense(), atol=1e-5)


def test_the_table_and_what_earlier_runs_say_together(levers, tmp_path, capsys):
    from helpers import levers_report

    fashion = {
        "defaults": {"map": 0.5, "map@1000": 0.7, "precision@1": 0.8, "precision@10": 0.75},
        "k_fit=2": {"map": 0.4904, "map@1000": 0.7, "precision@1": 0.8004, "precision@10": 0.7},
    }
    spread = dict.fromkeys(fashion["defaults"], 0.02)
    fashion["k_fit=2"]["spread"] = spread
    photos = {
        "defaults": {
            "map": 0.5,
            "map@1000": 0.7,
            "precision@1": 0.9,
            "precision@10": 0.75,
            "precision@20": 0.7,
        }
    }
    photos["units by idf"] = {**photos["defaults"], "precision@20": 0.712}
    for name, table in (("fashion_mnist", fashion), ("corel1k", photos)):
        (tmp_path / name).write_text(json.dumps({name: table}), encoding="utf-8")
    files = [str(tmp_path / name) for name in ("fashion_mnist", "corel1k")]
    assert levers.main(["--from", *files, "--json"]) == 0
    both = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert both == {"fashion_mnist": fashion, "corel1k": photos}
    assert levers_report.heads(both) == [
        "",
        "Fashion-MNIST: mAP",
        "prec@1",
        "Corel-1K: prec@20",
        "prec@1",
    ]
    assert levers_report.rows(both) == [
        ["defaults", "0.500", "0.800", "0.700", "0.900"],
        ["`k_fit=2`", "−0.010", "0.000", "", ""],
        ["units by idf", "", "", "+0.012", "0.000"],
    ]
    assert "Fashion-MNIST, mAP: 0.020 at most, 0.020 in the middle" in levers_report.spreads(both)
