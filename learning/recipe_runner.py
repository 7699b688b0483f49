"""How every `python -m <recipe> RUN_DIR` starts and ends.

The recipe's `main(context)` does the work and returns what goes into result.json. Everything around it is
here: the run directory, threads, seeds, logging, signals, and the translation of whatever went wrong into a
status, one sentence on stderr and an exit code. Launchers of several processes swallow exit codes;
status.json is the truth.
"""

import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np
import torch
import transformers

from learning.distributed import exit_process
from learning.engine import TrainingDiverged
from learning.environment import describe_environment
from learning.interface.atomic_files import is_disk_full
from learning.interface.exit_codes import (
    EXIT_BUSY,
    EXIT_CHECKPOINTED,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_STALE_FENCE,
    EXIT_USER_ERROR,
)
from learning.interface.options import UserError
from learning.interface.run_directory import FENCE_VARIABLE, Outcome, RunDirectory, StaleFence
from learning.interface.training_options import RuntimeOptions
from learning.run_context import PauseRequested, RunContext, RunDirectoryBusy, StopRequested

logger = logging.getLogger(__name__)


class RecipeOptions(Protocol):
    """What every recipe's options have."""

    @property
    def runtime(self) -> RuntimeOptions: ...


Options = TypeVar("Options", bound=RecipeOptions)


def run_recipe(
    main: Callable[[RunContext[Options]], Mapping[str, Any]],
    options_cls: type[Options],
    argv: Sequence[str] | None = None,
) -> NoReturn:
    """Run the recipe on the run directory named by the one argument, and exit (see
    learning.interface.exit_codes).
    """
    code = _run(main, options_cls, sys.argv[1:] if argv is None else argv)
    exit_process(code, is_orderly=code == EXIT_DONE)


def _run(
    main: Callable[[RunContext[Options]], Mapping[str, Any]], options_cls: type[Options], argv: Sequence[str]
) -> int:
    arguments = [
        argument for argument in argv if not argument.startswith("--local_rank")
    ]  # deepspeed's launcher
    if len(arguments) != 1:
        return _print_and_return(
            f"expected one argument, the run directory, found {len(arguments)}", EXIT_USER_ERROR
        )
    run_directory = RunDirectory(arguments[0])
    log_to_stderr()
    try:
        if run_directory.result() is not None:
            return _print_and_return(f"{run_directory.path}: this run is done already", EXIT_DONE)
        context = RunContext.open(
            run_directory,
            options_cls,
            command=_module_of(main),
            describe_environment=lambda options: describe_environment(options.runtime),
        )
    except RunDirectoryBusy as error:
        by_hand = FENCE_VARIABLE not in os.environ  # a worker waits; a person is told
        return _print_and_return(str(error), EXIT_USER_ERROR if by_hand else EXIT_BUSY)
    except UserError as error:
        return _print_and_return(str(error), EXIT_USER_ERROR)
    except StaleFence as error:
        return _print_and_return(str(error), EXIT_STALE_FENCE)
    except OSError as error:
        return _print_and_return(describe_error(error), EXIT_FAILED)
    _log_to_file(run_directory.path / "log.txt", context)
    _stop_on_signals(context)
    seed_everything(context.options.runtime)
    return _run_main(main, context)


def _module_of(main: Callable[..., Any]) -> str | None:
    """What stood behind `python -m`; None when the recipe was not started that way."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if main.__module__ == "__main__" and spec is not None else None


def _run_main(main: Callable[[RunContext[Options]], Mapping[str, Any]], context: RunContext[Options]) -> int:
    outcome: Outcome
    try:
        logger.info("attempt %s, process %d of %d", context.fence, context.rank, context.world_size)
        result = main(context)
        context.finish(result)
        logger.info("done")
        return EXIT_DONE
    except StaleFence as error:
        context.release()
        return _print_and_return(str(error), EXIT_STALE_FENCE)
    except StopRequested as error:
        outcome, reason, code = "checkpointed", str(error), EXIT_CHECKPOINTED
        logger.info("stopped: %s", reason)
    except PauseRequested as error:
        outcome, reason, code = "paused", str(error), EXIT_CHECKPOINTED
        logger.info("paused: %s", reason)
    except UserError as error:
        outcome, reason, code = "user_error", str(error), EXIT_USER_ERROR
    except TrainingDiverged as error:
        outcome, reason, code = "failed", str(error), EXIT_FAILED
    except (Exception, KeyboardInterrupt) as error:
        outcome, reason, code = "failed", describe_error(error), EXIT_FAILED
        try:
            logger.exception("the run failed")
        except OSError:
            print("log.txt could not be written", file=sys.stderr)
    try:
        context.close(outcome, reason)
    except OSError as error:
        return _print_and_return(
            f"{reason} (and the status could not be written: {describe_error(error)})", code
        )
    return code if outcome in ("checkpointed", "paused") else _print_and_return(reason, code)


def describe_error(error: BaseException) -> str:
    """One sentence for the status: what happened and, where that is known, what to do."""
    if is_disk_full(error):
        place = getattr(error, "filename", None)
        where = f" while writing {place}" if place else ""
        return f"there is no room left on the disk{where}; free some space and start the run again"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
        return "there is not enough memory; lower max_micro_batch_tokens, or train a smaller model"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted before a checkpoint could be saved"
    first_line = (str(error).splitlines() or [""])[0][:500]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _print_and_return(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr, flush=True)
    return code


def seed_everything(runtime: RuntimeOptions) -> None:
    torch.set_num_threads(runtime.threads)
    # Several threads add gradients of gathered rows in any order otherwise. An operation without a deterministic
    # form warns and goes on; filling fresh memory is left out, for it costs and changes no result.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    random.seed(runtime.seed)
    np.random.seed(runtime.seed)
    torch.manual_seed(runtime.seed)  # every rank alike: they must start from the same weights


def _stop_on_signals(context: RunContext[Any]) -> None:
    def request_stop(number: int, frame: FrameType | None) -> None:
        if context.stop_requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        context.stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)


def log_to_stderr() -> None:
    rank = os.environ.get("RANK")
    form = "%(asctime)s %(levelname)s %(message)s" if rank is None else f"%(asctime)s [{rank}] %(message)s"
    logging.basicConfig(
        level=logging.INFO if rank in (None, "0") else logging.WARNING, format=form, force=True
    )
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in ("DeepSpeed", "httpx", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.simplefilter("ignore", category=FutureWarning)


def _log_to_file(path: Path, context: RunContext[Any]) -> None:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.INFO if context.is_main else logging.WARNING)
    logging.getLogger().addHandler(handler)
