import cv2
import numpy as np
import pandas as pd
import pytest
from skimage.metrics import structural_similarity

from facefill.complete import read_face
from facefill.core import likeness
from facefill.core.descriptor import Describer
from facefill.core.errors import FacefillError
from facefill.core.images import write_png
from facefill.core.masking import make_masks
from facefill.describe import describe
from facefill.measure import FaceSet, measure
from facefill.metrics import face_metrics, set_metrics
from pairs import face_pair, rendered_face

SIZE = 64
CENTER = {"kind": "center", "scale": 0.25}
RANDOM = {"kind": "random", "hidden": 0.8, "seed": 0}
KNOWN = make_masks(CENTER, ["any"], SIZE, 1.0).known[0]


def values_of(original, completed, known=KNOWN):
    """All measures of one face but that of the descriptors."""
    pair = face_pair(original, completed, known)
    return {name: metric.measure(pair) for name, metric in face_metrics().items()}


def value_of(metric, real, fake, **more):
    """A measure of sets of descriptors, [N, d] each."""
    compared = FaceSet(real=real, fake=fake, real_descriptors=real, fake_descriptors=fake, **more)
    return set_metrics("completions", "samples")[metric].measure(compared)[:2]


@pytest.fixture
def faces():
    """Smooth random pictures: uint8 [4, 64, 64, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(face, (SIZE, SIZE)) for face in coarse])


@pytest.fixture(scope="module")
def rendered():
    """Aligned synthetic faces by (person, shot): uint8 [64, 64, 3]."""
    return {(person, 0): rendered_face(person, 0, SIZE) for person in range(3)}


def test_psnr_by_hand():
    original = np.full((2, 2, 3), 100, np.uint8)
    completed = original.copy()
    completed[0, 0] = 110, 100, 80  # squared differences 100, 0, 400 in one of four pixels
    hole = np.array([[True, False], [False, False]])
    assert likeness.psnr(original, completed) == pytest.approx(10 * np.log10(255**2 / (500 / 12)))
    assert likeness.psnr(original, completed, hole) == pytest.approx(
        10 * np.log10(255**2 / (500 / 3))
    )
    assert likeness.l1(original, completed, hole) == pytest.approx(10)
    assert likeness.l1(original, completed) == pytest.approx(2.5)


def test_differences_of_bytes_do_not_wrap():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert likeness.psnr(black, white) == 0
    assert likeness.l1(black, white) == likeness.l1(white, black) == 255


def test_equal_pictures_have_the_highest_values(faces):
    values = values_of(faces[0], faces[0])
    assert values["psnr"] == values["hole_psnr"] == likeness.MAX_PSNR
    assert values["ssim"] == pytest.approx(1) and values["hole_ssim"] == pytest.approx(1)
    assert values["l1"] == values["hole_l1"] == 0


def test_hole_is_measured_apart_from_the_face(faces):
    completed = np.where(KNOWN[:, :, None], faces[0], faces[1])
    values = values_of(faces[0], completed)
    # A quarter of the pixels is hidden and the rest is equal: the face has a quarter of the error.
    assert values["psnr"] == pytest.approx(values["hole_psnr"] + 10 * np.log10(4))
    assert values["hole_l1"] == pytest.approx(4 * values["l1"])
    assert values["hole_ssim"] < values["ssim"] < 1
    assert values["ssim"] == structural_similarity(
        faces[0], completed, channel_axis=2, data_range=255
    )


def test_kid_is_unbiased():
    rng = np.random.default_rng(0)
    dimensions = 8
    same = [
        likeness.kid(*rng.normal(size=(2, 20, dimensions))) for _ in range(300)
    ]  # of equal distributions
    standard_error = np.std(same) / np.sqrt(len(same))
    assert abs(np.mean(same)) < 3 * standard_error
    assert min(same) < 0  # as an unbiased estimate of 0 must be half of the time
    shifted = [
        likeness.kid(rng.normal(size=(20, dimensions)), rng.normal(1, 1, (20, dimensions)))
        for _ in range(20)
    ]
    assert np.mean(shifted) > np.mean(same) + 20 * standard_error


def test_kid_by_hand():
    real, fake = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[9.0, 9.0], [2.0, 0.0]])
    # kernel (x.y / 2 + 1)^3: within real 1, within fake 1000, across 8 for the first with the
    # second and 166.375 for the second with the first; the first with the first does not count
    assert likeness.kid(real, fake) == pytest.approx(1 + 1000 - (8 + 5.5**3))
    assert np.isnan(likeness.kid(real[:1], fake[:1]))


def test_kid_of_completions_is_unbiased():
    """A completion is more like its own face than like another one."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        faces = rng.normal(size=(20, 8))
        found.append(likeness.kid(faces, 0.8 * faces + 0.6 * rng.normal(size=(20, 8))))
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    assert likeness.kid(faces, faces) == pytest.approx(0, abs=1e-12)


