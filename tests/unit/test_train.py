"""Training: shapes, reproducibility, resumption, the kept epoch, warnings in plain words."""

import copy
import errno

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_complete import one_thread  # noqa: F401
from torch import nn

import trainings
from contract.examples import example, settings
from facefill.complete import Task
from facefill.core import device
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.core.masking import make_masks, observe
from facefill.core.tensors import from_unit, sample_z, to_unit
from facefill.models.dcgan import training as dcgan
from facefill.models.dcgan.health import health
from facefill.models.dcgan.networks import (
    Antialias,
    Discriminator,
    Generator,
    feature_channels,
    feature_sides,
    make_networks,
)
from facefill.models.dcgan.residual import Deviations, ResidualBlock
from facefill.train import checkpoint, weights
from facefill.train.average import fresh_statistics
from facefill.train.best import CHECKS
from facefill.train.pictures import write_samples
from trap import Trap
from untrained import save

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread", "short_recalibration")]


@pytest.fixture
def short_recalibration(monkeypatch):
    """Most of the time of so small a training."""
    monkeypatch.setattr(dcgan, "RECALIBRATION_BATCHES", 2)


# What these tests change of the example.
CHANGES = {
    "epochs": 3,
    "prior": "uniform",
    "generator_steps": 2,
    "label_smoothing": 0.1,
    "ema": 0.9,
}
Z_DIM = 8  # of the example
VERSION = torch.__version__
FACES = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
UNSEEN = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)


def fit(folder, faces=FACES, **changes):
    return trainings.fit("dcgan", faces, UNSEEN, folder, **(CHANGES | changes))


def tensors(trained):
    networks = trained.networks.values()
    return [tensor for network in networks for tensor in network.state_dict().values()]


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(two), strict=True))


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("fully_connected", [0, 16])
@pytest.mark.parametrize("spectral", [False, True])
def test_networks_of_every_size(size, kernel, fully_connected, spectral):
    generator = Generator(size, 10, 4, kernel, False)
    discriminator = Discriminator(size, 4, kernel, fully_connected, spectral)
    assert_they_fit(generator, discriminator, size)


def assert_they_fit(generator, discriminator, size):
    faces = generator(torch.randn(2, 10))
    assert faces.shape == (2, 3, size, size)
    assert faces.abs().max() <= 1
    assert discriminator(faces).shape == (2,)
    features = discriminator.features(faces)
    sides = feature_sides(size)[::-1]
    assert [layer.shape[-1] for layer in features][: len(sides)] == sides


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize(("kernel", "fully_connected"), [(4, 0), (5, 16)])
def test_residual_networks_of_every_size(size, kernel, fully_connected):
    generator = Generator(size, 10, 4, kernel, True, "residual")
    discriminator = Discriminator(size, 4, kernel, fully_connected, False, "residual")
    assert_they_fit(generator, discriminator, size)


def test_residual_networks_normalise_nothing():
    """A sample and a logit are the same whatever the batch, in training, too."""
    torch.manual_seed(0)
    generator = Generator(32, 10, 4, 4, False, "residual").train()
    discriminator = Discriminator(32, 4, 4, 0, False, "residual").train()
    z = torch.randn(6, 10)
    faces = generator(z)
    assert torch.allclose(generator(z[:2]), faces[:2], atol=1e-6)
    assert torch.allclose(discriminator(faces[:2]), discriminator(faces)[:2], atol=1e-5)


def test_a_residual_block_changes_nothing_before_training():
    torch.manual_seed(0)
    blocks = [
        layer
        for network in (
            Generator(32, 10, 4, 4, False, "residual"),
            Discriminator(32, 4, 4, 0, False, "residual"),
        )
        for layer in network.layers
        if isinstance(layer, ResidualBlock)
    ]
    assert len(blocks) == 2 * len(feature_sides(32))
    for block in blocks:
        features = torch.randn(2, block.layers[0].in_channels, 4, 4, requires_grad=True)
        assert torch.equal(block(features), features)
        block(features).square().sum().backward()
        assert block.layers[-1].weight.grad.abs().max() > 0  # but it learns


