"""What a search varies, as one row: z within its bounds, then the changes of a feature map."""

import pytest
import torch
from test_search import draws

from facefill.methods.latent.bounds import LIMITS, Bounds
from facefill.methods.latent.space import Space

KINDS = ("auto", "none", "clip", "stochastic_clip", "tanh")
FEATURES = (2, 3, 3)
Z_DIM = 5


def rows(count=4, scale=1.0):
    """z and changes of some rows, with components of about `scale`."""
    random = torch.manual_seed(0)
    z = torch.randn(count, Z_DIM, generator=random)
    return scale * z, scale * torch.randn(count, *FEATURES, generator=random)


@pytest.mark.parametrize("prior", LIMITS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("features", [None, FEATURES])
def test_there_and_back(kind, prior, features):
    space = Space(Bounds(kind, prior), Z_DIM, features)
    z, changes = rows()
    z = z.clamp(-0.99 * LIMITS[prior], 0.99 * LIMITS[prior])
    row = space.start(z, None if features is None else changes)
    assert row.shape == (4, Z_DIM + (0 if features is None else 18))
    assert torch.allclose(space.z(row), z, atol=1e-5)
    if features is None:
        assert space.changes(row) is None
    else:
        assert torch.equal(space.changes(row), changes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_starts_without_changes_where_none_are_given(kind):
    space = Space(Bounds(kind, "normal"), Z_DIM, FEATURES)
    z, _ = rows()
    row = space.start(z, None)
    assert torch.equal(space.changes(row), torch.zeros(4, *FEATURES))
    assert torch.equal(row, space.start(z, torch.zeros(4, *FEATURES)))


def test_a_search_of_z_alone_takes_no_changes():
    """An encoder may predict more than the search varies."""
    z, changes = rows()
    assert torch.equal(Space(Bounds("none", "normal"), Z_DIM, None).start(z, changes), z)


@pytest.mark.parametrize("kind", ["clip", "stochastic_clip", "tanh"])
def test_a_start_lies_within_bounds_but_changes_as_far_off_as_they_are(kind):
    space = Space(Bounds(kind, "uniform"), Z_DIM, FEATURES)
    z, changes = rows(scale=50.0)
    row = space.start(z, changes)
    assert row.isfinite().all()
    assert space.z(row).abs().max() <= 1
    assert torch.equal(space.changes(row), changes)


@pytest.mark.parametrize("prior", LIMITS)
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_those_of_z_and_never_of_the_changes(kind, prior):
    """What is drawn for z is what a search of z alone would draw."""
    space = Space(Bounds(kind, prior), Z_DIM, FEATURES)
    alone = Space(Bounds(kind, prior), Z_DIM, None)
    z, changes = rows(scale=50.0)
    row = torch.cat([z, changes.flatten(1)], 1)
    kept = space.enforce(row, draws(4))
    assert torch.equal(space.changes(kept), changes)
    assert torch.equal(kept[:, :Z_DIM], alone.enforce(z, draws(4)))
    assert space.z(kept).abs().max() <= LIMITS[prior] or alone.bounds.mode == "none"
    moves = alone.bounds.mode in ("clip", "stochastic_clip")
    assert torch.equal(kept, row) != moves


def test_every_row_and_channel_is_its_own():
    space = Space(Bounds("none", "normal"), 2, (2, 2, 2))
    row = torch.arange(20.0).reshape(2, 10)
    assert space.z(row).tolist() == [[0, 1], [10, 11]]
    assert space.changes(row)[1].tolist() == [[[12, 13], [14, 15]], [[16, 17], [18, 19]]]
