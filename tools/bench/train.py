"""How much faster facefill's training step is than the plain one, measured in one run.

The plain step is that of PyTorch's public DCGAN example: float32, NCHW, gradients of all of D
also when G learns. Both run the same networks on the same data in turns, so that a machine that
slows down slows both.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from facefill.core import device
from facefill.models.dcgan import Dcgan
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.models.dcgan.training import make_players, step

SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()

    compute = device.choose("cpu")
    real = torch.rand(options.batch, 3, SIZE, SIZE, generator=torch.manual_seed(0)) * 2 - 1
    z = torch.randn(options.batch, 100)
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{torch.get_num_threads()} threads, {capability}; facefill computes on {compute}")
    runners = {
        "plain": _plain(options, real, z),
        "facefill": _ours(options, real, z, compute),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for round_ in range(options.rounds + 1):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    rates = {name: options.batch / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:9s} {rate:7.1f} images/s")
    print(f"train ratio {rates['facefill'] / rates['plain']:.2f}")


def _plain(options: argparse.Namespace, real: torch.Tensor, z: torch.Tensor) -> Callable[[], None]:
    torch.manual_seed(0)
    generator = Generator(SIZE, 100, options.filters, 4, False)
    discriminator = Discriminator(SIZE, options.filters, 4, 0, False)
    generator_adam, discriminator_adam = (
        torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))
        for network in (generator, discriminator)
    )
    ones, zeros = torch.ones(options.batch), torch.zeros(options.batch)

    def run() -> None:
        discriminator.zero_grad()
        F.binary_cross_entropy_with_logits(discriminator(real), ones).backward()
        fake = generator(z)
        F.binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros).backward()
        discriminator_adam.step()
        generator.zero_grad()
        F.binary_cross_entropy_with_logits(discriminator(fake), ones).backward()
        generator_adam.step()

    return run


def _ours(
    options: argparse.Namespace, real: torch.Tensor, z: torch.Tensor, compute: device.Compute
) -> Callable[[], None]:
    settings = Dcgan(
        batch=options.batch,
        generator_filters=options.filters,
        discriminator_filters=options.filters,
    )
    torch.manual_seed(0)
    players = make_players(settings, SIZE, compute)
    real = real.contiguous(memory_format=compute.memory_format)
    random = torch.Generator()
    return lambda: step(players, real, z, settings, compute=compute, random=random)


if __name__ == "__main__":
    main()
