"""dlib's face recognition network with dlib's weights, evaluated by PyTorch.

Built without a BLAS, as pip builds it, dlib takes 80 ms of processor time per face; PyTorch takes
7 ms in one thread. The descriptors are equal to dlib's but for rounding (tests/unit/
test_descriptor.py).

Sources: the layers are those of dlib's examples/dnn_face_recognition_ex.cpp, the file's format is
that of `serialize` in dlib/serialize.h, dlib/dnn/core.h and dlib/dnn/layers.h.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facefill.core.errors import FacefillError

DIMENSIONS = 128
CHIP_SIZE = 150
# Filters, kernel size and stride of the convolutions behind the first; two are a residual block.
# A block of stride 2 halves its input. dlib pads none but the convolutions of stride 1.
STEM = (32, 7, 2)
BLOCKS = [(32, 1)] * 3 + [(64, 2)] + [(64, 1)] * 3 + [(128, 2)] + [(128, 1)] * 2
BLOCKS += [(256, 2)] + [(256, 1)] * 2 + [(256, 2)]
# How many integers stand in the file before and after a layer's tensor; None: it has no tensor.
NUMBERS = {
    "con_4": (0, 25),
    "affine_": (0, 11),
    "relu_": (0, None),
    "add_prev_": (0, None),
    "max_pool_2": (6, None),
    "avg_pool_2": (6, None),
    "fc_2": (2, 19),
}
GEOMETRY = {"con_4": 12, "max_pool_2": 6, "avg_pool_2": 6, "fc_2": 2}  # integers that say it
Layer = tuple[str, list[int], np.ndarray]  # name, integers, float32 tensor, flat


class DescriptorNetwork(nn.Module):
    """Chips of faces, float32 [N, 3, 150, 150] from 0 to 255, to descriptors, float32 [N, 128]."""

    def __init__(self, path: Path):
        """Raises FacefillError naming `path` when it holds another network or none."""
        super().__init__()
        try:
            means, layers = _read(path.read_bytes())
            _check(layers)
        except (OSError, ValueError) as error:
            raise FacefillError(
                f"{path} is not dlib's face recognition network ({error}); install it anew: pip "
                "install --force-reinstall face_recognition_models"
            ) from error
        self.register_buffer("means", torch.from_numpy(means)[:, None, None])
        filters, biases, self._strides = zip(*_fold(layers), strict=True)
        self.filters, self.biases = _fixed(filters), _fixed(biases)
        self.register_buffer("projection", torch.from_numpy(layers[-1][2].reshape(-1, DIMENSIONS)))

    def forward(self, chips: Tensor) -> Tensor:
        convolutions = zip(self.filters, self.biases, self._strides, strict=True)
        stem, *rest = convolutions
        x = F.max_pool2d(F.relu(_convolve((chips - self.means) / 256, *stem)), 3, 2)
        for first, second in zip(rest[::2], rest[1::2], strict=True):
            residual = _convolve(F.relu(_convolve(x, *first)), *second)
            stride = first[2]
            x = F.relu(_add(F.avg_pool2d(x, 2) if stride == 2 else x, residual))
        with torch.autocast(x.device.type, enabled=False):  # distances are small
            return x.to(torch.float32).mean((2, 3)) @ self.projection


def _fixed(tensors: Iterable[Tensor]) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(each, requires_grad=False) for each in tensors)


def _convolve(x: Tensor, filters: Tensor, bias: Tensor, stride: int) -> Tensor:
    return F.conv2d(x, filters, bias, stride, padding=_padding(filters.shape[2], stride))


def _padding(kernel: int, stride: int) -> int:
    return kernel // 2 if stride == 1 else 0


def _add(one: Tensor, other: Tensor) -> Tensor:
    """The sum, where zeros fill up the smaller one behind its channels, rows and columns."""
    shape = [max(sizes) for sizes in zip(one.shape, other.shape, strict=True)]

    def fill_up(x: Tensor) -> Tensor:
        missing = [size - own for size, own in zip(shape, x.shape, strict=True)]
        return F.pad(x, (0, missing[3], 0, missing[2], 0, missing[1]))

    return fill_up(one) + fill_up(other)


def _read(data: bytes) -> tuple[np.ndarray, list[Layer]]:
    """The mean colours and the layers, in the order in which they are evaluated.

    Raises ValueError where the data end too early or go on, or a layer is of another kind.
    """
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        if not 0 <= count <= len(data) - position:
            raise ValueError("it ends too early")
        position += count
        return data[position - count : position]

    def integer() -> int:
        size = take(1)[0]  # and the sign, in the highest bit
        value = int.from_bytes(take(size & 15), "little")
        return -value if size & 128 else value

    def integers(count: int) -> list[int]:
        return [integer() for _ in range(count)]

    def tensor() -> np.ndarray:
        _version, *shape = integers(5)
        return np.frombuffer(take(4 * math.prod(shape)), "<f4").astype(np.float32)

    def name(length: int) -> str:
        return take(length).decode("latin-1")

    integer()  # the version of the loss layer
    name(integer())
    integers(4)  # margin and threshold of the loss
    while (length := integer()) < 4:
        pass  # versions of the nested layers, all of them ahead of the innermost one
    if name(length) != "input_rgb_image_sized":
        raise ValueError("its input is of another kind")
    mantissas = integers(6)  # of three floats, each followed by its exponent
    means = np.ldexp(np.float32(mantissas[::2]), mantissas[1::2])
    integers(2)  # size of the chips
    layers: list[Layer] = []
    while position < len(data):
        kind = name(integer())
        if kind not in NUMBERS:
            raise ValueError(f"it holds a layer {kind[:20]!r}")
        before, after = NUMBERS[kind]
        numbers = integers(before)
        values = np.empty(0, np.float32) if after is None else tensor()
        layers.append((kind, numbers + integers(after or 0), values))
        take(3)  # three flags and three tensors: the state of a training
        for _ in range(3):
            tensor()
        if len(layers) == 1:
            integer()  # the first layer has one number more
    return means, layers


def _check(layers: list[Layer]) -> None:
    """Raise ValueError unless the layers are those of the network, and all weights are numbers."""
    found = [(kind, numbers[: GEOMETRY.get(kind, 0)], len(v)) for kind, numbers, v in layers]
    if found != list(_expected()):
        raise ValueError("its layers are others")
    if not all(np.isfinite(values).all() for _, _, values in layers):
        raise ValueError("not all of its weights are numbers")


def _expected() -> Iterator[tuple[str, list[int], int]]:
    """The layers in their order: name, the integers that say its geometry, length of its tensor."""

    def convolution(inputs: int, filters: int, kernel: int, stride: int):
        geometry = [filters, kernel, kernel, stride, stride, *[_padding(kernel, stride)] * 2]
        shape = [filters, inputs, kernel, kernel]
        yield "con_4", [*geometry, 1, *shape], math.prod(shape) + filters  # 1: a version
        yield "affine_", [], 2 * filters

    yield from convolution(3, *STEM)
    yield "relu_", [], 0
    yield "max_pool_2", [3, 3, 2, 2, 0, 0], 0
    inputs = STEM[0]
    for filters, stride in BLOCKS:
        yield from convolution(inputs, filters, 3, stride)
        yield "relu_", [], 0
        yield from convolution(filters, filters, 3, 1)
        if stride == 2:
            yield "avg_pool_2", [2, 2, 2, 2, 0, 0], 0
        yield "add_prev_", [], 0
        yield "relu_", [], 0
        inputs = filters
    yield "avg_pool_2", [0, 0, 1, 1, 0, 0], 0  # over everything
    yield "fc_2", [DIMENSIONS, inputs], inputs * DIMENSIONS


def _fold(layers: list[Layer]) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Filters, bias and stride of each convolution, with the affine layer behind it."""
    for (kind, numbers, weights), (_, _, affine) in itertools.pairwise(layers):
        if kind == "con_4":
            filters, _, _, stride = numbers[:4]
            scale, shift = affine[:filters], affine[filters:]
            kernels = weights[:-filters].reshape(numbers[8:12]) * scale[:, None, None, None]
            bias = weights[-filters:] * scale + shift
            yield torch.from_numpy(kernels), torch.from_numpy(bias), stride