def test_settings_of_before_are_of_plain_blocks():
    settings = vars(example("models", "dcgan", blocks="residual"))
    before = {name: value for name, value in settings.items() if name != "blocks"}
    residual, plain = make_networks(settings, 32), make_networks(before, 32)
    assert all(any(isinstance(m, ResidualBlock) for m in network.modules()) for network in residual)
    assert not any(isinstance(m, ResidualBlock) for network in plain for m in network.modules())


def test_channels_are_those_of_the_originals():
    amos = [layer for layer in Generator(64, 100, 64, 5, False).layers if hasattr(layer, "stride")]
    assert [layer.in_channels for layer in amos] == [512, 256, 128, 64]
    kumar = [
        layer for layer in Discriminator(64, 16, 5, 64, False).layers if hasattr(layer, "stride")
    ]
    assert [layer.out_channels for layer in kumar] == [16, 32, 64, 128]


def test_samples_of_z():
    random = torch.Generator().manual_seed(0)
    uniform = sample_z(1000, 10, "uniform", random)
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() <= 1
    assert sample_z(1000, 10, "normal", random).std().item() == pytest.approx(1, abs=0.05)


def test_pixels_there_and_back():
    every = torch.arange(256, dtype=torch.uint8)
    assert (from_unit(to_unit(every)) == every).all()
    assert to_unit(every).min() == -1
    assert to_unit(every).max() == 1


def test_equal_seeds_equal_weights(tmp_path):
    one, two = fit(tmp_path / "a"), fit(tmp_path / "b")
    assert same(one, two)
    assert one.history.equals(two.history)
    assert not same(one, fit(tmp_path / "c", seed=1))


def test_training_changes_the_weights_and_says_how(tmp_path):
    trained = fit(tmp_path / "a")
    assert trained.history["epoch"].tolist() == [1, 2, 3]
    assert trained.history["step"].tolist() == [2, 4, 6]
    assert len(trained.samples) == 4
    assert (trained.samples[0] != trained.samples[-1]).any()
    assert trained.images == 3 * 2 * 8


def interrupted(patch, epoch):
    """Let a training die after it has saved its checkpoint of `epoch`."""
    save = checkpoint.save

    def save_then_die(file, state):
        save(file, state)
        if state["epoch"] == epoch:
            raise KeyboardInterrupt

    patch.setattr(checkpoint, "save", save_then_die)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"validation_faces": 3},
        {"loss": "hinge", "label_smoothing": 0.0, "spectral_norm": True, "augment": ("cutout",)},
        {"loss": "rpgan", "label_smoothing": 0.0, "r1": 0.1, "r2": 0.1, "augment": ("color",)},
        {"loss": "rpgan", "label_smoothing": 0.0, "r2": 0.1, "blocks": "residual"},
    ],
)
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch, changes):
    whole = fit(tmp_path / "whole", **changes)
    with monkeypatch.context() as patch:
        interrupted(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", **changes)
    resumed = fit(tmp_path / "parts", **changes)
    assert resumed.images == 2 * 8  # the last epoch alone
    assert same(whole, resumed)
    assert whole.epoch == resumed.epoch
    assert np.array_equal(np.stack(whole.samples), np.stack(resumed.samples))
    for name, trained in {"whole": whole, "resumed": resumed}.items():
        write_table(tmp_path / f"{name}.csv", trained.history)
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "resumed.csv").read_bytes()


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"fingerprint": "y"}, {"beta1": 0.6}, {"zoom": 1.5}]
)
def test_a_foreign_checkpoint_is_never_taken_up(tmp_path, other):
    fit(tmp_path / "a")
    anew = fit(tmp_path / "a", **other)
    assert anew.images == 3 * 2 * 8
    assert same(anew, fit(tmp_path / "b", **other))


