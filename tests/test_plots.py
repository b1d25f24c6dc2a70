"""Pictures are drawn and hold what they should; whether they please is for eyes."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from small_images import SMALL, bars

from nsae import ImageEncoder, NotFittedError, SparseAutoencoder, plots


def drawn(figure, tmp_path):
    """The figure as an array, through a file."""
    from matplotlib.image import imread

    figure.savefig(tmp_path / "out.png")
    return imread(tmp_path / "out.png")


def test_filters_are_shown_in_the_order_given(rng, tmp_path):
    patterns = np.full((5, 4), 9.0)
    patterns[0] = [1, -1, 0.5, 0]
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
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    drawn(figure, tmp_path)


def test_loss_curves_of_models_with_and_without_names(rng, tmp_path):
    X = rng.random((60, 9))
    one, other = (SparseAutoencoder(6, k=k, epochs=3).fit(X) for k in (1, 2))
    for figure in (plots.loss_curves(one), plots.loss_curves(one.history_)):
        assert [len(axis.lines) for axis in figure.axes] == [1, 1, 1, 1]
        np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), one.history_["loss"])
        assert figure.legends == []
    figure = plots.loss_curves({"k = 1": one, "loss": other.history_})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["k = 1", "loss"]
    np.testing.assert_array_equal(figure.axes[2].lines[1].get_ydata(), other.history_["l0"])
    drawn(figure, tmp_path)


def test_loss_curves_of_an_image_encoder_has_both_autoencoders():
    images, _ = bars(30)
    encoder = ImageEncoder(12, k=2, **SMALL).fit(images)
    assert [t.get_text() for t in plots.loss_curves(encoder).legends[0].get_texts()] == ["patches", "images"]
    names = [t.get_text() for t in plots.loss_curves({"a": encoder}).legends[0].get_texts()]
    assert names == ["a patches", "a images"]


@pytest.mark.parametrize("what", [3, "model.npz", {"a": 3}, {"l0": [1, 2]}, ImageEncoder()])
def test_what_has_no_history_is_refused(what):
    with pytest.raises(TypeError, match="fitted model, its history_"):
        plots.loss_curves(what)
    with pytest.raises(NotFittedError):
        plots.loss_curves({"a": SparseAutoencoder()})
    with pytest.raises(ValueError, match="no models"):
        plots.loss_curves({})


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


def test_a_history_of_one_epoch_can_be_seen():
    history = {"loss": [3], "explained_variance": [0.1], "l0": [4], "dead": [0]}
    for axis in plots.loss_curves({"a": history}).axes:
        assert axis.lines[0].get_marker() == "o"


def test_the_legend_covers_no_curve(tmp_path):
    history = {"loss": [3, 2], "explained_variance": [0.1, 0.5], "l0": [4, 4], "dead": [0, 0.1]}
    figure = plots.loss_curves({"a": history, "b": history})
    drawn(figure, tmp_path)
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axis.get_window_extent()) for axis in figure.axes)


def test_names_are_not_read_as_formulas(rng, tmp_path):
    history = {"loss": [3], "explained_variance": [0.1], "l0": [4], "dead": [0]}
    name = r"$\nothing{$"
    drawn(plots.loss_curves({name: history}), tmp_path)
    drawn(plots.filters({name: rng.normal(size=(4, 4))}, (2, 2)), tmp_path)
    images = rng.random((2, 8, 8))
    texts = {"names": [[name]], "row_titles": [name], "title": name}
    drawn(plots.search_results(images[:1], [images[1:]], [[0.5]], **texts), tmp_path)


@pytest.mark.parametrize("n_hits", [0, 1])
def test_the_title_fits_over_few_hits(rng, tmp_path, n_hits):
    images = rng.random((2, 8, 8))
    title = "Each query and its nearest photos by sparse code, with their distances"
    figure = plots.search_results(images[:1], [images[:n_hits]], [[0.5] * n_hits], title=title)
    drawn(figure, tmp_path)
    extent = figure._suptitle.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1


@pytest.mark.parametrize("widths", [[10], [10, 300, 40]])
def test_strips_show_all_of_each_picture(rng, tmp_path, widths):
    rows = [(f"unit {w}, $", rng.integers(0, 256, (20, w, 3), dtype=np.uint8)) for w in widths]
    figure = plots.strips(rows, title="What units stand for")
    drawn(figure, tmp_path)
    for axis, (name, image) in zip(figure.axes, rows, strict=True):
        assert axis.get_title(loc="left") == name
        np.testing.assert_array_equal(axis.images[0].get_array(), image)


def test_filters_of_a_model_have_numbers_and_scales(rng, tmp_path):
    model = SparseAutoencoder(5, k=2, epochs=1, random_state=0).fit(rng.random((30, 9)))
    figure = plots.filters(model, units=[4, 1])
    scales = np.abs(model.encoder().patterns()).max(axis=1)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"4  ±{scales[4]:.2g}", f"1  ±{scales[1]:.2g}"]
    assert figure.axes[0].images[0].get_array().shape == (3, 3)
    assert len(plots.filters(model, (1, 9)).axes) == 5
    drawn(figure, tmp_path)


def test_filters_say_which_shape_or_unit_does_not_fit(rng):
    model = SparseAutoencoder(5, epochs=1).fit(rng.random((30, 8)))
    with pytest.raises(ValueError, match="8 numbers are no square"):
        plots.filters(model)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\)"):
        plots.filters(model, (3, 3))
    with pytest.raises(ValueError, match="no unit 5: the model has the units 0 to 4"):
        plots.filters(model, (2, 4), units=[5])


def test_mean_activations_are_drawn_with_a_line_at_rho(rng, tmp_path):
    X = rng.random((60, 9))
    model = SparseAutoencoder(40, activation="sigmoid", kl=1.0, rho=0.2, epochs=2, random_state=0).fit(X)
    figure = plots.mean_activations(model)
    (axis,) = figure.axes
    assert axis.lines[0].get_xdata()[0] == 0.2
    assert sum(patch.get_height() for patch in axis.patches) == 40
    drawn(figure, tmp_path)
    with pytest.raises(ValueError, match="sigmoid"):
        plots.mean_activations(SparseAutoencoder(5, epochs=1).fit(X))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rows": 0}, ValueError, "rows=0"),
        ({"units": [1.7]}, ValueError, "no unit 1.7"),
        ({"units": [-1]}, ValueError, "no unit -1"),
        ({"image_shape": 9}, ValueError, r"image_shape=\(9,\)"),
        ({"image_shape": (-3, -3)}, ValueError, r"image_shape=\(-3, -3\)"),
    ],
)
def test_what_cannot_be_drawn_is_said(rng, options, error, message):
    model = SparseAutoencoder(5, epochs=1).fit(rng.random((30, 9)))
    with pytest.raises(error, match=message):
        plots.filters(model, **options)


def test_shapes_and_units_as_one_gives_them(rng, tmp_path):
    model = SparseAutoencoder(5, epochs=1).fit(rng.random((30, 9)))
    drawn(plots.filters(model, np.array([3, 3]), units=2), tmp_path)
    drawn(plots.arrays([("$a", "\\x$", np.ones((2, 2)))]), tmp_path)


def test_nothing_to_draw_is_said(rng):
    for draw, what in [
        (lambda: plots.filters({}), "patterns"),
        (lambda: plots.mean_activations({}), "models"),
        (lambda: plots.arrays([]), "arrays"),
        (lambda: plots.stages([]), "stages"),
    ]:
        with pytest.raises(ValueError, match=f"There are no {what} to draw"):
            draw()
    with pytest.raises(ValueError, match="units are for one model"):
        plots.filters({"a": rng.random((4, 4))}, units=[1])
    with pytest.raises(ValueError, match="fit such a SparseAutoencoder"):
        plots.mean_activations(SparseAutoencoder(5))
    with pytest.raises(ValueError, match="SparseAutoencoder"):
        plots.mean_activations(SparseAutoencoder(5, epochs=1).fit(rng.random((30, 9))).encoder())


def test_letters_of_east_asia_are_looked_for_in_fonts_of_the_system(monkeypatch):
    monkeypatch.setattr(plots, "MORE_LETTERS", ("A font that is not there", "STIXGeneral"))
    names = ["a.jpg", "Größe.jpg", "写真.jpg"]
    image = np.zeros((4, 4))
    figure = plots.search_results(
        [image], [[image] * 3], [[0.1, 0.2, 0.3]], names=[names], row_titles=["照片.jpg"]
    )
    families = [axis.xaxis.label.get_fontfamily() for axis in figure.axes[1:]]
    assert families == [["sans-serif"], ["sans-serif"], ["sans-serif", "STIXGeneral"]]
    assert figure.axes[0].title.get_fontfamily() == ["sans-serif", "STIXGeneral"]
