"""A project with something on every page, and the addresses of all pages that show how they look."""

from datetime import time

from django.urls import reverse
from django.utils import timezone

from annotation.assigning.acknowledging import publish_to_acknowledge
from annotation.assigning.actions import set_batch_audience, set_member_work
from annotation.batches.exclusion import exclude_batch
from annotation.content.actions import add_prompts, get_or_create_prompt_set, get_or_create_source
from annotation.conversation.actions import send_message, start_conversation
from annotation.datasets.actions import freeze_dataset
from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.uploads.actions import begin_upload, receive_piece
from annotation.importing.uploads.hub import fetch_from_hub
from annotation.making.queueing import MAKE_BATCH
from annotation.models import AIJudging, Import, Judgment, Source
from annotation.writing.actions import claim_item, submit_text
from annotation.writing.checking import review_text
from annotation.writing.works import open_work
from events.actions import create_webhook
from events.models import Delivery, Webhook
from events.publishing import publish_events
from policy_training.benchmarks.actions import add_benchmark_file
from policy_training.models import Policy, PolicyBenchmark, PolicyComparison
from rewardmodel.models import RewardModel
from rounds.actions import start_round
from rounds.models import ScheduleFiring
from rounds.plans import preset_plan
from rounds.schedules.actions import create_schedule
from rounds.schedules.triggers import every_week
from runs.actions import queue_run
from runs.models import Artifact, Run
from tests.annotation.conversation.live import make_live_batch
from tests.annotation.quality.reports import make_report
from tests.policy_training.selecting.rows import make_selection
from workspace.accounts import create_machine_annotator
from workspace.members import invite, set_role