def parts(folder, monkeypatch, epoch):
    """Begin or go on with a training in `folder`, which dies after an epoch."""
    with monkeypatch.context() as patch:
        interrupted(patch, epoch)
        with pytest.raises(KeyboardInterrupt):
            fit(folder)


def test_another_machine_goes_on_and_says_so(tmp_path, monkeypatch, caplog):
    """With other arithmetic, threads and PyTorch; once said, it stays true."""
    with monkeypatch.context() as patch:
        patch.setattr(device, "_native_bfloat16", lambda kind: True)
        parts(tmp_path, monkeypatch, 1)
    caplog.clear()
    monkeypatch.setattr(device, "_native_bfloat16", lambda kind: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "__version__", "99.0")
    parts(tmp_path, monkeypatch, 2)
    said = (
        "arithmetic changed after epoch 1: bfloat16, 1 thread, PyTorch "
        f"{VERSION} -> float32, 2 threads, PyTorch 99.0; the result is not byte for byte that of "
        "one machine"
    )
    assert caplog.messages.count(said) == 1
    caplog.clear()
    resumed = fit(tmp_path)
    assert resumed.images == 2 * 8  # the last epoch alone
    assert "arithmetic" not in caplog.text
    assert resumed.facts["warnings"] == [said, *fit(tmp_path / "whole").facts["warnings"]]


@pytest.mark.parametrize("first", ["cpu", "cuda (H200)"])
def test_another_device_goes_on_and_says_so(tmp_path, monkeypatch, first):
    words = device.Compute.words
    with monkeypatch.context() as patch:
        patch.setattr(device.Compute, "words", lambda self: [first, *words(self)[1:]])
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
        parts(tmp_path, monkeypatch, 1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    changed = f"{first} (AVX2) -> cpu (AVX512); "
    assert changed in fit(tmp_path).facts["warnings"][0]


def test_the_same_machine_says_nothing(tmp_path, monkeypatch, caplog):
    parts(tmp_path, monkeypatch, 2)
    resumed = fit(tmp_path)
    assert "training goes on after epoch 2" in caplog.text
    assert resumed.facts == fit(tmp_path / "whole").facts
    assert same(resumed, fit(tmp_path / "whole"))


def damaged(file, how):
    state = torch.load(file, weights_only=True)
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:500])
    elif how == "empty":
        file.write_bytes(b"")
    elif how.startswith("without"):
        torch.save({key: value for key, value in state.items() if key != how.split()[1]}, file)
    elif how == "another shape":
        state["discriminator"] = Discriminator(32, 8, 4, 0, False).state_dict()
        torch.save(state, file)
    else:
        torch.save({"generator": Trap(file.with_name("sprung"))}, file)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "empty",
        "without discriminator",
        "without kept",
        "without machine",
        "another shape",
        "trap",
    ],
)
def test_a_damaged_checkpoint_is_put_away(tmp_path, caplog, how):
    one = fit(tmp_path / "a")
    damaged(next((tmp_path / "a").rglob("checkpoint.pt")), how)
    two = fit(tmp_path / "a")
    assert "damaged" in caplog.text
    assert same(one, two)
    assert one.history.equals(two.history)
    assert not list((tmp_path / "a").rglob("sprung"))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_a_machine_in_need_leaves_a_good_checkpoint_alone(tmp_path, monkeypatch, error):
    fit(tmp_path / "a")
    file = next((tmp_path / "a").rglob("checkpoint.pt"))
    before = file.read_bytes()

    def fails(*args, **options):
        raise error

    with monkeypatch.context() as patched, pytest.raises(type(error)):
        patched.setattr(torch, "load", fails)
        fit(tmp_path / "a")
    assert file.read_bytes() == before


