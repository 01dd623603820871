"""A training as a job: files and settings in, the files of a model out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from facefill.core.device import use_threads
from facefill.core.files import copy_folder, write_table
from facefill.kinds import make
from facefill.models import Model
from facefill.split import choose_faces, read_split
from facefill.train import team, weights
from facefill.train.pictures import write_plots, write_samples
from facefill.train.task import Training


@dataclass(frozen=True, kw_only=True)
class Job:
    """Plain values, so that JSON can carry a job to other processes."""

    settings: dict[str, Any]  # of the model, with its kind
    train: tuple[str, str]  # the files of a split: its faces and its table
    validation: tuple[str, str]
    models: dict[str, tuple[str, str]]  # as of Training
    start: str | None  # likewise
    zoom: float
    seed: int
    device: str
    threads: int  # of all processes together
    checkpoints: str
    fingerprint: str
    output: dict[str, str]  # files, by the names of the rule's outputs

    def model(self) -> Model:
        """The kind of model with its settings: all but those that the rule has dealt with."""
        return make("models", {"seeds": None, "start": None} | self.settings)


def carry_out(job: Job) -> int:
    """Train, in a team or without one, and write the files, in rank 0; returns the images seen."""
    use_threads(max(1, job.threads // team.size()))
    model = job.model()
    trained = model.train(
        Training(
            faces=read_split(*job.train)[1],
            validation_faces=choose_faces(*job.validation, model.validation_faces)[1],
            zoom=job.zoom,
            models={name: tuple(map(Path, files)) for name, files in job.models.items()},
            start=Path(job.start) if job.start else None,
            seed=job.seed,
            device=job.device,
            checkpoints=Path(job.checkpoints),
            fingerprint=job.fingerprint,
        )
    )
    if team.rank() > 0:
        return trained.images
    output = {name: Path(path) for name, path in job.output.items()}
    write_table(output["history"], trained.history)
    write_plots(output["losses"], trained.history, model.plots, trained.drawings)
    write_samples(output["samples"], output["samples_gif"], trained.samples, trained.epoch)
    copy_folder(trained.events, output["events"])
    settings = job.settings | trained.facts
    settings |= {"device": trained.compute, "threads": torch.get_num_threads()}
    settings |= {"processes": team.size()} if team.size() > 1 else {}
    settings |= {"seed": job.seed, "torch": torch.__version__}
    # The weights last: where they are, the training has ended well.
    weights.save(output["weights"], output["settings"], trained.networks, settings)
    return trained.images
