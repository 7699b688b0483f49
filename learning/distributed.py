"""The processes (ranks) of a run: which one this is, and the few collectives they need.

One process needs no launcher. Several are started by torchrun or the deepspeed launcher, which set RANK,
WORLD_SIZE and LOCAL_RANK; they talk through gloo on CPUs and NCCL on GPUs, with plain torch as with DeepSpeed.
"""

import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import HashStore  # type: ignore[attr-defined]

from learning.interface.options import UserError
from learning.interface.training_options import RuntimeOptions

T = TypeVar("T")


class DistributedContext:
    """Rank, world size, device and collectives. Every rank must call the collectives, in the same order."""

    def __init__(self, *, rank: int, world_size: int, device: torch.device) -> None:
        self.rank = rank
        self.world_size = world_size
        self.device = device

    @classmethod
    def start(cls, runtime: RuntimeOptions) -> "DistributedContext":
        """Join the process group.

        Raises UserError when there are fewer GPUs than processes, or more processes than a run may have.
        """
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        rank = int(os.environ.get("RANK", "0"))
        device = _device(runtime)
        try:
            runtime.require_processes(world_size)
        except ValueError as error:
            raise UserError(f"config.runtime: {error}") from error
        if world_size > 1 or runtime.backend == "deepspeed":
            _init_process_group(device)
        return cls(rank=rank, world_size=world_size, device=device)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def all_reduce_sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over ranks, as a new tensor on this process's device."""
        total = tensor.detach().clone().to(self.device)
        if self.world_size > 1:
            dist.all_reduce(total)
        return total

    def sum(self, value: float) -> float:
        """The sum over ranks, in float64."""
        return float(self.all_reduce_sum(torch.tensor(value, dtype=torch.float64)).item())

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on some rank; the same answer on all."""
        return self.sum(float(flag)) > 0

    def broadcast_object(self, value: T) -> T:
        """Rank 0's value on every rank."""
        if self.world_size == 1:
            return value
        holder: list[Any] = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def gather_objects(self, value: T) -> list[T]:
        """Every rank's value, in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
        holder: list[Any] = [None] * self.world_size
        dist.all_gather_object(holder, value)
        return holder

    def barrier(self) -> None:
        if self.world_size > 1:
            dist.barrier()


def sum_gradients(parameters: Sequence[torch.nn.Parameter], *, bucket_elements: int = 2**24) -> None:
    """Every parameter's gradient becomes its sum over ranks; None stays None where no rank has one.

    In buckets of about `bucket_elements` numbers, so that the copy on its way stays small beside the model.
    """
    bucket: list[torch.nn.Parameter] = []
    elements = 0
    for parameter in parameters:
        if bucket and (elements + parameter.numel() > bucket_elements or parameter.dtype != bucket[0].dtype):
            _sum_bucket(bucket)
            bucket, elements = [], 0
        bucket.append(parameter)
        elements += parameter.numel()
    if bucket:
        _sum_bucket(bucket)


def _sum_bucket(parameters: Sequence[torch.nn.Parameter]) -> None:
    # How many ranks have a gradient travels with the gradients: a rank without one contributes zeros.
    counts = parameters[0].new_tensor([parameter.grad is not None for parameter in parameters])
    parts = [
        torch.zeros_like(parameter).flatten() if parameter.grad is None else parameter.grad.flatten()
        for parameter in parameters
    ]
    total = torch.cat([counts, *parts])
    dist.all_reduce(total)
    sizes = [len(parameters), *(parameter.numel() for parameter in parameters)]
    counts, *sums = total.split(sizes)
    for parameter, count, gradient in zip(parameters, counts.tolist(), sums, strict=True):
        if count:
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            parameter.grad.copy_(gradient.view_as(parameter))


def exit_process(code: int, *, is_orderly: bool) -> NoReturn:
    """End this process; after an orderly end, when all ranks come here, the group is taken apart first.

    A process of a group exits with os._exit after flushing: Gloo threads that are still alive at
    interpreter shutdown abort the process, and the launcher would report a finished run as failed. Where
    other ranks hang in a collective that this process will never join, an orderly exit would wait for
    them for ever.
    """
    if not dist.is_initialized():
        sys.exit(code)
    if is_orderly:
        dist.destroy_process_group()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _device(runtime: RuntimeOptions) -> torch.device:
    if runtime.device == "cpu" or (runtime.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    host, gpus = socket.gethostname(), torch.cuda.device_count()
    if not torch.cuda.is_available():
        raise UserError(
            f'config.runtime.device: "cuda" was asked for and {host} has no GPU that PyTorch can use; start the '
            'worker on a machine with one, or ask for "cpu" or "auto"'
        )
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes > gpus:
        raise UserError(
            f'config.runtime.device: "{runtime.device}" with {processes} processes needs {processes} GPUs, and {host} '
            f"has {gpus}; ask for as many processes as there are GPUs"
        )
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def _init_process_group(device: torch.device) -> None:
    if dist.is_initialized():
        return
    if "WORLD_SIZE" not in os.environ:  # a single process without a launcher still is a world, of one
        os.environ |= {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}
        dist.init_process_group(_backend(device), store=HashStore(), rank=0, world_size=1)
        return
    dist.init_process_group(_backend(device))


def _backend(device: torch.device) -> str:
    return "nccl" if device.type == "cuda" else "gloo"
