"""The parts of a latent search: losses, optimisers, bounds, noise, restarts, and what it records.

That a face is completed alone as in a batch is in test_complete.py.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from test_complete import SEARCH, one_thread  # noqa: F401

from facefill.complete import Task
from facefill.core import device
from facefill.core.masking import Masks, make_masks, observe
from facefill.core.tensors import sample_z
from facefill.methods.latent import Latent, noise, record
from facefill.methods.latent import search as latent
from facefill.methods.latent.bounds import LIMITS, Bounds
from facefill.methods.latent.loss import Evaluation, Objective
from facefill.methods.latent.noise import Noise
from facefill.methods.latent.optimisers import Adam, Hmc, Momentum, Problem, rate
from facefill.methods.latent.prediction import Prediction
from facefill.methods.latent.search import search
from facefill.methods.latent.space import Space
from facefill.methods.latent.state import SearchState
from facefill.models.dcgan.trained import TrainedDcgan, load_dcgan
from untrained import save_dcgan, save_encoder

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def method(**settings):
    return Latent(model="dcgan", **settings)


# Noise.


def generators(*names):
    return [noise.generator(0, name) for name in names]


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_a_row_of_noise_does_not_depend_on_the_others(kind):
    many = getattr(Noise(generators(*"abc"), 3, CPU), kind)(5)
    for place, name in enumerate("abc"):
        alone = getattr(Noise(generators(name), 1, CPU), kind)(5)
        assert torch.equal(many[place], alone[0])
    assert len(many.unique()) == 15


def test_draws_follow_one_another():
    draws = Noise(generators("a"), 1, CPU)
    assert not torch.equal(draws.normal(5), draws.normal(5))


def test_padding_gets_zeros_and_changes_nothing():
    padded, bare = Noise(generators("a", "b"), 5, CPU), Noise(generators("a", "b"), 2, CPU)
    for _ in range(2):
        drawn = padded.uniform(3)
        assert drawn.shape == (5, 3)
        assert (drawn[2:] == 0).all()
        assert torch.equal(drawn[:2], bare.uniform(3))


def test_the_ends_of_a_generators_parts_matter():
    """Sample 1 of restart 11 is not sample 11 of restart 1."""
    one, two = noise.generator(0, "a", 1, 11), noise.generator(0, "a", 11, 1)
    assert one.initial_seed() != two.initial_seed()


def test_noise_is_what_it_is_called():
    draws = Noise(generators("a"), 1, CPU)
    uniform, normal = draws.uniform(10_000), draws.normal(10_000)
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1
    assert normal.mean().item() == pytest.approx(0, abs=0.05)
    assert normal.std().item() == pytest.approx(1, abs=0.05)


# Bounds.


def draws(rows):
    return Noise(generators(*range(rows)), rows, CPU)


def test_clip_projects():
    z = torch.tensor([[-9.0, -1.0, 0.5, 1.5]])
    clipped = Bounds("clip", "uniform").enforce(z, draws(1))
    assert clipped.tolist() == [[-1, -1, 0.5, 1]]
    assert Bounds("clip", "normal").enforce(z, draws(1)).tolist() == [[-3, -1, 0.5, 1.5]]


@pytest.mark.parametrize("prior", LIMITS)
def test_stochastic_clip_redraws_what_left_the_cube(prior):
    limit = LIMITS[prior]
    z = torch.randn(4, 5000, generator=torch.manual_seed(0)) * limit
    bounds = Bounds("stochastic_clip", prior)
    kept = bounds.enforce(z, draws(4))
    outside = z.abs() > limit
    assert torch.equal(kept[~outside], z[~outside])
    redrawn = kept[outside]
    assert -limit <= redrawn.min() < -0.99 * limit
    assert 0.99 * limit < redrawn.max() <= limit
    assert redrawn.mean().item() == pytest.approx(0, abs=0.05 * limit)
    assert torch.equal(kept, bounds.enforce(z, draws(4)))  # reproducible


@pytest.mark.parametrize("prior", LIMITS)
def test_tanh_there_and_back(prior):
    bounds = Bounds("tanh", prior)
    z = torch.linspace(-0.99, 0.99, 21)[None] * bounds.limit
    assert torch.allclose(bounds.z(bounds.variable(z)), z, atol=1e-5)
    far = torch.tensor([[-1e9, -20.0, 20.0, 1e9]])
    assert bounds.z(far).abs().max() <= bounds.limit
    assert torch.equal(bounds.enforce(far, draws(1)), far)


@pytest.mark.parametrize("kind", ["clip", "stochastic_clip", "tanh"])
def test_a_search_starts_within_bounds(kind):
    """A normal z may lie outside of its cube."""
    bounds = Bounds(kind, "normal")
    variable = bounds.variable(torch.tensor([[-4.0, -3.0, 0.0, 3.0, 4.0]]))
    assert variable.isfinite().all()
    assert bounds.z(variable).abs().max() <= 3
    assert bounds.z(variable)[0].tolist() == pytest.approx([-3, -3, 0, 3, 3], abs=0.01)


@pytest.mark.parametrize("prior, kind", [("uniform", "clip"), ("normal", "none")])
def test_auto_goes_by_the_prior(prior, kind):
    z = torch.tensor([[-9.0, 0.0, 9.0]])
    auto, named = (Bounds(one, prior).enforce(z, draws(1)) for one in ("auto", kind))
    assert torch.equal(auto, named)
    assert torch.equal(auto, z) == (kind == "none")


# Optimisers.


def bowl(variable, width=1.0):
    """A stand-in for Objective.at: every row's loss is |x|^2 / 2 / width^2."""
    loss = variable.square().sum(1) / 2 / width**2
    nothing = torch.zeros(0)
    return Evaluation(loss, loss, nothing, variable / width**2, nothing)


