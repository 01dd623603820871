"""What Apple's GPUs cannot compute runs on the CPU."""

import torch


def capable(device: torch.device) -> torch.device:
    """The CPU instead of mps, which lacks doubles, complex products, bicubic sampling."""
    return torch.device("cpu") if device.type == "mps" else device
