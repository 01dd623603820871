"""The encoder: what it predicts, that the hole does not matter to it, and its training."""

import copy

import numpy as np
import pytest
import torch
from test_complete import faces, one_thread  # noqa: F401
from test_train import interrupted

import trainings
from contract.examples import example
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.core.masking import make_masks
from facefill.core.observed import observed_by_network
from facefill.core.tensors import from_unit, random_stream, to_unit
from facefill.models.dcgan.networks import Discriminator, Generator, feature_channels
from facefill.models.dcgan.trained import load_dcgan
from facefill.models.encoder import training as encoder
from facefill.models.encoder.network import Encoder
from facefill.train import weights
from facefill.train.holes import Holes, recalibrate
from untrained import DCGAN, save

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 32
GENERATOR = DCGAN | {"z_dim": 6, "generator_filters": 8, "precision": "float32"}
MASKS = (
    {"kind": "center", "scale": 0.25},
    {"kind": "random", "hidden": 0.8, "seed": 1},
    {"kind": "lowres", "factor": 8},
)
# What these tests change of the example.
CHANGES = {"epochs": 3, "filters": 8, "lr": 0.002, "masks": MASKS}


def network(features=8, prior="normal", z_dim=6):
    torch.manual_seed(0)
    return Encoder(SIZE, 8, z_dim, prior, features, 8)


def lively(network):
    """With changes that are not 0, and statistics for evaluation mode."""
    for parameter in network.parameters():
        parameter.data += torch.randn(parameter.shape, generator=torch.manual_seed(1)) * 0.1
    network.train()(torch.randn(16, 3, SIZE, SIZE), torch.ones(16, 1, SIZE, SIZE))
    return network.eval().requires_grad_(False)


def inputs(pixels, mask):
    """What an encoder sees of uint8 [N, size, size, 3] under a mask."""
    masks = make_masks(mask, [str(number) for number in range(len(pixels))], SIZE, 1.0)
    unit = to_unit(torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2))
    return observed_by_network(unit, torch.from_numpy(masks.known)[:, None], masks.block)


def trained_generator():
    torch.manual_seed(0)
    generator = Generator(SIZE, 6, 8, 4, False)
    for parameter in generator.parameters():
        parameter.data *= 3  # untrained, but with something to see
    generator(torch.randn(64, 6))  # gives BatchNorm its statistics
    return generator.eval().requires_grad_(False)


def discriminator():
    torch.manual_seed(0)
    return Discriminator(SIZE, 4, 4, 0, False)


# The network.


@pytest.mark.parametrize("features", [0, 4, 8, 16])
@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_shapes(features, prior):
    z, changes = network(features, prior)(
        torch.randn(3, 3, SIZE, SIZE), torch.ones(3, 1, SIZE, SIZE)
    )
    assert z.shape == (3, 6)
    if not features:
        assert changes is None
    else:
        assert changes.shape == (3, feature_channels(SIZE, 8, features), features, features)
        assert trained_generator()(z, changes).shape == (3, 3, SIZE, SIZE)


def test_a_uniform_priors_cube_is_never_left():
    given = torch.randn(3, 3, SIZE, SIZE), torch.ones(3, 1, SIZE, SIZE)
    for prior, within in (("uniform", True), ("normal", False)):
        wild = network(0, prior)
        wild.z[1].weight.data *= 1000
        assert (wild(*given)[0].abs().max() <= 1) == within


@pytest.mark.parametrize("features", [4, 8, 16])
def test_changes_begin_at_0(features):
    given = torch.randn(3, 3, SIZE, SIZE), torch.ones(3, 1, SIZE, SIZE)
    for mode in (True, False):
        z, changes = network(features).train(mode)(*given)
        assert (changes == 0).all()
        assert (z != 0).any()
    generator = trained_generator()
    assert torch.allclose(generator(z, changes), generator(z), atol=1e-6)


@pytest.mark.parametrize("features", [0, 8])
def test_a_face_alone_is_predicted_as_in_a_batch(faces, features):  # noqa: F811
    predict, given = lively(network(features)), inputs(faces, MASKS[0])
    many, alone = predict(*given), predict(*(part[2:3] for part in given))
    assert torch.allclose(many[0][2], alone[0][0], atol=1e-4)
    assert not torch.allclose(many[0][1], alone[0][0], atol=1e-2)
    if features:
        assert torch.allclose(many[1][2], alone[1][0], atol=1e-4)
        assert not torch.allclose(many[1][1], alone[1][0], atol=1e-2)


# What it is given.


def test_what_is_known_by_hand():
    ones = torch.full((1, 3, 4, 4), 0.5)
    ones[:, :, 0, 0] = -0.5
    known = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    known[..., 3] = True
    observed, known_map = observed_by_network(ones, known, 0)
    assert (observed[..., :3] == 0).all() and (observed[..., 3] == 0.5).all()
    assert torch.equal(known_map, known.float())
    observed, known_map = observed_by_network(ones, known, 2)
    assert (observed[0, :, :2, :2] == 0.25).all()  # the mean of 0.5 three times and -0.5
    assert (observed[0, :, 2:] == 0.5).all()
    assert (known_map[..., :3] == 0.5).all() and (known_map[..., 3] == 1).all()


