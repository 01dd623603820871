"""A flow: its guess is the normal's, its path is right where faces are normal, folds are unseen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_complete import NAMES, faces, one_thread  # noqa: F401

from contract.examples import example
from facefill.complete import Task
from facefill.core import device
from facefill.core.masking import make_masks, observe
from facefill.core.tensors import to_unit
from facefill.methods.flow.fill import means
from facefill.models.flow import own_masks
from facefill.models.flow.augment import draw_light, in_light, move
from facefill.models.flow.correction import Correction, fit_correction
from facefill.models.flow.errors import Errors
from facefill.models.flow.folds import Folds, choose_guess_noise, folds_of, without
from facefill.models.flow.forms import Forms
from facefill.models.flow.grain import filter_of, filtered, white
from facefill.models.flow.guess import Guess, Posterior, see
from facefill.models.flow.health import health
from facefill.models.flow.networks import FlowNetwork
from facefill.models.flow.own_masks import OwnMasks
from facefill.models.flow.path import QUARTER, expected_end, point, slope
from facefill.models.flow.training import FlowLoop
from facefill.models.gaussian.normal import Posterior as Exact
from holes import EVERY_MASK, smooth_faces
from trainings import fit, training
from untrained import SIZE, normal, save_flow, save_gaussian

# ruff: noqa: F811
CPU = torch.device("cpu")


def seen_of(pictures, masks):
    unit = to_unit(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    known = torch.from_numpy(masks.known)[:, None]
    return see(unit, known, torch.full((len(pictures),), masks.block))


@pytest.mark.parametrize("mask", ["center", "random", "lowres"])
def test_the_guess_is_the_conditional_mean_of_the_normal(mask):
    made, masks = normal(), make_masks(EVERY_MASK[mask], NAMES, SIZE, 1.0)
    made.mean.copy_(made.mean / 4 + 96)
    drawn = torch.randn(len(NAMES), 12, generator=torch.Generator().manual_seed(0))
    faces = made.faces(drawn.double()).round().clamp(0, 255).numpy().astype(np.uint8)
    observed = observe(faces, masks)
    projected = made.project(observed, masks.known, masks.block)
    exact = []
    for row, known in enumerate(masks.known):
        posterior = Exact(made.gram(known, masks.block), made.noise_of(known, masks.block))
        exact.append(made.faces(posterior.mean(projected[row : row + 1]))[0].numpy())
    every = [(known, masks.block) for known in masks.known]
    posterior = Posterior(Guess.of(made), every, CPU)
    guess = posterior.faces(posterior.coefficients(seen_of(faces, masks), torch.arange(len(faces))))
    found = (guess.permute(0, 2, 3, 1).numpy() + 1) * 127.5
    assert np.abs(found - np.array(exact)).mean() < 1  # grey levels, by the rounded components


@pytest.mark.parametrize("mask", ["random", "lowres"])
def test_faces_with_a_mask_each_are_guessed_alike_without_an_inverse(mask, monkeypatch):
    """Of 12 components 4 are inverted, so that conjugate gradients have something to do."""
    monkeypatch.setattr(own_masks, "LEADING", 4)
    masks, guess = make_masks(EVERY_MASK[mask], NAMES, SIZE, 1.0), Guess.of(normal())
    seen = seen_of(smooth_faces(len(NAMES), SIZE), masks)
    every, rows = [(known, masks.block) for known in masks.known], torch.arange(len(NAMES))
    exact, found = (
        kind(guess, every, CPU).coefficients(seen, rows) for kind in (Posterior, OwnMasks)
    )
    assert torch.allclose(found, exact, atol=1e-3 * exact.std().item())
    monkeypatch.setattr(own_masks, "STEPS", 1)
    assert not torch.allclose(
        OwnMasks(guess, every, CPU).coefficients(seen, rows), exact, atol=0.1 * exact.std().item()
    )


@pytest.mark.parametrize("corrects", [True, False])
def test_a_face_with_a_mask_of_its_own_is_completed_whatever_the_others(
    corrects, faces, one_thread, tmp_path, monkeypatch
):
    monkeypatch.setattr(own_masks, "LEADING", 4)  # of 12 components
    monkeypatch.setattr(own_masks, "STEPS", 2)  # so that a guess shows how it was made
    masks = make_masks(EVERY_MASK["random"], NAMES, SIZE, 1.0)
    models = {"model": save_flow(tmp_path / "flow", corrects=corrects)}

    def complete(rows):
        some = replace(masks, known=masks.known[rows])
        seen = observe(faces[rows], some)
        return means(Task(names=NAMES[rows], observed=seen, masks=some, models=models), True)

    together = complete(slice(None))
    for row in range(len(NAMES)):
        assert (complete(slice(row, row + 1))[0] == together[row]).all()
    monkeypatch.setattr(own_masks, "STEPS", 0)  # where nothing is corrected, no inverse is made
    assert (complete(slice(None)) == together).all() == corrects


def test_where_faces_are_normal_the_slope_depends_on_nothing():
    random = torch.Generator().manual_seed(0)
    ends, starts = (0.2 * torch.randn(200_000, 1, 1, 1, generator=random) for _ in range(2))
    for time in (0.0, 0.2, 0.5, 0.8):
        at = torch.full((len(ends),), time)
        moved, change = point(starts, ends, at), slope(starts, ends, at)
        assert torch.stack([moved.flatten(), change.flatten()]).corrcoef()[0, 1].abs() < 0.01
        assert moved.std().item() == pytest.approx(0.2, rel=0.01)
        found = torch.stack([moved.flatten(), ends.flatten()]).cov()[0, 1] / moved.var()
        expected = expected_end(torch.ones(1, 1, 1, 1), at[:1]).item()
        assert found.item() == pytest.approx(expected, abs=0.01)


def test_a_way_leads_from_the_draw_to_the_face():
    drawn, end = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    begin, arrived, middle = torch.zeros(2), torch.ones(2), torch.full((2,), 0.5)
    assert torch.equal(point(drawn, end, begin), drawn)
    assert torch.equal(slope(drawn, end, begin), end)  # whose mean is the posterior mean
    assert torch.allclose(point(drawn, end, arrived), end, atol=1e-6)
    ahead = (point(drawn, end, middle + 1e-3) - point(drawn, end, middle)) / (1e-3 * QUARTER)
    assert torch.allclose(ahead, slope(drawn, end, middle), atol=1e-2)


def test_grain_has_the_spectrum_of_what_it_is_learnt_from():
    random = torch.Generator().manual_seed(0)
    blurred = torch.nn.functional.avg_pool2d(torch.randn(500, 1, 18, 18, generator=random), 3, 1)
    residuals = blurred.expand(-1, 3, -1, -1) * 3  # grey, and neighbours are alike
    learnt = filter_of([residuals], torch.ones(3, 16, 16))
    made = filtered(torch.randn(500, 3, 16, 16, generator=random), learnt)
    assert made.var().item() == pytest.approx(1, rel=0.05)
    channels = made.transpose(0, 1).flatten(1).corrcoef()
    assert channels.min() > 0.98
    alike = [(made[..., step:] * made[..., :-step]).mean().item() for step in (1, 8)]
    # A Gaussian of one pixel (REACH of 16) leaves 0.61 of the 2/3, and nothing far away.
    assert alike == pytest.approx([0.40, 0.0], abs=0.05)
    noise = torch.randn(2, 3, 16, 16, generator=random)
    assert torch.allclose(filtered(noise, white(16)), noise, atol=1e-5)
    nothing = filter_of([torch.zeros(2, 3, 16, 16)], torch.zeros(3, 16, 16))
    assert torch.equal(nothing, white(16))


def test_faces_are_moved_and_lit_a_little():
    random, pictures = torch.Generator().manual_seed(0), torch.zeros(200, 3, 16, 16)
    pictures[:, :, 4:12, 4:12] = 0.5
    moved = move(pictures, random)
    same = (moved == pictures).flatten(1).all(1)
    assert 0.2 < same.float().mean() < 0.4
    assert 0.01 < (moved - pictures)[~same].abs().mean() < 0.1
    light = draw_light(200, random)
    assert torch.equal(in_light(pictures, torch.zeros(200, 2)), pictures)
    assert in_light(pictures, light).std() > pictures.std()


def test_an_untrained_network_changes_nothing():
    faces, known = torch.rand(2, 3, 16, 16), torch.ones(2, 1, 16, 16)
    assert FlowNetwork(16, 4, 1, 2)(faces, known, faces, faces, torch.zeros(2)).eq(0).all()
    z, spread = torch.rand(2, 5), torch.rand(2, 5)
    assert torch.equal(Correction(5, 4)(z, spread, known), z)


def test_what_is_certain_is_not_corrected():
    correction, z = Correction(5, 4), torch.rand(2, 5)
    torch.nn.init.normal_(correction.last.weight)
    spread, known = torch.rand(2, 5), torch.ones(2, 1, 16, 16)
    spread[:, 3] = 0
    corrected = correction(z, spread, known)
    assert (corrected != z).all(0).tolist() == [True, True, True, False, True]


def symmetric_normal(size, rank):
    """One of faces and their mirror images; every second component is antisymmetric."""
    made = normal(size, rank)
    pictures = made.components.view(size, size, 3, rank)
    signs = torch.tensor([1.0, -1]).repeat(rank // 2)
    mirrored = pictures + signs * pictures.flip(1)
    made.components.copy_(torch.linalg.qr(mirrored.view(-1, rank))[0])
    mean = made.mean.view(size, size, 3)
    made.mean.copy_(((mean + mean.flip(1)) / 2).flatten())
    return made


def test_a_mirrored_guess_is_the_mirror_images_guess():
    everything = [(np.ones((16, 16), bool), 0)]
    posterior = Posterior(Guess.of(symmetric_normal(16, 4)), everything, CPU)
    assert posterior.signs.tolist() == [1, -1, 1, -1]
    z = torch.rand(2, 4)
    mirrored = posterior.faces(z * posterior.signs)
    assert torch.allclose(mirrored, posterior.faces(z).flip(3), atol=0.02)
    assert Posterior(Guess.of(normal(16, 4)), everything, CPU).signs is None


def test_a_correction_learns_products(one_thread):
    """Hidden halves that are products of known ones: what no linear guess can know."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(600, 2, generator=random)
    light, shape = z.unbind(1)
    columns = torch.stack([light, shape, light * shape, -light * shape], 1)
    values = (128 + 20 * columns).clamp(0, 255).round().to(torch.uint8)
    faces = values.repeat_interleave(4, 1)[:, None, :, None].expand(-1, 16, -1, 3).numpy()
    mask = {"kind": "half", "side": "right"}
    forms = Forms([mask], 16, 1.0, CPU)
    like = normal(16, 4)
    like.noise.copy_(torch.tensor([10.0, 0.0]))
    guess = without(torch.arange(600), faces, Guess.of(like), False, 0)
    posterior = Posterior(guess, forms.every, CPU)
    correction = fit_correction(
        faces, Folds([torch.arange(600)], [posterior], posterior), forms,
        hidden=64, epochs=150, flips=True, seed=0, dtype=torch.bfloat16,
    )  # fmt: skip
    pictures = torch.from_numpy(faces.transpose(0, 3, 1, 2).copy())
    at = torch.zeros(600, dtype=torch.long)
    seen = forms.see(to_unit(pictures), at)
    given = posterior.coefficients(seen, at)
    errors = [
        (posterior.faces(found) - to_unit(pictures))[..., 8:].square().mean().item()
        for found in (given, correction(given, posterior.spread[at], seen.known_map))
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_correction_computes_in_the_precision_asked_for(precision, tmp_path, monkeypatch):
    class Called(Exception):
        pass

    def fit_correction(*_, dtype, **__):
        raise Called(dtype)

    monkeypatch.setattr("facefill.models.flow.training.fit_correction", fit_correction)
    pictures, models = smooth_faces(12, SIZE), {"guess": save_gaussian(tmp_path / "gaussian")}
    with pytest.raises(Called) as called:
        fit("flow", pictures[:8], pictures[8:], tmp_path, models=models, precision=precision)
    assert called.value.args == (getattr(torch, precision),)


def test_folds_are_runs_and_hold_a_batch():
    assert [part.tolist() for part in folds_of(8, 2)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [len(part) for part in folds_of(11, 4)] == [6, 5]
    assert [len(part) for part in folds_of(5, 4)] == [5]


def test_a_normal_has_not_seen_its_fold():
    pictures = smooth_faces(12, 16)
    fold, *_ = folds_of(12, 3)
    others = pictures.copy()
    others[fold.numpy()] = 255 - others[fold.numpy()]
    like = Guess.of(normal(16, 3))
    one, two = (without(fold, part, like, True, 0) for part in (pictures, others))
    assert all(torch.equal(part, two.state_dict()[name]) for name, part in one.state_dict().items())
    elsewhere = without(folds_of(12, 3)[1], others, like, True, 0)
    assert not torch.equal(elsewhere.mean, one.mean)


def test_errors_are_means_by_mask():
    errors, masks = Errors(2, CPU), torch.tensor([0, 1, 0, 1])
    found = errors.update(masks, torch.tensor([1.0, 5, 3, 7]))
    assert found.tolist() == pytest.approx([2, 6, 2, 6])
    assert errors.update(masks[:1], torch.tensor([5.0])).item() == pytest.approx(3, abs=0.01)


def test_forms_are_those_of_their_mask():
    forms = Forms([{"kind": "center", "scale": 0.25}, EVERY_MASK["random"]], SIZE, 1.0, CPU)
    assert len(forms.of_mask[0]) == 1 and len(forms.of_mask[1]) == 32
    drawn = forms.draw(500, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == set(range(33))
    assert 200 < (forms.mask_of[drawn] == 0).sum() < 300


def test_means_of_mirrored_faces_are_mirrored(one_thread, faces, tmp_path):
    made = symmetric_normal(SIZE, 12)
    models = {"model": save_flow(tmp_path / "flow", made)}
    masks = make_masks(EVERY_MASK["center"], NAMES, SIZE, 1.0)
    turned = np.ascontiguousarray(faces[:, :, ::-1])

    def completed(pictures, mirror):
        observed = observe(pictures, masks)
        return means(Task(names=NAMES, observed=observed, masks=masks, models=models), mirror)

    hidden = ~masks.known
    for mirror, least, most in ((True, 0, 2), (False, 3, 255)):
        other = completed(turned, mirror)[:, :, ::-1].astype(int)
        assert least <= np.abs(completed(faces, mirror) - other)[hidden].max() <= most


def test_health():
    good = {"val_hole_psnr": 22.0, "val_normal_psnr": 21.5, "val_detectability": 0.7, "kept": 1}
    assert health(pd.DataFrame([good])) == []
    (worse,) = health(pd.DataFrame([good | {"val_hole_psnr": 21.0}]))
    assert "worse than the normal's guess" in worse
    (told,) = health(pd.DataFrame([good | {"val_detectability": 1.0}]))
    assert "told from true faces" in told
    after = good | {"val_hole_psnr": 21.0, "kept": 0}
    assert health(pd.DataFrame([good, after])) == []  # a later epoch, which is not kept
    assert health(pd.DataFrame([good | {"val_detectability": None}], dtype=object)) == []


def loop_with(correction, pictures, folder, start=None, folds=1, **changes):
    """A training on the first 8 of `pictures`, from the guesses of a normal of rank 12."""
    settings = example("models", "flow", **changes)
    forms = Forms(settings.masks, SIZE, 1.0, CPU)
    guess = Guess.of(symmetric_normal(SIZE, 12))
    own = Posterior(guess, forms.every, CPU)
    folds = Folds(list(torch.arange(8).tensor_split(folds)), [own] * folds, own)
    task = training(pictures[:8], pictures[8:], folder, start=start)
    compute = device.choose("cpu", "float32")
    return FlowLoop(task, settings, compute, forms, folds, guess, correction)


def test_analogs_are_of_other_folds(tmp_path, monkeypatch):
    monkeypatch.setattr("facefill.models.flow.training.FEWEST", 8)
    left_out = []
    loop = loop_with(Correction(12, 4), smooth_faces(12, SIZE), tmp_path, folds=2, batch=4)
    nearest = loop.analogs.nearest

    def spy(seen, without=None):
        left_out.append(without)
        return nearest(seen, without)

    loop.analogs.nearest = spy
    for _ in loop.train_epoch(torch.Generator().manual_seed(0)):
        loop.steps += 1
    assert left_out and {(each.start, each.stop) for each in left_out} <= {(0, 4), (4, 8)}


def test_the_noise_of_a_guess_is_chosen(tmp_path):
    made, pictures = symmetric_normal(SIZE, 12), smooth_faces(12, SIZE)
    guess = Guess.of(made)
    guess.learn_filters(pictures)
    given = training(pictures[:8], pictures[8:], tmp_path)
    mask = {"kind": "center", "scale": 0.25}
    known = make_masks(mask, ["x"], SIZE, 1.0).known
    unit = to_unit(torch.from_numpy(pictures[8:]).permute(0, 3, 1, 2))
    rows = torch.from_numpy(known).expand(4, 1, -1, -1)
    seen = see(unit, rows, torch.zeros(4, dtype=torch.long))

    def error():
        posterior = Posterior(guess, [(known[0], 0)], CPU)
        z = posterior.coefficients(seen, torch.zeros(4, dtype=torch.long))
        return (posterior.refined(posterior.faces(z), seen) - unit)[
            ~rows.expand(4, 3, -1, -1)
        ].std()

    choose_guess_noise(guess, given, [mask], CPU)
    chosen, best = guess.noise.clone(), error()
    for factor in (0.01, 100):
        guess.noise.copy_(chosen)
        guess.noise[0] *= factor
        assert error() >= 0.98 * best


def test_a_checkpoint_goes_on_with_the_correction_that_it_had(tmp_path):
    """Another machine fits another one, which the network has not learnt to mend."""
    pictures, corrections = smooth_faces(12, SIZE), [Correction(12, 4) for _ in range(2)]
    for number, correction in enumerate(corrections):
        torch.nn.init.constant_(correction.last.bias, number)
    torch.nn.init.normal_(corrections[0].last.weight)
    before, after = (loop_with(each, pictures, tmp_path) for each in corrections)
    assert before.correction.learnt and not after.correction.learnt
    after.load_state(before.state())
    assert torch.equal(after.correction.last.bias, corrections[0].last.bias)
    assert after.correction.learnt
    assert (corrections[1].last.bias == 1).all()  # a loop that begins anew gets that


def test_validation_drops_nothing(tmp_path):
    loop = loop_with(Correction(12, 4), smooth_faces(12, SIZE), tmp_path, dropout=0.9)
    for parameter in loop.average.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    first, second = (loop.evaluate()[1] for _ in range(2))
    assert first == second and first["val_hole_psnr"] != first["val_guess_psnr"]
