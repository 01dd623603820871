"""Training: shapes, reproducibility, resumption, and warnings in plain words."""

import numpy as np
import pytest
import torch

from facefill import device
from facefill.errors import FacefillError
from facefill.train import weights
from facefill.train.dcgan import Settings, discard, health, train
from facefill.train.networks import Discriminator, Generator, from_unit, sample_z, to_unit
from trap import Trap

SETTINGS = Settings(
    epochs=3,
    batch=8,
    generator_filters=4,
    discriminator_filters=4,
    kernel=4,
    fully_connected=0,
    z_dim=8,
    prior="uniform",
    generator_lr=2e-4,
    discriminator_lr=2e-4,
    beta1=0.5,
    beta2=0.999,
    generator_steps=2,
    label_smoothing=0.1,
    flips=True,
    ema=0.9,
    channels_last="auto",
    precision="auto",
)
FACES = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3)).astype(np.uint8)


def fit(folder, faces=FACES, seed=0, fingerprint="x", **changes):
    settings = Settings(**(SETTINGS.__dict__ | changes))
    return train(faces, settings, seed, "cpu", folder, fingerprint)


def tensors(trained):
    networks = (trained.generator, trained.discriminator)
    return [tensor for network in networks for tensor in network.state_dict().values()]


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(two), strict=True))


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("fully_connected", [0, 16])
def test_networks_of_every_size(size, kernel, fully_connected):
    generator = Generator(size, 10, 4, kernel)
    discriminator = Discriminator(size, 4, kernel, fully_connected)
    faces = generator(torch.randn(2, 10))
    assert faces.shape == (2, 3, size, size)
    assert faces.abs().max() <= 1
    assert discriminator(faces).shape == (2,)


def test_channels_are_those_of_the_originals():
    amos = [layer for layer in Generator(64, 100, 64, 5).layers if hasattr(layer, "stride")]
    assert [layer.in_channels for layer in amos] == [512, 256, 128, 64]
    kumar = [layer for layer in Discriminator(64, 16, 5, 64).layers if hasattr(layer, "stride")]
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


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole = fit(tmp_path / "whole")
    from facefill.train.dcgan import _Run

    save = _Run.save

    def save_then_die(self, path):
        save(self, path)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_Run, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts")
    resumed = fit(tmp_path / "parts")
    assert resumed.images == 2 * 8  # the last epoch alone
    assert same(whole, resumed)
    assert whole.history.equals(resumed.history)
    assert np.array_equal(np.stack(whole.samples), np.stack(resumed.samples))


@pytest.mark.parametrize("other", [{"seed": 1}, {"fingerprint": "y"}, {"beta1": 0.6}])
def test_a_foreign_checkpoint_is_never_taken_up(tmp_path, other):
    fit(tmp_path / "a")
    anew = fit(tmp_path / "a", **other)
    assert anew.images == 3 * 2 * 8
    assert same(anew, fit(tmp_path / "b", **other))


def damaged(checkpoint, how):
    state = torch.load(checkpoint, weights_only=True)
    if how == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    elif how == "empty":
        checkpoint.write_bytes(b"")
    elif how == "without D":
        torch.save(
            {key: value for key, value in state.items() if key != "discriminator"}, checkpoint
        )
    elif how == "another shape":
        state["discriminator"] = Discriminator(64, 8, 4, 0).state_dict()
        torch.save(state, checkpoint)
    else:
        torch.save({"generator": Trap(checkpoint.with_name("sprung"))}, checkpoint)


@pytest.mark.parametrize("how", ["truncated", "empty", "without D", "another shape", "trap"])
def test_a_damaged_checkpoint_is_put_away(tmp_path, caplog, how):
    one = fit(tmp_path / "a")
    checkpoint = next((tmp_path / "a").rglob("checkpoint.pt"))
    damaged(checkpoint, how)
    two = fit(tmp_path / "a")
    assert "damaged" in caplog.text
    assert same(one, two)
    assert one.history.equals(two.history)
    assert not list((tmp_path / "a").rglob("sprung"))
    discard(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_too_few_faces_are_refused(tmp_path):
    with pytest.raises(FacefillError, match="7 faces, fewer than one batch of 8"):
        fit(tmp_path / "a", faces=FACES[:7])


def test_losses_that_are_no_numbers_stop(tmp_path):
    with pytest.raises(FacefillError, match="no longer numbers"):
        fit(tmp_path / "a", generator_lr=1e30, discriminator_lr=1e30)


def test_without_average_the_generator_itself_is_kept(tmp_path):
    from facefill.train import dcgan

    settings = Settings(**(SETTINGS.__dict__ | {"ema": 0.0, "epochs": 1}))
    run = dcgan._Run(FACES, settings, 0, device.choose("cpu"))
    list(run.epochs())
    for average, own in zip(run.average.parameters(), run.generator.parameters(), strict=True):
        assert torch.equal(average, own)


def test_a_device_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(FacefillError, match="device is 'cuda'"):
        device.choose("cuda")


HEALTHY = {"d_loss": 1.0, "g_loss": 1.2, "d_real": 0.6, "d_fake": 0.4, "diversity": 0.8}


def test_a_healthy_training_gives_no_warning():
    assert health([HEALTHY] * 10, 0.1) == []


@pytest.mark.parametrize(
    ("sick", "says"),
    [
        ({"d_loss": 0.33}, "G learns nothing"),  # 0.325 is the least with smoothed labels
        ({"diversity": 0.1}, "collapsed"),
        ({"d_real": 0.5, "d_fake": 0.5, "g_loss": 0.69}, "D cannot tell"),
    ],
)
def test_a_sick_training_is_named(sick, says):
    (warning,) = health([HEALTHY] * 8 + [HEALTHY | sick] * 2, 0.1)
    assert says in warning


def test_weights_read_back(tmp_path):
    torch.manual_seed(0)
    one, two = Generator(64, 8, 4, 4), Generator(64, 8, 4, 4)
    paths = tmp_path / "w.safetensors", tmp_path / "settings.json"
    weights.save(*paths, {"generator": one}, {"z_dim": 8})
    settings = weights.load_settings(paths[1], ["z_dim"])
    weights.load(paths[0], settings, {"generator": two})
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