def walk(optimiser, variable, steps, enforce=lambda x: x, rows_draws=None, evaluate=bowl):
    """Every x that `optimiser` goes through, as `latent` drives it: [steps + 1] tensors."""
    moments, path = optimiser.start(variable), [variable]
    problem = Problem(evaluate, enforce, rows_draws)
    for step in range(steps):
        evaluation = evaluate(variable)
        variable, moments = optimiser.step(step, variable, evaluation, moments, problem)
        variable = enforce(variable)
        path.append(variable)
    return path


def start(rows=3, columns=4):
    return torch.randn(rows, columns, generator=torch.manual_seed(0))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("beta1, beta2, epsilon", [(0.9, 0.999, 1e-8), (0.5, 0.9, 0.1)])
def test_adam_is_pytorchs(schedule, beta1, beta2, epsilon):
    settings = method(
        lr=0.1, schedule=schedule, steps=20, beta1=beta1, beta2=beta2, epsilon=epsilon
    )
    theirs = start().requires_grad_()
    adam = torch.optim.Adam([theirs], 0, (beta1, beta2), epsilon)
    for step, ours in enumerate(walk(Adam(settings), start(), 20)):
        assert torch.allclose(ours, theirs, atol=1e-6), step
        theirs.grad = bowl(theirs.detach()).gradient
        adam.param_groups[0]["lr"] = rate(settings, step)
        adam.step()
    assert not torch.allclose(ours, start(), atol=0.5)


@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_momentum_is_nesterovs_projected(kept):
    """Amos's text: v = 0.9 v - lr g, then x += -0.9 v_before + 1.9 v, then clip."""
    settings = method(lr=0.3, schedule="constant", steps=15, momentum=kept)
    bounds = Bounds("clip", "uniform")
    path = walk(Momentum(settings), 5 * start(), 15, lambda x: bounds.enforce(x, draws(3)))
    x, v = 5 * start().numpy().astype(np.float64), 0
    for step, ours in enumerate(path):
        np.testing.assert_allclose(ours.numpy(), x, atol=1e-4, err_msg=str(step))
        before, v = v, kept * v - 0.3 * x
        x = np.clip(x - kept * before + (1 + kept) * v, -1, 1)
    assert (np.abs(path[1].numpy()) == 1).any()  # the projection had something to do


HMC = {"hmc_beta": 1.0, "hmc_epsilon": 0.2, "hmc_leapfrog": 8, "hmc_anneal": 1.0}


def hmc(**settings):
    return Hmc(method(**(HMC | settings)))


def sampled(beta, steps=150, **settings):
    """What Hmc visits in the bowl after a while, from the density exp(-beta |x|^2 / 2)."""
    narrow = {"hmc_beta": beta, "hmc_epsilon": 0.2 / beta**0.5}  # a quarter of an oscillation
    path = walk(
        hmc(**(narrow | settings)),
        torch.zeros(64, 10),
        steps,
        rows_draws=draws(64),
    )
    return torch.stack(path[-100:])


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_hmc_samples_a_gaussian_as_wide_as_beta_says(beta):
    samples = sampled(beta)
    assert samples.var().item() == pytest.approx(1 / beta, rel=0.05)
    assert samples.mean().item() == pytest.approx(0, abs=0.05)


def test_hmc_corrects_what_long_steps_distort():
    """At this epsilon leapfrog alone would sample a density too wide by a third."""
    assert sampled(1.0, hmc_epsilon=1.0).var().item() == pytest.approx(1, rel=0.05)


def moved(epsilon, **settings):
    """The share of proposals that Hmc accepts from typical places in the bowl."""
    x = torch.randn(1000, 10, generator=torch.manual_seed(0))
    settings = {"hmc_epsilon": epsilon, "hmc_leapfrog": 4} | settings
    path = walk(hmc(**settings), x, 1, rows_draws=draws(1000))
    return (path[1] != path[0]).any(1).float().mean().item()


def test_hmc_accepts_by_how_well_energy_is_kept():
    assert moved(0.01) > 0.99
    assert 0.2 < moved(1.2) < 0.9
    assert moved(5.0) == 0


def test_hmc_takes_a_rejected_row_alone_back():
    path = walk(hmc(hmc_epsilon=1.5), 3 * start(200, 10), 1, rows_draws=draws(200))
    stays = (path[1] == path[0]).all(1)
    assert stays.any() and not stays.all()
    assert ((path[1] == path[0]).any(1) == stays).all()  # as a whole or not at all


def test_hmc_never_accepts_what_is_no_number():
    def broken(variable):
        now = bowl(variable)
        return now if torch.equal(variable, start()) else Evaluation(
            now.loss * torch.nan, now.contextual, now.prior, now.gradient, now.faces
        )  # fmt: skip

    path = walk(hmc(), start(), 1, rows_draws=draws(3), evaluate=broken)
    assert torch.equal(path[1], start())


def test_hmc_cools_as_it_anneals():
    """With an annealing of 2, beta is 8 times as large at step 3."""
    one, other, cold = (
        hmc(**settings).step(3, start(), bowl(start()), {}, Problem(bowl, lambda x: x, draws(3)))[0]
        for settings in ({"hmc_anneal": 2.0}, {}, {"hmc_beta": 8.0})
    )
    assert torch.equal(one, cold)
    assert not torch.equal(one, other)


def test_a_constant_rate():
    settings = method(lr=0.3, schedule="constant", steps=7)
    assert {rate(settings, step) for step in range(7)} == {0.3}


def test_a_cosine_rate_warms_up_and_falls():
    settings = method(lr=0.3, schedule="cosine", steps=100)
    rates = [rate(settings, step) for step in range(100)]
    assert rates[:5] == pytest.approx([0.06, 0.12, 0.18, 0.24, 0.3])
    assert max(rates) == 0.3
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[52] == pytest.approx(0.3 * (1 + math.cos(math.pi * 47 / 95)) / 2)
    assert 0 < rates[-1] < 0.001