def test_tensorboard_shows_every_epoch_once(tmp_path, monkeypatch):
    """Also one that was noted when the training was killed before its checkpoint was written."""
    save = checkpoint.save

    def killed(file, state):
        if state["epoch"] == 2:
            raise KeyboardInterrupt
        save(file, state)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(checkpoint, "save", killed)
        fit(tmp_path)
    trained = fit(tmp_path)
    assert trained.images == 2 * 2 * 8  # epochs 2 and 3
    events = EventAccumulator(str(trained.events)).Reload()
    assert [event.step for event in events.Scalars("d_loss")] == [1, 2, 3]


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_damaged_kept_networks_are_noticed_at_the_start(tmp_path, caplog, scores, network):
    scores += BEST_IS_SECOND * 2
    one = fit(tmp_path / "a", validation_faces=3)
    file = next((tmp_path / "a").rglob("checkpoint.pt"))
    state = torch.load(file, weights_only=True)
    state["kept"][network].popitem()
    torch.save(state, file)
    two = fit(tmp_path / "a", validation_faces=3)
    assert "damaged" in caplog.text
    assert two.images == one.images
    assert same(one, two)


def test_too_few_faces_are_refused(tmp_path):
    with pytest.raises(FacefillError, match="7 faces, fewer than one batch of 8"):
        fit(tmp_path / "a", faces=FACES[:7])


def test_losses_that_are_no_numbers_stop(tmp_path):
    with pytest.raises(FacefillError, match="no longer numbers"):
        fit(tmp_path / "a", generator_lr=1e30, discriminator_lr=1e30)


def test_without_average_the_generator_itself_is_kept(tmp_path):
    settings = example("models", "dcgan", ema=0.0, epochs=1)
    given = trainings.training(FACES, UNSEEN, tmp_path)
    loop = dcgan.DcganLoop(given, settings, device.choose("cpu"))
    list(loop.epochs())
    generator = loop.players.generator.parameters()
    for average, own in zip(loop.average.parameters(), generator, strict=True):
        assert torch.equal(average, own)


# The epoch that is kept.


@pytest.fixture
def scores(monkeypatch):
    """Scores that every validation takes the next one of."""
    left = []

    def validation(faces, zoom, start, prior, compute):
        assert (faces == UNSEEN).all()
        assert (zoom, prior, start.shape) == (1, "uniform", (len(UNSEEN), Z_DIM))

        def validate(generator):
            assert not generator.training
            return left.pop(0)

        return validate

    monkeypatch.setattr(dcgan, "Validation", validation)
    return left


BEST_IS_SECOND = [(20.0, 0.5), (21.0, 0.5), (21.5, 0.6)]


def test_the_networks_of_the_best_epoch_are_kept(tmp_path, scores):
    scores += BEST_IS_SECOND
    kept = fit(tmp_path / "a", validation_faces=3)
    assert kept.epoch == 2
    assert kept.history["kept"].tolist() == [0, 1, 0]
    assert kept.history["val_hole_psnr"].tolist() == [20, 21, 21.5]
    assert kept.history["val_identity_distance"].tolist() == [0.5, 0.5, 0.6]
    assert same(kept, fit(tmp_path / "b", epochs=2))
    assert not same(kept, fit(tmp_path / "c"))
    assert len(kept.samples) == 4  # also of the epochs after it


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    trained = fit(tmp_path / "a")
    assert trained.epoch == 3
    assert trained.history["kept"].tolist() == [0, 0, 1]
    assert trained.history[["val_hole_psnr", "val_identity_distance"]].isna().all(axis=None)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_training_keeps_the_same_epoch(tmp_path, monkeypatch, scores, epoch):
    """Whether the best one comes before the end of the session that dies, or is its last."""
    scores += BEST_IS_SECOND * 2
    whole = fit(tmp_path / "whole", validation_faces=3)
    with monkeypatch.context() as patch:
        interrupted(patch, epoch)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", validation_faces=3)
    resumed = fit(tmp_path / "parts", validation_faces=3)
    assert scores == []
    assert resumed.epoch == 2
    assert same(whole, resumed)
    assert whole.history.equals(resumed.history)


