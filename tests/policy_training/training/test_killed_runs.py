"""CHECK 25 between checkpoints: killed by SIGKILL anywhere, also while a checkpoint is written, a run ends in the files
of one that nobody disturbed, byte for byte; under other conditions it does not go on.
"""

import json
import random
import signal
from typing import Any

import pytest

from learning.interface.training_options import EvaluationOptions, ModelOptions, ModelSource, RuntimeOptions
from policy_training.training.config import LanguageModelDataOptions
from tests.learning.fork_server import ForkServer, KillPoint
from tests.policy_training.training.conftest import create_run, demonstration_rows, sft_config, text_rows

KILLED = -signal.SIGKILL
STEPS = 6

# A run that is killed at these points one after the other, each time started again, before it may end.
IN_THE_FIRST_STEP = KillPoint("Engine.step", calls=3)  # after the backward passes
IN_THE_FIRST_CHECKPOINT = KillPoint("Checkpoints._write_manifest", calls=12)  # some of its files are synced
# The third of this attempt, of which half is written:
IN_A_LINE = KillPoint("RunContext._append:metrics.jsonl", nth=3, half_a_line=True)
# The checkpoint has its name, those before it are there still:
AFTER_THE_NAME = KillPoint("Checkpoints._prune", calls=2)
IN_THE_MODEL = KillPoint("Engine.save_model", calls=9)  # the last step is done


@pytest.fixture(scope="module")
def fork_server():
    server = ForkServer("policy_training.training.supervised.sft")
    yield server
    server.close()


def without_times(value: Any) -> Any:
    """What a clock says is different each time."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if "second" not in k and "time" not in k}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def require_same_files(run: Any, other: Any) -> None:
    """Everything that the run made: models, checkpoints with the state of optimizers and generators, metrics,
    samples, result.
    """
    of_the_attempt = {"log.txt", "status.json", "lock", "config.json", "complete.json", "manifest.json"}
    files = [
        {str(file.relative_to(one.path)): file for file in one.path.rglob("*") if file.is_file()}
        for one in (run, other)
    ]
    assert files[0].keys() == files[1].keys()
    assert "checkpoints/step-000006.f0/state.safetensors" in files[0]
    for name, file in files[0].items():
        if file.name in of_the_attempt:
            continue
        texts = [each[name].read_bytes() for each in files]
        if file.suffix in (".json", ".jsonl") and texts[0] != texts[1]:
            rows = [text.splitlines() if file.suffix == ".jsonl" else [text] for text in texts]
            first, second = ([without_times(json.loads(row)) for row in each] for each in rows)
            assert first == second, name
        else:
            assert texts[0] == texts[1], name


def require_refused(fork_server: ForkServer, run: Any) -> None:
    """With other packages, and with other options than its checkpoint was made with."""
    path = run.path / "config.json"
    written = path.read_bytes()
    config = json.loads(written)
    packages = {**config["environment"]["packages"], "torch": "1.0"}
    path.write_text(json.dumps({**config, "environment": {**config["environment"], "packages": packages}}))
    said = fork_server.run(run, expected=2)
    assert "the checkpoints were made with torch 1.0 (now" in said and "clone this run" in said
    options = {**config["options"], "runtime": {**config["options"]["runtime"], "seed": 7}}
    path.write_text(json.dumps({**config, "options": options}))
    assert "config.json was edited after step-000002.f0 was made; clone this run" in fork_server.run(
        run, expected=2
    )
    path.write_bytes(written)


def test_killed_anywhere_a_run_ends_in_the_files_of_an_uninterrupted_one(fork_server, tmp_path, policy_path):
    """Fine-tuning with dropout, texts mixed in, and evaluations that sample."""
    config = sft_config(
        model=ModelOptions(source=ModelSource(path=str(policy_path)), dropout=0.1),
        data=LanguageModelDataOptions(examples_per_step=5, steps=STEPS, texts_share=0.25),
        evaluation=EvaluationOptions(evaluate_every_steps=3, max_examples=4, logged_samples=2),
        runtime=RuntimeOptions(checkpoint_every_steps=2),
    )
    rows = {"demonstrations": demonstration_rows(16), "texts": text_rows(9)}
    whole, cut = (create_run(tmp_path / name, "sft", config, **rows) for name in ("whole", "cut"))
    fork_server.run(whole)
    drawn = random.Random("sft")

    for point in (IN_THE_FIRST_STEP, IN_THE_FIRST_CHECKPOINT):
        fork_server.run(cut, kill=point, expected=KILLED)
        assert not cut.has_checkpoint()
    fork_server.run(cut, kill=IN_A_LINE, expected=KILLED)
    assert cut.has_checkpoint() and len(cut.metrics()[0]) == 2
    assert not (cut.path / "metrics.jsonl").read_bytes().endswith(b"\n")
    require_refused(fork_server, cut)
    # Anywhere in its third and fourth step, then in the checkpoint of the latter, then in what follows the last.
    for _ in range(2):
        anywhere = KillPoint("Checkpoints.resume", calls=drawn.randrange(100, 1500))
        fork_server.run(cut, kill=anywhere, expected=KILLED)
        assert {folder.name for folder in cut.path.glob("checkpoints/step-*")} == {"step-000002.f0"}
    fork_server.run(cut, kill=AFTER_THE_NAME, expected=KILLED)
    assert (cut.path / "checkpoints/step-000004.f0/complete.json").is_file()
    fork_server.run(cut, kill=IN_THE_MODEL, expected=KILLED)
    assert cut.result() is None
    fork_server.run(cut)
    require_same_files(whole, cut)
