"""Pictures are drawn and hold what they should; whether they please is for eyes."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from nsae import plots


def drawn(figure, tmp_path):
    """The figure as an array, through a file."""
    from matplotlib.image import imread

    figure.savefig(tmp_path / "out.png")
    return imread(tmp_path / "out.png")


def test_filters_show_the_strongest_first(rng, tmp_path):
    patterns = np.zeros((5, 4))
    patterns[3] = [1, -1, 0.5, 0]  # the only unit that does something
    figure = plots.filters({"some": patterns, "others": rng.normal(size=(9, 4))}, (2, 2), rows=2)
    sheet = figure.axes[0].images[0].get_array()
    assert sheet.shape == (5, 5)  # 2 × 2 tiles of 2 × 2 with a line between
    np.testing.assert_allclose(sheet[:2, :2], [[1, 0], [0.75, 0.5]])
    assert drawn(figure, tmp_path).std() > 0


def test_filters_in_colour(rng):
    figure = plots.filters({"rgb": rng.normal(size=(3, 12))}, (2, 2, 3), rows=2)
    assert figure.axes[0].images[0].get_array().shape == (5, 5, 3)


def test_loss_curves_have_a_line_for_each_model(tmp_path):
    history = {"loss": [3, 2], "explained_variance": [0.1, 0.5], "l0": [4, 4], "dead": [0, 0.1]}
    figure = plots.loss_curves({"a": history, "b": history})
    assert [len(axis.lines) for axis in figure.axes] == [2, 2, 2, 2]
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["a", "b"]
    drawn(figure, tmp_path)


def test_search_results_show_distances_names_and_which_are_right(rng, tmp_path):
    images = rng.random((4, 8, 8))
    figure = plots.search_results(
        images[:1], [images[1:3]], [[0.25, 0.5]], names=[["one", "two"]], right=[[True, False]]
    )
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["query", "0.250", "0.500"]
    assert [axis.get_xlabel() for axis in figure.axes[1:]] == ["one", "two"]
    colours = [axis.spines["left"].get_edgecolor()[:3] for axis in figure.axes[1:]]
    assert colours[0] != colours[1]
    drawn(figure, tmp_path)


def test_rows_may_have_fewer_hits_than_others(rng, tmp_path):
    images = rng.random((4, 8, 8, 3))
    drawn(plots.search_results(images[:2], [images[:3], images[:1]], [[0, 1, 2], [0]]), tmp_path)
