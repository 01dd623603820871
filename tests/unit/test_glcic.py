"""Training a completion network: what each phase changes, what D is shown, resumption, warnings."""

import copy
import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_complete import one_thread  # noqa: F401
from test_train import interrupted

import trainings
from contract.examples import example
from facefill.core import device
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.core.likeness import psnr
from facefill.core.masking import make_masks
from facefill.core.observed import observed_by_network
from facefill.core.tensors import from_unit, to_unit
from facefill.models.glcic import training as glcic
from facefill.models.glcic.health import health
from facefill.models.glcic.training import candidates, optimizer, reconstruction_loss
from facefill.train import holes
from facefill.train.best import CHECKS
from facefill.train.pictures import write_plots

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread", "short_validation")]

SIZE = 32
CENTER = {"kind": "center", "scale": 0.25}
# What these tests change of the example.
CHANGES = {
    "reconstruction_epochs": 2,
    "joint_epochs": 2,
    "alpha": 0.01,
    "optimizer": "adam",
    "generator_lr": 0.002,
    "discriminator_lr": 0.0002,
    "schedule": "cosine",
    "ema": 0.5,
    "precision": "float32",
    "masks": (
        CENTER,
        {"kind": "random", "hidden": 0.8, "seed": 1},
        {"kind": "lowres", "factor": 8},
    ),
}


