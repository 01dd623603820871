"""How much a latent search costs beyond its networks, measured in one run.

The bare loop is what no search can do without: for 64 faces, generator (and discriminator)
forward, and back to z, in the arithmetic and memory layout that facefill chooses. A search of 256
faces must take at most 1.25 times four such loops, with all that it does besides: loading the
model, losses, optimiser, records and pictures. Half of the bare loop runs before the search and
half after it, so that a machine that slows down slows both.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from facefill.complete import Task
from facefill.core import device
from facefill.core.masking import make_masks, observe
from facefill.methods.latent import Latent
from facefill.methods.latent.search import search
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.train.weights import save

SIZE, Z_DIM, FILTERS, KERNEL = 64, 100, 64, 4
BARE, FACES = 64, 256
WATCHED = 8
LIMIT = 1.25
MODEL = {
    "z_dim": Z_DIM,
    "prior": "normal",
    "generator_filters": FILTERS,
    "discriminator_filters": FILTERS,
    "kernel": KERNEL,
    "fully_connected": 0,
    "spectral_norm": False,
    "antialias": False,
    "precision": "auto",
    "channels_last": "auto",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    compute = device.choose()
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{torch.get_num_threads()} threads, {capability}; facefill computes on {compute}")
    torch.manual_seed(0)
    networks = {
        "generator": Generator(SIZE, Z_DIM, FILTERS, KERNEL, False),
        "discriminator": Discriminator(SIZE, FILTERS, KERNEL, 0, False),
    }
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "weights.safetensors"), Path(folder, "settings.json")
        save(*model, networks, MODEL)
        for network in networks.values():
            network.to(compute.device, memory_format=compute.memory_format)
            network.eval().requires_grad_(False)
        for name, prior in {"generator": 0.0, "generator and discriminator": 0.003}.items():
            settings = Latent(model="dcgan", steps=options.steps, prior=prior)
            ratios[name] = _ratio(
                name,
                lambda steps, prior=prior: _bare(networks, bool(prior), compute, steps),
                lambda settings=settings: _search(model, settings),
                options.steps,
            )
    slow = [name for name, ratio in ratios.items() if ratio > LIMIT]
    if slow:
        sys.exit(f"bench: the search takes more than {LIMIT} times its networks: {', '.join(slow)}")


def _ratio(
    name: str, bare: Callable[[int], None], searched: Callable[[], None], steps: int
) -> float:
    """How often FACES / BARE bare loops of `steps` steps fit into a search, and print it."""
    bare(2)  # warms up
    parts = [steps - steps // 2, steps // 2]
    runs = [lambda: bare(parts[0]), searched, lambda: bare(parts[1])]
    before, during, after = (_seconds(run) for run in runs)
    loops = FACES / BARE * (before + after)
    ratio = during / loops
    print(f"search ratio {ratio:.2f} ({name}: {during:.1f} s, {loops:.1f} s bare; at most {LIMIT})")
    return ratio


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _bare(
    networks: dict[str, torch.nn.Module], judged: bool, compute: device.Compute, steps: int
) -> None:
    z = torch.randn(BARE, Z_DIM, generator=torch.manual_seed(0)).to(compute.device)
    no_logits = torch.zeros((), device=compute.device)
    for _ in range(steps):
        z.requires_grad_()
        with compute.autocast():
            faces = networks["generator"](z)
            logits = networks["discriminator"](faces) if judged else no_logits
        loss = faces.float().abs().sum() + F.softplus(logits.float()).sum()
        (gradient,) = torch.autograd.grad(loss, z)
        z = z.detach() - 1e-3 * gradient
    z.sum().item()  # waits for the device


def _search(model: tuple[Path, Path], settings: Latent) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (FACES, SIZE, SIZE, 3)).astype(np.uint8)
    names = [f"{number:03}" for number in range(FACES)]
    masks = make_masks({"kind": "center", "scale": 0.25}, names, SIZE, 1.0)
    task = Task(
        names=names,
        observed=observe(faces, masks),
        masks=masks,
        models={"model": model},
        device="auto",
    )
    search(settings, task, list(range(WATCHED)))


if __name__ == "__main__":
    main()
