"""Whether bands of samples hold as often as they promise, and the factor that makes them."""

import math

import numpy as np
import pytest

from facefill import calibrate
from facefill.calibrate import Calibration, draws_of, read_calibration
from facefill.complete import Completed
from facefill.core.bands import band, conformal_factor, covered, errors, reliability
from facefill.core.errors import FacefillError
from facefill.measure import FaceSet
from facefill.methods import Method
from facefill.metrics import set_metrics
from facefill.parts import Part
from facefill.split import SPLITS

SIZE, COUNT = 8, 60
HOLES = np.ones((COUNT, SIZE, SIZE), bool)
HOLES[:, :2] = False
PEOPLE = [f"person {number // 2}" for number in range(COUNT)]  # two faces each


def drawn(seed, draws=19, narrow=1.0, deviation=12.0, count=COUNT):
    """Faces and draws around the same means; `narrow` shrinks the draws' deviation."""
    random = np.random.default_rng(seed)
    shape = (count, SIZE, SIZE, 3)
    middle = random.uniform(90, 160, shape)
    real = middle + random.normal(0, deviation, shape)
    noise = random.normal(0, deviation * narrow, (count, draws, *shape[1:]))
    samples = middle[:, None] + noise
    return (np.clip(values, 0, 255).round().astype(np.uint8) for values in (samples, real))


# -- bands -------------------------------------------------------------------------------------


def test_bands_by_hand():
    nineteen = np.arange(19.0)[:, None]
    middle, half = band(nineteen[::-1], 0.9)  # from the smallest to the largest: 18 of 20 ranks
    assert (middle.item(), half.item()) == (9, 9)
    middle, half = band(nineteen, 0.5)  # ranks 5 and 15
    assert (middle.item(), half.item()) == (9, 5)
    middle, half = band(np.arange(3.0)[:, None], 0.5)
    assert (middle.item(), half.item()) == (1, 1)
    # Of 18 there is no such rank: a normal's. t(0.95, 1) = 6.314, s = sqrt(2), sqrt(1 + 1/2).
    middle, half = band(np.array([[1.0], [3.0]]), 0.9)
    assert middle.item() == 2 and half.item() == pytest.approx(6.3138 * math.sqrt(3), rel=1e-4)


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("draws", [2, 3, 7, 18, 19, 24])
def test_draws_of_the_truth_hold_what_they_promise(level, draws):
    """Also where all differences are below the rounding to grey levels, if by ranks."""
    by_ranks = (1 - level) / 2 * (draws + 1) > 0.99
    for deviation in (0.2, 1.5, 12) if by_ranks else (1.5, 12):
        samples, real = drawn(draws, draws, deviation=deviation)
        shares = covered(errors(samples, real, HOLES, level))
        standard_error = shares.std() / math.sqrt(len(shares))
        assert abs(shares.mean() - level) < 4 * standard_error


def test_the_plain_quantiles_would_hold_too_rarely():
    samples, real = drawn(0, 19)
    low, high = np.quantile(samples, [0.05, 0.95], axis=1)
    assert ((low <= real) & (real <= high)).mean() < 0.87
    assert covered(errors(samples, real, HOLES, 0.9)).mean() == pytest.approx(0.9, abs=0.01)


def test_one_draw_and_no_hole_have_no_band():
    samples, real = drawn(0, 1)
    assert np.isnan(covered(errors(samples, real, HOLES, 0.9))).all()
    samples, real = drawn(0, 4)
    assert np.isnan(covered(errors(samples, real, HOLES & False, 0.9))).all()


def test_known_pixels_do_not_count():
    samples, real = drawn(0, 19)
    wrong = np.where(HOLES[..., None], real, 255 - real)
    found = (errors(samples, faces, HOLES, 0.9) for faces in (real, wrong))
    for face, other in zip(*found, strict=True):
        assert len(face) == 3 * 6 * SIZE and np.array_equal(face, other)


# -- the conformal factor ----------------------------------------------------------------------


