"""Who a face is taken for among the other photos of the test people."""

import math

import numpy as np

from facefill.metrics import SetValue
from facefill.metrics._interval import mean, share

THRESHOLD = 0.6  # below it dlib's author takes two photos for one person


def distances(sets, descriptors):
    """Distances of faces, [N, 128], to the gallery, [N, M]; a face's own photo is infinitely far.

    Beside them whether the gallery shows the face's person, bool [N, M], in another photo.
    """
    from scipy.spatial.distance import cdist

    found = cdist(descriptors, sets.gallery)
    own = np.arange(len(found)), sets.gallery_rows
    found[own] = math.inf
    same = sets.people[:, None] == sets.gallery_people
    same[own] = False
    return found, same


def nearest_is_right(sets, descriptors) -> SetValue:
    """How often the nearest photo of the gallery shows the right person.

    Of those faces that have descriptors and whose person has another photo.
    """
    found, same = distances(sets, descriptors)
    usable = same.any(1) & ~np.isnan(descriptors).any(1)
    right = same[usable, found[usable].argmin(1)] if usable.any() else np.empty(0)
    return share(right.astype(float), [str(person) for person in sets.people[usable]])


def false_matches(sets, descriptors) -> SetValue:
    """The mean share of other people's photos that are nearer than THRESHOLD."""
    found, _ = distances(sets, descriptors)
    others = sets.people[:, None] != sets.gallery_people
    with np.errstate(invalid="ignore"):
        shares = ((found < THRESHOLD) & others).sum(1) / others.sum(1)
    return mean(shares, sets.people)