def test_a_cosine_rate_of_one_step():
    assert rate(method(lr=0.3, schedule="cosine", steps=1), 0) == 0.3


# Losses, with networks that are known.


class Pictures(torch.nn.Module):
    """z -> pictures [N, 3, 4, 4] whose red is z_0, green z_1, blue 0, in every pixel.

    What is changed is every pixel on its own.
    """

    def forward(self, z, changes=None):
        colours = torch.cat([z[:, :2], torch.zeros(len(z), 1)], 1)
        pictures = colours[:, :, None, None].expand(-1, -1, 4, 4)
        return pictures if changes is None else pictures + changes


class Mean(torch.nn.Module):
    """Faces -> logits: their mean."""

    calls = 0

    def forward(self, faces):
        self.calls += 1
        return faces.mean((1, 2, 3))


GREY = 255 // 5  # -0.6 in [-1, 1]


def objective(masks, kind="none", observed=None, prediction=None, target=None, **settings):
    """An objective for faces of 4 x 4 pixels, all of them GREY unless told.

    With `features` it goes by the changes of every pixel, too.
    """
    if observed is None:
        observed = np.full((len(masks.known), 4, 4, 3), GREY, np.uint8)
    settings = method(**({"contextual": "plain", "window": 3, "prior": 0.0} | settings))
    space = Space(Bounds(kind, "normal"), 3, (3, 4, 4) if settings.features else None)
    task = Task(
        names=[],
        observed=observed,
        masks=masks,
        targets={} if target is None else {"target": target},
    )
    compute = device.choose("cpu", "float32", False)
    dcgan = TrainedDcgan(Pictures(), Mean(), {}, compute)
    return Objective(settings, task, dcgan, space, prediction)


def half():
    """The right half is hidden; so a window of 3 x 3 weighs the second column."""
    known = np.zeros((1, 4, 4), bool)
    known[..., :2] = True
    return Masks(known)


Z = torch.tensor([[0.4, -0.2, 7.0]])
# Off y by 1.0 in red, 0.4 in green, 0.6 in blue.
L1, L2 = 1 + 0.4 + 0.6, 1 + 0.4**2 + 0.6**2
# The second column has 3 of 9 pixels of its windows missing in the middle rows, 2 of 6 at the
# border; the first column none. Weighted like the squared differences, not like their root.
WEIGHTED = 4 / 3


@pytest.mark.parametrize(
    "contextual, norm, expected",
    [
        ("plain", "l1", 8 * L1),
        ("plain", "l2", 8 * L2),
        ("weighted", "l1", WEIGHTED * L1),
        ("weighted", "l2", WEIGHTED * L2),
    ],
)
def test_contextual_loss_by_hand(contextual, norm, expected):
    at = objective(half(), contextual=contextual, norm=norm).at(Z, torch.tensor([0]))
    assert at.contextual.tolist() == pytest.approx([expected])
    assert torch.equal(at.loss, at.contextual)


def test_the_gradient_by_hand():
    """8 known pixels: of l1 the sign of the difference each, of l2 twice the difference."""
    one, two = (objective(half(), norm=norm).at(Z, torch.tensor([0])) for norm in ("l1", "l2"))
    assert one.gradient[0].tolist() == pytest.approx([8, 8, 0])
    assert two.gradient[0].tolist() == pytest.approx([8 * 2 * 1.0, 8 * 2 * 0.4, 0])


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_loss_of_block_means(norm):
    """What a block's pixels are does not matter, as long as their mean is the observed one."""

    class Checkered(Pictures):
        def forward(self, z, changes=None):
            signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(2, 2)
            return super().forward(z, changes) + 0.5 * signs

    lowres = objective(Masks(np.zeros((1, 4, 4), bool), block=2), norm=norm)
    lowres.generator = Checkered()
    at = lowres.at(Z, torch.tensor([0]))
    assert at.contextual.tolist() == pytest.approx([4 * {"l1": L1, "l2": L2}[norm]])


def test_blocks_are_compared_each_with_its_own():
    masks = Masks(np.zeros((1, 4, 4), bool), block=2)
    observed = np.full((1, 4, 4, 3), 255, np.uint8)
    observed[:, :2, :2] = 0
    z = torch.ones(1, 3)  # red and green 1, blue 0
    at = objective(masks, observed=observed).at(z, torch.tensor([0]))
    assert at.contextual.tolist() == pytest.approx([3 * (0 + 0 + 1) + (2 + 2 + 1)])


LOGIT = (0.4 - 0.2) / 3
D = 1 / (1 + math.exp(-LOGIT))


@pytest.mark.parametrize(
    "form, expected", [("minimax", math.log(1 - D)), ("non_saturating", -math.log(D))]
)
def test_prior_loss_by_hand(form, expected):
    at = objective(half(), prior=0.5, prior_loss=form).at(Z, torch.tensor([0]))
    assert at.prior.tolist() == pytest.approx([expected])
    assert at.loss.tolist() == pytest.approx([8 * L1 + 0.5 * expected])


@pytest.mark.parametrize("form", ["minimax", "non_saturating"])
def test_the_prior_pulls_towards_what_the_discriminator_takes_for_real(form):
    far = objective(half(), prior=1e6, prior_loss=form).at(Z, torch.tensor([0]))
    assert (far.gradient[0, :2] < 0).all()  # down the loss is up the logit


def test_without_a_prior_the_discriminator_is_not_asked():
    without, with_one = objective(half()), objective(half(), prior=0.1)
    assert without.at(Z, torch.tensor([0])).prior.isnan().all()
    with_one.at(Z, torch.tensor([0]))
    assert (without.discriminator.calls, with_one.discriminator.calls) == (0, 1)


