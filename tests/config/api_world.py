"""One of everything that the API's addresses name."""

import json

from django.conf import settings
from django.utils import timezone

from annotation.adjudication.actions import return_judgment
from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.conversation import generation
from annotation.conversation.actions import advance, end_conversation, send_message, start_conversation
from annotation.datasets.actions import freeze_dataset
from annotation.importing.uploads.actions import begin_upload, receive_piece
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Assignment, Import, Qualification, QualityReport
from annotation.qualification.actions import add_practice, create_training
from annotation.questions.actions import ask_question
from annotation.queue.actions import claim_task, skip_task
from annotation.writing.actions import claim_item, submit_text
from annotation.writing.works import open_work
from events.actions import create_webhook
from events.models import Delivery
from events.publishing import publish_events
from policy_training.models import ChainedTraining, Policy, PolicyComparison, PolicyServing
from policy_training.selecting.actions import pin_policy
from rewardmodel.models import RewardModel, Serving
from rounds.models import Round, ScheduleFiring
from rounds.plans import plan_to_dict, preset_plan
from rounds.schedules.actions import create_schedule
from rounds.schedules.triggers import after_judgments
from runs.models import Artifact, Run
from tests.annotation.conversation.live import SteeredGenerator, make_live_batch

SECRET_SOURCE = "secret-policy-7b"


