"""One trained model with its optimizer. Plain torch or DeepSpeed: that is decided here and nowhere else.

Losses are sums. A step's loss is the sum over all its tokens (or pairs, or judgments), over all forward
passes and all ranks, divided by one number known before the step; so how a step is cut into passes and
spread over ranks changes nothing but rounding. Plain torch adds the ranks' gradients up once a step; DeepSpeed
averages them, so there the loss is multiplied by their number.

Every forward pass of the trained model goes through `forward`, `infer` or `infer_alone`: ZeRO stage 3 gathers weights
there, and autocast is switched on there.
"""

import copy
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from transformers import PreTrainedTokenizerFast

from learning.distributed import DistributedContext, sum_gradients
from learning.interface.options import UserError
from learning.interface.training_options import OptimizerOptions, RuntimeOptions
from learning.models.adapters import adapter_info, load_trained_state, trained_state
from learning.models.architectures import unwrap_model
from learning.models.files import save_model
from learning.models.tokenizers import autotokenizer_difference
from learning.schedules import learning_rate_at

logger = logging.getLogger(__name__)

M = TypeVar("M")
R = TypeVar("R")


class TrainingDiverged(Exception):
    """A loss or gradient is not a finite number any more; the message says where and what to try."""


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did: loss over all ranks, global gradient norm before clipping, rate used."""

    loss: float
    gradient_norm: float
    learning_rate: float


class _ForwardWrapper(nn.Module):
    """Lets any function of the model run as a module's forward, which is where DeepSpeed does its work."""

    def __init__(self, model: nn.Module, device_type: str, is_autocast: bool) -> None:
        super().__init__()
        self.model = model
        self._device_type = device_type
        self._is_autocast = is_autocast

    def forward(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Inside the module and not around it: DeepSpeed switches off an autocast that it finds around its engine.
        with torch.autocast(self._device_type, torch.bfloat16, enabled=self._is_autocast):
            return function(self.model, *args, **kwargs)


class Engine:
    """Forward, backward and step of one model. Construct it once the model is complete (head, adapters)."""

    def __init__(
        self,
        model: nn.Module,
        *,
        optimizer: OptimizerOptions,
        steps_total: int,
        runtime: RuntimeOptions,
        distributed: DistributedContext,
    ) -> None:
        self.model = model
        self.steps_done = 0
        self._steps_skipped = 0
        self._options = optimizer
        self._steps_total = steps_total
        self._runtime = runtime
        self._distributed = distributed
        self._gradient_norm = math.nan
        self._accumulated_loss: float | None = None  # of the step to come; None: no micro-batch yet
        model.to(distributed.device)
        model.train()
        wrapper = _ForwardWrapper(model, distributed.device.type, runtime.dtype == "bf16")
        if distributed.world_size > 1:
            _broadcast_parameters(model)
            # Weights are the same on all ranks now; dropout must not be.
            torch.manual_seed(runtime.seed + 1_000_003 * (distributed.rank + 1))
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(model, optimizer.weight_decay),
            lr=self.learning_rate,
            betas=(optimizer.beta1, optimizer.beta2),
            eps=optimizer.epsilon,
            fused=runtime.backend == "torch",
        )
        self._form = _without_weights(model) if runtime.zero_stage == 3 else None
        if runtime.backend == "deepspeed":
            self._deepspeed = self._start_deepspeed(wrapper)
            self._wrapper: Any = self._deepspeed
        else:
            self._deepspeed = None
            self._wrapper = wrapper

    @property
    def _has_adapter(self) -> bool:
        return adapter_info(self.model) is not None

    @property
    def is_deepspeed(self) -> bool:
        return self._deepspeed is not None

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return learning_rate_at(self._options, self.steps_done + self._steps_skipped, self._steps_total)

    def skip_steps(self, count: int) -> None:
        """Moves the learning-rate schedule on past `count` planned steps that will not be taken."""
        if count < 0:
            raise ValueError(f"count must be at least 0, found {count}")
        self._steps_skipped += count

    def forward(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """`function(model, *args, **kwargs)` in training mode, with gradients, in the run's precision."""
        if not self.model.training:
            self._wrapper.train()
        return self._wrapper(function, *args, **kwargs)

    def infer(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """`function(model, *args, **kwargs)` without dropout and gradients, in the run's precision."""
        self._wrapper.eval()
        try:
            with torch.no_grad():
                return self._wrapper(function, *args, **kwargs)
        finally:
            self._wrapper.train()

    def infer_alone(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """As `infer`, for functions that pass through the model more often on one rank than on another, as sampling
        does. Every rank calls it: ZeRO stage 3, whose ranks gather each layer together in each pass, gathers the whole
        model once, for the time of the call.
        """
        if self._form is None:
            return self.infer(function, *args, **kwargs)
        model = copy.deepcopy(self._form)
        device = self._distributed.device
        state = self._gathered_state(is_kept=True, device=device)
        unwrap_model(model).load_state_dict(state, assign=True)
        whole = _ForwardWrapper(model.eval(), device.type, self._runtime.dtype == "bf16")
        with torch.no_grad():
            return whole(function, *args, **kwargs)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of `loss`, which is already divided by the step's denominator over all ranks.

        All ranks call it equally often between two steps.
        """
        if self._deepspeed is None:
            loss.backward()
        else:
            self._deepspeed.backward(loss * self._distributed.world_size)

    def step(self) -> float:
        """Clip, update the weights, forget the gradients. Returns the global gradient norm before clipping.

        Raises TrainingDiverged when the norm is not finite.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate
        if self._deepspeed is None:
            if self._distributed.world_size > 1:
                sum_gradients(self._trained_parameters())
            norm = self._clip()
            self._require_finite(norm)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        else:
            self._deepspeed.step()
            # Stage 0 has no optimizer of DeepSpeed's own; there the hook before the step has clipped.
            if self._runtime.zero_stage > 0:
                self._gradient_norm = float(self._deepspeed.get_global_grad_norm())
            norm = self._gradient_norm
            self._require_finite(norm)
        self.steps_done += 1
        return norm

    def accumulate(self, loss_sum: torch.Tensor, loss_denominator: float, *, is_dummy: bool = False) -> None:
        """Add the gradient of one micro-batch, whose losses sum to `loss_sum`, to the step that `take_step` takes.

        `loss_denominator` is what the sum over all micro-batches of all ranks is divided by. A dummy is computed, so
        that the ranks stay in step, and counts nothing.
        """
        if not loss_denominator > 0:
            raise ValueError(f"a step needs a positive loss_denominator, found {loss_denominator}")
        loss = loss_sum / loss_denominator
        if is_dummy:
            loss = loss * 0.0
        self.backward(loss)
        self._accumulated_loss = (self._accumulated_loss or 0.0) + loss.item()

    def take_step(self) -> StepResult:
        """The optimizer step on what has been accumulated. Raises UserError naming the model when the loss of its very
        first is not finite: another attempt would find the same. Later that is TrainingDiverged.
        """
        if self._accumulated_loss is None:
            raise ValueError("a step needs micro-batches: nothing was accumulated")
        rate = self.learning_rate
        total, self._accumulated_loss = self._distributed.sum(self._accumulated_loss), None
        if self.steps_done == 0 and not math.isfinite(total):
            name = getattr(unwrap_model(self.model), "name_or_path", "") or type(self.model).__name__
            raise UserError(
                f"{name}: the loss of its first forward pass is {total}, before any training; its weights are bad, "
                "so start from another one"
            )
        return StepResult(loss=total, gradient_norm=self.step(), learning_rate=rate)

    def accumulate_and_step(
        self, micro_batches: Sequence[M], loss_sum: Callable[[M], torch.Tensor], loss_denominator: float
    ) -> StepResult:
        """One optimizer step over the micro-batches of this rank.

        `loss_sum` returns the sum of the losses in its micro-batch (through `forward`). The rest is as in `accumulate`
        and `take_step`; a micro-batch whose `is_dummy` is true counts nothing.
        """
        for micro_batch in micro_batches:
            self.accumulate(
                loss_sum(micro_batch), loss_denominator, is_dummy=getattr(micro_batch, "is_dummy", False)
            )
        return self.take_step()

    def save_model(
        self,
        tokenizer: PreTrainedTokenizerFast,
        path: str | Path,
        *,
        finish: Callable[[Path], None] | None = None,
    ) -> dict[str, str]:
        """Write the model in Hugging Face form; all ranks call it, rank 0 writes, and `finish` may add files.

        Returns sha256 by file name.
        """
        state = None
        if self._runtime.zero_stage == 3:
            state = self._gathered_state(is_kept=self._distributed.is_main, device=torch.device("cpu"))
        sums: dict[str, str] = {}
        if self._distributed.is_main:
            sums = save_model(self.model, tokenizer, path, state_dict=state, finish=finish)
            if difference := autotokenizer_difference(Path(path), tokenizer):
                logger.warning("AutoTokenizer reads the saved tokenizer otherwise: %s", difference)
        return self._distributed.broadcast_object(sums)

    # -- checkpoints -------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Trained weights, optimizer and step count; of a DeepSpeed engine the step count (see `save_deepspeed`)."""
        counts = {"steps_done": self.steps_done, "steps_skipped": self._steps_skipped}
        if self._deepspeed is not None:
            return counts
        info = adapter_info(self.model)
        return {
            **counts,
            **({"lora": asdict(info.options)} if info else {}),
            "model": trained_state(self.model),
            "optimizer": self._optimizer.state_dict()["state"],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done, self._steps_skipped = state["steps_done"], state["steps_skipped"]
        if self._deepspeed is None:
            load_trained_state(self.model, state["model"])
            groups = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})

    def save_deepspeed(self, folder: Path) -> None:
        """Every rank's part of a DeepSpeed engine, in DeepSpeed's own files."""
        assert self._deepspeed is not None
        # Frozen weights are not written: the base of adapters is read where it stands.
        self._deepspeed.save_checkpoint(
            str(folder), tag="shards", save_latest=False, exclude_frozen_parameters=self._has_adapter
        )

    def load_deepspeed(self, folder: Path) -> None:
        """Read what `save_deepspeed` wrote. The caller has verified the files: DeepSpeed unpickles them."""
        assert self._deepspeed is not None
        loaded, _ = self._deepspeed.load_checkpoint(
            str(folder), tag="shards", load_module_strict=not self._has_adapter
        )
        if loaded is None:
            raise UserError(f"{folder}: DeepSpeed found no checkpoint here; clone this run")

    # -- inside --------------------------------------------------------------------------------------------------

    def _clip(self) -> float:
        limit = self._options.max_grad_norm or math.inf
        return float(nn.utils.clip_grad_norm_(self._trained_parameters(), limit))

    def _trained_parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _require_finite(self, norm: float) -> None:
        if not math.isfinite(norm):
            raise TrainingDiverged(
                f"the gradient norm became {norm} at optimizer step {self.steps_done + 1}; "
                "lower the learning rate, or look for rows that are out of the ordinary"
            )

    def _start_deepspeed(self, wrapper: nn.Module) -> Any:
        if self._distributed.device.type == "cpu":
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        import deepspeed.ops  # here, for it takes 2 s

        # No extension: it would look for compilers and build one for a minute, which inference alone makes use of.
        deepspeed.ops.__compatible_ops__ = {}
        stage = self._runtime.zero_stage
        config = {
            "train_micro_batch_size_per_gpu": 1,  # only for DeepSpeed's statistics; batches are ours
            "gradient_accumulation_steps": 1,
            "managed_gradient_accumulation": False,  # a step is where `step` is called
            "gradient_clipping": self._options.max_grad_norm if stage else 0.0,
            "zero_optimization": {"stage": stage},
            "zero_force_ds_cpu_optimizer": False,  # ours is torch's AdamW; the other compiles for a minute
            "steps_per_print": 10**9,
        }
        if stage == 0:
            self._optimizer.register_step_pre_hook(self._clip_before_step)
        engine, self._optimizer, _, _ = deepspeed.initialize(
            model=wrapper,
            optimizer=self._optimizer,
            config=config,
            dist_init_required=False,
        )
        return engine

    def _clip_before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._gradient_norm = self._clip()

    def _gathered_state(self, *, is_kept: bool, device: torch.device) -> dict[str, torch.Tensor]:
        """All weights on `device` where `is_kept`, gathered one by one so that they need not fit in memory twice."""
        import deepspeed

        state: dict[str, torch.Tensor] = {}
        whole: dict[
            int, torch.Tensor
        ] = {}  # tied weights stay one tensor, and are gathered once on every rank
        for name, tensor in unwrap_model(self.model).state_dict(keep_vars=True).items():
            if id(tensor) not in whole:
                with deepspeed.zero.GatheredParameters([tensor]):
                    whole[id(tensor)] = (
                        tensor.detach().to(device, copy=True) if is_kept else tensor.new_empty(0)
                    )
            state[name] = whole[id(tensor)]
        return state


def _without_weights(model: nn.Module) -> nn.Module:
    """A copy whose parameters take no memory, for weights to be put into; made before DeepSpeed changes the model."""
    empty = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
        for parameter in model.parameters()
    }
    return copy.deepcopy(model, empty)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("the model has no parameter that requires a gradient")
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _broadcast_parameters(model: nn.Module) -> None:
    for tensor in [*model.parameters(), *model.buffers()]:
        dist.broadcast(tensor.data, src=0)
