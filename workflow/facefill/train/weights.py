"""A trained model on disk: weights that load without executing anything, settings beside them."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from facefill.errors import FacefillError
from facefill.files import atomic


def save(path: Path, networks: dict[str, nn.Module]) -> None:
    """Write all networks of a model into one file, each tensor as `{network}.{name}`."""
    tensors = {
        f"{network}.{name}": tensor.detach().cpu().contiguous()
        for network, module in networks.items()
        for name, tensor in module.state_dict().items()
    }
    with atomic(path) as partial:
        save_file(tensors, partial)


def load(path: Path, networks: dict[str, nn.Module]) -> None:
    """Fill `networks` from the file; every tensor must be there and fit.

    Raises FacefillError naming the file when it is damaged or belongs to other settings.
    """
    remedy = f"delete {path.parent} and run again to train it anew"
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise FacefillError(f"{path}: not readable weights ({error}); {remedy}") from error
    for network, module in networks.items():
        prefix = network + "."
        own = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise FacefillError(
                f"{path}: the weights do not fit the settings beside them ({reason}); {remedy}"
            ) from error


def load_settings(path: Path) -> dict[str, Any]:
    """Read the settings.json of a model."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FacefillError(
            f"{path}: not readable settings ({error}); delete {path.parent} and run again"
        ) from error


def save_settings(path: Path, settings: dict[str, Any]) -> None:
    with atomic(path) as partial:
        partial.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
