"""Where networks run, and in which arithmetic and memory layout."""

import os
from dataclasses import dataclass

import torch

from facefill.core.errors import FacefillError


@dataclass(frozen=True)
class Compute:
    """A device with the arithmetic and the memory layout that suit it."""

    device: torch.device
    dtype: torch.dtype  # of convolutions; parameters and losses stay float32
    memory_format: torch.memory_format

    def autocast(self) -> torch.autocast:
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=enabled)

    def words(self) -> list[str]:
        """The device, with the name of a GPU, the arithmetic and the memory layout."""
        layout = "channels_last" if self.memory_format == torch.channels_last else "contiguous"
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""
        kind = f"{self.device.type} ({name})" if name else self.device.type
        return [kind, str(self.dtype).removeprefix("torch."), layout]

    def __str__(self) -> str:
        return ", ".join(self.words())


def choose(
    device: str = "auto", precision: str = "auto", channels_last: str | bool = "auto"
) -> Compute:
    """Turn the configuration's words into a Compute and make PyTorch reproducible on it.

    `auto` takes cuda, then mps, then cpu; bfloat16 where the hardware multiplies it natively;
    channels_last where convolutions are faster in it (everywhere but on mps). Raises
    FacefillError when the device asked for is missing.
    """
    device = present(device)
    if precision == "auto":
        precision = "bfloat16" if _native_bfloat16(device) else "float32"
    if channels_last == "auto":
        channels_last = device != "mps"
    _reproducible()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    # Of several cards the current one: generators of random numbers would take the first.
    card = f":{torch.cuda.current_device()}" if device == "cuda" else ""
    return Compute(torch.device(device + card), getattr(torch, precision), layout)


def present(device: str) -> str:
    """The device that `choose` takes: "cuda", "mps" or "cpu". Raises FacefillError as it does."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, there in found.items() if there), "cpu")
    if not found.get(device, True):
        raise FacefillError(
            f"config: device is {device!r}, but PyTorch {torch.__version__} finds none; set "
            "device: auto, or install the PyTorch build for your driver"
        )
    return device


def _native_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def use_threads(count: int) -> None:
    """Compute with `count` threads on the CPU: on them depends how sums are rounded."""
    torch.set_num_threads(count)


def _reproducible() -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by the next line
    # As torch.use_deterministic_algorithms, but without loading PyTorch's compiler (1.6 s).
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads it
    torch.backends.cudnn.benchmark = False