def test_a_resumed_training_whose_best_epoch_is_long_past(tmp_path, monkeypatch, scores):
    scores += [(30.0, 0.1), (20.0, 0.5), (20.0, 0.5)]
    with monkeypatch.context() as patch:
        interrupted(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", validation_faces=3)
    resumed = fit(tmp_path / "parts", validation_faces=3)
    assert resumed.epoch == 1
    assert same(resumed, fit(tmp_path / "b", epochs=1))


def test_some_epochs_of_a_long_training_are_validated(tmp_path, scores):
    scores += [(20.0, 0.5)] * CHECKS
    history = fit(tmp_path / "a", epochs=10, validation_faces=3).history
    assert history["val_hole_psnr"].count() == CHECKS
    assert not np.isnan(history["val_hole_psnr"].iloc[-1])
    assert history["kept"].sum() == 1
    assert not np.isnan(history.loc[history["kept"] == 1, "val_hole_psnr"]).any()


def test_the_validation_is_reproducible_and_changes_nothing_else(tmp_path):
    one = fit(tmp_path / "a", validation_faces=3)
    assert one.history.equals(fit(tmp_path / "b", validation_faces=3).history)
    assert one.history["val_hole_psnr"].between(1, 99).all()
    assert one.history["kept"].sum() == 1
    without = fit(tmp_path / "c")
    columns = ["d_loss", "g_loss", "d_real", "d_fake", "diversity"]
    assert one.history[columns].equals(without.history[columns])


def test_the_sheet_of_the_kept_epoch_is_written(tmp_path):
    sheets = [np.full((8, 8, 3), 50 * number, np.uint8) for number in range(4)]
    write_samples(tmp_path / "a.png", tmp_path / "a.gif", sheets, 2)
    with Image.open(tmp_path / "a.png") as png, Image.open(tmp_path / "a.gif") as gif:
        assert (np.asarray(png) == 100).all()
        assert gif.n_frames == 4


# Losses, spectral norm, augmentation, penalties.


def spectral_norms(discriminator):
    layers = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]


def test_spectral_norms_are_1_after_training(tmp_path):
    rates = {"generator_lr": 2e-3, "discriminator_lr": 2e-3}
    trained = fit(tmp_path / "a", spectral_norm=True, fully_connected=8, epochs=10, **rates)
    assert not any(
        isinstance(layer, nn.BatchNorm2d) for layer in trained.networks["discriminator"].modules()
    )
    norms = spectral_norms(trained.networks["discriminator"])
    assert len(norms) == 5
    assert norms == pytest.approx([1] * 5, abs=0.1)


def test_without_spectral_norm_there_is_batch_norm():
    discriminator = Discriminator(64, 4, 4, 0, False)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.layers) == 3
    assert max(spectral_norms(discriminator)) < 0.9


SNGAN = {
    "loss": "hinge",
    "label_smoothing": 0.0,
    "spectral_norm": True,
    "r1": 1.0,
    "r2": 1.0,
    "augment": ("color", "translation", "cutout"),
}


R3GAN = {"loss": "rpgan", "spectral_norm": False, "blocks": "residual"}


@pytest.mark.parametrize("changes", [{}, R3GAN])
def test_everything_at_once_trains_reproducibly(tmp_path, changes):
    everything = SNGAN | changes
    one, two = fit(tmp_path / "a", **everything), fit(tmp_path / "b", **everything)
    assert same(one, two)
    assert one.history.equals(two.history)
    assert all(tensor.isfinite().all() for tensor in tensors(one))
    assert np.isfinite(one.history[["d_loss", "g_loss", "d_real", "d_fake"]]).all(axis=None)
    assert one.history[["d_real", "d_fake"]].stack().between(0, 1).all()


@pytest.mark.parametrize(
    "change",
    [
        {"r1": 0.0},
        {"r2": 0.0},
        {"augment": ("color",)},
        {"augment": ()},
        {"spectral_norm": False},
        {"loss": "lsgan"},
        {"loss": "bce"},
        {"loss": "rpgan"},
    ],
)
def test_each_part_of_it_matters(tmp_path, change):
    one, two = (
        fit(tmp_path / "a", epochs=1, **SNGAN),
        fit(tmp_path / "b", epochs=1, **SNGAN | change),
    )
    generators = [list(trained.networks["generator"].parameters()) for trained in (one, two)]
    assert not all(torch.equal(a, b) for a, b in zip(*generators, strict=True))


