"""The normal over faces: against dense formulas, at sizes where these are cheap."""

import numpy as np
import pytest
import torch

from contract.examples import example
from facefill.complete import Task
from facefill.core.masking import Masks, observe
from facefill.models.gaussian import fitting
from facefill.models.gaussian.fitting import halves, mean_face, principal_components, unfolded
from facefill.models.gaussian.normal import Normal, Posterior, depth_of, load_normal
from holes import smooth_faces
from trainings import fit
from untrained import normal, save_gaussian

SIZE, RANK, NOISE = 8, 5, 90.0
FACES = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)

pytestmark = pytest.mark.usefixtures("one_thread")


def half(hidden: float) -> np.ndarray:
    known = np.ones((SIZE, SIZE), bool)
    known[:, : int(SIZE * hidden)] = False
    return known


def functions(known: np.ndarray, block: int) -> np.ndarray:
    """H as a matrix: a row for every known value, and for the mean of every block with a hole."""
    rows = list(np.eye(known.size * 3)[known.ravel().repeat(3)])
    for y in range(0, SIZE if block else 0, block or 1):
        for x in range(0, SIZE, block):
            if not known[y : y + block, x : x + block].all():
                for channel in range(3):
                    row = np.zeros((SIZE, SIZE, 3))
                    row[y : y + block, x : x + block, channel] = 1 / block**2
                    rows.append(row.ravel() * block)  # of the noise of one pixel
    return np.array(rows).reshape(-1, known.size * 3)


KNOWN = {
    "a little hidden": (half(0.25), 0),
    "much hidden": (half(0.75), 0),
    "nothing known": (half(1), 0),
    "blocks known": (half(1), 4),
    "blocks and pixels known": (half(0.25), 4),
}


@pytest.mark.parametrize("case", KNOWN)
def test_the_conditional_normal_is_that_of_the_dense_formula(case):
    known, block = KNOWN[case]
    made = normal(SIZE, RANK)
    masks = Masks(known[None].repeat(len(FACES), 0), block)
    observed = FACES
    if block:  # means that need no rounding
        blocks = (len(FACES), SIZE // block, block, SIZE // block, block, 3)
        means = FACES.reshape(blocks).max((2, 4), keepdims=True)
        observed = np.broadcast_to(means, blocks).reshape(FACES.shape)
        observed = np.where(masks.known[..., None], FACES, observed)
    posterior = Posterior(made.gram(known, block), NOISE)
    filled = made.faces(posterior.mean(made.project(observed, masks.known, block)))

    basis = (made.components.double() * made.deviations).numpy()
    h, mean = functions(known, block), made.mean.numpy()
    given = observed.reshape(len(FACES), -1).astype(float)
    values = np.zeros((len(FACES), len(h)))
    if len(h):
        pixels = known.sum() * 3
        values[:, :pixels] = given[:, known.ravel().repeat(3)]
        open_rows = h[pixels:] > 0
        hidden = ~known.ravel().repeat(3)
        for number, row in enumerate(open_rows):
            values[:, pixels + number] = given[:, row & hidden][:, 0] * block
    gain = basis @ basis.T @ h.T @ np.linalg.inv(h @ basis @ basis.T @ h.T + NOISE * np.eye(len(h)))
    expected = mean + (values - h @ mean).dot(gain.T)
    np.testing.assert_allclose(filled.reshape(len(FACES), -1), expected, atol=1e-2)

    drawn = posterior.deviations(40_000, torch.Generator().manual_seed(0)).numpy()
    covariance = np.eye(RANK) - (h @ basis).T @ np.linalg.inv(
        h @ basis @ basis.T @ h.T + NOISE * np.eye(len(h))
    ) @ (h @ basis)  # fmt: skip
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03 * covariance.max())


def test_depth_is_a_share_of_the_side():
    assert depth_of(np.ones((8, 8), bool), 0) == 1 / 8
    assert depth_of(np.zeros((8, 8), bool), 0) == 1
    assert depth_of(half(0.25), 0) == pytest.approx(1.5 / 8)  # columns 1 and 2 pixels away
    assert depth_of(np.zeros((8, 8), bool), 4) == pytest.approx(2 / 8)
    larger = half(0.5).repeat(4, 0).repeat(4, 1)
    assert depth_of(larger, 0) == pytest.approx(depth_of(half(0.5), 0), rel=0.25)


# -- fitting -----------------------------------------------------------------------------------


def correlated(count: int, size: int) -> np.ndarray:
    """Faces with few directions of much variance."""
    random = np.random.default_rng(1)
    directions = random.normal(size=(6, 3 * size**2))
    weights = random.normal(size=(count, 6)) * [30, 20, 15, 12, 10, 8]
    faces = 128 + weights @ directions + random.normal(size=(count, 3 * size**2))
    return faces.round().clip(0, 255).astype(np.uint8).reshape(count, size, size, 3)