def test_identity_distance_tells_faces_apart(rendered):
    describe = Describer(SIZE, 1.0)
    face, other = rendered[0, 0], rendered[1, 0]
    slightly = np.clip(face.astype(int) + 4, 0, 255).astype(np.uint8)
    described, near_by, far_off = describe(np.stack([face, slightly, other]))
    near = np.linalg.norm(described - near_by)
    far = np.linalg.norm(described - far_off)
    assert near < 0.5 * far


def test_landmark_order_is_that_of_dlibs_five_point_model(rendered):
    # dlib takes the eyes from the first four points: with left and right exchanged it would cut
    # out a face upside down, far from the right one.
    describe = Describer(SIZE, 1.0)
    points = np.array([(p.x, p.y) for p in describe._shape.parts()])
    right_eye, left_eye, nose = points[:2], points[2:4], points[4]
    assert right_eye[:, 0].min() > nose[0] > left_eye[:, 0].max()
    assert right_eye[0, 0] > right_eye[1, 0] and left_eye[0, 0] < left_eye[1, 0]  # outer first
    assert nose[1] > points[:4, 1].max()


def describe_test(folder, count):
    splits = folder / "test.npy", folder / "test.csv"
    described = folder / "test_descriptors.npy", folder / "test_landmarks.npy"
    describe(*splits, 1.0, None, count, *described)


@pytest.fixture
def tree(tmp_path, rendered):
    """A test split of three faces, two of them completed with the third."""
    faces = np.stack([rendered[person, 0] for person in range(3)])
    np.save(tmp_path / "test.npy", faces)
    names = ["b", "a", "NA"]
    pd.DataFrame({"face": names, "identity": names, "source": names}).to_csv(
        tmp_path / "test.csv", index=False
    )
    describe_test(tmp_path, 3)
    known = KNOWN[:, :, None]
    for name, face in zip(names[:2], faces, strict=False):
        write_png(tmp_path / "faces" / f"{name}.png", np.where(known, face, faces[2]))
    return tmp_path


def run(tree, mask=CENTER, samples=None, calibration=None, mean_first=False):
    return measure(
        test_npy=tree / "test.npy",
        test_csv=tree / "test.csv",
        test_descriptors=tree / "test_descriptors.npy",
        test_landmarks=tree / "test_landmarks.npy",
        faces=tree / "faces",
        samples=samples,
        calibration=calibration,
        mask=mask,
        zoom=1.0,
        predictor=None,
        mean_first=mean_first,
        metrics=tree / "metrics.csv",
        set_metrics=tree / "set_metrics.csv",
    )


def write_samples(tree, samples):
    np.save(tree / "samples.npy", samples)
    return tree / "samples.npy"


def completions(tree, count):
    """`count` completions of the faces "a" and "b": each has another grey in the hole."""
    originals = np.load(tree / "test.npy")[[1, 0]]
    greys = np.arange(count, dtype=np.uint8)[:, None, None, None] * 10 + 100
    samples = np.where(KNOWN[:, :, None], originals[:, None], greys)
    for name, face in zip("ab", samples, strict=True):
        write_png(tree / "faces" / f"{name}.png", face[0])
    return samples