@pytest.mark.parametrize("penalty", ["r1", "r2"])
def test_penalties_are_paid_at_every_16th_step_across_epochs(tmp_path, monkeypatch, penalty):
    """With two steps per epoch that is steps 0 and 16, also after a resumption."""
    paid = []

    def gradient_penalty(discriminator, faces):
        paid.append(len(faces))
        return discriminator(faces).square().mean()

    monkeypatch.setattr(dcgan, "gradient_penalty", gradient_penalty)
    fit(tmp_path / "a", epochs=8, **{penalty: 1.0})
    assert paid == [8]
    fit(tmp_path / "b", epochs=9, **{penalty: 1.0})
    assert paid == [8, 8, 8]
    fit(tmp_path / "c", epochs=9)
    assert paid == [8, 8, 8]


@pytest.mark.parametrize("loss", ["bce", "rpgan"])
def test_d_gets_real_faces_and_samples_augmented(tmp_path, monkeypatch, loss):
    augmented = []

    def augment(faces, kinds, random):
        augmented.append((faces.requires_grad, kinds))
        return faces * 0.5

    monkeypatch.setattr(dcgan, "augment", augment)
    fit(tmp_path / "a", epochs=1, augment=("color",), loss=loss)
    # Real faces, samples for D, for rpgan real faces again, and with a gradient for each of G's
    # two steps.
    again = [False] if loss == "rpgan" else []
    assert augmented == [(grad, ("color",)) for grad in (False, False, *again, True, True)] * 2


# Changes of G's feature maps.


def grey(plane):
    """The plane as RGB [1, 3, H, W]."""
    return plane.expand(1, 3, *plane.shape)