@pytest.mark.parametrize("size", [6, 7])  # an odd side has a column in the middle
@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("moments", [0, 10**6])
def test_components_are_those_of_the_covariance(size, flips, moments, monkeypatch):
    """Whether second moments are accumulated or the faces read anew, in several batches."""
    monkeypatch.setattr(fitting, "MOMENTS", moments)
    monkeypatch.setattr(fitting, "BATCH_VALUES", 3 * size**2 * 70)
    faces = correlated(200, size)
    both = np.concatenate([faces, faces[:, :, ::-1]]) if flips else faces
    rows = both.reshape(len(both), -1).astype(float)
    covariance = np.cov(rows.T, bias=True)
    expected = np.linalg.eigvalsh(covariance)[::-1]
    mean = mean_face(faces, flips)
    np.testing.assert_allclose(mean.ravel(), rows.mean(0))
    settings = example("models", "gaussian", rank=12, flips=flips)
    found = [principal_components(part, settings, 0) for part in halves(faces, mean, flips)]
    variances = torch.cat([variance for _, variance in found])
    order = variances.argsort(descending=True)[:6]
    components = unfolded([vectors for vectors, _ in found], size, flips)[:, order].double().numpy()
    np.testing.assert_allclose(variances[order], expected[:6], rtol=1e-4)
    np.testing.assert_allclose(components.T @ components, np.eye(6), atol=1e-5)
    np.testing.assert_allclose(
        covariance @ components, components * expected[:6], atol=1e-3 * expected[0]
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    faces = smooth_faces(60, 32)
    return fit("gaussian", faces[:50], faces[50:], tmp_path_factory.mktemp("fit"))


def test_the_noise_is_the_best_of_those_tried(fitted):
    history = fitted.history
    assert len(history) == len(fitting.NOISES) and history["noise"].is_monotonic_increasing
    assert fitted.facts["components"] == 8 and 0 < fitted.facts["explained"] < 1
    assert fitted.facts["noise_scale"] > 0
    made = fitted.networks["normal"]
    assert (made.deviations.diff() <= 0).all() and (made.residual >= 0).all()


def test_fewer_faces_than_components(tmp_path):
    faces = smooth_faces(4, 32)
    trained = fit("gaussian", faces[:3], faces[3:], tmp_path, rank=40)
    assert all(torch.isfinite(tensor).all() for tensor in trained.networks["normal"].buffers())


def test_one_face_for_all_training(tmp_path):
    """No variance at all: every completion is that face."""
    faces = smooth_faces(2, 32)
    trained = fit("gaussian", faces[:1], faces[1:], tmp_path, flips=False)
    made = trained.networks["normal"]
    filled = made.faces(torch.zeros(1, len(made.deviations), dtype=torch.float64))
    np.testing.assert_allclose(filled[0], faces[0])


# -- completing --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return save_gaussian(tmp_path_factory.mktemp("normal"), normal(SIZE, RANK))


def task(paths, names, faces, known, **changes) -> Task:
    masks = Masks(known)
    observed = observe(faces, masks)
    return Task(names=names, observed=observed, masks=masks, models={"model": paths}, **changes)


def test_samples_are_the_mean_and_draws_of_a_face_by_its_name(paths):
    known = half(0.5)[None].repeat(3, 0)
    names, method = ["a", "b", "c"], example("methods", "gaussian", samples=4)
    made = method.complete(task(paths, names, FACES, known))
    assert made.samples.shape == (3, 4, SIZE, SIZE, 3)
    mean = example("methods", "gaussian").complete(task(paths, names, FACES, known))
    assert (made.samples[:, 0] == mean.faces).all() and (made.faces == mean.faces).all()
    assert (made.samples[known[:, None].repeat(4, 1)] == FACES[:, None].repeat(4, 1)[
        known[:, None].repeat(4, 1)]).all()  # fmt: skip
    assert len(np.unique(made.samples.reshape(12, -1), axis=0)) == 12
    alone = method.complete(task(paths, names[1:2], FACES[1:2], known[1:2]))
    assert (alone.samples[0] == made.samples[1]).all()
    other = method.complete(task(paths, ["x"], FACES[1:2], known[1:2]))
    assert (other.samples[0, 0] == made.samples[1, 0]).all()
    assert (other.samples[0, 1:] != made.samples[1, 1:]).any()
    seeded = method.complete(task(paths, names, FACES, known, seed=1))
    assert (seeded.samples[:, 1] != made.samples[:, 1]).any()


def test_a_saved_normal_is_the_same(paths):
    loaded, made = load_normal(*paths, SIZE), normal(SIZE, RANK)
    assert isinstance(loaded, Normal)
    assert all(map(torch.equal, loaded.buffers(), made.buffers()))


def test_it_computes_on_the_cpu_without_a_gpu_slot():
    for table in ("models", "methods"):
        assert example(table, "gaussian").on_cpu
