"""The models of one data set, or of a bundle, and the faces of another."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from facefill.core.errors import FacefillError
from facefill.core.files import local_path
from facefill.datasets import Dataset
from facefill.datasets.archive import SHA256, Archive
from facefill.kinds import Config, declare, setting

ENTRY = re.compile("[A-Za-z0-9][A-Za-z0-9_-]*")  # what may be the name of a data set
PROJECT = Path(__file__).parents[3]  # the pretrained bundle lies there, wherever one works
ADDRESS = re.compile("(https?|file)://|gdrive:")


@declare
class Transfer(Dataset):
    """Completes the faces of one data set by the models of another, or of a bundle."""

    models_of: str = setting(
        doc="whose models: a name of `datasets`, a bundle's file, here or in the project's folder, "
        "or its address (https:// or file://)",
        minLength=1,
    )
    sha256: str | None = setting(None, "checksum of a bundle; null = not checked", schema=SHA256)
    faces_of: str | None = setting(
        None, "whose faces: a name of `datasets`; null = none, for restoration alone"
    )

    example: ClassVar[Config] = {"models_of": "lfw", "faces_of": "mine"}

    @classmethod
    def plain(cls, entry):
        sha256 = Archive.plain({"urls": [], "sha256": entry["sha256"], "extras": []})["sha256"]
        return entry | {"models_of": os.path.expanduser(entry["models_of"]), "sha256": sha256}

    @property
    def bundle(self) -> str | None:
        """The address of the bundle; None where a data set has the models."""
        if ENTRY.fullmatch(self.models_of):
            return None
        if ADDRESS.match(self.models_of):
            return self.models_of
        here, there = Path(self.models_of), PROJECT / self.models_of
        return (there if there.exists() and not here.exists() else here).absolute().as_uri()

    @property
    def bundle_file(self) -> str | None:
        """The path of a bundle that lies on this machine, or should."""
        here = (self.bundle or "").startswith("file://")
        return local_path(self.bundle) if here else None

    def content(self, sha256):
        """What decides a bundle: its checksum, or an address without one."""
        return Archive(urls=(self.bundle,), sha256=self.sha256).content(sha256)[0]

    def check(self, key, config):
        from facefill.config import check_known

        named = {"models_of": None if self.bundle else self.models_of, "faces_of": self.faces_of}
        for setting_name, name in named.items():
            if name is None:
                continue
            check_known(f"{key}.{setting_name}", name, config["datasets"], "datasets")
            if config["datasets"][name]["kind"] == self.kind:
                raise FacefillError(
                    f"config: {key}.{setting_name} names {name!r}, a transfer itself; name the "
                    f"data set or bundle behind it"
                )
        if self.models_of == self.faces_of:
            raise FacefillError(
                f"config: {key}: models_of and faces_of are both {self.faces_of!r}, whose own "
                f"test split serves that: type `snakemake --config dataset={self.faces_of}`"
            )
        if self.bundle:
            Archive(urls=(self.bundle,), sha256=self.sha256).check(key, config)
        elif self.sha256:
            raise FacefillError(
                f"config: {key}.sha256 is that of a bundle, and models_of names the data set "
                f"{self.models_of!r}; take sha256 out"
            )

    def check_bundle(self, key: str, contents: Config, align: Mapping[str, Any]) -> None:
        """Refuse a bundle of faces that were aligned otherwise.

        `contents` is its bundle.json, `align` the configuration's, with the predictor's checksum
        in place of its path. Raises FacefillError.
        """
        for name, theirs in contents["align"].items():
            if name in align and align[name] != theirs:
                this = "the file with that SHA-256" if name == "predictor" and theirs else "that"
                raise FacefillError(
                    f"config: align.{name} is {_said(align[name])}, but {key}.models_of "
                    f"({self.models_of}) was trained with {name} {_said(theirs)}; set align.{name} "
                    f"to {this}"
                )

    def check_model(self, key: str, contents: Config, model: str, kind: str) -> None:
        """Refuse a bundle that has not a model of that name and kind. Raises FacefillError."""
        models = {name: settings["kind"] for name, settings in contents["models"].items()}
        if model not in models:
            raise FacefillError(
                f"config: {key}.models_of ({self.models_of}) has no model {model!r}, which "
                f"the chosen methods need; it has: {', '.join(models) or 'none'}; under "
                "compare.methods, or a set's method in restore, choose methods that need no other"
            )
        if models[model] != kind:
            raise FacefillError(
                f"config: models.{model} is of kind {kind}, and that of {key}.models_of "
                f"({self.models_of}) of kind {models[model]}; make both one kind"
            )


def _said(value: Any) -> str:
    return "null" if value is None else str(value)