def addresses_of_every_page(project, criterion, max_, make_user, folder, settings):
    """Paths of pages by name: a manager's, and one of an invitation. `folder` takes the files that are imported."""
    artifact = Artifact.objects.create(
        project=project, kind=Artifact.Kind.POLICY, path="models/base", sha256="0" * 64, size_bytes=1
    )
    source = get_or_create_source(actor=max_, project=project, kind=Source.Kind.POLICY, name="base")
    policy = Policy.objects.create(project=project, name="base", artifact=artifact, source=source)
    tasks = add_benchmark_file(
        actor=max_, project=project, name="arithmetic and capitals",
        content='{"task": "sums", "kind": "generation", "prompt": "2 + 2?", "answer": "4"}',
    )  # fmt: skip
    measured = {"value": 0.8, "low": 0.7, "high": 0.9}
    PolicyBenchmark.objects.create(
        policy=policy,
        file=tasks,
        produced_by=Run.objects.create(
            project=project, kind="policy.benchmark", title="Measure", config={}, requested_by=max_
        ),
        report={
            "tasks": {"sums": {"items": 40, "figures": {"exact_match": measured, "perplexity": measured}}}
        },
    )
    prompts = get_or_create_prompt_set(actor=max_, project=project, name="questions", purpose="policy")
    rows = [{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(12)]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=prompts)
    start_round(
        actor=max_,
        project=project,
        criterion=criterion,
        start_policy=policy,
        prompt_set=prompts,
        plan=preset_plan("tiny"),
    )
    schedule = create_schedule(
        actor=max_,
        project=project,
        when=every_week(0, time(9, 0)),
        criterion=criterion,
        start_policy=policy,
        prompt_set=prompts,
        plan=preset_plan("tiny"),
    )
    ScheduleFiring.objects.create(schedule=schedule, due_at=timezone.now())
    file = folder / "a_long_name_of_a_file_of_comparisons_from_elsewhere.jsonl"
    file.write_text('{"prompt": "Tea?", "chosen": "yes", "rejected": "no"}')
    imported_batch, _ = import_comparisons(actor=max_, project=project, path=file, format="trl")
    file.write_text('{"prompt": "Milk?", "chosen": "yes", "rejected": "no"}')
    _, report = import_comparisons(actor=max_, project=project, path=file, format="trl")
    take_back_import(actor=max_, imported=Import.objects.get(pk=report.import_id))
    dataset = freeze_dataset(
        actor=max_, project=project, name="a dataset", description="Of comparisons from elsewhere."
    )
    reward_model = RewardModel.objects.create(
        project=project,
        name="taste",
        artifact=Artifact.objects.create(
            project=project, kind="reward_model", path="models/taste", sha256="0" * 64, size_bytes=1
        ),
        dataset=dataset,
        produced_by=Run.objects.create(
            project=project, kind="reward_model.train", title="Train", config={}, requested_by=max_
        ),
    )
    counts = {"win": 3, "tie": 1, "lose": 2}
    said = counts | {"by_tag": {"cooking": counts}}
    step = {"name": "step 5", "step": 5, "score": 1.0, "kl": 0.5, "prompts": 6, "by_reward": said}
    trained, compared = (
        Run.objects.create(
            project=project, kind=kind, title="PPO: base to new", config={}, requested_by=max_,
            parameters={"others": [], "parent": policy.pk},
        )
        for kind in ("policy.ppo", "policy.compare")
    )  # fmt: skip
    comparison = PolicyComparison.objects.create(
        project=project, policy=policy, reward_model=reward_model, prompt_set="questions", of_run=trained,
        produced_by=compared, report={"policy": {"score": 0.5}, "others": [step | {"by_judge": said}]},
    )  # fmt: skip
    selection = make_selection(project, max_, policy, reward_model)
    freeze_dataset(actor=max_, project=project, name="a dataset", new_version=True)
    judged = Judgment.objects.get(task__batch=imported_batch)
    exclude_batch(actor=max_, batch=imported_batch)
    colleague = set_role(
        actor=max_, project=project, user=make_user("a-colleague-with-a-long-name"), role="annotator"
    )
    tags = {
        "groups": ["people of the night shift", "experts"],
        "skills": ["german", "python"],
        "daily_limit": 50,
    }
    set_member_work(actor=max_, project=project, membership=colleague, **tags)
    AIJudging.objects.create(
        batch=imported_batch,
        annotator=create_machine_annotator(actor=max_, project=project, name="judge-small", kind="ai"),
        run=Run.objects.create(
            project=project, kind="judge.batch", title="Judge", config={}, requested_by=max_
        ),
        judgments=1,
        report={
            "question": "Which is kinder?",
            "tasks": 2,
            "unclear": 1,
            "tie_rate": 0.25,
            "order_rate": 0.1,
        },
    )
    set_batch_audience(
        actor=max_, batch=imported_batch, groups=["experts"], skills=["german"], person_quota=20
    )
    _, token = invite(actor=max_, project=project, role="annotator", note="Nia")
    report = make_report(project, max_, [max_, judged.annotator], apart=[(imported_batch.pk, judged.task_id)])
    webhook = create_webhook(
        actor=max_,
        project=project,
        url="https://receiver-with-a-long-name.example.org/hooks/of/a/trainer?key=1",
    )
    publish_events()
    last, reason = project.events.order_by("-pk"), "It answered 500."
    of = {"webhook": webhook, "attempts": 10, "reason": reason}
    Delivery.objects.create(event=last[0], state="waiting", next_attempt_at=timezone.now(), **of)
    Delivery.objects.create(event=last[1], state="dead", settled_at=timezone.now(), **of)
    delivered = {"state": "delivered", "status": 204, "settled_at": timezone.now()}
    Delivery.objects.create(event=last[2], webhook=webhook, attempts=1, **delivered)
    Webhook.objects.filter(pk=webhook.pk).update(is_on=False, off_reason="Nothing was delivered for 5 days.")
    live = make_live_batch(project, max_, instruction="Ask for help.", system_prompt="Be brief.").live
    talk = start_conversation(actor=max_, live=live)
    turn = send_message(actor=max_, conversation=talk, text="What can I cook with rice?", number=1)
    turn.answers.filter(side=0).update(state="done", text="Rice with beans.")
    turn.answers.filter(side=1).update(state="failed", error="The model could not write an answer.")
    asked = {"name": "Prompts about rice", "kind": "prompt", "prompt_kind": "few-shot", "items": 3}
    work = open_work(actor=max_, project=project, **asked)
    making = queue_run(
        actor=max_, project=project, kind=MAKE_BATCH, title="Make the batch “Rice”", config={}, parameters={}
    )
    settings.HUB_DATASETS = ["kitchen/*"]
    fetched = fetch_from_hub(actor=max_, project=project, dataset="kitchen/pairs-of-tea-and-coffee")
    row = b'{"prompt": "Tea?", "responses": ["yes", "no"]}   \n'
    sent = begin_upload(
        actor=max_, project=project, name="answers of two models, part 1.jsonl", size=len(row)
    )
    receive_piece(actor=max_, upload=sent, offset=0, content=row)
    begin_upload(
        actor=max_, project=project, name="answers of two models, part 2.jsonl", size=90, part_of=sent
    )
    written = claim_item(actor=colleague.user, work=work)
    version = submit_text(actor=colleague.user, item=written, turns=["Name a use of rice."], key="a")
    review_text(actor=max_, version=version, outcome="send_back", remark="Give examples first.")
    submit_text(
        actor=colleague.user, item=written, turns=["Q: Beans? A: Soup.\n\nQ: Rice?"], key="b", seen_version=1
    )
    held = claim_item(
        actor=max_, work=open_work(actor=max_, project=project, name="Talks", kind="dialogue", items=2)
    )
    guideline = publish_to_acknowledge(
        actor=max_, project=project, text="Be brief and right.", must_acknowledge=True
    )
    slug = [project.slug]
    return {
        "home": reverse("workspace:home"),
        "people": reverse("workspace:people", args=slug),
        "password": reverse("workspace:change_password"),
        "settings": reverse("annotation:settings", args=slug),
        "what is asked": reverse("annotation:asked_settings", args=slug),
        "questions": reverse("annotation:questions", args=slug),
        "batches": reverse("annotation:batches", args=slug),
        "imports": reverse("data:imports", args=slug),
        "datasets": reverse("data:datasets", args=slug),
        "dataset": reverse("data:dataset", args=[*slug, dataset.pk]),
        "new dataset": reverse("data:new_dataset", args=slug),
        "compare datasets": reverse("data:compare_datasets", args=slug)
        + f"?old={dataset.pk}&new={dataset.pk + 1}",
        "events": reverse("events:list", args=slug),
        "webhooks": reverse("events:webhooks", args=slug),
        "webhook": reverse("events:webhook", args=[*slug, webhook.pk]),
        "dead letters": reverse("events:dead_letters", args=slug),
        "writing": reverse("annotation:writing", args=slug),
        "write": reverse("annotation:write", args=[*slug, held.public_id]),
        "writing works": reverse("annotation:writing_works", args=slug),
        "new writing work": reverse("annotation:new_writing_work", args=slug),
        "writing work": reverse("annotation:writing_work", args=[*slug, work.pk]),
        "texts to check": reverse("annotation:writing_to_check", args=slug),
        "text to check": reverse("annotation:writing_text", args=[*slug, written.pk]),
        "batch": reverse("annotation:batch", args=[*slug, imported_batch.pk]),
        "invitation": reverse("workspace:accept_invitation", args=[token]),
        "rounds": reverse("rounds:list", args=slug),
        "round": reverse("rounds:round", args=[*slug, 1]),
        "start": reverse("rounds:start", args=slug),
        "policies": reverse("policies:list", args=slug),
        "policy": reverse("policies:policy", args=[*slug, policy.pk]),
        "playground": reverse("policies:playground", args=[*slug, policy.pk]),
        "fine-tune": reverse("policies:fine_tune", args=slug),
        "dpo": reverse("policies:dpo", args=slug),
        "best of n": reverse("policies:best_of_n", args=slug),
        "merge": reverse("policies:merge", args=slug),
        "judge": reverse("policies:judge", args=slug),
        "compare": reverse("policies:compare", args=slug),
        "along a training": reverse("policies:along", args=[*slug, trained.pk]),
        "comparison": reverse("policies:comparison", args=[*slug, comparison.pk]),
        "frontier": reverse("policies:frontier", args=slug),
        "selection": reverse("policies:selection", args=[*slug, selection.pk]),
        "measure on tasks": reverse("policies:benchmark", args=slug),
        "files of tasks": reverse("policies:benchmark_files", args=slug),
        "policy on tasks": reverse("policies:measured", args=[*slug, policy.pk]) + f"?beside={policy.pk}",
        "ppo": reverse("policies:ppo", args=slug),
        "policy gradient": reverse("policies:policy_gradient", args=slug),
        "new live batch": reverse("annotation:new_live_batch", args=slug),
        "live batch": reverse("annotation:live_batch", args=[*slug, live.batch_id]),
        "compare conversations": reverse("annotation:compare_conversations", args=[*slug, live.batch_id]),
        "conversation read": reverse("annotation:live_conversation", args=[*slug, live.batch_id, talk.pk]),
        "conversations": reverse("annotation:conversations", args=slug),
        "new import": reverse("data:new_upload", args=slug),
        "several files": reverse("data:upload", args=[*slug, sent.public_id]),
        "dataset being fetched": reverse("data:upload", args=[*slug, fetched.public_id]),
        "batch being made": reverse("annotation:batch_being_made", args=[*slug, making.pk]),
        "from answers": reverse("annotation:batch_from_answers", args=slug),
        "first steps": reverse("rounds:first_steps", args=slug),
        "versions": reverse("annotation:guideline_versions", args=slug),
        "queue": reverse("annotation:queue", args=slug),
        "waiting tasks": reverse("annotation:queue", args=slug) + "?show=waiting",
        "throughput": reverse("annotation:all_throughput", args=slug),
        "throughput of a batch": reverse("annotation:throughput", args=[*slug, imported_batch.pk]),
        "audit log": reverse("workspace:audit", args=slug),
        "own work": reverse("annotation:own_history", args=slug),
        "work done": reverse("annotation:work_done", args=slug),
        "quality": reverse("annotation:quality", args=slug),
        "annotators": reverse("annotation:quality_annotators", args=slug),
        "annotator": reverse("annotation:quality_annotator", args=[*slug, judged.annotator.pseudonym]),
        "pair of annotators": reverse(
            "annotation:quality_pair", args=[*slug, report.annotator_pairs.get().pk]
        ),
        "uncertain tasks": reverse("annotation:uncertain_tasks", args=slug),
        "disagreements": reverse("annotation:disagreements", args=slug),
        "decisions": reverse("annotation:decisions", args=slug),
        "adjudication": reverse("annotation:adjudicate", args=[*slug, judged.task_id]),
        "leaderboard": reverse("annotation:leaderboard", args=slug),
        "task": reverse("annotation:batch_task", args=[*slug, imported_batch.pk, judged.task_id]),
        "judgment": reverse("annotation:judgment", args=[*slug, imported_batch.pk, judged.pk]),
        "models as judges": reverse("annotation:ai_judges", args=[*slug, imported_batch.pk]),
        "skips": reverse("annotation:batch_skips", args=[*slug, imported_batch.pk]),
        "download": reverse("data:download_dataset", args=[*slug, dataset.pk]),
        "push": reverse("data:push_dataset", args=[*slug, dataset.pk]),
        "train": reverse("reward_models:train", args=slug),
        "evaluate": reverse("reward_models:evaluate", args=slug),
        "sample": reverse("policies:sample", args=slug),
        "tokens": reverse("workspace:tokens"),
        "who gets what": reverse("annotation:assigning", args=slug),
        "a member's work": reverse("annotation:member_work", args=[*slug, colleague.pk]),
        "who gets a batch": reverse("annotation:batch_audience", args=[*slug, imported_batch.pk]),
        "guideline to confirm": reverse("annotation:guideline", args=slug),
        "guideline version": reverse("annotation:guideline_version", args=[*slug, guideline.version]),
    }