def test_measure_writes_both_tables(tree):
    assert run(tree) == 2
    header = "face,hole_psnr,psnr,hole_l1,l1,ssim,hole_ssim,"
    lines = (tree / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith(header) and lines[0].split(",") == ["face", *face_metrics()]
    assert [line.split(",")[0] for line in lines[1:]] == ["a", "b"]
    table = pd.read_csv(tree / "metrics.csv", index_col="face")
    faces = np.load(tree / "test.npy")
    assert table.loc["a", "hole_psnr"] == pytest.approx(
        likeness.psnr(faces[1], faces[2], ~KNOWN), abs=1e-6
    )
    sets = pd.read_csv(tree / "set_metrics.csv")
    assert list(sets.columns) == ["metric", "value", "faces", "low", "high"]
    faces_of = dict(zip(sets["metric"], sets["faces"], strict=True))
    assert list(faces_of) == list(set_metrics("completions"))
    assert faces_of.pop("verification") == faces_of.pop("verification_original") == 0
    assert faces_of.pop("verification_masked") == 0  # everybody has one photo
    assert set(faces_of.values()) == {2}


def test_same_bytes_twice(tree):
    run(tree)
    first = [(tree / name).read_bytes() for name in ("metrics.csv", "set_metrics.csv")]
    run(tree)
    assert first == [(tree / name).read_bytes() for name in ("metrics.csv", "set_metrics.csv")]


def test_hole_columns_are_empty_where_nothing_is_hidden(tree):
    for name, face in zip("ba", np.load(tree / "test.npy"), strict=False):
        write_png(tree / "faces" / f"{name}.png", face)
    run(tree, {"kind": "full"})
    row = (tree / "metrics.csv").read_text().splitlines()[1]
    assert row == "a,,100.000000,,0.000000,1.000000,,0.000000,,,,"


def test_every_face_has_its_own_hole(tree):
    originals = np.load(tree / "test.npy")
    known = make_masks(RANDOM, ["b", "a"], SIZE, 1.0).known
    for name, face, mask in zip("ba", originals, known, strict=False):
        write_png(tree / "faces" / f"{name}.png", np.where(mask[:, :, None], face, 0))
    run(tree, RANDOM)
    table = pd.read_csv(tree / "metrics.csv", index_col="face")
    for name, face, mask in zip("ba", originals, known, strict=False):
        black = likeness.l1(face, np.zeros_like(face), ~mask)
        assert table.loc[name, "hole_l1"] == pytest.approx(black, abs=1e-6)
    for name, face, mask in zip("ba", originals, known[::-1], strict=False):
        write_png(tree / "faces" / f"{name}.png", np.where(mask[:, :, None], face, 0))
    with pytest.raises(FacefillError, match="known pixels"):  # each under the other one's mask
        run(tree, RANDOM)


def test_where_only_block_means_are_known_the_hole_is_the_whole_face(tree):
    for name in "ab":
        write_png(tree / "faces" / f"{name}.png", np.zeros((SIZE, SIZE, 3), np.uint8))
    run(tree, {"kind": "lowres", "factor": 8})
    table = pd.read_csv(tree / "metrics.csv")
    assert table["hole_psnr"].equals(table["psnr"]) and table["hole_l1"].equals(table["l1"])


# -- several completions -----------------------------------------------------------------------


def test_diversity_by_hand():
    real = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])  # distances 5, 8, 5
    fake = np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 6.0]])  # distances 3, 6, 3
    assert value_of("diversity", real, fake) == (pytest.approx(12 / 18), 3)
    assert value_of("diversity", real, real) == (1, 3)
    assert value_of("diversity", real, np.zeros((3, 2))) == (0, 3)
    assert np.isnan(value_of("diversity", np.zeros((3, 2)), fake)[0])
    assert np.isnan(value_of("diversity", real[:1], fake[:1])[0])


def spread(samples, hole):
    nothing = np.zeros((1, 2))
    more = {"samples": samples[None], "holes": hole[None]}
    return value_of("sample_spread", nothing, nothing, **more)


def test_spread_of_samples_by_hand():
    samples = np.zeros((3, 2, 2, 3), np.uint8)
    samples[1, 0, 0] = 10, 10, 10  # in the hole: two pixels, six values
    samples[2, 0, 1] = 250, 0, 0
    samples[2, 1, 1] = 99  # known pixels do not count
    hole = np.array([[True, True], [False, False]])
    pairs = [np.sqrt(300 / 6), np.sqrt(250**2 / 6), np.sqrt((300 + 250**2) / 6)]
    assert spread(samples, hole) == (pytest.approx(np.mean(pairs)), 1)
    assert spread(samples[::-1], hole) == (pytest.approx(np.mean(pairs)), 1)
    assert np.isnan(spread(samples, ~hole & hole)[0])