def test_a_target_draws_the_hole_alone_to_itself():
    """8 hidden pixels; of the target 255 is 1 in [-1, 1]: off by 0.6 in red, 1.2 in green, 1."""
    target = np.zeros((1, 4, 4, 3), np.uint8)
    target[:, :, 2:] = 255
    at = objective(half(), target=target, target_weight=0.1).at(Z, torch.tensor([0]))
    assert at.contextual.tolist() == pytest.approx([8 * L1])
    assert at.loss.tolist() == pytest.approx([8 * L1 + 0.1 * 8 * (0.6 + 1.2 + 1)])
    assert at.gradient[0].tolist() == pytest.approx([8 - 0.8, 8 - 0.8, 0])


@pytest.mark.parametrize("kind", ["none", "tanh"])
def test_the_prior_of_z_by_hand(kind):
    """Of z itself, also where the search goes by another variable."""
    anchored = objective(half(), kind, z_prior=0.1)
    at = anchored.at(anchored.space.start(Z.clamp(-2, 2), None), torch.tensor([0]))
    assert at.loss.tolist() == pytest.approx([8 * L1 + 0.1 * (0.4**2 + 0.2**2 + 2**2) / 2])


def test_the_gradient_is_that_of_the_variable():
    """dz/du = 3 (1 - tanh(u)^2)."""
    tanh = objective(half(), "tanh")
    u = tanh.space.start(Z.clamp(-2, 2), None)
    gradient = tanh.at(u, torch.tensor([0])).gradient
    assert gradient[0].tolist() == pytest.approx(
        [8 * 3 * (1 - (0.4 / 3) ** 2), 8 * 3 * (1 - (0.2 / 3) ** 2), 0], rel=1e-4
    )


# Two faces whose predictions differ, and their rows the other way round.
PREDICTED_Z = torch.tensor([[9.0, 9.0, 9.0], [0.1, 0.0, 5.0]])
PREDICTED_CHANGES = torch.stack([torch.full((3, 4, 4), 9.0), torch.full((3, 4, 4), 0.25)])
PREDICTION = Prediction(PREDICTED_Z, PREDICTED_CHANGES)
SECOND = torch.tensor([1])


def two_halves():
    return Masks(half().known.repeat(2, axis=0))


@pytest.mark.parametrize("kind", ["none", "tanh"])
def test_the_anchor_by_hand(kind):
    """Of z itself, also where the search goes by another variable."""
    z = Z.clamp(-2, 2)
    plain, anchored = (
        objective(two_halves(), kind, prediction=PREDICTION, anchor=anchor) for anchor in (0.0, 0.3)
    )
    variable = anchored.space.start(z, None)
    at, without = (one.at(variable, SECOND) for one in (anchored, plain))
    distance = 0.3**2 + 0.2**2 + 3**2
    assert at.loss.tolist() == pytest.approx([8 * L1 + 0.3 * distance / 2])
    assert at.contextual.tolist() == without.loss.tolist()
    if kind == "none":
        assert (at.gradient - without.gradient)[0].tolist() == pytest.approx(
            [0.3 * 0.3, 0.3 * -0.2, 0.3 * -3], abs=1e-5
        )


CHANGES = 0.1 * torch.arange(48).reshape(1, 3, 4, 4) - 1.7


@pytest.mark.parametrize("prediction", [None, Prediction(PREDICTED_Z, None), PREDICTION])
def test_the_prior_of_changes_by_hand(prediction):
    """Their distance from those that were predicted, or from none."""
    settings = {"features": 4, "prediction": prediction}
    free, held = (
        objective(two_halves(), features_prior=weight, **settings) for weight in (0.0, 0.6)
    )
    row = held.space.start(Z, CHANGES)
    at, without = (one.at(row, SECOND) for one in (held, free))
    away = CHANGES.numpy() - (0.25 if prediction is PREDICTION else 0)
    assert at.loss.tolist() == pytest.approx(
        [without.loss.item() + 0.6 * (away.astype(np.float64) ** 2).sum() / 2]
    )
    pull = (at.gradient - without.gradient)[0]
    assert pull[:3].tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert pull[3:].tolist() == pytest.approx((0.6 * away).ravel().tolist(), abs=1e-5)


def test_changes_of_hidden_pixels_are_held_by_their_prior_alone():
    """And known ones are pulled to what is known, each on its own."""
    held = objective(half(), features=4, features_prior=0.6)
    gradient = held.at(held.space.start(Z, CHANGES), torch.tensor([0])).gradient
    pulls = gradient[0, 3:].reshape(3, 4, 4) - 0.6 * CHANGES[0]
    off = torch.tensor([0.4, -0.2, 0.0])[:, None, None] + CHANGES[0] + 0.6
    assert pulls[:, :, 2:].abs().max() < 1e-5
    assert torch.allclose(pulls[:, :, :2], off[:, :, :2].sign(), atol=1e-5)


HIDDEN_ONE = {"contextual": "weighted", "norm": "l2", "prior": 0.5, "z_prior": 2.0}


@pytest.mark.parametrize("settings", [{}, {"contextual": "weighted"}, {"norm": "l2"}, HIDDEN_ONE])
def test_the_unweighted_loss_by_hand(settings):
    """mean |M * (G - y)| over known pixels and channels, however the search weighs them."""
    random = np.random.default_rng(0)
    observed = random.integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    known = random.random((2, 4, 4)) < 0.6
    made = torch.randn(2, 3, 4, 4, generator=torch.manual_seed(0))
    faces = [1, 0]
    judged = objective(Masks(known), observed=observed, **settings)
    unweighted = judged.unweighted(made, torch.tensor(faces)).tolist()
    for row, face in enumerate(faces):
        away = np.abs(made[row].numpy().transpose(1, 2, 0) - (observed[face] / 127.5 - 1))
        assert unweighted[row] == pytest.approx(away[known[face]].mean(), rel=1e-5)


