"""Every export that the script was given read by datasets.load_dataset, and by TRL's trainers for some steps; runs in
the peer's environment.

python read_exports.py JOB.json

A tiny Llama of random weights with a tokenizer of single bytes is made here: nothing is downloaded.
"""

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
import trl
from datasets import DatasetDict, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    set_seed,
)
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.experimental.kto import KTOConfig, KTOTrainer

SPECIALS = ["<pad>", "<s>", "</s>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<s>' + message['role'] + '\\n' + message['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate([*SPECIALS, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    pad, bos, eos = SPECIALS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos, chat_template=TEMPLATE
    )


def model(kind: type[Any], tokenizer: PreTrainedTokenizerFast) -> Any:
    set_seed(0)
    return kind(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=1024, num_labels=1,
            pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip


def train(name: str, rows: Any, folder: Path, steps: int) -> dict[str, Any]:
    """Some steps of the trainer; the losses of each, and whether the weights moved."""
    trainers: dict[str, tuple[type[Any], type[Any], type[Any]]] = {
        "RewardTrainer": (RewardTrainer, RewardConfig, LlamaForSequenceClassification),
        "DPOTrainer": (DPOTrainer, DPOConfig, LlamaForCausalLM),
        "KTOTrainer": (KTOTrainer, KTOConfig, LlamaForCausalLM),
        "SFTTrainer": (SFTTrainer, SFTConfig, LlamaForCausalLM),
    }
    trainer_type, config_type, model_type = trainers[name]
    tokenizer = byte_tokenizer()
    trained = model(model_type, tokenizer)
    before = {key: value.clone() for key, value in trained.named_parameters()}
    extra = {"ref_model": model(model_type, tokenizer)} if name in ("DPOTrainer", "KTOTrainer") else {}
    trainer = trainer_type(
        model=trained,
        args=config_type(
            output_dir=str(folder / name), max_steps=steps, per_device_train_batch_size=4, learning_rate=1e-3,
            logging_steps=1, use_cpu=True, bf16=False, report_to="none", disable_tqdm=True, save_strategy="no",
            seed=0,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
        **extra,
    )  # fmt: skip
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    moved = any(not torch.equal(before[key], value) for key, value in trained.named_parameters())
    assert len(losses) == steps and all(map(math.isfinite, losses)), losses
    assert moved, "no weight moved"
    return {"losses": [round(loss, 4) for loss in losses]}


def read(export: dict[str, Any], cache: Path) -> DatasetDict:
    """The rows that the manifest counts, by split, with the columns that we say are there."""
    loaded = load_dataset(export["folder"], cache_dir=str(cache))
    found = {name: split.num_rows for name, split in loaded.items()}
    assert found == export["rows"], f"{export['name']}: {found}, and the manifest says {export['rows']}"
    for name, split in loaded.items():
        first = split[0]
        assert set(first) == set(split.column_names), name
    return loaded


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    scratch = Path(job["scratch"])
    results = []
    for export in job["exports"]:
        result = {"export": export["name"], "rows": sum(export["rows"].values())}
        loaded = attempt(result, "load_dataset", lambda export=export: read(export, scratch / "cache"))
        for trainer in export["trainers"] if loaded is not None else []:
            trained = attempt(
                result,
                trainer,
                lambda trainer=trainer, rows=loaded: train(trainer, rows["train"], scratch, job["steps"]),
            )
            if trained is not None:
                result[trainer] = trained["losses"]
        results.append(result)
        print(json.dumps(result), flush=True)
    Path(job["report"]).write_text(json.dumps({"version": f"TRL {trl.__version__}", "results": results}))


def attempt(result: dict[str, Any], what: str, do: Callable[[], Any]) -> Any:
    """What it returns; None after a failure, which is written down."""
    try:
        done = do()
    except Exception as error:
        result[what] = f"failed: {type(error).__name__}: {str(error)[:300]}"
        return None
    result[what] = "read"
    return done


if __name__ == "__main__":
    main()