@pytest.mark.parametrize(
    "mask", [*MASKS[:2], {"kind": "half", "side": "left"}, {"kind": "grid", "step": 4}]
)
def test_hidden_pixels_do_not_matter(faces, mask):  # noqa: F811
    names = [str(number) for number in range(len(faces))]
    known = make_masks(mask, names, SIZE, 1.0).known[..., None]
    noise = np.random.default_rng(1).integers(0, 256, faces.shape).astype(np.uint8)
    predict = lively(network())
    expected = predict(*inputs(faces, mask))
    for part, same in zip(
        expected, predict(*inputs(np.where(known, faces, noise), mask)), strict=True
    ):
        assert torch.equal(part, same)
    for part, other in zip(
        expected, predict(*inputs(np.where(known, noise, faces), mask)), strict=True
    ):
        assert not torch.allclose(part, other, atol=1e-2)


def test_of_hidden_blocks_the_means_alone_matter(faces):  # noqa: F811
    mask = {"kind": "lowres", "factor": 8}
    blocks = faces.reshape(len(faces), 4, 8, SIZE, 3)
    upside_down = blocks[:, :, ::-1].reshape(faces.shape)  # within every block
    assert (upside_down != faces).any()
    predict = lively(network())
    expected = predict(*inputs(faces, mask))
    for part, same in zip(expected, predict(*inputs(upside_down, mask)), strict=True):
        assert torch.allclose(part, same, atol=1e-4)
    assert not torch.allclose(expected[0], predict(*inputs(255 - faces, mask))[0], atol=1e-2)


# Training.


def own_faces(count=24):
    """Faces that the generator can make."""
    z = torch.randn(count, 6, generator=torch.manual_seed(2)) * 0.7
    return from_unit(trained_generator()(z)).permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture
def of_generator(one_thread, tmp_path):  # noqa: F811
    networks = {"generator": trained_generator(), "discriminator": discriminator()}
    return save(tmp_path / "generator", networks, GENERATOR)


def fit(folder, of_generator, faces=None, **changes):  # noqa: F811
    faces = own_faces() if faces is None else faces
    changes = {"models": {"generator": of_generator}} | CHANGES | changes
    return trainings.fit("encoder", faces, own_faces(30)[24:], folder, **changes)


def test_its_statistics_are_those_of_all_masks(tmp_path, of_generator):
    """Not of those that its last batches happened to have."""
    trained = fit(tmp_path, of_generator).networks["encoder"]
    pixels = torch.from_numpy(own_faces()).permute(0, 3, 1, 2)
    compute = load_dcgan(*of_generator, SIZE, "cpu").compute
    holes = Holes(MASKS, SIZE, 1.0, compute)
    for stream, expected in ((-1, True), (-2, False)):
        again = copy.deepcopy(trained)
        recalibrate(again, pixels, holes, random_stream(0, stream), compute)
        pairs = zip(trained.buffers(), again.buffers(), strict=True)
        assert all(torch.allclose(one, other, atol=1e-5) for one, other in pairs) == expected


def same(one, two):
    pairs = zip(
        one.networks["encoder"].state_dict().values(),
        two.networks["encoder"].state_dict().values(),
        strict=True,
    )
    return all(torch.equal(a, b) for a, b in pairs)


def table(trained, path):
    write_table(path, trained.history)
    return path.read_bytes()


def test_training_lowers_the_loss(tmp_path, of_generator):
    trained = fit(tmp_path / "a", of_generator, epochs=8)
    history = trained.history
    losses = ["pixels", "d_features", "z", "changes"]
    assert history.columns.tolist() == ["epoch", "step", *losses, "val_hole_psnr"]
    assert history["epoch"].tolist() == list(range(1, 9))
    assert history["step"].tolist() == [4 * epoch for epoch in range(1, 9)]  # 6 real ones each
    assert history["pixels"].iloc[-1] < 0.9 * history["pixels"].iloc[0]
    assert history["changes"].iloc[-1] > 0
    assert len(trained.samples) == 9
    assert (trained.samples[0] != trained.samples[-1]).any()
    assert trained.images == 8 * 4 * 8
    assert not trained.networks["encoder"].training


