"""A computation as one CUDA graph: hundreds of small kernels that are launched at once."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # computations before the recording, in which libraries choose and allocate


class Captured:
    """`compute(*inputs)`, tensors all, recorded on a GPU at its first call and replayed later.

    Inputs must keep their shapes. `compute` must neither wait for the device nor draw random
    numbers.
    """

    def __init__(self, compute: Callable[..., tuple[Tensor, ...]]):
        self.compute = compute
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: list[Tensor] = []
        self.outputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.graph is None:
            self._record(inputs)
        for buffer, value in zip(self.inputs, inputs, strict=True):
            buffer.copy_(value)
        self.graph.replay()
        # Cloned, since the next replay overwrites the outputs.
        return tuple(value.clone() for value in self.outputs)

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = [value.clone() for value in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.compute(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = self.compute(*self.inputs)