@pytest.mark.parametrize("settings", [{}, {"contextual": "weighted"}, {"norm": "l2"}, HIDDEN_ONE])
def test_the_unweighted_loss_of_block_means_by_hand(settings):
    """Three blocks are off in blue alone, by 1; one in red and green by 2, in blue by 1."""
    masks = Masks(np.zeros((1, 4, 4), bool), block=2)
    observed = np.full((1, 4, 4, 3), 255, np.uint8)
    observed[:, :2, :2] = 0
    judged = objective(masks, observed=observed, **settings)
    z = torch.tensor([[1.0, 1.0, 0.0]])
    signs = 0.5 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(2, 2)  # whose block means are 0
    unweighted = judged.unweighted(Pictures()(z) + signs, torch.tensor([0]))
    assert unweighted.tolist() == pytest.approx([(3 * 1 + (2 + 2 + 1)) / 12])


def test_the_loss_of_a_face_contains_no_others():
    """Each row is judged by its own face and mask, in whatever order they come."""
    random = np.random.default_rng(0)
    observed = random.integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    masks = Masks(random.random((5, 4, 4)) < 0.6)
    settings = {"observed": observed, "contextual": "weighted", "prior": 0.1, "z_prior": 0.1}
    z, faces = torch.randn(5, 3, generator=torch.manual_seed(0)), torch.tensor([3, 0, 0, 4, 2])
    many = objective(masks, **settings).at(z, faces)
    assert len(many.loss.unique()) == 5
    for row, face in enumerate(faces.tolist()):
        one = Masks(masks.known[face : face + 1])
        settings["observed"] = observed[face : face + 1]
        alone = objective(one, **settings).at(z[row : row + 1], torch.tensor([0]))
        assert many.loss[row].item() == pytest.approx(alone.loss.item())
        assert many.gradient[row].tolist() == pytest.approx(alone.gradient[0].tolist(), abs=1e-6)


# The search as a whole, with networks for faces of 16 pixels.


SIZE = 16
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_dcgan(tmp_path_factory.mktemp("model"), SIZE)


FACES = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)
CENTER = {"kind": "center", "scale": 0.25}


@pytest.fixture
def run(model):
    """Searches faces of noise: run(**settings)."""

    def run(count=3, watched=(), seed=0, mask=CENTER, encoder=None, **settings):
        names = NAMES[:count]
        masks = make_masks(mask, names, SIZE, 1)
        models = {"model": model} | ({"encoder": encoder} if encoder else {})
        observed = observe(FACES[:count], masks)
        task = Task(names=names, observed=observed, masks=masks, models=models, seed=seed)
        settings = method(**(SEARCH | {"steps": 20, "lr": 0.2} | settings))
        return search(settings, task, list(watched))

    return run


@pytest.fixture
def evaluated(monkeypatch):
    """The searches that were judged, one number of rows (padding left out) for every step."""
    rows = []
    descend, at = latent._Descent.run, Objective.at

    def counting_descend(self, searches, batch):
        rows.append((len(batch), []))
        return descend(self, searches, batch)

    def counting_at(self, variable, faces):
        rows[-1][1].append(len(variable))
        return at(self, variable, faces)

    monkeypatch.setattr(latent._Descent, "run", counting_descend)
    monkeypatch.setattr(Objective, "at", counting_at)
    return lambda: [(count, len(steps)) for count, steps in rows]


@pytest.mark.parametrize(
    "restarts, steps, stages",
    [
        (1, 100, [(0, 100, 1)]),
        (2, 100, [(0, 40, 2), (40, 100, 1)]),
        (3, 100, [(0, 20, 3), (20, 40, 2), (40, 100, 1)]),
        (8, 100, [(0, 10, 8), (10, 20, 4), (20, 40, 2), (40, 100, 1)]),
    ],
)
def test_stages_by_hand(restarts, steps, stages):
    assert latent._stages(restarts, steps) == stages


def test_stages_fill_the_steps_and_try_every_restart():
    """However few they are: the configuration wants more steps than halvings."""
    for restarts in range(1, 65):
        for steps in range(1 + math.ceil(math.log2(restarts)), 30):
            stages = latent._stages(restarts, steps)
            assert [first for first, _, _ in stages] == [0, *(end for _, end, _ in stages[:-1])]
            assert all(first < end for first, end, _ in stages)
            assert stages[0][2] == restarts
            assert stages[-1][1:] == (steps, 1)


def test_as_many_steps_are_searched_as_planned(run, evaluated):
    """And the end of the search is judged, too."""
    run(restarts=8, steps=50)
    assert evaluated() == [(24, 5), (12, 5), (6, 10), (3, 30 + 1)]


def test_searches_fill_batches(run, evaluated):
    run(samples=25, steps=2)
    assert evaluated() == [(64, 3), (11, 3)]


def the_only(run, monkeypatch, restart, **settings):
    """The search of this restart alone."""
    draw = noise.generator
    with monkeypatch.context() as patch:
        patch.setattr(noise, "generator", lambda *parts: draw(*parts[:-1], restart))
        return run(restarts=1, **settings)


def by_step(found):
    """The losses of a search: a row per step, a column per face."""
    return found.search.pivot(index="step", columns="face", values="loss")


