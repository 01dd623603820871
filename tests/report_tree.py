"""Files that all stages leave for the report, with random content."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from facefill.core.files import write_table
from facefill.core.images import contact_sheet, write_gif, write_png
from facefill.core.masking import make_masks
from facefill.metrics import face_metrics, set_metrics
from facefill.report.trainings import VALUES, spread
from facefill.report.write import Choice, write_report
from pairs import face_pair

TEMPLATE = Path(__file__).parents[1] / "workflow" / "report" / "page.html.j2"
OUTPUTS = {
    "metrics": "metrics.csv", "summary": "summary.csv", "differences": "differences.csv",
    "set_metrics": "set_metrics.csv", "trainings": "trainings.csv",
    "model_metrics": "model_metrics.csv",
    "completion": "completion.gif", "masks": "masks.png",
    "best": "best.png", "median": "median.png", "worst": "worst.png",
    "samples_png": "samples.png", "search_png": "search.png", "metrics_png": "metrics.png",
    "perception_png": "perception.png", "reliability_png": "reliability.png",
    "timings": "timings.csv", "timings_png": "timings.png", "provenance": "provenance.json",
    "index": "index.html",
}  # fmt: skip
ZOOM = 0.9
ONE_TRAINING = spread(pd.DataFrame(columns=VALUES))  # of every model
CAPTIONS = {"losses": "The losses.", "samples": "The samples.", "gif": "<i>Over time.</i>"}


def write_timing(path, rule, start, end, items, unit="photos", course=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"rule": rule, "start": start, "end": end, "items": items, "unit": unit}
    path.write_text(json.dumps(facts | {"course": course}))
    return str(path)


class Tree:
    """Stages' files of every mask and method.

    `methods` is name -> (noise, samples): how far the completions are from the originals, in
    grey levels, and how many a search makes; samples 0 = the method does not search.
    """

    def __init__(self, root, faces, masks, methods, rejects=()):
        self.root, self.masks, self.methods = root, masks, methods
        self.pairs = [(mask, method) for mask in masks for method in methods]
        self.iterative = [pair for pair in self.pairs if methods[pair[1]][1]]
        self._random = np.random.default_rng(0)
        names = [f"p{number:02}__photo" for number in range(len(faces))]
        people = pd.DataFrame({"face": names, "identity": [name[:3] for name in names]})
        people["source"] = people["identity"] + "/photo.jpg"
        third = len(faces) // 3
        for number, split in enumerate(("train", "val", "test")):
            part = slice(number * third, (number + 1) * third)
            write_table(root / f"{split}.csv", people[part])
            np.save(root / f"{split}.npy", faces[part])
        manifest = people.assign(status="aligned", detail="", sha256="0")
        lost = pd.DataFrame({"source": list(rejects)})
        lost = lost.assign(identity="x", status="no_face", detail="<i>", face="", sha256="")
        write_table(root / "manifest.csv", pd.concat([manifest, lost]))
        write_png(root / "faces.png", contact_sheet(faces, 6))
        self.names, self.faces = names[2 * third : 3 * third], faces[2 * third : 3 * third]
        self.jobs = [write_timing(root / "log" / "align" / "0.json", "align", 0, 4, len(faces))]
        for number, pair in enumerate(self.pairs):
            self._complete(*pair, number)
        self._train(faces)

    def _complete(self, mask, method, number):
        folder, size = self.root / mask / method, self.faces.shape[1]
        noise, samples = self.methods[method]
        masks = make_masks(self.masks[mask], self.names, size, ZOOM)
        shape = (len(self.faces), max(1, samples), size, size, 3)
        noisy = self.faces[:, None] + self._random.normal(0, noise, shape)
        noisy = np.clip(noisy, 0, 255).astype(np.uint8)
        completed = np.where(masks.known[:, None, ..., None], self.faces[:, None], noisy)
        rows = []
        for place, name in enumerate(self.names):
            write_png(folder / "faces" / f"{name}.png", completed[place, 0])
            distance = noise / 100 + self._random.uniform(0, 0.2)
            pair = face_pair(
                self.faces[place],
                completed[place, 0],
                masks.known[place],
                completed_descriptor=np.eye(128)[0] * distance,
                original_landmarks=np.full((68, 2), size / 2),
                completed_landmarks=np.full((68, 2), size / 2 + distance),
            )
            values = {name: metric.measure(pair) for name, metric in face_metrics().items()}
            rows.append({"face": name} | values)
        write_table(folder / "metrics.csv", pd.DataFrame(rows))
        subjects = ("completions", "samples") if samples > 1 else ("completions",)
        sets = {name: self._random.normal() for name in set_metrics(*subjects)}
        if samples > 1:
            sets |= {"sample_spread": noise}
        table = pd.DataFrame({"metric": list(sets), "value": list(sets.values())})
        table = table.assign(faces=len(self.names), low=table["value"] - 1, high=table["value"] + 1)
        write_table(folder / "set_metrics.csv", table)
        rule = "complete_latent" if samples else "complete_telea"
        log = self.root / "log" / rule / mask / f"{method}.json"
        seconds = (1 if samples else 0.01) * (1 + number % 7) * len(self.names)
        course = [(step, seconds * (1 + step) / 21) for step in (0, 10, 20)] if samples else []
        timing = (rule, 10, 10 + seconds, len(self.names), "faces", course)
        self.jobs.append(write_timing(log, *timing))
        if samples:
            self._search(folder, completed, noise)

    def _search(self, folder, samples, noise):
        np.save(folder / "samples.npy", samples)
        sheets = [contact_sheet(self.faces[:4] // divisor, 2, 2) for divisor in (4, 2, 1)]
        for name in ("progress", "interpolation"):
            write_gif(folder / f"{name}.gif", np.stack(sheets), 0.1)
        rows = [
            (name, step, *(noise * part / (1 + step) for part in (10, 9, 1, 0.01)))
            for name in self.names
            for step in (0, 10, 20)
        ]
        columns = ["face", "step", "loss", "contextual", "prior", "unweighted"]
        write_table(folder / "search.csv", pd.DataFrame(rows, columns=columns))

    def _train(self, faces):
        model = self.root / "dcgan"
        history = {"epoch": [1, 2], "step": [5, 10], "d_loss": [1, 0.9], "g_loss": [1, 1.1]}
        history |= {"d_real": [0.6, 0.7], "d_fake": [0.4, 0.3], "val_hole_psnr": [17, 18]}
        history |= {"kept": [0, 1]}
        write_table(model / "history.csv", pd.DataFrame(history))
        for name in ("losses", "samples"):
            write_png(model / f"{name}.png", contact_sheet(faces[:4], 2))
        write_gif(model / "samples.gif", faces[:3], 0.1)
        (model / "weights.safetensors").write_bytes(b"weights")
        (model / "settings.json").write_text(
            json.dumps(
                {
                    "kind": "dcgan",
                    "device": "cpu, float32",
                    "torch": "2",
                    "warnings": ["<b>D has won</b>"],
                }
            )
        )
        sets = {"metric": ["kid_dlib", "kid_pixels"], "value": [0.0012, 0.034], "faces": 12}
        sets |= {"low": np.nan, "high": np.nan}
        write_table(model / "set_metrics.csv", pd.DataFrame(sets))

    def inputs(self):
        root = self.root

        def of(pairs, file):
            return [str(root / mask / method / file) for mask, method in pairs]

        return dict(
            metrics=of(self.pairs, "metrics.csv"),
            set_metrics=of(self.pairs, "set_metrics.csv"),
            training_metrics=[],
            training_set_metrics=[],
            completions=of(self.pairs, "faces"),
            progress=of(self.iterative, "progress.gif"),
            search=of(self.iterative, "search.csv"),
            completion_samples=of(self.iterative, "samples.npy"),
            interpolation=of(self.iterative, "interpolation.gif"),
            histories=[str(root / "dcgan/history.csv")],
            losses=[str(root / "dcgan/losses.png")],
            samples=[str(root / "dcgan/samples.png")],
            samples_gif=[str(root / "dcgan/samples.gif")],
            settings=[str(root / "dcgan/settings.json")],
            weights=[str(root / "dcgan/weights.safetensors")],
            model_metrics=[str(root / "dcgan/set_metrics.csv")],
            manifest=str(root / "manifest.csv"),
            faces_sheet=str(root / "faces.png"),
            **{f"{split}_csv": str(root / f"{split}.csv") for split in ("train", "val", "test")},
            **{f"{split}_npy": str(root / f"{split}.npy") for split in ("train", "val", "test")},
            template=str(TEMPLATE),
        )

    def report(self, folder, **changes):
        """Write the report into `folder`; `changes` replace inputs and fields of Choice."""
        facts = {
            "dataset": "<faces>",
            "pairs": [list(pair) for pair in self.pairs],
            "trainings": [],
            "iterative": [list(pair) for pair in self.iterative],
            "sampled": [list(pair) for pair in self.iterative],
            "walked": [list(pair) for pair in self.iterative],
            "mean_first": [],
            "models": ["dcgan"],
            "measured_models": ["dcgan"],
            "searched_models": {method: "dcgan" for _, method in self.iterative},
            "limits": dict.fromkeys(self.methods, len(self.names)),
            "masks": self.masks,
            "zoom": ZOOM,
            "timings": self.jobs,
            "config": {"align": {"zoom": ZOOM, "landmarks": "outerEyesAndNose"}},
            "captions": {"dcgan": CAPTIONS},
        }
        inputs = self.inputs()
        unknown = changes.keys() - inputs.keys() - facts.keys()
        assert not unknown, unknown
        outputs = {key: str(folder / name) for key, name in OUTPUTS.items()}
        write_report(
            inputs | {key: changes[key] for key in changes.keys() & inputs.keys()},
            outputs,
            Choice(**facts | {key: changes[key] for key in changes.keys() & facts.keys()}),
        )
        return SimpleNamespace(**outputs)
