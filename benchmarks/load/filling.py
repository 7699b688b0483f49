"""A project with as many tasks and annotators as asked for, and afterwards what became of them. Runs inside Django.

python benchmarks/load/filling.py fill --tasks 100000 --annotators 50 ...   prints {project, accounts, page_version}
python benchmarks/load/filling.py repeats                                  makes the tasks that come a second time
python benchmarks/load/filling.py count --accepted FILE                        prints {over_assigned, lost, ...}

The environment says which database (ROUNDTABLE_DATA_DIR, ROUNDTABLE_DATABASE_URL). A hundred tasks are made by the
platform's own actions; the others are copies of their rows, made by the database.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Count, F, Model, Q  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils.crypto import get_random_string  # noqa: E402

from annotation.adjudication.more_annotators import set_one_more_rule  # noqa: E402
from annotation.annotator.presenter import PAGE_VERSION  # noqa: E402
from annotation.assigning.acknowledging import acknowledge_guideline, require_acknowledgement  # noqa: E402
from annotation.assigning.actions import set_batch_audience, set_daily_limit, set_member_work  # noqa: E402
from annotation.batches.actions import NewTask, add_tasks, close_batch, create_batch, open_batch  # noqa: E402
from annotation.content.actions import (  # noqa: E402
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_source,
)
from annotation.judging.bulk import NewJudgment, add_judgments  # noqa: E402
from annotation.judging.gold import make_known_tasks  # noqa: E402
from annotation.models import Assignment, Batch, Judgment, Prompt, Response, Task, TaskResponse  # noqa: E402
from annotation.qualification.actions import (  # noqa: E402
    add_practice,
    change_training,
    create_training,
    let_through,
    require_training,
)
from annotation.queue.counters import find_counter_drift  # noqa: E402
from annotation.queue.repeats import prepare_repeats  # noqa: E402
from workspace.actions import create_project  # noqa: E402
from workspace.models import Membership, Project, User  # noqa: E402
from workspace.project_settings import set_checks  # noqa: E402

TEMPLATES = 100
MANY = 100_000  # of a limit: nobody reaches it
# In every text of a template row; the copies have their number in its place, so that no two texts are alike.
MARK = "copy-0"
PASSWORD = "correct horse battery"
WORDS = "the of and water heat salt until simmer because should answer better slowly pan stir minutes sauce".split()


def answer(chance: random.Random, number: int, size: int) -> str:
    """Markdown of about `size` characters: paragraphs, a list, some bold words, and code in every fifth."""
    parts = [f"**Answer {number}** ({MARK})"]
    while sum(map(len, parts)) < size:
        sentence = " ".join(chance.choice(WORDS) for _ in range(min(70, max(4, size // 7))))
        parts.append(
            chance.choice(["{0}.", "- {0}\n- *then* {1}", "1. {0}\n2. {1}"]).format(sentence, sentence[:80])
        )
    if number % 5 == 0:
        parts.insert(
            1, "```python\ndef simmer(pan, minutes=12):\n    return pan.heat(minutes)  # until soft\n```"
        )
    return "\n\n".join(parts)[: max(size, 40)]


def make_templates(
    actor: User, project: Project, tasks: int, overlap: int, size: int, name: str = "load"
) -> Any:
    """A batch in draft with min(tasks, TEMPLATES) tasks of two answers."""
    chance = random.Random(1)
    source = get_or_create_source(actor=actor, project=project, kind="import", name="load")
    batch = create_batch(
        actor=actor, project=project, criterion=project.criteria.get(), name=name, overlap=overlap
    )
    new_tasks = []
    for number in range(min(tasks, TEMPLATES)):
        question = f"How do I cook dish {number} of {name} ({MARK}) without burning it? " + answer(
            chance, 1, 150
        )
        messages = [{"role": "user", "content": question}]
        row = {"messages": messages, "prompt_id": f"{name}-{number}-{MARK}"}
        [prompt] = add_prompts(actor=actor, project=project, rows=[row])
        new = [
            NewResponse(
                prompt=prompt,
                source=source,
                text=answer(chance, 2 * number + side, size),
                response_id=f"{name}-response-{number}-{side}-{MARK}",
            )
            for side in (0, 1)
        ]
        responses = add_responses(actor=actor, project=project, rows=new)
        new_tasks.append(NewTask(prompt=prompt, responses=responses))
    add_tasks(actor=actor, batch=batch, tasks=new_tasks)
    return batch


def copy_rows(
    model: type[Model],
    shifts: dict[type[Model], int],
    copies: int,
    *,
    others: Mapping[str, str] | None = None,
) -> None:
    """`copies` more of every row: keys shifted by the copy's number (n.i) times its table's shift, marks numbered.

    `others`: column -> the SQL of its value, where it is neither.
    """
    postgresql = connection.vendor == "postgresql"
    quote = connection.ops.quote_name
    columns, values = [], []
    for column in model._meta.concrete_fields:
        name = f"t.{quote(column.column)}"
        target = model if column.primary_key else column.related_model
        if others and column.column in others:
            value = others[column.column]
        elif target in shifts:
            value = f"{name} + n.i * {shifts[target]}"
        elif column.get_internal_type() in ("CharField", "TextField", "JSONField") and not column.choices:
            marked = f"CAST({name} AS TEXT)"
            value = f"REPLACE({marked}, '{MARK}', 'copy-' || CAST(n.i AS TEXT))"
            if postgresql and column.get_internal_type() == "JSONField":
                value = f"CAST({value} AS JSONB)"
        else:
            value = name
        columns.append(quote(column.column))
        values.append(value)
    numbers = (
        f"SELECT i FROM generate_series(1, {copies}) AS i"
        if postgresql
        else f"WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {copies}) SELECT i FROM s"
    )
    table = quote(model._meta.db_table)
    # In the order of keys, as an import writes them.
    sql = (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM ({numbers}) n CROSS JOIN {table} t WHERE t.id <= {shifts[model]} ORDER BY n.i, t.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        if postgresql:
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{model._meta.db_table}', 'id'), MAX(id)) FROM {table}"
            )


def make_annotators(project: Project, number: int) -> list[User]:
    # One hash for all: the load is what they do after the login, and a login checks the hash at its full cost.
    password = make_password(PASSWORD)
    people = User.objects.bulk_create(
        [User(username=f"annotator{k:04}", password=password) for k in range(number)], batch_size=200
    )
    Membership.objects.bulk_create(
        [Membership(project=project, user=person, role=Membership.Role.ANNOTATOR) for person in people],
        batch_size=200,
    )
    return people


def open_session(person: User) -> dict[str, str]:
    """A session and a CSRF token as a login makes them, without the login."""
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return {"session": client.cookies["sessionid"].value, "csrf": get_random_string(32)}


def fill(
    *, tasks: int, annotators: int, overlap: int, answer_characters: int, logins: bool, everything: bool
) -> dict[str, Any]:
    with transaction.atomic():
        manager = User.objects.create_user(username="manager", password=PASSWORD)
        project = create_project(
            actor=manager, name="Load", overlap=overlap, guideline="Prefer the answer that helps."
        )
        people = make_annotators(project, annotators)
        batch = make_templates(manager, project, tasks, overlap, answer_characters)
        templates = min(tasks, TEMPLATES)
        models = (Prompt, Response, Task, TaskResponse)
        shifts: dict[type[Model], int] = {
            model: model._default_manager.order_by("-pk").values_list("pk", flat=True)[0] for model in models
        }
        if copies := -(-tasks // templates) - 1:
            for model in models:
                copy_rows(model, shifts, copies)
        open_batch(actor=manager, batch=batch)
        if everything:
            switch_everything_on(manager, project, people, batch, overlap, answer_characters)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    names = [{"username": person.username, "password": PASSWORD} for person in people]
    return {
        "project": project.slug,
        "page_version": PAGE_VERSION,
        "accounts": names if logins else [open_session(person) for person in people],
        "drift": find_counter_drift(project)[:5],
    }


def switch_everything_on(
    actor: User, project: Project, people: list[User], batch: Batch, overlap: int, size: int
) -> None:
    """All that a project can ask of its annotators; each of them may judge what is asked. Limits are never reached."""
    set_daily_limit(actor=actor, project=project, daily_limit=MANY)
    for person in people:
        set_member_work(
            actor=actor,
            project=project,
            membership=Membership.objects.get(project=project, user=person),
            groups=["desk", "kitchen"],
            skills=["english", "cooking"],
            daily_limit=MANY,
        )
    set_batch_audience(
        actor=actor, batch=batch, groups=["desk"], skills=["english", "cooking"], skills_asked="all",
        person_quota=MANY,
    )  # fmt: skip
    judged = judged_examples(actor, project, size)
    make_known_tasks(actor=actor, project=project, judgments=judged[10:])
    set_checks(actor=actor, project=project, gold_share=0.1, repeat_share=0.05, repeat_after=20)
    training = create_training(
        actor=actor, project=project, name="Basics", criterion=batch.criterion, items=5, needed=3
    )
    add_practice(actor=actor, training=training, judgments=judged[:10])
    change_training(actor=actor, training=training, is_on=True)
    require_training(actor=actor, batch=batch, training=training)
    require_acknowledgement(actor=actor, project=project, version=1)
    for person in people:
        let_through(actor=actor, training=training, annotator=person)
        acknowledge_guideline(actor=person, project=project, version=1)
    set_one_more_rule(actor=actor, project=project, most=overlap + 1)


def judged_examples(actor: User, project: Project, size: int) -> list[Judgment]:
    """What an expert said of the tasks of a batch of its own."""
    expert = User.objects.create_user(username="expert", password=PASSWORD)
    Membership.objects.create(project=project, user=expert, role=Membership.Role.REVIEWER)
    batch = make_templates(actor, project, TEMPLATES, 1, size, "examples")
    open_batch(actor=actor, batch=batch)
    rows = []
    for task in batch.tasks.order_by("pk"):
        one, other = task.task_responses.order_by("position").values_list("response_id", flat=True)
        rows.append(
            NewJudgment(
                task=task,
                annotator=expert,
                tiers=[[one], [other]],
                strengths=[2],
                idempotency_key=f"example-{task.pk}",
            )  # fmt: skip
        )
    judged = add_judgments(actor=actor, batch=batch, rows=rows)
    close_batch(actor=actor, batch=batch)
    return judged


def count(accepted_file: Path) -> dict[str, Any]:
    """What the database says afterwards, beside the keys of the judgments that the annotators were told are stored."""
    accepted = accepted_file.read_text().split() if accepted_file.exists() else []
    stored = set(Judgment.objects.values_list("idempotency_key", flat=True))
    first = Judgment.objects.filter(supersedes__isnull=True)
    twice = first.values("task", "annotator").annotate(n=Count("pk")).filter(n__gt=1)
    holding = Q(assignments__state=Assignment.State.LEASED)
    counted = Q(judgments__superseded_by__isnull=True, judgments__surplus=False, judgments__withdrawn=False)
    touched = Task.objects.filter(open_slots__lt=F("required_judgments"))
    over = touched.annotate(
        judged=Count("judgments", filter=counted, distinct=True),
        held=Count("assignments", filter=holding, distinct=True),
    ).filter(required_judgments__lt=F("judged") + F("held"))
    project = Project.objects.get()
    return {
        "judgments": len(stored),
        "accepted": len(accepted),
        "over_assigned": over.count(),
        "lost": len(set(accepted) - stored),
        "doubled": twice.count() + len(accepted) - len(set(accepted)),
        "surplus": Judgment.objects.filter(surplus=True).count(),
        "audited": project.audit_events.filter(action="judgment.submit").count(),
        "purposes": {
            purpose: Judgment.objects.filter(task__purpose=purpose)
            .exclude(annotator__username="expert")
            .count()
            for purpose in (Task.Purpose.NORMAL, Task.Purpose.GOLD, Task.Purpose.REPEAT)
        },
        "drift": len(find_counter_drift(project)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    acts = parser.add_subparsers(dest="act", required=True)
    filling = acts.add_parser("fill")
    filling.add_argument("--tasks", type=int, required=True)
    filling.add_argument("--annotators", type=int, required=True)
    filling.add_argument("--overlap", type=int, default=3)
    filling.add_argument("--answer-characters", type=int, default=2000)
    filling.add_argument("--everything", action="store_true", help="all that can be asked of annotators")
    acts.add_parser("repeats")
    filling.add_argument(
        "--logins", action="store_true", help="names and passwords in place of open sessions"
    )
    counting = acts.add_parser("count")
    counting.add_argument("--accepted", type=Path, required=True)
    options = vars(parser.parse_args())
    act = options.pop("act")
    if act == "fill":
        print(json.dumps(fill(**options)))
    elif act == "repeats":
        print(prepare_repeats(Project.objects.get()))
    else:
        print(json.dumps(count(options["accepted"])))


if __name__ == "__main__":
    main()