def test_too_narrow_bands_hold_on_other_people_once_they_are_scaled():
    samples, real = drawn(1, narrow=0.5)
    every = [*errors(samples, real, HOLES, 0.9)]
    factor, people = conformal_factor(every, PEOPLE, 0.9)
    assert people == 30 and 1.7 < factor < 2.6
    samples, real = drawn(2, narrow=0.5)
    every = [*errors(samples, real, HOLES, 0.9)]
    assert covered(every).mean() < 0.7
    assert 0.89 < covered(every, factor).mean() < 0.96


def test_too_wide_bands_become_narrower():
    samples, real = drawn(1, narrow=2)
    factor, _ = conformal_factor(errors(samples, real, HOLES, 0.9), PEOPLE, 0.9)
    assert 0.4 < factor < 0.7


def test_the_factor_by_hand():
    """Nine people leave nothing outside, 19 a mean loss of 1/19; people count, not their faces."""
    people = [str(number) for number in range(9)]
    every = [np.array([0.5, number + 1.0]) for number in range(9)]
    assert conformal_factor(every, people, 0.9) == (9, 9)
    factor, count = conformal_factor(every[:8], people[:8], 0.9)
    assert math.isnan(factor) and count == 8
    people = [str(number) for number in range(19)]
    # Of each one value in two is outside of 1: two people's faces may be, or one whole face.
    every = [np.array([0.5, number + 1.0]) for number in range(19)]
    assert conformal_factor(every, people, 0.9) == (17, 19)
    # A person with many faces is one person.
    many, whose = every + [every[18]] * 50, people + ["18"] * 50
    assert conformal_factor(many, whose, 0.9) == (17, 19)
    # A face without a hole says nothing.
    assert conformal_factor([*every, np.empty(0)], [*people, "more"], 0.9) == (17, 19)
    assert math.isnan(conformal_factor([], [], 0.9)[0])


def test_a_new_person_is_covered_in_expectation():
    """People differ in how wrong the samples are: 200 calibrations, each by 12 people."""
    random, shares = np.random.default_rng(0), []
    for _ in range(300):
        scale = np.exp(random.normal(0, 1, 13))
        every = [np.abs(random.normal(0, one, 40)) for one in scale]
        factor, _ = conformal_factor(every[:12], [str(number) for number in range(12)], 0.9)
        shares.append(float(np.mean(every[12] <= factor)))
    assert np.mean(shares) > 0.9 - 2 * np.std(shares) / math.sqrt(len(shares))
    assert np.mean(shares) < 0.99


# -- spread against error ----------------------------------------------------------------------


def test_reliability_of_draws_of_the_truth_is_the_diagonal():
    parts = [drawn(3, 40, deviation=deviation) for deviation in (2, 8, 20)]
    samples, real = (np.concatenate(part) for part in zip(*parts, strict=True))
    expected, actual = reliability(samples, real, np.ones(real.shape[:3], bool), 3)
    assert expected == pytest.approx([2, 8, 20], rel=0.06)
    assert actual == pytest.approx(expected, rel=0.06)
    overconfident = reliability(*drawn(3, 40, narrow=0.5), HOLES, 1)
    assert overconfident[1] > 1.8 * overconfident[0]


# -- measures ----------------------------------------------------------------------------------


def compared(samples, real, **more):
    nothing = np.zeros((len(real), 2))
    return FaceSet(
        real=real,
        fake=samples[:, 0],
        real_descriptors=nothing,
        fake_descriptors=nothing,
        holes=HOLES,
        samples=samples,
        people=np.array(PEOPLE),
        **more,
    )


def measured(name, *sets, **more):
    return set_metrics("samples")[name].measure(compared(*sets, **more))


def test_coverage_has_an_interval_over_people():
    samples, real = drawn(5)
    for name, level in (("coverage_50", 0.5), ("coverage_90", 0.9)):
        value, count, low, high = measured(name, samples, real)
        assert count == COUNT and low < value < high and low - 0.01 < level < high + 0.01


def test_a_first_sample_that_is_the_mean_is_no_draw():
    samples, real = drawn(6, 20)
    samples[:, 0] = samples[:, 1:].mean(1)
    assert draws_of(samples, True).shape[1] == 19
    found = measured("coverage_90", samples, real, mean_first=True).value
    assert found == measured("coverage_90", samples[:, 1:], real).value
    few = measured("coverage_90", samples[:, :2], real, mean_first=True)
    assert math.isnan(few.value) and few.faces == 0


