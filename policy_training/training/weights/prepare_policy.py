"""What an import does with a language model's folder before a project takes it: check it, merge, freeze its template.

    python -m policy_training.training.weights.prepare_policy REQUEST.json ANSWER.json

The request has `folder`, `out` (where a changed copy goes), `base` (of a LoRA adapter) or null, `date`,
`chat_template_kwargs` and `own_tokenizer`. The answer has `folder` (the policy's: the given one, or `out`) and what is
to be recorded. What would fail later in a run is refused here: one sentence on stderr and exit code 2.
"""

import contextlib
import datetime
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from learning.interface.atomic_files import atomic_folder
from learning.interface.exit_codes import EXIT_DONE, EXIT_USER_ERROR
from learning.interface.model_folders import require_own_files
from learning.interface.options import UserError
from learning.models.loading import is_reward_model
from learning.models.template_freezing import freeze_date, freeze_values
from learning.models.tokenizers import autotokenizer_difference, load_tokenizer

TEMPLATE_SECONDS = 10
ADAPTER_CONFIG = "adapter_config.json"
TEMPLATE_FILE = "chat_template.jinja"


def prepare(request: Mapping[str, Any]) -> dict[str, Any]:
    """See the module. Raises UserError."""
    folder, out = Path(request["folder"]), Path(request["out"])
    facts: dict[str, Any] = {}
    if is_adapter(folder):
        if request["base"] is None:
            raise UserError(f"{folder}: an adapter needs its base model; name its folder with --base")
        base = Path(request["base"])
        _check_model(base)
        merge_adapter(base, folder, out)
        facts |= {"adapter": str(folder), "base": str(base)}
        folder = out
    facts |= _check_model(folder)
    tokenizer = _check_tokenizer(folder, facts.pop("embedding_rows"))
    if difference := autotokenizer_difference(folder, tokenizer):
        if not request["own_tokenizer"]:
            raise UserError(
                f"{folder}: AutoTokenizer reads this tokenizer by the rules of its architecture, not by tokenizer.json "
                f"({difference}), so that other programs would see other text; save the model with its family's "
                "tokenizer, or import it with --own-tokenizer"
            )
        facts["autotokenizer_differs"] = difference
    template = tokenizer.chat_template
    date = datetime.date.fromisoformat(request["date"])
    values = dict(request["chat_template_kwargs"])
    frozen = template
    try:
        if isinstance(template, str):
            frozen, is_dated = freeze_date(freeze_values(template, values), date)
            if is_dated:
                facts["template_date"] = request["date"]
        elif values:
            raise UserError("it has several chat templates, and chat_template_kwargs go into one")
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    with _time_limit(folder):
        _check_template(folder, tokenizer, values, frozen)
    if values:
        facts["chat_template_kwargs"] = values
    if frozen != template:
        if folder != out:
            _copy_linked(folder, out)
        _write_template(out, frozen)
        folder = out
    return {"folder": str(folder), **facts}


def is_adapter(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file()


def merge_adapter(base: Path, adapter: Path, out: Path) -> None:
    """The base with the LoRA adapter's weights added, in the base's own precision, as a policy's folder."""
    from peft import PeftConfig, PeftModel

    if not (adapter / "adapter_model.safetensors").is_file():
        raise UserError(
            f"{adapter}: no adapter_model.safetensors; save the adapter with safetensors, nothing else is loaded"
        )
    require_own_files(adapter)
    _require_finite(adapter)
    try:
        config = PeftConfig.from_pretrained(adapter)
        if str(getattr(config.peft_type, "value", config.peft_type)) != "LORA":
            raise UserError(
                f"{adapter}: an adapter of kind {config.peft_type}; only LoRA adapters are merged"
            )
        kind = str(getattr(config.task_type, "value", config.task_type) or "CAUSAL_LM")
        if kind != "CAUSAL_LM":
            raise UserError(f"{adapter}: an adapter for {kind}, and a policy needs one for CAUSAL_LM")
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", use_safetensors=True)
        dtype = model.dtype
        # Added in float32: bfloat16 would round the sum of a weight and its small change twice.
        merged = PeftModel.from_pretrained(model.float(), adapter).merge_and_unload().to(dtype)
    except UserError:
        raise
    except Exception as error:  # peft and torch raise many kinds for an adapter of another model
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{adapter}: it does not fit the base {base} ({reason})") from error
    tokens = adapter if (adapter / "tokenizer.json").is_file() else base
    if not (tokens / "tokenizer.json").is_file():
        raise UserError(f"{tokens}: no tokenizer (tokenizer.json) beside the base or the adapter")
    with atomic_folder(out) as folder:
        merged.save_pretrained(folder)
        for name in _TOKENIZER_FILES:
            if (tokens / name).is_file():
                shutil.copyfile(tokens / name, folder / name)


_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", TEMPLATE_FILE,
)  # fmt: skip