def make(project, manager, annotator, file, reviewer=None):
    """Keys by the names that tests/config/api_table.py uses."""
    of = {"actor": manager, "project": project}
    criterion = project.criteria.get()
    prompt_set = get_or_create_prompt_set(**of, name="questions", purpose="policy")
    prompts = add_prompts(
        **of,
        rows=[{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(8)],
        prompt_set=prompt_set,
    )
    source = get_or_create_source(**of, kind="policy", name=SECRET_SOURCE)
    responses = add_responses(
        **of,
        rows=[
            NewResponse(
                prompt=prompt, source=source, text=f"Answer {n}.", response_id=f"hidden-{prompt.pk}-{n}"
            )
            for prompt in prompts
            for n in range(2)
        ],
    )
    [demonstration] = add_demonstrations(
        **of, rows=[NewDemonstration(prompt=prompts[0], text="So it is done.")]
    )
    batch = create_batch(**of, criterion=criterion, name="First")
    tasks = [
        NewTask(prompt=prompt, responses=responses[2 * n : 2 * n + 2]) for n, prompt in enumerate(prompts)
    ]
    add_tasks(actor=manager, batch=batch, tasks=tasks)
    open_batch(actor=manager, batch=batch)
    judged, other, skipped, held = [
        claim(annotator, project) for claim in (_judge, _judge_another, _skip, _hold)
    ]
    judgment = judged.judgments.get()
    returned = return_judgment(
        actor=reviewer or manager, judgment=other.judgments.get(), remark="Read it again."
    )
    QualityReport.objects.create(project=project, judgments=2, is_complete=True, created_by=manager)
    question = ask_question(actor=annotator, assignment=held, text="Which?")
    training = create_training(**of, name="Basics", criterion=criterion, items=4, needed=2)
    Qualification.objects.create(
        training=training, annotator=annotator, state="failed", tries_allowed=3, decided_at=timezone.now()
    )
    add_practice(actor=manager, training=training, judgments=[judgment])
    known = training.batch.tasks.get()
    known_ids = list(known.task_responses.order_by("pk").values_list("response__external_id", flat=True))
    dataset = freeze_dataset(**of, name="frozen")
    trainable = _judged_by_two(of, criterion, annotator)
    imported = Import.objects.create(project=project, kind="prompts", actor=manager, state="done")
    imported.bad_rows_path.parent.mkdir(parents=True, exist_ok=True)
    imported.bad_rows_path.write_text('{"file": "a", "line": 1, "column": "b", "reason": "c"}\n')
    upload = begin_upload(**of, name="prompts.jsonl", size=len(file))
    sent = begin_upload(**of, name="more.jsonl", size=len(file))
    receive_piece(actor=manager, upload=sent, offset=0, content=file)
    webhook = create_webhook(**of, url="https://receiver.example/hook")
    work = open_work(**of, name="Answers", kind="answer", prompt_set=prompt_set)
    sent_text = claim_item(actor=annotator, work=work)
    submit_text(actor=annotator, item=sent_text, turns=["So it is done."], key="first-text")
    text = claim_item(actor=annotator, work=work)
    talks = _conversations(project, manager, annotator)
    publish_events()
    events = project.events.order_by("pk")
    now = timezone.now()
    waiting = Delivery.objects.create(webhook=webhook, event=events[0], state="waiting", next_attempt_at=now)
    dead = Delivery.objects.create(webhook=webhook, event=events[1], state="dead", settled_at=now)
    return {
        "webhook": webhook.pk,
        "waiting_delivery": waiting.pk,
        "dead_delivery": dead.pk,
        "prompt": prompts[0].pk,
        "prompt_id": prompts[0].external_id,
        "prompt_set": prompt_set.pk,
        "response": responses[0].pk,
        "demonstration": demonstration.pk,
        "batch": batch.pk,
        "judged": judged.public_id,
        "skipped": skipped.public_id,
        "held": held.public_id,
        "lease": held.pk,
        "task": held.task_id,
        "question": question.pk,
        "training": training.pk,
        "known": known.pk,
        "known_a": known_ids[0],
        "known_b": known_ids[1],
        "pseudonym": annotator.pseudonym,
        "judgment": judgment.pk,
        "decided": judgment.task_id,
        "returned": returned.pk,
        "dataset": dataset.pk,
        "trainable": trainable.pk,
        "import": imported.pk,
        "upload": upload.public_id,
        "sent": sent.public_id,
        "writing": work.pk,
        "sent_text": sent_text.pk,
        "text": text.public_id,
        "text_key": text.pk,
        **talks,
    } | _models_and_rounds(project, manager, criterion, prompt_set, source, dataset)


def _conversations(project, manager, annotator):
    """One that waits for its writer, one whose second answer failed, and two that begin alike and are over."""
    before = list(generation._in_use)
    writer = SteeredGenerator()
    generation.use_generator(writer)
    try:
        live = make_live_batch(project, manager)
        failed = _talk(annotator, make_live_batch(project, manager, name="Broken").live, writer, new="failed")
        for person in (annotator, manager):
            over = _talk(person, live.live, writer)
            assignment = Assignment.objects.get(task__conversation_turn__conversation=over)
            content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
            submit_judgment(
                actor=person,
                assignment=assignment,
                content=content,
                idempotency_key=f"turn-of-{over.pk}",
            )
            advance(actor=person, conversation=over)
            end_conversation(actor=person, conversation=over)
        own = start_conversation(actor=annotator, live=live.live)
    finally:
        generation._in_use[:] = before
    return {"live": live.pk, "talk": over.pk, "own_talk": own.public_id, "failed_talk": failed.public_id}


def _talk(person, live, writer, new="done"):
    conversation = start_conversation(actor=person, live=live)
    send_message(actor=person, conversation=conversation, text="Tea?", number=1)
    writer.lay_down("old", "done", f"Black, says {person.pk}.")
    writer.lay_down("new", new, f"Green, says {person.pk}.", "It broke.")
    advance(actor=person, conversation=conversation)
    return conversation


def _judged_by_two(of, criterion, annotator):
    """A dataset that a reward model can learn from: two judgments of the split train, made elsewhere."""
    prompts = add_prompts(
        **of,
        rows=[
            {"messages": [{"role": "user", "content": f"Trained on {n}?"}], "split": "train"}
            for n in range(2)
        ],
    )
    # The split of the others is the salt's, and something to train on is needed.
    add_demonstrations(**of, rows=[NewDemonstration(prompt=prompts[0], text="So it is done, too.")])
    source = get_or_create_source(**of, kind="import", name="elsewhere")
    batch = create_batch(**of, criterion=criterion, name="Judged elsewhere")
    rows = []
    for prompt in prompts:
        texts = [NewResponse(prompt=prompt, source=source, text=text) for text in ("Yes.", "No.")]
        yes, no = add_responses(**of, rows=texts)
        [task] = add_tasks(
            actor=of["actor"], batch=batch, tasks=[NewTask(prompt=prompt, responses=[yes, no])]
        )
        rows.append(
            NewJudgment(
                task=task,
                annotator=annotator,
                tiers=[[yes.pk], [no.pk]],
                strengths=[1],
                idempotency_key=f"elsewhere-{task.pk}",
            )
        )
    add_judgments(actor=of["actor"], batch=batch, rows=rows)
    return freeze_dataset(**of, name="to train on", batches=[batch], purposes=["normal"])


def _judge_another(annotator, project):
    return _judge(annotator, project, key="another-judgment")


def _judge(annotator, project, key="first-judgment"):
    assignment = claim_task(actor=annotator, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    submit_judgment(actor=annotator, assignment=assignment, content=content, idempotency_key=key)
    return assignment


def _skip(annotator, project):
    assignment = claim_task(actor=annotator, project=project)
    skip_task(actor=annotator, assignment=assignment)
    return assignment


def _hold(annotator, project):
    return claim_task(actor=annotator, project=project)


def _models_and_rounds(project, manager, criterion, prompt_set, source, dataset):
    def run(**fields):
        return Run.objects.create(
            project=project, kind="train", title="A run", config={}, requested_by=manager, **fields
        )

    now = timezone.now()
    done = run(state="done", finished_at=now, parameters={"others": []})
    waiting = run()
    failed = run(state="failed", finished_at=now, error="The disk was full.")
    paused = run(state="paused", error="Alarm: look at it.")
    chained, refused = [
        ChainedTraining.objects.create(
            project=project, after_run=waiting, recipe="ppo", name=f"later {n}", title="Later", arguments={},
            state="refused" if error else "waiting", error=error, requested_by=manager,
        )
        for n, error in enumerate(("", "There are no prompts."))
    ]  # fmt: skip
    best = paused.path / "checkpoints" / "step-000003.f1"
    best.mkdir(parents=True)
    (best / "complete.json").write_text(json.dumps({"step": 3, "score": 0.5}))
    done.path.mkdir(parents=True)
    (done.path / "log.txt").write_text("It went well.\n")
    (done.path / "result.json").write_text(json.dumps({"accuracy": 0.75, "loss": float("nan")}))

    def artifact(kind, name):
        folder = settings.DATA_DIR / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        return Artifact.objects.create(
            project=project, kind=kind, path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )

    base = Policy.objects.create(
        project=project, name="base", artifact=artifact("policy", "base"), source=source
    )
    reward_model = RewardModel.objects.create(
        project=project,
        name="first",
        artifact=artifact("reward_model", "first"),
        dataset=dataset,
        produced_by=done,
        report={"accuracy": 0.75},
    )
    reward_model.criteria.add(criterion)
    served_model = RewardModel.objects.create(
        project=project,
        name="second",
        artifact=artifact("reward_model", "second"),
        dataset=dataset,
        produced_by=run(state="done", finished_at=now),
    )
    Serving.objects.create(reward_model=served_model, state="waiting", requested_by=manager)
    other = get_or_create_source(actor=manager, project=project, kind="policy", name="next")
    new = Policy.objects.create(
        project=project, name="next", artifact=artifact("policy", "next"), source=other, parent=base
    )
    PolicyServing.objects.create(policy=new, state="waiting", requested_by=manager)
    pin_policy(actor=manager, project=project, policy=base)
    comparison = PolicyComparison.objects.create(
        project=project,
        policy=base,
        reward_model=reward_model,
        prompt_set=prompt_set.name,
        produced_by=done,
        report={"others": []},
    )
    plan = preset_plan("tiny")
    round_ = Round.objects.create(
        project=project,
        number=1,
        criterion=criterion,
        prompt_set=prompt_set,
        plan=plan_to_dict(plan),
        stage="done",
        start_policy=base,
        reward_model=reward_model,
        new_policy=new,
        started_by=manager,
        finished_at=now,
    )
    schedule = create_schedule(
        actor=manager,
        project=project,
        when=after_judgments(100, repeats=True),
        criterion=criterion,
        start_policy=base,
        prompt_set=prompt_set,
        plan=plan,
    )
    failed_firing = ScheduleFiring.objects.create(
        schedule=schedule, due_at=now, state="failed", error="No prompts.", settled_at=now
    )
    # Of another schedule: one time of each may wait.
    again = create_schedule(
        actor=manager,
        project=project,
        when=after_judgments(200, repeats=True),
        criterion=criterion,
        start_policy=base,
        prompt_set=prompt_set,
        plan=plan,
    )
    waiting_firing = ScheduleFiring.objects.create(schedule=again, due_at=now)
    return {
        "run": done.pk,
        "waiting_run": waiting.pk,
        "failed_run": failed.pk,
        "paused_run": paused.pk,
        "chained": chained.pk,
        "refused_training": refused.pk,
        "policy": base.pk,
        "served_policy": new.pk,
        "comparison": comparison.pk,
        "reward_model": reward_model.pk,
        "served_model": served_model.pk,
        "round": round_.number,
        "schedule": schedule.pk,
        "failed_firing": failed_firing.pk,
        "waiting_firing": waiting_firing.pk,
    }