@pytest.fixture(scope="module")
def short_validation():
    """Most of the time of so small a training: a mean colour in the place of dlib's network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holes, "RECALIBRATION_BATCHES", 2)
        patch.setattr(glcic, "Describer", lambda *_: lambda faces: faces.mean((1, 2)) / 255)
        yield


def smooth(count, seed):
    """Pictures whose holes can be continued: uint8 [count, 32, 32, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    slopes, levels = random.uniform(-80, 80, (2, count, 3)), random.uniform(90, 160, (count, 3))
    planes = [slope[:, None, None, :] * axis[..., None] for slope, axis in zip(slopes, (y, x))]  # noqa: B905
    return (levels[:, None, None] + sum(planes)).clip(0, 255).astype(np.uint8)


FACES, UNSEEN = smooth(20, 0), smooth(3, 1)


def settings(**changes):
    return example("models", "glcic", **(CHANGES | changes))


def phases(reconstruction=0, discriminator=0, joint=0):
    names = ("reconstruction_epochs", "discriminator_epochs", "joint_epochs")
    return dict(zip(names, (reconstruction, discriminator, joint), strict=True))


def fit(folder, faces=FACES, **changes):
    return trainings.fit("glcic", faces, UNSEEN, folder, **(CHANGES | changes))


def started(faces=FACES, **changes):
    given = trainings.training(faces, UNSEEN, Path("none"))
    return glcic.GlcicLoop(given, settings(**changes), device.choose("cpu", "float32"))


def same_tensors(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def same(one, two):
    pairs = zip(one.networks.values(), two.networks.values(), strict=True)
    return all(same_tensors(a.state_dict(), b.state_dict()) for a, b in pairs)


def table(trained, path):
    write_table(path, trained.history)
    return path.read_bytes()


# The phases.


def test_every_phase_trains_what_it_should():
    loop, changed = started(**phases(1, 1, 1)), []
    parts, epochs = (loop.completion, loop.discriminators), loop.epochs()
    for _ in range(3):
        before = [copy.deepcopy(part.state_dict()) for part in parts]
        next(epochs)
        after = [part.state_dict() for part in parts]
        changed.append([not same_tensors(*pair) for pair in zip(before, after, strict=True)])
    assert changed == [[True, False], [False, True], [True, True]]


def test_the_average_is_what_completes_and_rests_in_phase_2():
    loop = started(**phases(1, 1, 1))
    epochs = loop.epochs()
    next(epochs)
    before = copy.deepcopy(loop.average.state_dict())
    next(epochs)
    assert same_tensors(before, loop.average.state_dict())
    next(epochs)
    assert not same_tensors(before, loop.average.state_dict())


def test_history_says_what_every_phase_has(tmp_path):
    history = fit(tmp_path / "a").history
    assert history.columns.tolist() == list(glcic.COLUMNS)
    assert history.notna().any().all()  # each has been measured
    assert history["phase"].tolist() == [1, 1, 2, 3, 3]
    assert history["step"].tolist() == [2, 4, 6, 8, 10]
    learns, judges = history["phase"] != 2, history["phase"] != 1
    assert history["reconstruction"].notna().equals(learns)
    assert history["g_loss"].notna().equals(history["phase"] == 3)
    for name in ("d_loss", "d_real", "d_fake", "d_accuracy"):
        assert history[name].notna().equals(judges), name
    assert history["val_hole_psnr"].notna().all()
    assert history["val_identity_distance"].notna().equals(history["phase"] == 3)
    write_plots(tmp_path / "losses.png", history, settings().plots)
    assert np.asarray(Image.open(tmp_path / "losses.png")).std() > 1


@pytest.mark.parametrize("reconstruction", ["l1", "l2"])
def test_training_lowers_the_loss(tmp_path, reconstruction):
    changes = {"reconstruction": reconstruction, "generator_lr": 0.01, "masks": (CENTER,)}
    trained = fit(tmp_path / "a", **phases(12), **changes)
    history = trained.history
    assert history["reconstruction"].iloc[-1] < 0.7 * history["reconstruction"].iloc[0]
    assert history["val_hole_psnr"].max() > history["val_hole_psnr"].iloc[0] + 1
    assert trained.images == 12 * 2 * 8
    assert len(trained.samples) == 13
    assert (trained.samples[0] != trained.samples[-1]).any()
    assert not any(network.training for network in trained.networks.values())


def test_the_discriminators_learn(tmp_path):
    changes = {"masks": (CENTER,), "discriminator_lr": 0.005}
    history = fit(tmp_path / "a", **phases(1, 8, 1), **changes).history
    judged = history[history["phase"] == 2]
    assert judged["d_loss"].iloc[-1] < 0.6 * judged["d_loss"].iloc[0]
    assert judged["d_real"].iloc[-1] > judged["d_fake"].iloc[-1] + 0.2


def test_alpha_weighs_what_d_says(tmp_path):
    joint = phases(0, 0, 1)
    one, two = (fit(tmp_path / f"{alpha}", alpha=alpha, **joint) for alpha in (1e-9, 1.0))
    assert not same(one, two)


def test_the_loss_by_hand():
    faces = torch.zeros(2, 3, 4, 4)
    filled = torch.ones(2, 3, 4, 4)  # off by 0.5 in [0, 1]
    filled[1] *= 2
    known = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    known[0, :, :2], known[1, :, 0, 0] = False, False  # a large and a small hole: equal weights
    assert reconstruction_loss("l1", faces, filled, known).item() == pytest.approx((0.5 + 1) / 2)
    assert reconstruction_loss("l2", faces, filled, known).item() == pytest.approx((0.25 + 1) / 2)
    filled[:, :, 2:] = 7  # what is known does not count
    assert reconstruction_loss("l1", faces, filled, known).item() == pytest.approx((0.5 + 1) / 2)


def test_the_mean_colour_is_that_of_the_training_faces():
    colour = started().average.mean_colour[:, 0, 0].numpy()
    assert colour == pytest.approx(FACES.mean((0, 1, 2)) / 127.5 - 1, abs=1e-6)


def test_the_optimisers():
    network = torch.nn.Linear(1, 1)
    assert optimizer(network, "adadelta", None).defaults["lr"] == 1
    assert optimizer(network, "adadelta", None).defaults["rho"] == 0.95
    assert optimizer(network, "adam", None).defaults["lr"] == 0.001
    assert optimizer(network, "adam", 0.5).defaults["lr"] == 0.5


def test_adadelta_trains(tmp_path):
    changes = {"optimizer": "adadelta", "generator_lr": None, "masks": (CENTER,)}
    history = fit(tmp_path / "a", **phases(8), **changes).history
    assert history["reconstruction"].iloc[-1] < 0.9 * history["reconstruction"].iloc[0]


def test_the_rate_follows_a_cosine_over_phases_1_and_3():
    loop, rates = started(**phases(1, 1, 1)), []
    for _ in loop.epochs():
        rates.append(loop.optimizer.param_groups[0]["lr"])
    expected = [0.002 * (1 + np.cos(np.pi * done)) / 2 for done in (0.25, 0.25, 0.75)]
    assert rates == pytest.approx(expected)
    loop = started(schedule="constant", **phases(1))
    next(loop.epochs())
    assert loop.optimizer.param_groups[0]["lr"] == 0.002


def test_without_an_average_the_network_itself_completes():
    loop = started(ema=0.0, **phases(1))
    next(loop.epochs())
    pairs = zip(loop.completion.parameters(), loop.average.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


# What D sees.


def shown_to_discriminators(loop):
    """Record what D is trained on: real faces, completed ones, corners, of every step."""
    shown = []

    def record(network, given):
        if torch.is_grad_enabled() and network.training:
            shown.append((*given[0].detach().clone().chunk(2), given[1]))

    loop.discriminators.register_forward_pre_hook(record)
    return shown


def test_the_discriminators_are_shown_completions_of_masked_faces():
    """Ashwin's blog completed whole faces: what D was shown were copies, and it learnt nothing."""
    loop = started(masks=(CENTER,), **phases(0, 1, 1))
    shown, epochs = shown_to_discriminators(loop), loop.epochs()
    next(epochs)
    assert len(shown) == 2
    hole = slice(SIZE // 4, SIZE * 3 // 4)
    known = torch.ones(8, 1, SIZE, SIZE, dtype=torch.bool)
    known[..., hole, hole] = False
    completion = loop.completion.eval()  # the phase has left it as it was
    for real, completed, corners in shown:
        assert torch.equal(corners, torch.full((16, 2), SIZE // 4))
        assert torch.equal(completed * known, real * known)
        with torch.no_grad():
            filled = completion(*observed_by_network(real, known, 0))
            copied = completion(real, torch.ones(8, 1, SIZE, SIZE))
        assert torch.allclose(completed[..., hole, hole], filled[..., hole, hole], atol=1e-5)
        assert not torch.allclose(filled[..., hole, hole], copied[..., hole, hole], atol=1e-2)
    next(epochs)
    assert len(shown) == 4
    for real, completed, _ in shown[2:]:
        assert torch.equal(completed * known, real * known)
        assert (completed != real)[..., hole, hole].any()


def test_the_completion_network_never_sees_a_hidden_pixel():
    """In no phase: the same training with other hidden pixels shows it the same."""
    recorded = []
    for faces in (FACES, hidden_changed(FACES)):
        loop = started(faces, masks=(CENTER,), flips=False, **phases(1, 1, 1))
        inputs = []
        loop.completion.register_forward_pre_hook(
            lambda _, given, inputs=inputs: inputs.append(torch.cat(given, 1).clone())
        )
        for _ in loop.epochs():
            pass
        recorded.append(torch.stack(inputs))
    assert len(recorded[0]) == 6
    assert torch.equal(*recorded)


def hidden_changed(faces):
    hole = slice(SIZE // 4, SIZE * 3 // 4)
    changed = faces.copy()
    changed[:, hole, hole] = 255 - changed[:, hole, hole]
    return changed


def test_without_a_local_discriminator_the_patch_does_not_matter():
    assert started(local=False).discriminators.local is None
    assert started(local=True).discriminators.local is not None


# Validation, and the epoch that is kept.


def test_validation_is_the_psnr_of_the_holes(tmp_path):
    trained = fit(tmp_path / "a", masks=(CENTER,), **phases(2))
    known = make_masks(CENTER, list("abc"), SIZE, 1.0).known
    unit = to_unit(torch.from_numpy(UNSEEN.copy()).permute(0, 3, 1, 2))
    with torch.no_grad():
        filled = trained.networks["completion"](
            *observed_by_network(unit, torch.from_numpy(known)[:, None], 0)
        )
    filled = from_unit(filled).permute(0, 2, 3, 1).numpy()
    expected = np.mean([psnr(*one) for one in zip(UNSEEN, filled, ~known, strict=True)])
    kept = trained.history[trained.history["kept"] == 1]
    assert kept["epoch"].item() == trained.epoch
    assert kept["val_hole_psnr"].item() == pytest.approx(expected, abs=0.01)


def test_only_the_last_phase_of_the_network_may_be_kept():
    assert candidates(settings(**phases(5, 2, 3))) == [8, 9, 10]
    assert candidates(settings(**phases(3))) == [1, 2, 3]
    many = candidates(settings(**phases(4, 1, 80)))
    assert len(many) == CHECKS and many[0] > 4 + 1 and many[-1] == 85


def test_the_best_epoch_is_kept(tmp_path, monkeypatch):
    """Not the last one, and with the discriminators of that epoch."""
    states = {}
    evaluate = glcic.GlcicLoop.evaluate

    def worse_later(loop):
        sheet, measured = evaluate(loop)
        networks = loop.kept_networks()
        states[loop.epoch] = copy.deepcopy({name: networks[name].state_dict() for name in networks})
        return sheet, measured

    monkeypatch.setattr(glcic.GlcicLoop, "evaluate", worse_later)
    scores = {1: 30.0, 2: 10.0, 3: 20.0, 4: 15.0}
    monkeypatch.setattr(glcic, "mean_psnr", lambda *_: 0.0)
    validate = glcic.GlcicLoop._validate
    monkeypatch.setattr(
        glcic.GlcicLoop,
        "_validate",
        lambda loop, completions, _: validate(loop, completions, scores.get(loop.epoch, 0)),
    )
    trained = fit(tmp_path / "a", **phases(1, 0, 3))
    assert trained.epoch == 3  # 1 is of another phase
    assert trained.history["kept"].tolist() == [0, 0, 1, 0]
    for name, network in trained.networks.items():
        assert same_tensors(states[3][name], network.state_dict())
        assert not same_tensors(states[4][name], network.state_dict())


# Reproducibility.


def test_equal_seeds_equal_bytes(tmp_path):
    one, two = (fit(tmp_path / name) for name in "ab")
    assert same(one, two)
    assert table(one, tmp_path / "1.csv") == table(two, tmp_path / "2.csv")
    assert not same(one, fit(tmp_path / "c", seed=1))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nobody interrupted, with BatchNorm or spectral norm; each trained once."""

    @functools.cache
    def train(spectral_norm):
        return fit(tmp_path_factory.mktemp("whole"), spectral_norm=spectral_norm)

    return train


@pytest.mark.parametrize(
    ("epoch", "norm"), [(1, False), (2, False), (3, False), (3, True), (4, False), (4, True)]
)
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path, monkeypatch, whole, epoch, norm
):
    """Within phase 1, at the ends of phases 1 and 2, within phase 3."""
    with monkeypatch.context() as patch:
        interrupted(patch, epoch)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", spectral_norm=norm)
    resumed = fit(tmp_path / "parts", spectral_norm=norm)
    assert resumed.images == (5 - epoch) * 2 * 8
    assert same(whole(norm), resumed)
    assert table(whole(norm), tmp_path / "1.csv") == table(resumed, tmp_path / "2.csv")
    assert np.array_equal(np.stack(whole(norm).samples), np.stack(resumed.samples))


@pytest.mark.parametrize("other", [{"fingerprint": "y"}, {"zoom": 1.2}, {"alpha": 0.1}])
def test_a_foreign_checkpoint_is_never_taken_up(tmp_path, other):
    fit(tmp_path / "a", **phases(1))
    assert fit(tmp_path / "a", **phases(1), **other).images == 2 * 8


@pytest.mark.parametrize("lost", ["discriminators_optimizer", "kept", "updates"])
def test_a_damaged_checkpoint_is_put_away(tmp_path, caplog, lost):
    one = fit(tmp_path / "a", **phases(1, 0, 1))
    (file,) = (tmp_path / "a").rglob("checkpoint.pt")
    state = torch.load(file, weights_only=True)
    del state[lost]
    torch.save(state, file)
    two = fit(tmp_path / "a", **phases(1, 0, 1))
    assert "damaged" in caplog.text
    assert two.images == 2 * 2 * 8
    assert same(one, two)


def test_too_few_faces_are_refused(tmp_path):
    with pytest.raises(FacefillError, match="7 faces, fewer than one batch of 8"):
        fit(tmp_path / "a", faces=FACES[:7])


def test_losses_that_are_no_numbers_stop(tmp_path):
    with pytest.raises(FacefillError, match="no longer numbers"):
        fit(tmp_path / "a", generator_lr=1e30)


# Signs of a sick training.


def course(d_loss=0.8, d_accuracy=0.8, epochs=5, joint=True):
    rows = [{"phase": 1, "d_loss": None, "g_loss": None, "d_accuracy": None}] * 2
    if joint:
        row = {"phase": 3, "d_loss": d_loss, "g_loss": 1.0, "d_accuracy": d_accuracy}
        rows = rows + [row] * epochs
    return pd.DataFrame(rows, columns=["phase", "d_loss", "g_loss", "d_accuracy"], dtype=float)


def test_a_healthy_training_is_not_warned_of():
    assert health(course()) == []
    assert health(course(joint=False)) == []


@pytest.mark.parametrize("sick", [{"d_loss": 0.001}, {"d_accuracy": 1.0}])
def test_a_discriminator_that_has_won_is_called_so(sick):
    (warning,) = health(course(**sick))
    assert warning.startswith("D has won") and "raise alpha" in warning


def test_a_discriminator_that_learns_nothing_is_called_so():
    (warning,) = health(course(d_loss=1.386, d_accuracy=0.5))
    assert "guessing gives 50 %" in warning


def test_the_last_fifth_of_phase_3_decides():
    early = course(d_loss=0.001)
    assert health(pd.concat([early, course(epochs=25)])) == []
    assert health(pd.concat([course(epochs=5), early.tail(5)]))


def test_a_collapse_is_in_what_is_left_behind(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(glcic, "discriminator_loss", lambda _, real, *rest: 0 * real.mean())
    trained = fit(tmp_path / "a", **phases(0, 0, 1))
    (warning,) = trained.facts["warnings"]
    assert warning.startswith("D has won: its loss fell to 0.000") and warning in caplog.text