def _check_model(folder: Path) -> dict[str, Any]:
    """Its architecture is known, its weights are whole, its own and finite; facts about it."""
    require_own_files(folder)
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: config.json cannot be read ({error})") from error
    kind = raw.get("model_type") if isinstance(raw, dict) else None
    if "auto_map" in raw:
        raise UserError(f"{folder}: the model brings code of its own (auto_map), which is never run here")
    if kind not in CONFIG_MAPPING:
        raise UserError(f"{folder}: its architecture {kind!r} is not known here")
    if is_reward_model(folder):
        raise UserError(f"{folder}: this is a reward model, and a policy is needed")
    config = AutoConfig.from_pretrained(folder)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UserError(f"{folder}: {kind} is no language model that writes text")
    parameters = _require_finite(folder)
    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder, device_map="meta", use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # safetensors and transformers raise many kinds for a damaged folder
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{folder}: the weights do not fit its config.json ({reason})") from error
    if loading["missing_keys"]:
        missing = sorted(loading["missing_keys"])
        raise UserError(f"{folder}: the weights lack {len(missing)} tensors, {missing[0]} among them")
    return {
        "architecture": kind,
        "stored_parameters": parameters,
        "embedding_rows": model.get_input_embeddings().num_embeddings,
    }


def _require_finite(folder: Path) -> int:
    """How many numbers the safetensors files hold. Raises UserError naming a tensor with one that is not finite."""
    count = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - no mapping
                    tensor = file.get_tensor(name)
                    count += tensor.numel()
                    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                        bad = int((~torch.isfinite(tensor)).sum())
                        raise UserError(
                            f"{path}: the tensor {name} has {bad:,} of {tensor.numel():,} numbers that are not finite"
                        )
        except UserError:
            raise
        except Exception as error:  # safetensors raises its own kind, and torch for types it does not know
            raise UserError(f"{path}: the file cannot be read ({str(error)[:200]})") from error
    return count


def _check_tokenizer(folder: Path, embedding_rows: int) -> Any:
    tokenizer = load_tokenizer(folder)
    # As it lies there: the padding token that load_tokenizer may add gets its own row.
    with open(folder / "tokenizer.json", encoding="utf-8") as file:
        raw = json.load(file)
    vocabulary = raw["model"].get("vocab", {})
    ids = list(vocabulary.values()) if isinstance(vocabulary, dict) else list(range(len(vocabulary)))
    largest = max([*ids, *(token["id"] for token in raw.get("added_tokens", []))], default=-1)
    if largest >= embedding_rows:
        raise UserError(
            f"{folder}: its tokenizer has ids up to {largest:,}, and its embedding {embedding_rows:,} rows: this "
            "tokenizer belongs to another model, or the model was saved before its embedding was resized"
        )
    return tokenizer


def _check_template(folder: Path, tokenizer: Any, values: Mapping[str, Any], frozen: Any) -> None:
    """A prompt of one turn can be written, whole; the frozen template writes what the values make of the original."""
    asked = [{"role": "user", "content": "\ue000probe\ue001"}]
    original = tokenizer.chat_template
    try:
        with_values = tokenizer.apply_chat_template(
            asked, tokenize=False, add_generation_prompt=True, **values
        )
        tokenizer.chat_template = frozen
        rendered = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    except _TooSlow:
        raise
    except Exception as error:  # a template may do anything, and jinja passes on what it raised
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{folder}: its chat template fails on a single question ({type(error).__name__}: {reason})"
        ) from error
    finally:
        tokenizer.chat_template = original
    if asked[0]["content"] not in rendered:
        raise UserError(f"{folder}: its chat template leaves the question out")
    if values and "strftime_now" not in original and with_values != rendered:
        raise UserError(f"{folder}: its chat template cannot be frozen with chat_template_kwargs")


class _TooSlow(Exception):
    """The template had not ended in time."""


@contextlib.contextmanager
def _time_limit(folder: Path) -> Iterator[None]:
    """A template is a program: one that does not end must not hold up the import for ever."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TEMPLATE_SECONDS)
    try:
        yield
    except _TooSlow as error:
        raise UserError(
            f"{folder}: its chat template does not end within {TEMPLATE_SECONDS} seconds on a single question"
        ) from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _copy_linked(folder: Path, out: Path) -> None:
    """The folder's files under another name; the large ones as hard links where the disk allows it."""
    with atomic_folder(out) as target:
        for file in sorted(folder.iterdir()):
            if not file.is_file():
                continue
            try:
                if file.suffix != ".safetensors":
                    raise OSError  # what is written anew must not change the original
                os.link(file.resolve(), target / file.name)
            except OSError:
                shutil.copyfile(file, target / file.name)


def _write_template(folder: Path, template: str) -> None:
    (folder / TEMPLATE_FILE).write_text(template, encoding="utf-8")
    path = folder / "tokenizer_config.json"
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("chat_template", None) is not None:
            path.write_text(json.dumps(config, ensure_ascii=False, indent=2), encoding="utf-8")


def main(request: Path, answer: Path) -> int:
    try:
        found = prepare(json.loads(request.read_text(encoding="utf-8")))
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    answer.write_text(json.dumps(found), encoding="utf-8")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
