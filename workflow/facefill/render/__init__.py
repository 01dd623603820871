"""Synthetic photos of people who do not exist: a data set where there is no internet."""

import numpy as np

from facefill.render.photo import render_photo

__all__ = ["photo_name", "plan_photos", "render_photo"]


def plan_photos(faces: int, people: int, seed: int) -> list[tuple[int, int]]:
    """(person, shot) of every photo, in order.

    `faces` photos in all, spread unevenly over `people` persons as in collections of press photos:
    each person has at least one, most have several.
    """
    if not 1 <= people <= faces:
        raise ValueError(f"{faces} photos cannot show {people} people: need 1 <= people <= faces")
    rng = np.random.default_rng([seed, faces, people])
    popularity = rng.gamma(2.0, size=people)
    more = rng.multinomial(faces - people, popularity / popularity.sum())
    return [(person, shot) for person in range(people) for shot in range(1 + int(more[person]))]


def photo_name(person: int, shot: int) -> str:
    """The photo's path in the raw folder; its folder is the identity."""
    return f"person-{person:04d}/person-{person:04d}-{shot:03d}.jpg"