WILD = {"lr": 2.0, "schedule": "constant"}  # a rate with which the loss goes up and down


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["best", "last"])
def test_of_several_restarts_the_better_half_goes_on(run, monkeypatch, keep):
    """Every restart searched alone says which ones must be given up, and what is left."""
    monkeypatch.setattr(record, "RECORD_EVERY", 1)
    settings = {"steps": 50, "keep": keep, **WILD}
    alone = [the_only(run, monkeypatch, restart, **settings) for restart in range(4)]
    found = run(restarts=4, **settings)
    winners = []
    for row, face in enumerate(NAMES):
        losses = [by_step(one)[face].to_numpy() for one in alone]
        alive, expected = [0, 1, 2, 3], []
        for first, end, left in ((0, 10, 4), (10, 20, 2), (20, 51, 1)):
            before = range(first) if keep == "best" else range(first)[-1:]
            judged = {one: losses[one][list(before)].min(initial=np.inf) for one in alive}
            alive = sorted(alive, key=judged.get)[:left]
            expected += [min(losses[one][step] for one in alive) for step in range(first, end)]
        (winner,) = alive
        assert (found.z[row] == alone[winner].z[row]).all()
        assert (found.samples[row] == alone[winner].samples[row]).all()
        assert by_step(found)[face].tolist() == expected
        winners.append(winner)
    assert len(set(winners)) > 1


def test_the_first_restart_is_the_only_one_of_a_search_without(run, monkeypatch):
    assert (the_only(run, monkeypatch, 0).z == run().z).all()
    assert (the_only(run, monkeypatch, 1).z != run().z).all()


def test_samples_differ_and_the_first_is_the_one_of_a_search_without(run):
    many, one = run(samples=3), run()
    assert many.samples.shape == (3, 3, SIZE, SIZE, 3)
    assert (many.samples[:, 0] == one.samples[:, 0]).all()
    assert (many.z == one.z).all()
    assert many.search.equals(one.search)
    for this, other in ((0, 1), (0, 2), (1, 2)):
        differ = many.samples[:, this] != many.samples[:, other]
        assert differ.any((1, 2, 3)).all()


def test_every_sample_has_restarts_of_its_own(run):
    """Sample 0 is not the best of all samples."""
    many, one = run(samples=3, restarts=2), run(restarts=2)
    assert (many.samples[:, 0] == one.samples[:, 0]).all()
    assert many.search.equals(one.search)


def test_another_seed_starts_elsewhere(run):
    one, same, other = (run(seed=seed, steps=1).z for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).all()


@pytest.mark.parametrize("keep", ["best", "last"])
def test_what_is_kept(run, monkeypatch, keep):
    """The face that was seen at the step of least loss, or at the last step."""
    monkeypatch.setattr(record, "RECORD_EVERY", 1)
    found = run(keep=keep, picture_every=1, watched=range(3), **WILD)
    best = by_step(found).idxmin()
    assert (best < 20).any()
    for row, face in enumerate(NAMES):
        shown = found.progress[best[face] if keep == "best" else 20]
        assert (found.samples[row, 0] == shown[row]).all()


def test_a_search_ends_where_a_longer_one_passes(run):
    """A constant rate does not know how many steps follow."""
    longer = run(steps=9, keep="last", picture_every=1, watched=range(3), **WILD)
    for steps in (1, 4, 8):
        ended = run(steps=steps, keep="last", **WILD)
        assert (ended.samples[:, 0] == longer.progress[steps]).all()
        assert (ended.z != longer.z).all()


def stop(losses, patience):
    """The step at which a search with these losses has not improved for `patience` steps."""
    mark, better_at = math.inf, 0
    for step, loss in enumerate(losses):
        if loss < mark - 0.001 * abs(loss):
            mark, better_at = loss, step
        if step - better_at >= patience:
            return step
    raise AssertionError("never stops: choose another rate")


def test_who_does_not_improve_stops_there(run, monkeypatch):
    """Exactly where it was, while the others go on as if nothing had happened."""
    monkeypatch.setattr(record, "RECORD_EVERY", 1)
    free = by_step(run(steps=60, **WILD))
    stops = [stop(free[face], 4) for face in NAMES]
    assert len(set(stops)) > 1
    found = run(steps=60, patience=4, keep="last", picture_every=1, watched=range(3), **WILD)
    losses = by_step(found)
    for row, (face, end) in enumerate(zip(NAMES, stops, strict=True)):
        ended = run(keep="last", steps=end, **WILD)
        assert (found.z[row] == ended.z[row]).all()
        assert losses[face].dropna().tolist() == free[face][: end + 1].tolist()
        for frame in found.progress[end:]:
            assert (frame[row] == ended.samples[row, 0]).all()
    assert len(found.progress) == max(stops) + 2


def test_a_stopped_search_is_recorded_as_if_alone(run):
    settings = {"steps": 60, "patience": 4, **WILD}
    many, alone = run(**settings), run(count=1, **settings)
    own = many.search[many.search["face"] == "a"]
    assert own.reset_index(drop=True).equals(alone.search)


def test_little_progress_in_many_steps_is_progress():
    """A thousandth since the last time counts, however slowly it came; every z is kept."""
    one = torch.ones(1)
    state = SearchState.start(0 * one[:, None], {})
    seen = []
    for step, loss in enumerate([100, 99.96, 99.92, 99.88, 99.84, 99.80, 99.80, 99.80]):
        state.variable = step * one[:, None]
        state.judge(Evaluation(loss * one, one, one, one, one), step, 4)
        seen.append((int(state.improved_at), int(state.best_variable), bool(state.stopped)))
    assert seen[:6] == [(0, 0, False), (0, 1, False), (0, 2, False), (3, 3, False),
                        (3, 4, False), (3, 5, False)]  # fmt: skip
    assert seen[6:] == [(3, 5, False), (3, 5, True)]


def test_patience_ends_at_a_recorded_step(run, evaluated):
    """Up to 10 steps later than it could."""
    found = run(steps=100, patience=4, **WILD)
    ((rows, steps),) = evaluated()
    assert rows == 3
    assert steps < 100
    assert steps % 10 == 1  # 0, 10, 20, ...
    assert found.search["step"].max() <= steps - 1