def test_scaled_bands_have_the_calibrations_width():
    samples, real = drawn(7, narrow=0.5)
    plain = measured("coverage_90", samples, real).value
    one = measured("coverage_90_scaled", samples, real, calibration=Calibration(1.0, 30))
    two = measured("coverage_90_scaled", samples, real, calibration=Calibration(2.2, 30))
    assert one.value == plain < 0.7 and 0.88 < two.value < 0.97
    factor = measured("conformal_factor", samples, real, calibration=Calibration(2.2, 30))
    assert factor[:2] == (2.2, 30)
    assert math.isnan(measured("coverage_90_scaled", samples, real).value)  # nobody calibrated


def test_the_first_the_mean_and_the_best_sample():
    real = np.full((COUNT, SIZE, SIZE, 3), 100, np.uint8)
    samples = np.stack([real + 20, real - 20, real + 10], 1)
    decibel = [10 * math.log10(255**2 / error**2) for error in (20, 10 / 3, 10)]
    names = ["samples_psnr_first", "samples_psnr_mean", "samples_psnr_best"]
    assert [measured(name, samples, real).value for name in names] == pytest.approx(decibel)


# -- the stage ---------------------------------------------------------------------------------


class Draws(Method):
    """Fills with draws that are too narrow, around what the test knows."""

    def complete(self, task):
        assert (task.observed[:, 2:6, 2:6] == 0).all()  # what is hidden is not given
        random = np.random.default_rng(len(task.names))
        samples = random.normal(128, 10, (len(task.names), 20, *task.observed.shape[1:]))
        samples = samples.round().astype(np.uint8)
        return Completed(faces=samples[:, 0], samples=samples)


def splits(folder, people=40):
    random = np.random.default_rng(0)
    for split in SPLITS:
        faces = random.normal(128, 20, (people, SIZE, SIZE, 3)).round().clip(0, 255)
        np.save(folder / f"{split}.npy", faces.astype(np.uint8))
        lines = [f"{split}{number:02},who{number},{number}.jpg" for number in range(people)]
        (folder / f"{split}.csv").write_text("\n".join(["face,identity,source", *lines]) + "\n")


def run(folder, **changes):
    settings = {
        "val_npy": folder / "val.npy",
        "val_csv": folder / "val.csv",
        "faces": 30,
        "mask": {"kind": "center", "scale": 0.25},
        "zoom": 1.0,
        "part": Part(Draws()),
        "train": None,
        "seed": 0,
        "device": "cpu",
        "calibration": folder / "calibration.csv",
    }
    return calibrate.calibrate(**settings | changes)


def test_validation_faces_say_how_wide_bands_must_be(tmp_path):
    splits(tmp_path)
    assert run(tmp_path) == 30
    found = read_calibration(tmp_path / "calibration.csv")
    assert found.people == 30 and 1.7 < found.factor < 2.6
    first = (tmp_path / "calibration.csv").read_bytes()
    run(tmp_path)
    assert (tmp_path / "calibration.csv").read_bytes() == first


def test_too_few_validation_people_give_no_factor(tmp_path):
    splits(tmp_path, 8)
    assert run(tmp_path) == 8
    found = read_calibration(tmp_path / "calibration.csv")
    assert found.people == 8 and math.isnan(found.factor)


@pytest.mark.parametrize(
    "text",
    [
        "nothing\n",
        "level,factor,people\n",
        "level,factor,people\n0.9,-1,9\n",
        "level,factor,people\n0.9,wide,9\n",
        "level,factor,people\n0.8,1.2,9\n",
        "level,factor,people\n0.9,1.2,\n",
    ],
)
def test_a_damaged_calibration_is_named(tmp_path, text):
    (tmp_path / "calibration.csv").write_text(text)
    with pytest.raises(FacefillError, match=r"calibration\.csv: .*; delete (it|the file) and run"):
        read_calibration(tmp_path / "calibration.csv")
