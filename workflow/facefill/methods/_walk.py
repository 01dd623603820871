"""A walk between several completions of a face, in the space that they are made from."""

from typing import NamedTuple

import numpy as np

from facefill.complete import Task
from facefill.core.blend import blend

STOPS = 4  # completions of a face that a walk visits, at most
FRAMES = 6  # from one to the next


class Place(NamedTuple):
    """Where a frame of a walk lies: a share of the way between completions with two numbers."""

    first: int
    second: int
    share: float  # 0 at the first, below 1


def places(samples: int) -> list[Place]:
    """The frames of a walk from each of so many completions to the next, and back to the first.

    A single completion has a walk of one frame.
    """
    stops = min(samples, STOPS)
    legs = [(number, (number + 1) % stops) for number in range(stops)] if stops > 1 else []
    return [Place(*leg, step / FRAMES) for leg in legs for step in range(FRAMES)] + [Place(0, 0, 0)]


def blend_frames(mode: str, task: Task, frames: np.ndarray) -> np.ndarray:
    """Lay frames of the task's watched faces into their holes, as facefill.core.blend does.

    `frames` are uint8 [frames, faces, size, size, 3], as the result.
    """
    rows, times = task.watched, len(frames)
    observed, known = task.observed[rows], task.masks.known[rows]
    observed, known = np.tile(observed, (times, 1, 1, 1)), np.tile(known, (times, 1, 1))
    return blend(mode, observed, known, frames.reshape(observed.shape)).reshape(frames.shape)
