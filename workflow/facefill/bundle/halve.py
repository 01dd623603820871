"""Weights in half precision, where no completion of validation faces changes by it."""

import json
import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from facefill.bundle import SETTINGS, WEIGHTS
from facefill.complete import lay_in
from facefill.core.files import sha256_bytes, write_bytes
from facefill.core.masking import Masks, make_masks, observe
from facefill.kinds import kind_of
from facefill.parts import Faces, complete, make_part
from facefill.split import choose_faces, read_split
from facefill.train.weights import load_settings

FACES = 64  # of the validation split, at most: one batch of a network
LIMIT = 1  # grey levels by which a completion may change

log = logging.getLogger(__name__)

Settings = Mapping[str, Any]
Pair = tuple[str, str]  # mask and method
Files = dict[str, tuple[bytes, dict[str, Any]]]  # by model: weights.safetensors, settings.json


@dataclass(frozen=True)
class Trial:
    """What completes validation faces: methods under masks, each by its settings."""

    names: list[str]
    faces: np.ndarray  # uint8 [N, size, size, 3]
    masks: Mapping[str, Masks]
    methods: Mapping[str, Settings]
    pairs: Sequence[Pair]  # which of them complete
    train: np.ndarray | None  # the training faces, where a method needs them
    seed: int
    device: str

    @classmethod
    def of(
        cls,
        *,
        val: tuple[Path | str, Path | str],
        train: tuple[Path | str, Path | str],
        masks: Mapping[str, Settings],
        zoom: float,
        methods: Mapping[str, Settings],
        pairs: Iterable[Pair],
        seed: int,
        device: str,
    ) -> "Trial":
        """Choose the faces; `val` and `train` are array and table of a split.

        `masks` and `methods` are settings by name. Raises FacefillError as the splits and the
        masks do.
        """
        names, faces = choose_faces(*val, FACES)
        made = {
            name: make_masks(dict(mask), names, faces.shape[1], zoom)
            for name, mask in masks.items()
        }
        needs = any(kind_of("methods", settings).needs_train for settings in methods.values())
        train_faces = read_split(*train)[1] if needs else None
        chosen = [pair for pair in pairs if pair[0] in made]
        return cls(names, faces, made, methods, chosen, train_faces, seed, device)

    def complete(self, pair: Pair, folder: Path) -> np.ndarray:
        """Complete by the models in `folder`: uint8 [N, K, size, size, 3], K samples of each."""
        mask, method = pair
        masks = self.masks[mask]
        observed = observe(self.faces, masks)
        result = complete(
            make_part(
                method,
                self.methods,
                lambda model: (folder / model / WEIGHTS, folder / model / SETTINGS),
            ),
            Faces(self.names, observed, masks),
            train=self.train,
            seed=self.seed,
            device=self.device,
        )
        samples = result.faces[:, None] if result.samples is None else result.samples
        return lay_in(observed[:, None], masks.known[:, None], samples)


def models_of(method: str, methods: Mapping[str, Settings]) -> set[str]:
    """The models behind a method and its targets."""
    settings = methods[method]
    kind = kind_of("methods", settings)
    models = {settings[name] for name in kind.references("models") if settings[name]}
    targets = [settings[name] for name in kind.references("methods") if settings[name]]
    return models.union(*(models_of(target, methods) for target in targets))


def halve(models: Mapping[str, tuple[Path, Path]], trial: Trial) -> tuple[Files, Settings]:
    """Halve the weights of each model where no completion of `trial` changes by more than LIMIT.

    `models` are weights.safetensors and settings.json by name, those that others name first.
    Halving goes model by model, and each is tried together with those that are halved already.
    Return the files by model, and what was found: `split`, `faces`, `masks`, `limit`, and in
    `models` of each its `precision` and the largest `change` that halving it makes, in grey
    levels: beyond LIMIT that of the first pair that is, None where it could not be tried.
    """
    whole = {
        name: (weights.read_bytes(), load_settings(settings, ["kind"]))
        for name, (weights, settings) in models.items()
    }
    halved: set[str] = set()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        untouched = _write(whole, Path(temporary, "whole"))
        before: dict[Pair, np.ndarray] = {}
        for model in models:
            pairs = [pair for pair in trial.pairs if model in models_of(pair[1], trial.methods)]
            change = None
            if pairs and _can_be_halved(whole[model][0]):
                folder = _write(halve_some(whole, {*halved, model}), Path(temporary, "halved"))
                change = _change(trial, pairs, before, untouched, folder)
            if change is not None and change <= LIMIT:
                halved.add(model)
            log.info("%s: halved weights change completions by %s grey levels", model, change)
            precision = "float16" if model in halved else "float32"
            found[model] = {"precision": precision, "change": change}
    facts = {
        "split": "val",
        "faces": len(trial.names),
        "masks": [*trial.masks],
        "limit": LIMIT,
        "models": found,
    }
    return halve_some(whole, halved), facts


def _change(
    trial: Trial, pairs: list[Pair], before: dict[Pair, np.ndarray], untouched: Path, folder: Path
) -> int:
    """The largest change that the models in `folder` make, or the first one beyond LIMIT.

    `before` keeps the completions by the models `untouched`, which are made when needed.
    """
    largest = 0
    for pair in pairs:
        if pair not in before:
            before[pair] = trial.complete(pair, untouched)
        after = trial.complete(pair, folder).astype(np.int16)
        largest = max(largest, int(np.abs(before[pair] - after).max()))
        if largest > LIMIT:
            log.info("%s under %s changes by %d grey levels", pair[1], pair[0], largest)
            break  # one is enough, and a search takes its time
    return largest


def halve_some(whole: Files, halved: set[str]) -> Files:
    """Return the files with some models in half precision; `whole` has those named first.

    A model that was trained for another has the checksum of that one's weights among its settings,
    and so becomes that of the halved ones, where the other is there.
    """
    files: Files = {}
    for model, (weights, settings) in whole.items():
        named = kind_of("models", settings).references("models")
        sums = {f"{name}_sha256": settings[name] for name in named}
        changed = settings | {
            key: sha256_bytes(files[other][0])
            for key, other in sums.items()
            if key in settings and other in files
        }
        if model in halved or changed != settings:
            tensors = from_bytes(weights)
            if model in halved:
                tensors = {name: _half(tensor) for name, tensor in tensors.items()}
            weights = to_bytes(tensors, metadata={"settings": as_text(changed)})
        files[model] = weights, changed
    return files


def as_text(settings: Settings) -> str:
    """Settings as facefill.train.weights writes them."""
    return json.dumps(settings, indent=2, sort_keys=True) + "\n"


def _half(tensor: torch.Tensor) -> torch.Tensor:
    """In half precision where it has single; double has a reason."""
    return tensor.half() if tensor.dtype == torch.float32 else tensor


def _can_be_halved(weights: bytes) -> bool:
    """Whether no value is beyond half precision."""
    return all(bool(_half(tensor).isfinite().all()) for tensor in from_bytes(weights).values())


def _write(files: Files, folder: Path) -> Path:
    for model, (weights, settings) in files.items():
        write_bytes(folder / model / WEIGHTS, weights)
        write_bytes(folder / model / SETTINGS, as_text(settings).encode())
    return folder