def test_the_spread_of_several_samples_is_measured(tree):
    samples = completions(tree, 3)
    run(tree, samples=write_samples(tree, samples))
    sets = pd.read_csv(tree / "set_metrics.csv", index_col="metric")
    assert sets.index.tolist() == list(set_metrics("completions", "samples"))
    assert sets.loc[["sample_spread", "sample_spread_identity"], "faces"].tolist() == [2, 2]
    assert sets.loc["sample_spread", "value"] == pytest.approx((10 + 20 + 10) / 3)
    describe = Describer(SIZE, 1.0)
    distances = [
        np.linalg.norm(descriptors[one] - descriptors[two])
        for descriptors in map(describe, samples)
        for one, two in ((0, 1), (0, 2), (1, 2))
    ]
    assert sets.loc["sample_spread_identity", "value"] == pytest.approx(np.mean(distances))


def test_one_sample_has_no_spread(tree):
    run(tree, samples=write_samples(tree, completions(tree, 1)))
    table = pd.read_csv(tree / "set_metrics.csv")
    assert table["metric"].tolist() == list(set_metrics("completions"))


def test_samples_under_full_spread_in_nothing(tree):
    originals = np.load(tree / "test.npy")[[1, 0]]
    for name, face in zip("ab", originals, strict=True):
        write_png(tree / "faces" / f"{name}.png", face)
    run(tree, {"kind": "full"}, write_samples(tree, originals[:, None].repeat(2, axis=1)))
    sets = pd.read_csv(tree / "set_metrics.csv", index_col="metric")
    assert sets.loc["sample_spread", "faces"] == 0 and np.isnan(sets.loc["sample_spread", "value"])
    assert sets.loc["sample_spread_identity", ["value", "faces"]].tolist() == [0, 2]
    assert sets.loc["detectability", "faces"] == 0 and np.isnan(sets.loc["detectability", "value"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda samples: samples[:1], r"uint8 \[1, 2, 64, 64, 3\] instead of uint8 \[2, K"),
        (lambda samples: samples.astype(float), "float64"),
        (lambda samples: samples[:, :0], "instead of"),
        (lambda samples: samples[0, 0, 0, 0, 0], "instead of"),
        (lambda samples: samples[:, ::-1], "face 'a': the first sample"),
        (lambda samples: samples ^ np.uint8([[[[[0]]]], [[[[1]]]]]), "face 'b': the first sample"),
    ],
)
def test_wrong_samples_are_named(tree, change, words):
    samples = change(completions(tree, 2))
    with pytest.raises(FacefillError, match=words):
        run(tree, samples=write_samples(tree, samples))
    assert not (tree / "metrics.csv").exists()


def test_a_sample_may_change_hidden_pixels_only(tree):
    samples = completions(tree, 2)
    samples[1, 1, 0, 7, 2] ^= 1
    with pytest.raises(FacefillError, match=r"face 'b': 1 known pixels of .*column 7, row 0"):
        run(tree, samples=write_samples(tree, samples))


def test_unreadable_samples_are_named(tree):
    completions(tree, 2)
    (tree / "samples.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(FacefillError, match=r"samples\.npy: not a readable array"):
        run(tree, samples=tree / "samples.npy")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "a.png").write_bytes(b"no picture"), "a.png"),
        (lambda folder: write_png(folder / "a.png", np.zeros((9, 8, 3), np.uint8)), "8x9 pixels"),
        (lambda folder: write_png(folder / "z.png", np.zeros((64, 64, 3), np.uint8)), "z.png"),
        (lambda folder: [file.unlink() for file in folder.iterdir()], "no completed faces"),
    ],
)
def test_damaged_completions_are_named(tree, damage, words):
    damage(tree / "faces")
    with pytest.raises(FacefillError, match=words):
        run(tree)
    assert not (tree / "metrics.csv").exists()


def test_a_face_that_is_not_described_is_named(tree):
    describe_test(tree, 1)
    with pytest.raises(FacefillError, match=r"_descriptors\.npy: the face '\w' is not described"):
        run(tree)
    assert not (tree / "metrics.csv").exists()


def test_changed_known_pixel_is_refused(tree):
    face = read_face(tree / "faces" / "a.png", SIZE).copy()
    face[3, 5, 1] ^= 1
    write_png(tree / "faces" / "a.png", face)
    with pytest.raises(FacefillError, match=r"face 'a': 1 known pixels.*a\.png.*column 5, row 3"):
        run(tree)


def test_missing_completion_is_named(tmp_path):
    with pytest.raises(FacefillError, match=r"gone\.png is missing"):
        read_face(tmp_path / "gone.png", SIZE)
