from facefill.masks import make_mask


def test_center_hides_amos_rows_and_columns_16_to_47():
    mask = make_mask({"kind": "center", "scale": 0.25}, 64)
    assert mask.dtype == bool
    assert (~mask).sum() == 32 * 32
    assert not mask[16:48, 16:48].any()


def test_center_scales_with_the_face():
    assert (~make_mask({"kind": "center", "scale": 0.25}, 128)).sum() == 64 * 64
