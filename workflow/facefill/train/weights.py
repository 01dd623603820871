"""A trained model on disk: weights that load without executing anything, settings beside them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from facefill.core.errors import FacefillError
from facefill.core.files import write_bytes


def save(
    weights: Path, settings_file: Path, networks: dict[str, nn.Module], settings: dict[str, Any]
) -> None:
    """Write all networks of a model into one file, each tensor as `{network}.{name}`.

    The file's header has the settings, too, so that weights alone still say what they are, and
    strangers put in their place are recognised.
    """
    tensors = {
        f"{network}.{name}": tensor.detach().cpu().contiguous()
        for network, module in networks.items()
        for name, tensor in module.state_dict().items()
    }
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    write_bytes(weights, to_bytes(tensors, metadata={"settings": text}))
    write_bytes(settings_file, text.encode())


def load(weights: Path, settings: dict[str, Any], networks: dict[str, nn.Module]) -> None:
    """Fill `networks` from the file; every tensor must be there and fit.

    Raises FacefillError naming the file when it is damaged or was not saved with `settings`.
    """
    remedy = f"delete {weights.parent} and run again to train it anew"
    try:
        with safe_open(weights, framework="pt") as file:
            saved_with = (file.metadata() or {}).get("settings")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FacefillError(f"{weights}: not readable weights ({error}); {remedy}") from error
    if saved_with is None or json.loads(saved_with) != settings:
        raise FacefillError(
            f"{weights}: not the weights that settings.json beside them describes; {remedy}"
        )
    for network, module in networks.items():
        prefix = network + "."
        found = [name for name in tensors if name.startswith(prefix)]
        own = {name.removeprefix(prefix): tensors[name] for name in found}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise FacefillError(
                f"{weights}: the weights do not fit the settings beside them ({reason}); {remedy}"
            ) from error


def load_settings(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    """Read the settings.json of a model, which must have the keys `needed`.

    Raises FacefillError naming the file when it is damaged or of another version of facefill.
    """
    remedy = f"delete {path.parent} and run again to train it anew"
    try:
        settings = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FacefillError(f"{path}: not readable settings ({error}); {remedy}") from error
    missing = sorted(set(needed) - settings.keys())
    if missing:
        raise FacefillError(
            f"{path}: lacks {missing[0]!r}, so it comes from another version of facefill; {remedy}"
        )
    return settings
