"""The processes (ranks) of a run: which one this is, and the few collectives they need.

One process needs no launcher. Several are started by torchrun or the deepspeed launcher, which set RANK,
WORLD_SIZE and LOCAL_RANK; they talk through gloo on CPUs and NCCL on GPUs.
"""

import logging
import os
import sys
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

        Raises UserError when several processes run without DeepSpeed, or CUDA is missing.
        """
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        rank = int(os.environ.get("RANK", "0"))
        device = _device(runtime)
        if world_size > 1 and runtime.backend != "deepspeed":
            raise UserError(
                f'config.runtime.backend: {world_size} processes need "deepspeed", found "{runtime.backend}"'
            )
        if runtime.backend == "deepspeed":
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
    if not torch.cuda.is_available():
        raise UserError(
            'config.runtime.device: "cuda" was asked for and no GPU is there; use "cpu" or "auto"'
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
