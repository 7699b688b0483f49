"""An installation of its own, in a process of its own: `make` and `half`, or `again` after it was restored elsewhere.

ROUNDTABLE_DATA_DIR says where it is. `make` trains a policy and another one from it. `half` trains a third and loses
its worker before the result is saved. `again` runs the second training again, and whatever waits. Prints what became of
the runs as JSON.
"""

import json
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
SIZES = "hidden_size=16 intermediate_size=32 num_hidden_layers=1 num_attention_heads=2 max_position_embeddings=256"


def main(step: str) -> None:
    import django

    django.setup()
    from policy_training.run_kinds import KINDS
    from runs.actions import clone_run
    from runs.models import Run
    from runs.worker import run_worker

    if step == "make":
        make()
    elif step == "half":
        fine_tune("third", "--start", "first", steps=4)
        lose_worker_at_the_end()
        run_worker(list(KINDS), once=True, install_signals=False)
        step = "halved"
    else:
        second = Run.objects.get(title="Fine-tune second")
        clone_run(actor=second.requested_by, run=second)
    if step != "halved":
        run_worker(list(KINDS), stop_when_idle=True, install_signals=False)
    if step == "make":
        fine_tune("second", "--start", "first")
        run_worker(list(KINDS), stop_when_idle=True, install_signals=False)
    print(
        json.dumps([[run.title, run.state, run.error, run.directory] for run in Run.objects.order_by("pk")])
    )


def make() -> None:
    from django.core.management import call_command

    from annotation.content.actions import NewDemonstration, add_demonstrations, add_prompts
    from annotation.models import Prompt
    from workspace.actions import create_project
    from workspace.models import User

    call_command("migrate", verbosity=0)
    max_ = User.objects.create_user("max")
    project = create_project(actor=max_, name="Kitchen", split_salt="salt")
    rows = [{"messages": [{"role": "user", "content": f"How many spoons are {n}?"}]} for n in range(40)]
    add_prompts(actor=max_, project=project, rows=rows)
    demonstrations = [NewDemonstration(prompt=prompt, text="Enough.") for prompt in Prompt.objects.all()]
    add_demonstrations(actor=max_, project=project, rows=demonstrations)
    fine_tune("first", "--set", *(f"model.source.from_scratch.{size}" for size in SIZES.split()))


def lose_worker_at_the_end() -> None:
    from runs import executor

    def lost(*args: object) -> None:
        raise executor.LostLease

    executor.save_result = lost


def fine_tune(name: str, *arguments: str, steps: int = 2) -> None:
    from django.core.management import call_command

    few = [
        f"data.steps={steps}",
        "runtime.checkpoint_every_steps=2",
        "data.examples_per_step=4",
        "tokenizer.vocabulary_size=300",
    ]
    options = ["--set", *few] if "--set" not in arguments else few
    call_command("fine_tune", "kitchen", name, *arguments, *options, verbosity=0, stdout=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
