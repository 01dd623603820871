"""Several processes in one training: each computes its rows of every batch.

All of them draw the random numbers of the whole batch, from the same generators, and take their own
rows, so that a team computes what one process would, but for the rounding of sums. BatchNorm takes
its statistics over the whole batch and gradients are averaged before each step of an optimiser.
All else, such as validation, every process does for itself; what is written, rank 0 writes.

PyTorch's DistributedDataParallel would not do: it averages in the one backward pass of one network,
where a step here may have several for several optimisers, and penalties have gradients of gradients
(R1, R2). SyncBatchNorm has no second derivative and refuses tensors on the CPU.

Without a team (`size()` is 1) there is nothing to share: everything is what PyTorch has.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

# How long one waits for another, which may write to a slow disk or be stopped for a while.
PATIENCE = timedelta(hours=1)
Value = TypeVar("Value")


@dataclass
class _Team:
    rank: int = 0
    size: int = 1
    apart: bool = False


_team = _Team()


def rank() -> int:
    """The number of this process in its team, from 0."""
    return _team.rank


def size() -> int:
    """How many processes train together."""
    return _team.size


def join(device: str) -> None:
    """Become a process of the team that torchrun has started, on a card of its own if on cuda."""
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if sys.platform == "linux":  # all are on one machine, whose name may have no address
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    _team.rank, _team.size = dist.get_rank(), dist.get_world_size()


def leave() -> None:
    """Be a process without a team again."""
    dist.destroy_process_group()
    _team.rank, _team.size = 0, 1


@contextmanager
def apart() -> Iterator[None]:
    """In the block BatchNorm heeds this process alone: all of them compute the same there."""
    before, _team.apart = _team.apart, True
    try:
        yield
    finally:
        _team.apart = before


# -- rows of a batch ---------------------------------------------------------------------------


def rows(count: int) -> slice:
    """This process's rows of a batch of `count`. Raises ValueError where they do not divide."""
    if count % _team.size:
        raise ValueError(f"a batch of {count} does not divide among {_team.size} processes")
    each = count // _team.size
    return slice(_team.rank * each, (_team.rank + 1) * each)


def parts(own: slice, first: int) -> tuple[slice, slice]:
    """The rows `own` of a batch as rows of its `first` ones, and as rows of the others."""
    before = slice(min(own.start, first), min(own.stop, first))
    return before, slice(max(own.start, first) - first, max(own.stop, first) - first)


def share(batch: Tensor) -> Tensor:
    """This process's rows of a whole batch, [N, ...] -> [N / size(), ...]."""
    return batch if _team.size == 1 else batch[rows(len(batch))]


def gather(own: Tensor) -> Tensor:
    """The whole batch, without gradients, of which every process has its rows."""
    if _team.size == 1:
        return own
    each = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(size())]
    dist.all_gather(each, own.detach().contiguous())
    return torch.cat(each)


def previous(own: Tensor) -> Tensor:
    """The row before each of one's own in the whole batch; before the first one is the last."""
    if _team.size == 1:
        return own.roll(1, 0)
    lasts = gather(own[-1:])
    return torch.cat([lasts[rank() - 1][None], own[:-1]])


def mean(own: Tensor) -> Tensor:
    """The mean of the values that the processes have, without gradients."""
    if _team.size == 1:
        return own
    total = own.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total / _team.size


def agree(value: Value) -> Value:
    """The value that rank 0 has."""
    if _team.size == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


# -- parts of networks and steps ---------------------------------------------------------------


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Make gradients of a mean over one's own rows those of the mean over the whole batch."""
    if _team.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    means = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    means = means.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, means, strict=True):
        gradient.copy_(part.view(gradient.shape))


def dropout(own: Tensor, probability: float, training: bool) -> Tensor:
    """Drop values as F.dropout does; which ones, is drawn for the whole batch."""
    if _team.size == 1 or not training:
        return F.dropout(own, probability, training)
    whole = own.new_ones(len(own) * _team.size, *own.shape[1:])
    if own.dim() == 4 and own.is_contiguous(memory_format=torch.channels_last):
        whole = whole.contiguous(memory_format=torch.channels_last)  # numbers go by place in memory
    return own * share(F.dropout(whole, probability))


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm whose statistics in training are those of the whole batch, backwards, too."""

    def forward(self, values: Tensor) -> Tensor:
        if _team.size == 1 or _team.apart or not self.training:
            return super().forward(values)
        with torch.autocast(values.device.type, enabled=False):
            least = torch.promote_types(values.dtype, torch.float32)
            return self._in_step(values.to(least)).to(values.dtype)

    def _in_step(self, values: Tensor) -> Tensor:
        own_variance, own_mean = torch.var_mean(values, (0, 2, 3), correction=0)
        means, variances = _of_all(torch.stack([own_mean, own_variance])).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        self._remember(mean.detach(), variance.detach(), values.numel() // len(mean) * _team.size)
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        if self.affine:
            shift = shift + self.bias
        return values * scale[:, None, None] + shift[:, None, None]

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics towards those of `count` values per channel."""
        self.num_batches_tracked += 1
        plain = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, plain)
        self.running_var.lerp_(variance * count / (count - 1), plain)


def _of_all(own: Tensor) -> Tensor:
    """Stack what each process has, [size(), *own.shape]; gradients of any order go through."""
    place = F.one_hot(torch.tensor(_team.rank), _team.size).to(own)
    return _Sum.apply(place.view(-1, *[1] * own.dim()) * own)


class _Sum(torch.autograd.Function):
    """The sum over the processes; PyTorch's own, which has gradients, is to be removed."""

    @staticmethod
    def forward(context, own: Tensor) -> Tensor:
        total = own.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)
