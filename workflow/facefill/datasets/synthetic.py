"""Photos rendered by facefill itself: needs no internet."""

from typing import ClassVar

from facefill.core.errors import FacefillError
from facefill.datasets import Dataset
from facefill.kinds import Config, declare, setting


@declare
class Synthetic(Dataset):
    """Renders photos of people who do not exist."""

    faces: int = setting(2500, "photos to render", minimum=1)
    people: int = setting(800, "different persons among them", minimum=1)
    seed: int = setting(0, "another seed, other people", minimum=0)

    rule = "render"
    parallel = True
    extra: ClassVar[dict[str, str]] = {"truth": "truth.csv"}
    example: ClassVar[Config] = {"faces": 3, "people": 2}

    def check(self, key, config):
        if self.people > self.faces:
            raise FacefillError(
                f"config: {key}.people is {self.people}, expected at most as many as its faces "
                f"({self.faces})"
            )

    def make_raw(self, raw, *, extra, cache, threads):
        from facefill.render.dataset import render_dataset

        return render_dataset(raw, extra["truth"], self.faces, self.people, self.seed, threads)