def test_a_start_in_the_middle(run):
    """A search that does not move shows where it starts."""
    middle, elsewhere = (run(start=start, lr=0.0, steps=1) for start in ("mean", "random"))
    assert (middle.z == 0).all()
    assert (elsewhere.z != 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "every, steps", [(7, (0, 7, 14)), (10, (0, 10, 20)), (20, (0, 20)), (100, (0,))]
)
def test_frames(run, every, steps):
    """One at every so many steps, and the result."""
    found = run(picture_every=every, watched=[0, 2])
    assert len(found.progress) == len(steps) + 1
    assert all(frame.shape == (2, SIZE, SIZE, 3) for frame in found.progress)
    assert (found.progress[-1] == found.samples[[0, 2], 0]).all()
    assert (found.progress[0] == run(lr=0.0).samples[[0, 2], 0]).all()


def test_frames_of_restarts_show_the_best(run, monkeypatch):
    """As it is at that step: of all that are searched then."""
    alone = [the_only(run, monkeypatch, restart, watched=[0, 2]) for restart in range(3)]
    found = run(restarts=3, watched=[0, 2])
    for place, face in enumerate("ac"):
        best = min(range(3), key=lambda restart: by_step(alone[restart])[face][0])
        assert (found.progress[0][place] == alone[best].progress[0][place]).all()


@pytest.mark.parametrize("steps, recorded", [(20, [0, 10, 20]), (25, [0, 10, 20, 25]), (3, [0, 3])])
def test_records(run, steps, recorded):
    """Also where pictures are taken at other steps."""
    losses = run(steps=steps, picture_every=2, watched=[1]).search
    assert losses["face"].tolist() == [name for name in NAMES for _ in recorded]
    assert losses["step"].tolist() == recorded * 3
    total = losses["contextual"] + Latent.prior * losses["prior"]
    assert losses["loss"].to_numpy() == pytest.approx(total.to_numpy())


def test_records_without_a_prior_have_none(run):
    losses = run(prior=0.0, steps=2).search
    assert losses["prior"].isna().all()
    assert losses["loss"].equals(losses["contextual"])


def test_nobody_stops_while_restarts_are_left(run, monkeypatch):
    """Or a face would be recorded by a worse restart when the best one has stopped."""
    monkeypatch.setattr(record, "RECORD_EVERY", 1)
    found = by_step(run(restarts=2, patience=1, **WILD))  # 20 steps: halved after 8
    assert found.loc[:8].notna().all(axis=None)
    assert found.loc[9:].isna().any(axis=None)


# Feature maps and encoders.