def test_the_filter_removes_a_checkerboard_of_brightness_alone():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    checkers, ramp = (-1) ** (y + x), 3 * y + x
    low_pass = Antialias(8)
    assert low_pass(grey(checkers))[..., 1:-1, 1:-1].abs().max() == 0
    assert torch.allclose(low_pass(grey(ramp))[..., 1:-1, 1:-1], grey(ramp)[..., 1:-1, 1:-1])
    assert torch.equal(low_pass(torch.ones(1, 3, 8, 8)), torch.ones(1, 3, 8, 8))  # borders, too
    point = torch.zeros(5, 5)
    point[2, 2] = 16
    filtered = Antialias(5)(grey(point))[0]
    for channel in filtered:
        assert channel[1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_the_filter_takes_fringes_of_colour_and_leaves_colours():
    red = torch.tensor([1.0, -0.5, -0.5])[None, :, None, None]  # a colour without brightness
    x = torch.arange(64.0).expand(64, 64)
    fringes = red * torch.cos(2 * torch.pi * x / 4)  # halved by every pass
    assert Antialias(64)(fringes)[..., 8:-8].abs().max() < 0.251
    wide = red * torch.cos(2 * torch.pi * x / 64)
    assert torch.allclose(Antialias(64)(wide), wide, atol=0.03)
    halves = red * (x >= 32)
    assert torch.allclose(Antialias(64)(halves).mean(), halves.mean(), atol=1e-6)


@pytest.mark.parametrize("blocks", ["plain", "residual"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_the_feature_maps_of_a_generator(size, antialias, blocks):
    generator = Generator(size, 8, 4, 4, antialias, blocks)
    maps = []
    for layer in generator.layers:
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(lambda layer, inputs, output: maps.append(output.shape[1:]))
    assert generator(torch.randn(2, 8)).shape == (2, 3, size, size)
    sides = feature_sides(size)
    assert maps == [(feature_channels(size, 4, side), side, side) for side in sides]
    assert (sides[0], sides[-1]) == (4, size // 2)


def generator_and_z(blocks="plain"):
    torch.manual_seed(0)
    generator = Generator(32, 8, 8, 4, False, blocks)
    if blocks == "plain":
        for parameter in generator.parameters():
            parameter.data *= 4  # untrained, but with something to see
    generator(torch.randn(64, 8))  # gives BatchNorm its statistics
    return generator.eval(), torch.randn(3, 8)


@pytest.mark.parametrize("blocks", ["plain", "residual"])
@pytest.mark.parametrize("side", [4, 8, 16])
def test_changes_of_0_change_nothing(side, blocks):
    generator, z = generator_and_z(blocks)
    none = torch.zeros(3, feature_channels(32, 8, side), side, side)
    assert torch.allclose(generator(z, none), generator(z), atol=1e-6)
    assert not torch.allclose(generator(z, none + 0.5), generator(z), atol=1e-2)


def test_changes_are_in_units_of_batch_norms_weight():
    """The same as a shift of BatchNorm's bias by so many times its weight, whatever its sign."""
    generator, z = generator_and_z()
    (number,) = (
        number
        for number, layer in enumerate(generator.layers)
        if isinstance(layer, nn.BatchNorm2d) and layer.num_features == feature_channels(32, 8, 8)
    )
    generator.layers[number].weight.data[::2] *= -1
    units = torch.randn(feature_channels(32, 8, 8))
    shifted = copy.deepcopy(generator)
    shifted.layers[number].bias.data += units * shifted.layers[number].weight.data.abs()
    changes = units[None, :, None, None].expand(3, -1, 8, 8)
    assert torch.allclose(generator(z, changes), shifted(z), atol=1e-5)
    assert not torch.allclose(generator(z), shifted(z), atol=1e-2)


def test_changes_are_in_units_of_a_residual_maps_deviation():
    torch.manual_seed(0)
    generator, channels = Generator(32, 8, 8, 4, False, "residual"), feature_channels(32, 8, 8)
    (layer,) = (
        layer
        for layer in generator.layers
        if isinstance(layer, Deviations) and layer.num_features == channels
    )
    maps, passed = [], []
    layer.register_forward_hook(lambda layer, given, made: maps.append((given[0], made)))
    with fresh_statistics(generator):  # as the average's are measured
        generator(torch.randn(64, 8))
    given, made = maps.pop()
    assert torch.equal(given, made)
    deviations = given.transpose(0, 1).flatten(1).std(1)
    assert torch.allclose(layer.running_var.sqrt(), deviations, rtol=1e-3)
    after = generator.layers[list(generator.layers).index(layer) + 1]
    after.register_forward_hook(lambda layer, given, made: passed.append(given[0]))
    z, units = torch.randn(3, 8), torch.randn(3, channels, 8, 8)
    generator(z), generator(z, units)
    change = units * deviations[:, None, None]
    assert torch.allclose(passed[1] - passed[0], change, atol=1e-3)


@pytest.mark.parametrize("blocks", ["plain", "residual"])
def test_a_change_stays_with_its_face_and_its_place(blocks):
    generator, z = generator_and_z(blocks)
    changes = torch.zeros(3, feature_channels(32, 8, 8), 8, 8)
    changes[1, :, 0, 0] = 3
    before, after = generator(z), generator(z, changes)
    assert torch.allclose(before[[0, 2]], after[[0, 2]], atol=1e-6)
    moved = (before[1] - after[1]).abs().amax(0)
    assert moved[:4, :4].max() > 0.01
    assert moved[16:, 16:].max() < 1e-6


def test_a_residual_generator_serves_an_encoder_and_a_search(tmp_path):
    """Which change its feature map, and read its discriminator's features."""
    trained = fit(tmp_path / "generator", blocks="residual", epochs=1)
    changes = CHANGES | {"blocks": "residual"}
    model = save(tmp_path, trained.networks, settings("models", "dcgan", **changes))
    given = {"models": {"generator": model}, "features": 8, "epochs": 1}
    encoder = trainings.fit("encoder", FACES, UNSEEN, tmp_path / "encoder", **given)
    assert np.isfinite(encoder.history["d_features"]).all()
    folder = tmp_path / "saved"
    encoder = save(
        folder, encoder.networks, settings("models", "encoder", features=8) | encoder.facts
    )
    masks = make_masks({"kind": "center", "scale": 0.25}, ["a", "b", "c"], 32, 1.0)
    task = Task(
        names=["a", "b", "c"],
        observed=observe(UNSEEN, masks),
        masks=masks,
        models={"model": model, "encoder": encoder},
    )
    search = {"encoder": "encoder", "start": "encoder", "prior": 0.0}
    found = [
        example("methods", "latent", features=8, features_prior=weight, **search).complete(task)
        for weight in (0.1, 1e6)
    ]
    losses = [result.search.groupby("face")["loss"].min().mean() for result in found]
    assert losses[0] < losses[1]  # the map takes part


def test_a_device_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(FacefillError, match="device is 'cuda'"):
        device.choose("cuda")


HEALTHY = {"d_loss": 1.0, "g_loss": 1.2, "d_real": 0.6, "d_fake": 0.4, "diversity": 0.8}


@pytest.mark.parametrize(
    ("loss", "smoothing"), [("bce", 0.1), ("hinge", 0.0), ("lsgan", 0.1), ("rpgan", 0.0)]
)
def test_a_healthy_training_gives_no_warning(loss, smoothing):
    assert health([HEALTHY] * 10, loss, smoothing) == []


LOST = {"d_real": 0.5, "d_fake": 0.5}


@pytest.mark.parametrize(
    ("loss", "smoothing", "sick", "says"),
    [
        ("bce", 0.1, {"d_loss": 0.33}, "G learns nothing"),  # 0.325 is the least there is
        ("bce", 0.0, {"d_loss": 0.09}, "G learns nothing"),
        ("hinge", 0.0, {"d_loss": 0.09}, "G learns nothing"),
        ("lsgan", 0.0, {"d_loss": 0.04}, "G learns nothing"),
        ("rpgan", 0.0, {"d_loss": 0.04}, "raise generator_steps, r1 or r2"),
        ("bce", 0.1, {"diversity": 0.1}, "collapsed"),
        ("bce", 0.1, LOST | {"g_loss": 0.69}, "D cannot tell"),
        ("hinge", 0.0, LOST, "D cannot tell"),
        ("lsgan", 0.0, LOST, "D cannot tell"),
        ("rpgan", 0.0, {"d_loss": 0.69, "d_real": 0.505, "d_fake": 0.495}, "D cannot tell"),
    ],
)
def test_a_sick_training_is_named(loss, smoothing, sick, says):
    (warning,) = health([HEALTHY] * 8 + [HEALTHY | sick] * 2, loss, smoothing)
    assert says in warning


@pytest.mark.parametrize(
    ("loss", "smoothing", "well"),
    [
        ("bce", 0.1, 0.43),
        ("bce", 0.0, 0.11),
        ("hinge", 0.0, 0.11),
        ("lsgan", 0.0, 0.06),
        ("rpgan", 0.0, 0.06),
    ],
)
def test_a_good_d_is_not_sick(loss, smoothing, well):
    assert health([HEALTHY | {"d_loss": well}] * 10, loss, smoothing) == []


def test_epochs_without_validation_do_not_disturb_the_judgement():
    row = HEALTHY | {"val_hole_psnr": None, "val_identity_distance": None}
    assert health([row] * 10, "bce", 0.1) == []


def test_weights_read_back(tmp_path):
    torch.manual_seed(0)
    one, two = Generator(64, 8, 4, 4, False), Generator(64, 8, 4, 4, False)
    paths = tmp_path / "w.safetensors", tmp_path / "settings.json"
    weights.save(*paths, {"generator": one}, {"z_dim": 8})
    settings = weights.load_settings(paths[1], ["z_dim"])
    weights.load(paths[0], settings, {"generator": two})
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
