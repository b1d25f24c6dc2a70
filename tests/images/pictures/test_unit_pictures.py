"""What is shown of a unit: its pattern, the photos that have most of it, and nothing where nothing is."""

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae.images import ImageEncoder, load_images
from nsae.images.pictures.unit_pictures import FRAME, HEIGHT, unit_pictures
from nsae.retrieval import CodeIndex, unit_catalogue


def used(index):
    return [use.unit for use in unit_catalogue(index) if use.rows >= 3]


def test_a_pattern_then_the_photos_with_most_of_it(library):
    units = used(library.index)
    pictures = unit_pictures(units, index=library.index, encoder=library.encoder, root=library.root)
    assert list(pictures) == units
    for use in unit_catalogue(library.index, units, top=3):
        picture = pictures[use.unit]
        assert picture.image.dtype == np.uint8
        assert picture.image.shape == (HEIGHT, HEIGHT + 3 * (2 + HEIGHT * 4 // 3), 3)
        assert str(use.unit) in picture.text
        for id, _ in use.top:
            assert id in picture.text
        photo = picture.image[:, HEIGHT + 2 : HEIGHT + 2 + HEIGHT * 4 // 3].mean(axis=(0, 1))  # (3,)
        expected = np.asarray(Image.open(library.root / use.top[0][0])).mean(axis=(0, 1))
        np.testing.assert_allclose(photo, expected, atol=3)


def test_a_pattern_is_grey_where_it_is_0_and_as_bright_as_it_is_large(library):
    unit = used(library.index)[0]
    picture = unit_pictures([unit], index=library.index, encoder=library.encoder)[unit]
    pattern = library.encoder.patterns()[unit].reshape(8, 8, 3)
    shown = picture.image[4::9, 4::9].astype(float)  # the middle of each of the 8 × 8 pixels, 9 wide
    np.testing.assert_allclose(shown, 127.5 + 127.5 * pattern / np.abs(pattern).max(), atol=0.51)


def test_photos_that_are_gone_make_room_for_the_next(library, tmp_path):
    (use, *_) = [use for use in unit_catalogue(library.index, top=12) if use.rows >= 4]
    for id, _ in use.top[1:]:
        (tmp_path / id).write_bytes((library.root / id).read_bytes())
    (picture,) = unit_pictures([use.unit], index=library.index, root=tmp_path).values()
    assert use.top[0][0] not in picture.text
    assert use.top[3][0] in picture.text


def test_nothing_to_show(library):
    dead = [use.unit for use in unit_catalogue(library.index) if use.dead]
    assert unit_pictures(used(library.index), index=library.index) == {}
    assert unit_pictures(dead, index=library.index, root=library.root) == {}
    with pytest.raises(ValueError, match="0 to 23"):
        unit_pictures([24], index=library.index)


def test_a_unit_of_an_image_encoder_has_its_part_framed(library):
    images, _ = load_images(library.paths, side=16)
    encoder = ImageEncoder(
        8, k=2, patch_size=4, patch_units=12, grid=2, n_components=4, image_size=16, stride=2
    )
    encoder.set_params(epochs=2, patch_epochs=1, n_patches=2000, random_state=0).fit(images)
    index = CodeIndex(8)
    index.add(encoder.encode(images), library.index.ids)
    units = used(index)
    plain = unit_pictures(units, index=index, root=library.root)
    for unit, picture in unit_pictures(units, index=index, encoder=encoder, root=library.root).items():
        assert picture.text == plain[unit].text
        framed = (picture.image == FRAME).all(axis=2)
        assert framed.sum() > 3 * 50
        assert not (plain[unit].image == FRAME).all(axis=2).any()