@pytest.fixture(scope="module")
def encoder(model, tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"), model, SIZE)


@pytest.fixture
def predicted(monkeypatch):
    """What the last search was told by its encoder."""
    seen = []
    predict = latent.predict

    def listening(*arguments):
        seen.append(predict(*arguments))
        return seen[-1]

    monkeypatch.setattr(latent, "predict", listening)
    return lambda: seen[-1]


def made_of(model, z, changes):
    """What the model's generator makes, as pixels."""
    dcgan = load_dcgan(*model, SIZE, "cpu")
    with torch.no_grad(), dcgan.compute.autocast():
        return record.to_pixels(dcgan.generator(z, changes)).astype(int)


def contextual(found):
    return found.search.groupby("face")["contextual"].min()


@pytest.mark.slow
@pytest.mark.parametrize("side", [4, 8])
def test_a_search_with_features_comes_nearer(run, side):
    """From the same z, where nothing is changed yet."""
    alone = run(steps=40)
    both = run(steps=40, features=side, features_prior=0.01)
    assert (both.search["contextual"][::5] == alone.search["contextual"][::5]).all()
    assert (contextual(both) < 0.98 * contextual(alone)).all()


def test_changes_that_cost_too_much_are_not_made(run):
    alone, both = run(), run(features=8, features_prior=1e9)
    assert contextual(both).to_numpy() == pytest.approx(contextual(alone).to_numpy(), rel=0.05)
    assert (contextual(run(features=8, features_prior=0.01)) < 0.9 * contextual(both)).all()


STILL = {"lr": 0.0, "steps": 1, "features": 8}


def test_a_search_starts_at_the_prediction(run, model, encoder, predicted):
    found = run(encoder=encoder, start="encoder", watched=range(3), **STILL)
    assert (found.z == predicted().z.numpy()).all()
    expected = made_of(model, predicted().z, predicted().changes)
    assert np.abs(found.progress[0] - expected).max() <= 1
    assert np.abs(expected - made_of(model, predicted().z, None)).max() > 10
    assert (np.ptp(found.z, axis=0) > 0.01).any()  # every face has its own


@pytest.mark.parametrize("start", ["random", "mean"])
def test_changes_start_at_the_prediction_wherever_z_does(run, model, encoder, predicted, start):
    found = run(encoder=encoder, start=start, watched=range(3), **STILL)
    without = run(start=start, **STILL)
    assert (found.z == without.z).all()
    assert (found.z != predicted().z.numpy()).any(1).all()
    z = torch.from_numpy(found.z)
    for one, changes in ((found, predicted().changes), (without, None)):
        assert np.abs(one.samples[:, 0] - made_of(model, z, changes)).max() <= 1
    assert np.abs(found.samples.astype(int) - without.samples).max() > 10


def test_an_encoder_of_z_alone_leaves_the_changes_to_the_search(run, model, predicted, tmp_path):
    of_z = save_encoder(tmp_path / "of z", model, SIZE, features=0)
    found = run(encoder=of_z, start="encoder", **STILL)
    assert predicted().changes is None
    assert np.abs(found.samples[:, 0] - made_of(model, predicted().z, None)).max() <= 1
    moved = run(encoder=of_z, start="encoder", features=8, features_prior=0.01, steps=40)
    assert (contextual(moved) < 0.9 * contextual(found)).all()


@pytest.mark.parametrize("settings", [{"samples": 2}, {"samples": 2, "restarts": 2}])
def test_other_samples_start_around_the_prediction(run, model, encoder, predicted, settings):
    """As far off as their own z of the prior; the first search of a face starts at it."""
    found = run(encoder=encoder, start="encoder", **(STILL | {"steps": 2} | settings))
    z, changes = predicted().z, predicted().changes
    if "restarts" not in settings:  # or another restart may be the better one
        assert (found.z == z.numpy()).all()
    near = []
    for restart in range(settings.get("restarts", 1)):
        drawn = [sample_z(1, 12, "normal", noise.generator(0, name, 1, restart)) for name in NAMES]
        off = found.samples[:, 1] - made_of(model, z + torch.cat(drawn), changes)
        near.append(np.abs(off).max((1, 2, 3)) <= 1)
    assert np.any(near, axis=0).all()


def test_every_sample_and_restart_goes_by_its_own_face(run, encoder):
    """More searches than fit into one batch."""
    settings = {"encoder": encoder, "start": "encoder", "optimizer": "hmc", "features": 8}
    many, alone = (
        run(count=count, samples=13, restarts=2, steps=2, anchor=1.0, **settings)
        for count in (3, 1)
    )
    assert (many.samples[0] == alone.samples[0]).all()
    assert many.search[many.search["face"] == "a"].equals(alone.search)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_huge_anchor_keeps_z_at_the_prediction(run, encoder, predicted, keep):
    settings = {"encoder": encoder, "start": "encoder", "steps": 40, "keep": keep}
    held, free = run(anchor=1e7, **settings), run(**settings)
    away, astray = (np.linalg.norm(one.z - predicted().z.numpy(), axis=1) for one in (held, free))
    assert (astray > 0.5).all()
    assert (away < 0.1 * astray).all()


def test_an_anchor_pulls_a_random_start_to_the_prediction(run, encoder, predicted):
    begun, ended = (
        run(encoder=encoder, anchor=1e7, steps=steps, lr=lr) for steps, lr in ((1, 0.0), (100, 0.2))
    )
    before, after = (
        np.linalg.norm(one.z - predicted().z.numpy(), axis=1) for one in (begun, ended)
    )
    assert (after < 0.1 * before).all()


def test_a_huge_prior_keeps_the_changes_at_the_prediction(run, model, encoder, predicted):
    """Wherever z goes."""
    settings = {"encoder": encoder, "start": "encoder", "features": 8, "steps": 40, "keep": "last"}
    away = []
    for weight in (1e7, 0.01):
        found = run(features_prior=weight, **settings)
        unchanged = made_of(model, torch.from_numpy(found.z), predicted().changes)
        away.append(np.abs(found.samples[:, 0] - unchanged).mean())
        assert np.linalg.norm(found.z - predicted().z.numpy(), axis=1).min() > 0.5
    assert away[0] < 0.1 * away[1]


# What a search records beside its losses.


@pytest.mark.parametrize("mask", [CENTER, {"kind": "lowres", "factor": 4}])
@pytest.mark.parametrize("weights", ["weighted", "plain"])
def test_the_unweighted_loss_is_recorded(run, mask, weights):
    """That of what the search ends with, which is rounded here."""
    found = run(mask=mask, contextual=weights, keep="last")
    last = found.search.groupby("face")["unweighted"].last()
    assert np.isfinite(found.search["unweighted"]).all()
    masks = make_masks(mask, NAMES, SIZE, 1)
    away = (found.samples[:, 0].astype(float) - FACES) / 127.5
    if masks.block:
        blocks = away.reshape(3, SIZE // 4, 4, SIZE // 4, 4, 3).mean((2, 4))
        expected = np.abs(blocks).mean((1, 2, 3))
    else:
        expected = [np.abs(one[known]).mean() for one, known in zip(away, masks.known, strict=True)]
    assert last.to_numpy() == pytest.approx(expected, abs=0.003)


def test_the_plain_loss_is_the_sum_whose_mean_is_unweighted(run):
    losses = run(contextual="plain").search
    known = make_masks(CENTER, NAMES[:1], SIZE, 1).known.sum()
    expected = losses["contextual"] / (3 * known)
    assert losses["unweighted"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5)


def rising(values):
    return all(one < other for one, other in itertools.pairwise(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings, steps",
    [
        ({}, [0, 10, 20]),
        ({"picture_every": 7}, [0, 7, 10, 14, 20]),
        ({"steps": 3}, [0, 3]),
        ({"steps": 50, "restarts": 8}, [0, 10, 20, 30, 40, 50]),
        ({"steps": 50, "restarts": 8, "picture_every": 4}, None),
        ({"samples": 30, "steps": 4, "picture_every": 1}, [0, 1, 2, 3, 4]),  # two batches
    ],
)
def test_the_course_of_a_search(run, settings, steps):
    """One entry per recorded step, through all stages."""
    course = run(**settings).course
    if steps is None:
        steps = sorted({*range(0, 51, 4), *range(0, 51, 10)})
    assert [step for step, _ in course] == steps
    assert course[0][1] > 0
    assert rising([seconds for _, seconds in course])


def test_the_course_ends_where_the_last_face_stops(run):
    found = run(steps=100, patience=4, **WILD)
    recorded = found.search["step"]
    assert found.course[-1][0] in range(recorded.max(), recorded.max() + 11, 10)
    assert found.course[-1][0] < 100
    assert rising([seconds for _, seconds in found.course])


def test_the_course_by_hand():
    """Two batches side by side, of which the first stops early; then a second stage."""
    recorded = record.Record(method(), [])
    recorded.stages = [
        (1.0, [{0: 0.5, 10: 2.0}, {0: 0.25, 10: 3.0, 20: 4.0}]),
        (8.0, [{30: 0.5, 40: 1.5}]),
    ]
    assert recorded.course() == [(0, 1.75), (10, 6.0), (20, 7.0), (30, 8.5), (40, 9.5)]