def test_validation_is_the_psnr_of_the_holes(tmp_path, of_generator):
    mask, unseen = MASKS[0], own_faces(30)[24:]
    trained = fit(tmp_path / "a", of_generator, epochs=1, masks=(mask,))
    with torch.no_grad():
        predicted = trained.networks["encoder"](*inputs(unseen, mask))
        generated = from_unit(trained_generator()(*predicted))
    hole = slice(SIZE // 4, SIZE * 3 // 4)
    error = generated.permute(0, 2, 3, 1).numpy().astype(float) - unseen
    psnr = 10 * np.log10(255**2 / np.square(error[:, hole, hole]).mean((1, 2, 3)))
    assert trained.history["val_hole_psnr"].item() == pytest.approx(psnr.mean(), abs=0.01)


def test_without_features_z_alone_is_learnt(tmp_path, of_generator):
    history = fit(tmp_path / "a", of_generator, features=0).history
    assert (history["changes"] == 0).all()
    assert history["pixels"].iloc[-1] < history["pixels"].iloc[0]


def test_generator_and_discriminator_stay_as_they_were(tmp_path, of_generator):
    dcgan = load_dcgan(*of_generator, SIZE, "cpu")
    before = copy.deepcopy([dcgan.generator.state_dict(), dcgan.discriminator.state_dict()])
    given = trainings.training(own_faces(), own_faces(2), tmp_path)
    next(encoder.EncoderLoop(given, example("models", "encoder", **CHANGES), dcgan).epochs())
    for network, was in zip((dcgan.generator, dcgan.discriminator), before, strict=True):
        after = network.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in was.items())


def test_the_distance_in_the_discriminators_features():
    """0 for the same, 1 for a stranger (the next one of the batch), and D learns nothing."""
    judge = discriminator().eval().requires_grad_(False)
    given = to_unit(torch.from_numpy(own_faces(4)).permute(0, 3, 1, 2))
    assert len(judge.features(given)) == 3
    assert torch.equal(judge.layers[-1](judge.features(given)[-1].flatten(1))[:, 0], judge(given))
    assert encoder.feature_distance(judge, given, given) == 0
    strangers = encoder.feature_distance(judge, given.roll(1, 0), given)
    assert torch.isclose(strangers, torch.tensor(1.0))
    near = (given + 0.01).requires_grad_()
    distance = encoder.feature_distance(judge, near, given)
    assert 0 < distance < 0.5
    assert (torch.autograd.grad(distance, near)[0] != 0).any()


def test_equal_seeds_equal_bytes(tmp_path, of_generator):
    one, two = (fit(tmp_path / name, of_generator) for name in "ab")
    assert same(one, two)
    assert table(one, tmp_path / "1.csv") == table(two, tmp_path / "2.csv")
    assert not same(one, fit(tmp_path / "c", of_generator, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path, monkeypatch, of_generator, epoch
):
    whole = fit(tmp_path / "whole", of_generator)
    with monkeypatch.context() as patch:
        interrupted(patch, epoch)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", of_generator)
    resumed = fit(tmp_path / "parts", of_generator)
    assert resumed.images == (3 - epoch) * 4 * 8
    assert same(whole, resumed)
    assert table(whole, tmp_path / "1.csv") == table(resumed, tmp_path / "2.csv")
    assert np.array_equal(np.stack(whole.samples), np.stack(resumed.samples))


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"fingerprint": "y"}, {"zoom": 1.2}, {"lr": 0.001}])
def test_a_foreign_checkpoint_is_never_taken_up(tmp_path, of_generator, other):
    fit(tmp_path / "a", of_generator, epochs=1)
    assert fit(tmp_path / "a", of_generator, epochs=1, **other).images == 4 * 8


@pytest.mark.slow
@pytest.mark.parametrize("how", ["truncated", "without adam"])
def test_a_damaged_checkpoint_is_put_away(tmp_path, caplog, of_generator, how):
    one = fit(tmp_path / "a", of_generator)
    (file,) = (tmp_path / "a").rglob("checkpoint.pt")
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:500])
    else:
        state = torch.load(file, weights_only=True)
        del state["adam"]
        torch.save(state, file)
    two = fit(tmp_path / "a", of_generator)
    assert "damaged" in caplog.text
    assert two.images == 3 * 4 * 8
    assert same(one, two)
    assert one.history.equals(two.history)


def test_too_few_faces_are_refused(tmp_path, of_generator):
    with pytest.raises(FacefillError, match="7 faces, fewer than one batch of 8"):
        fit(tmp_path / "a", of_generator, faces=own_faces(7))


def test_losses_that_are_no_numbers_stop(tmp_path, of_generator):
    with pytest.raises(FacefillError, match="no longer numbers"):
        fit(tmp_path / "a", of_generator, lr=1e30)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda paths: paths[0].write_bytes(paths[0].read_bytes()[:-9]), "not readable weights"),
        (lambda paths: paths[0].unlink(), "not readable weights"),
        (lambda paths: paths[1].write_text("{"), "not readable settings"),
        (lambda paths: paths[1].write_text('{"z_dim": 6}'), "lacks"),
        (
            lambda paths: paths[1].write_text(paths[1].read_text().replace("6", "7")),
            "not the weights that settings.json",
        ),
        (
            lambda paths: weights.save(
                *paths,
                {"generator": Generator(SIZE, 6, 4, 4, False), "discriminator": discriminator()},
                GENERATOR,
            ),
            "do not fit",
        ),
    ],
)
def test_a_damaged_generator_is_refused(tmp_path, of_generator, damage, words):
    damage(of_generator)
    with pytest.raises(FacefillError, match=words):
        fit(tmp_path / "a", of_generator)
