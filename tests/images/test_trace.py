"""What becomes of an image, stage by stage: the arrays are those of the pipeline, the last one is the code."""

import numpy as np
import pytest
from house import PACKAGE

from nsae import ImageEncoder
from nsae.datasets.dead_leaves import dead_leaves

pytest.importorskip("PIL")
EQUATIONS = (PACKAGE / "equations" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def photos():
    return dead_leaves(60, size=32)


@pytest.fixture(scope="module", params=["colour", "grey with neighbours"])
def encoder(request, photos):
    options = {"patch_units": 24, "patch_epochs": 1, "epochs": 2, "random_state": 0, "patch_k": 3}
    if request.param == "colour":
        return ImageEncoder(40, k=6, color_weight=0.3, neighbour_steps=0, image_size=32, **options).fit(
            photos
        )
    return ImageEncoder(40, k=6, color=False, neighbour_steps=1, image_size=32, **options).fit(photos)


def test_the_last_stage_is_the_code(encoder, photos):
    for image in photos[:5]:
        stages = encoder.trace(image)
        np.testing.assert_array_equal(stages[-1].array, encoder.encode(image[None]).to_dense()[0])


def test_each_stage_is_made_from_the_one_before(encoder, photos):
    stages = {stage.name: stage.array for stage in encoder.trace(photos[0])}
    geometry, features = encoder.geometry_, encoder.pipeline_.features
    np.testing.assert_allclose(stages["patches, contrast normalised"].mean(axis=1), 0, atol=1e-3)
    assert (np.count_nonzero(stages["codes of patches"], axis=1) <= 3).all()
    cells = features.cells
    for cell in range(features.n_cells):
        inside = (cells == cell).any(axis=1)
        expected = stages["codes of patches"][inside].sum(axis=0)
        np.testing.assert_allclose(stages["sums over cells"][cell], expected, rtol=1e-6, atol=1e-9)
    pooled = np.sqrt(stages["sums over cells"]).ravel()
    of_codes = stages["pooled vector"][: pooled.size]
    cosine = pooled @ of_codes / np.linalg.norm(pooled) / np.linalg.norm(of_codes)
    assert cosine == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(stages["pooled vector"], encoder.pooled(photos[:1])[0])
    last = [s for s in encoder.trace(photos[0]) if s.name.startswith("components")][-1]
    np.testing.assert_array_equal(last.array, encoder.components(photos[:1])[0])
    assert ("components and predicted neighbours" in stages) == (encoder.neighbours_ is not None)
    assert stages["image"].shape == geometry.shape


def test_each_stage_has_a_picture_and_equations_that_there_are(encoder, photos):
    for stage in encoder.trace(photos[0]):
        assert stage.picture.ndim in (2, 3)
        assert 0 <= stage.picture.min() <= stage.picture.max() <= 1
        assert all(f"### {number} " in EQUATIONS for number in stage.equation.split())
        assert stage.shape == stage.array.shape
        assert "shape=" in repr(stage)


def test_the_stages_are_drawn(encoder, photos, tmp_path):
    pytest.importorskip("matplotlib")
    from nsae import plots

    figure = plots.stages(encoder.trace(photos[0]))
    figure.savefig(tmp_path / "stages.png")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[-1] == "" or titles[-1].startswith("code")
    assert any("(29)" in title for title in titles)


def test_a_file_and_an_image_of_another_size(encoder, photos, tmp_path):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.fromarray((photos[0] * 255).astype(np.uint8) if photos.dtype != np.uint8 else photos[0]).resize(
        (50, 41)
    ).save(path)
    np.testing.assert_array_equal(encoder.trace(path)[-1].array, encoder.encode([path]).to_dense()[0])
    image = np.asarray(Image.open(path))
    np.testing.assert_array_equal(encoder.trace(image)[-1].array, encoder.encode(image[None]).to_dense()[0])


def test_more_than_one_image_is_refused(encoder, photos):
    with pytest.raises(ValueError, match=r"One image was expected.*images\[0\]"):
        encoder.trace(photos[:2])
    with pytest.raises(ValueError, match=r"shape \(20, 3\) came"):
        encoder.trace(photos[0][:20, :3, 0])


def test_the_encoder_that_is_shipped_has_it_too(photos):
    import nsae

    pipeline = nsae.load_encoder("photos")
    code = pipeline.trace(photos[0])[-1].array
    np.testing.assert_array_equal(code, pipeline.encode(photos[:1]).to_dense()[0])
